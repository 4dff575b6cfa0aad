"""Variational fits: the ELBO reaches log Z where the target is within reach, and nothing breaks where it is not."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import variational

from densiflow import Flow, bases, bijections, recipes, training
from densiflow.errors import (
    ArgumentError,
    ContextError,
    KeyTypeError,
    ShapeError,
    TableError,
    TrainingError,
    TrainingWarning,
)
from densiflow.fixed import partition
from densiflow.training import elbo
from densiflow.training.fit_target import WORDS

KEY = jax.random.key(0)
MEAN = np.array([3.0, -1.0])
COVARIANCE = np.array([[4.0, 1.2], [1.2, 0.5]])
PRECISION = np.linalg.inv(COVARIANCE)
LOG_Z = float(np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(COVARIANCE)[1])


def gaussian(x):
    gap = x - MEAN
    return -0.5 * jnp.einsum("ni,ij,nj->n", gap, PRECISION, gap)


def conditional(x, context):
    """Normal with mean 10 c and deviation 1/2, unnormalised."""
    return -0.5 * jnp.sum(((x - 10 * context) / 0.5) ** 2, axis=-1)


def inverse_autoregressive(dim=2, context_dim=0, layers=2, **options):
    return recipes.iaf(KEY, dim=dim, context_dim=context_dim, layers=layers, hidden=(16,), activation="tanh", **options)


def scaled(start=1.0):
    return Flow(bijections.Elementwise([0.0], [start]), bases.Normal(1))


def leaves_equal(a, b):
    return all(np.array_equal(p, q) for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_a_gaussian_target_is_reached_to_its_integral_and_moments():
    flow, history = training.fit_target(inverse_autoregressive(layers=1), KEY, gaussian, steps=3000, learning_rate=0.01)
    assert history.stopped == "all steps taken"
    assert len(history.train) == len(history.validation) == 12
    assert history.best_epoch == int(np.argmax(history.validation))
    assert max(history.validation) == pytest.approx(LOG_Z, abs=2e-3)
    assert history.train[-1] == pytest.approx(LOG_Z, abs=0.01)
    x = np.asarray(flow.sample(jax.random.key(1), 20_000), np.float64)
    np.testing.assert_allclose(x.mean(axis=0), MEAN, atol=0.06)
    np.testing.assert_allclose(np.cov(x.T), COVARIANCE, atol=0.15)


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("log_target", [variational.ring, variational.sine])
def test_the_planar_flow_paper_s_targets_are_reached(log_target):
    flow = variational.fitted(log_target, steps=2500)
    nats, error = variational.divergence(flow, log_target)
    assert error < 5e-3
    assert -3 * error < nats < 0.05


def test_the_elbo_is_log_z_less_the_divergence():
    def target(x):
        return -0.5 * jnp.sum(((x - 1.0) / 3.0) ** 2, axis=-1)

    state, rest = partition(scaled(2.0))
    keys = jax.random.split(KEY, 64)
    nats = elbo.judge(state, rest, keys, None, log_target=target, samples=1024)
    divergence = np.log(3 / 2) + (4 + 1) / 18 - 0.5  # KL of N(0, 4) from N(1, 9)
    assert float(nats.mean()) == pytest.approx(np.log(3 * np.sqrt(2 * np.pi)) - divergence, abs=4e-3)


def test_the_flow_passed_in_is_not_changed_and_one_key_gives_one_result():
    flow = inverse_autoregressive()
    before = jax.tree.map(np.array, flow)
    first, history = training.fit_target(flow, KEY, gaussian, steps=300)
    second, again = training.fit_target(flow, KEY, gaussian, steps=300)
    assert leaves_equal(flow, before)
    assert leaves_equal(first, second)
    assert not leaves_equal(first, flow)
    assert history == again
    other, _ = training.fit_target(flow, jax.random.key(1), gaussian, steps=300)
    assert not leaves_equal(first, other)


def test_a_second_call_with_the_same_function_compiles_nothing():
    training.fit_target(inverse_autoregressive(), KEY, gaussian, steps=300)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, _, **__: compiled.append(name))
    try:
        training.fit_target(inverse_autoregressive(), jax.random.key(1), gaussian, steps=700, learning_rate=1e-4)
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [name for name in compiled if "backend_compile" in name]


def test_a_conditional_flow_is_right_for_each_context():
    contexts = np.random.default_rng(0).uniform(5.0, 7.0, (50, 1))
    flow, history = training.fit_target(
        inverse_autoregressive(1, 1), KEY, conditional, contexts, steps=2000, learning_rate=0.01
    )
    assert max(history.validation) == pytest.approx(np.log(0.5 * np.sqrt(2 * np.pi)), abs=0.02)
    for context in (5.5, 6.5):
        x = np.asarray(flow.sample(jax.random.key(2), 4000, np.array([context])))
        assert x.mean() == pytest.approx(10 * context, abs=0.15)
        assert x.std() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("m", [1, 3, 300])
def test_every_context_is_met_as_often(m):
    flow = inverse_autoregressive(1, 1)
    contexts = jnp.arange(m, dtype=jnp.float32)[:, None]
    seen = []

    def target(x, context):
        seen.append(context)
        assert x.shape == (96, 1)
        return jnp.zeros(len(x))

    elbo.gains(flow, KEY, contexts, target, 96)
    counts = np.bincount(np.asarray(seen[0])[:, 0].astype(int), minlength=m)
    assert set(counts) == {96 // m} if m <= 96 else set(counts) == {0, 1}


def test_an_embedding_of_the_context_is_trained_too():
    flow = inverse_autoregressive(1, 1, embedding=(8, 2))
    contexts = np.random.default_rng(0).uniform(5.0, 7.0, (20, 1))
    fitted, history = training.fit_target(flow, KEY, conditional, contexts, steps=300, learning_rate=0.01)
    assert history.validation[-1] > history.validation[0]
    assert not leaves_equal(fitted.embedding, flow.embedding)


def test_one_context_may_be_a_row():
    row, _ = training.fit_target(inverse_autoregressive(1, 1), KEY, conditional, np.array([0.3]), steps=20)
    rows, _ = training.fit_target(inverse_autoregressive(1, 1), KEY, conditional, np.array([[0.3]]), steps=20)
    assert leaves_equal(row, rows)


def test_bijections_set_from_data_are_set_from_draws_and_only_once():
    chain = bijections.Chain([bijections.Elementwise([5.0, 0.0], [2.0, 1.0]), bijections.ActNorm(2)])
    flow = Flow(bijections.Chain([bijections.ActNorm(2), chain]), bases.Normal(2))
    fitted, _ = training.fit_target(flow, KEY, gaussian, steps=2, learning_rate=1e-9)
    assert not fitted.bijection.needs_data
    np.testing.assert_allclose(fitted.bijection.members[0].shift, [5.0, 0.0], atol=0.3)


def test_the_target_may_be_another_flow():
    target = Flow(bijections.Elementwise([2.0], [3.0]), bases.Normal(1))
    fitted, history = training.fit_target(scaled(), KEY, target.log_prob, steps=1500, learning_rate=0.02)
    assert max(history.validation) == pytest.approx(0.0, abs=1e-3)
    np.testing.assert_allclose(fitted.bijection.shift, [2.0], atol=0.05)


def walled(x):
    """A normal cut off at 1: its gradient pulls draws over the edge, where it is minus infinity."""
    return jnp.where(x[:, 0] < 1.0, -0.5 * jnp.sum((x - 0.9) ** 2, axis=-1), -jnp.inf)


def test_a_target_that_is_minus_infinity_where_the_flow_draws_is_an_error():
    with (
        pytest.warns(TrainingWarning, match="not finite in .* of block 0"),
        pytest.raises(TrainingError, match=r"no finite ELBO .*log_target"),
    ):
        training.fit_target(scaled(), KEY, walled, steps=2000)


def test_a_loss_that_turns_infinite_returns_the_best_before_it():
    with pytest.warns(TrainingWarning, match="going back"):
        flow, history = training.fit_target(scaled(1e-2), KEY, walled, steps=3000, learning_rate=0.01, samples=64)
    assert history.rollbacks > 0
    assert history.best_epoch is not None
    assert np.isfinite(max(history.validation))
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(flow))


def test_a_gradient_that_is_not_a_number_changes_nothing():
    def target(x):  # the square root's slope at zero is infinite
        return -jnp.sqrt(jnp.sum(jnp.maximum(x, 0.0), axis=-1))

    flow = scaled()
    with pytest.warns(TrainingWarning), pytest.raises(TrainingError):
        training.fit_target(flow, KEY, target, steps=600)


@pytest.fixture
def listening():
    """Ctrl-C raises KeyboardInterrupt, also where the tests were started with it ignored, as in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("after", [1, 3])
def test_ctrl_c_returns_the_best_so_far(monkeypatch, after):
    whole, runs = elbo.run, []

    def run(*arguments, **draws):
        runs.append(whole(*arguments, **draws))
        if len(runs) == after:
            signal.raise_signal(signal.SIGINT)
        return runs[-1]

    monkeypatch.setattr(elbo, "run", run)
    flow, history = training.fit_target(scaled(), KEY, wide, steps=100_000, learning_rate=0.01)
    assert history.stopped == "interrupted"
    assert len(runs) == after
    assert len(history.train) == len(history.validation) == after - 1
    assert leaves_equal(flow, scaled()) == (after == 1)


def wide(x):
    return -0.5 * jnp.sum((x / 10) ** 2, axis=-1)


def test_progress_counts_steps(capsys):
    training.fit_target(scaled(), KEY, wide, steps=300, verbose=True)
    assert "step 256 of 300" in capsys.readouterr().err
    progress = training.progress.Progress(False, 5000, words=WORDS)
    line = progress.line(training.History(train=[-2.0], validation=[-2.5], best_epoch=0), 512)
    for word in ("step 512 of 5000", "ELBO -2.000", "on fixed draws -2.500", "left", "Ctrl-C"):
        assert word in line


def test_float64_flows_stay_so():
    with jax.enable_x64(True):
        flow = Flow(bijections.Elementwise(np.zeros(1), np.ones(1)), bases.Normal(1, dtype="float64"))
        fitted, _ = training.fit_target(flow, KEY, wide, steps=10)
        assert fitted.dtype == np.float64


class Unhashable:
    __hash__ = None

    def __call__(self, x):
        return jnp.zeros(len(x))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"log_target": lambda x: -(x**2)}, ShapeError, ["(n,)", "(256, 2)"]),
        ({"log_target": lambda x: -jnp.sum(x**2)}, ShapeError, ["(n,)", "()"]),
        ({"log_target": lambda x: (x[:, 0], x[:, 1])}, ShapeError, ["(n,)", "tuple"]),
        ({"log_target": lambda x: None}, ShapeError, ["(n,)", "NoneType"]),
        ({"log_target": lambda x: jnp.zeros(len(x), int)}, ArgumentError, ["floating", "int32"]),
        ({"log_target": lambda x: np.exp(x)[:, 0]}, ArgumentError, ["jax.numpy", "traceable"]),
        ({"log_target": lambda x: x[:, 0] if x[0, 0] > 0 else -x[:, 0]}, ArgumentError, ["traceable", "branch"]),
        ({"log_target": 3.0}, ArgumentError, ["function", "3.0"]),
        ({"log_target": Unhashable()}, ArgumentError, ["hashable", "Unhashable"]),
        ({"samples": 0}, ArgumentError, ["samples"]),
        ({"steps": 1.5}, ArgumentError, ["steps", "1.5"]),
        ({"learning_rate": -1.0}, ArgumentError, ["learning_rate"]),
        ({"key": 0}, KeyTypeError, ["jax.random.key(0)"]),
        ({"context": np.zeros((3, 1))}, ContextError, ["no context"]),
        ({"flow": inverse_autoregressive(2, 1)}, ContextError, ["none was given"]),
        ({"flow": inverse_autoregressive(2, 1), "context": np.zeros((3, 2))}, ContextError, ["(..., 1)", "(3, 2)"]),
        ({"flow": inverse_autoregressive(2, 1), "context": np.zeros((2, 3, 1))}, ShapeError, ["(m, c)", "(2, 3, 1)"]),
        ({"flow": inverse_autoregressive(2, 1), "context": np.full((3, 1), np.nan)}, TableError, ["context", "nan"]),
    ],
)
def test_mistakes_are_named(change, error, words):
    options = {"flow": inverse_autoregressive(), "key": KEY, "log_target": gaussian} | change
    with pytest.raises(error) as caught:
        training.fit_target(options.pop("flow"), options.pop("key"), options.pop("log_target"), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_target_s_own_error_is_left_as_it_is():
    with pytest.raises(ZeroDivisionError):
        training.fit_target(scaled(), KEY, lambda x: 1 / 0)
