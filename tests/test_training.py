"""Training: what it reaches, what it keeps, how it stops, what it refuses."""

import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from densiflow import Flow, bases, bijections, recipes, training
from densiflow.errors import (
    ArgumentError,
    ContextError,
    ShapeError,
    TableError,
    TrainingError,
    TrainingWarning,
    WeightError,
)
from densiflow.fixed import partition
from densiflow.training import program
from densiflow.training import rows as training_rows
from densiflow.training.schedule import Schedule

KEY = jax.random.key(0)


def small(dim=2, context_dim=0, **options):
    return recipes.made(KEY, dim=dim, context_dim=context_dim, hidden=(8,), **options)


def leaves_equal(a, b):
    return all(np.array_equal(p, q) for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(0)
    first = rng.normal(5.0, 2.0, 700)
    return np.column_stack([first, np.sin(first) + 0.3 * rng.normal(size=700)])


def test_a_gaussian_is_learned_to_its_entropy():
    mixing = np.array([[2.0, 0.0], [1.5, 0.5]])
    fresh = np.random.default_rng(1).normal(size=(4000, 2)) @ mixing.T + 100.0
    flow, history = training.fit(small(), jax.random.key(1), fresh[:3000], max_epochs=60)
    entropy = -0.5 * 2 * (1 + np.log(2 * np.pi)) - np.log(np.abs(np.linalg.det(mixing)))
    assert abs(float(flow.log_prob(fresh[3000:]).mean()) - entropy) < 0.06
    assert history.best_epoch is not None


def test_an_inverse_autoregressive_flow_learns_by_maximum_likelihood_too():
    rng = np.random.default_rng(2)
    first = rng.normal(size=4000)
    fresh = np.column_stack([first, first**2 + 0.5 * rng.normal(size=4000)])
    flow = recipes.iaf(KEY, dim=2, layers=4, hidden=(16,), activation="tanh")
    flow, _ = training.fit(flow, jax.random.key(1), fresh[:3000], max_epochs=60, learning_rate=5e-3)
    entropy = 1 + np.log(2 * np.pi) + np.log(0.5)
    assert abs(float(flow.log_prob(fresh[3000:]).mean()) + entropy) < 0.1


def test_the_flow_passed_in_is_not_changed_and_one_key_gives_one_result(x):
    flow = small()
    before = jax.tree.map(np.array, flow)
    first, history = training.fit(flow, jax.random.key(1), x, max_epochs=3)
    second, again = training.fit(flow, jax.random.key(1), x, max_epochs=3)
    assert leaves_equal(flow, before)
    assert leaves_equal(first, second)
    assert history == again
    other, _ = training.fit(flow, jax.random.key(2), x, max_epochs=3)
    assert not leaves_equal(first, other)


def test_the_best_weights_are_returned_with_their_history(x):
    flow, history = training.fit(
        small(), jax.random.key(1), x[:500], validation=(x[500:],), max_epochs=40, patience=None, learning_rate=0.02
    )
    assert len(history.train) == len(history.validation) == 40
    assert history.stopped == "max_epochs reached"
    assert history.best_epoch == int(np.argmax(history.validation))
    np.testing.assert_allclose(flow.log_prob(x[500:]).mean(), max(history.validation), rtol=1e-6)


def test_patience_stops_training(x):
    _, history = training.fit(small(), jax.random.key(1), x[:100], patience=4, learning_rate=0.05)
    assert history.stopped == "no better held-out log-likelihood for 4 epochs"
    assert len(history.train) == history.best_epoch + 1 + 4


def test_standardisation_comes_from_the_weighted_training_rows_alone(x):
    held = x[600:] * 1000.0
    weight = np.linspace(0.0, 2.0, 600)
    flow, _ = training.fit(small(), KEY, x[:600], sample_weight=weight, validation=(held,), max_epochs=1)
    scaling = flow.scaling.inside
    mean = np.average(x[:600], axis=0, weights=weight)
    deviation = np.sqrt(np.average((x[:600] - mean) ** 2, axis=0, weights=weight))
    np.testing.assert_allclose(scaling.shift, mean, rtol=1e-5)
    np.testing.assert_allclose(np.exp(scaling.log_scale), deviation, rtol=1e-5)


def test_fixed_numbers_stay_fixed_and_units_cancel(x):
    flow, _ = training.fit(small(), KEY, x, max_epochs=3)
    assert np.array_equal(flow.base.mean.inside, np.zeros(2))
    bigger, _ = training.fit(small(), KEY, x * [10.0, 1e5], max_epochs=3)
    gap = flow.log_prob(x).mean() - bigger.log_prob(x * [10.0, 1e5]).mean()
    assert abs(float(gap) - np.log(1e6)) < 0.01


def test_a_weight_of_two_is_a_row_repeated(x):
    options = {"validation": 0, "max_epochs": 5, "batch_size": 64}
    doubled = np.concatenate([x[:50], x[:10]])
    weight = np.concatenate([np.full(10, 2.0), np.ones(40)])
    by_rows, _ = training.fit(small(), KEY, doubled, **options)
    by_weight, _ = training.fit(small(), KEY, x[:50], sample_weight=weight, **options)
    np.testing.assert_allclose(by_rows.log_prob(x), by_weight.log_prob(x), rtol=2e-4)


def test_columns_that_float32_rounds_away_are_warned_of(x):
    with pytest.warns(TrainingWarning, match="column 1 varies by only"):
        training.fit(small(), KEY, x + np.array([0.0, 1e8]), max_epochs=1)
    training.fit(small(), KEY, x + 1e3, max_epochs=1)  # no warning, which would be an error here


def test_every_row_is_used_once_an_epoch_also_those_of_the_short_last_batch():
    rows = training_rows.Rows(np.arange(23.0)[:, None], None, np.ones(23))
    seen = []
    for x, _, weight, count in training_rows.batches(rows, 5, 2, np.random.default_rng(0)):
        for k in range(count):
            assert np.isclose(weight[k].sum(), 1.0)
            seen += x[k, weight[k] > 0, 0].tolist()
        assert not weight[count:].any()
    assert sorted(seen) == list(range(23))


def test_a_second_fit_of_equal_shapes_compiles_nothing(x):
    training.fit(small(), KEY, x, max_epochs=2, batch_size=32)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, _, **__: compiled.append(name))
    try:
        training.fit(small(), KEY, x[:650], max_epochs=5, batch_size=32, learning_rate=1e-4, weight_decay=0.1)
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [name for name in compiled if "backend_compile" in name]


def test_a_conditional_flow_learns_from_its_context():
    rng = np.random.default_rng(0)
    context = rng.uniform(100.0, 300.0, (2000, 1))
    x = 0.1 * context + rng.normal(size=(2000, 1))
    flow, _ = training.fit(small(1, 1), KEY, x[:1800], context[:1800], max_epochs=60)
    assert abs(float(flow.log_prob(x[1800:], context[1800:]).mean()) + 0.5 * np.log(2 * np.pi * np.e)) < 0.12


def test_bijections_that_need_data_are_set_from_it(x):
    class Centre(bijections.Bijection):
        mean: jax.Array
        dim: int = 2
        context_dim: int = 0
        needs_data = True

        def to_base(self, x, context=None):
            return x - self.mean, jnp.zeros(())

        def to_data(self, z, context=None):
            return z + self.mean, jnp.zeros(())

        def initialise(self, x, context=None):
            return Centre(x.mean(axis=0))

    chain = bijections.Chain([bijections.Elementwise([1.0, 1.0], [2.0, 2.0]), Centre(jnp.full(2, 9.0))])
    moved = chain.initialise(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(moved.members[1].mean, (x.mean(axis=0) - 1) / 2, rtol=1e-4)


class Poisoned(bijections.Bijection):
    """Its density turns NaN once its parameter has moved past a limit."""

    moved: jax.Array
    limit: float = eqx.field(static=True)
    dim: int = 1
    context_dim: int = 0

    def __init__(self, limit):
        self.moved, self.limit = jnp.zeros(()), limit

    def to_base(self, x, context=None):
        log_det = jnp.where(jnp.abs(self.moved) > self.limit, jnp.nan, 1.0) * self.moved
        return x * jnp.exp(self.moved), log_det

    def to_data(self, z, context=None):
        return z * jnp.exp(-self.moved), -self.moved


def poisoned(limit):
    return Flow(Poisoned(limit), bases.Normal(1, scale=[2.0]))  # it wants to move by log 2


def test_a_loss_that_turns_nan_returns_the_best_before_it_and_says_so():
    x = np.random.default_rng(0).normal(size=(400, 1))
    with pytest.warns(TrainingWarning, match="not finite"):
        flow, history = training.fit(poisoned(0.3), KEY, x, max_epochs=80, learning_rate=0.05)
    assert history.rollbacks > 0
    assert np.isfinite(float(flow.log_prob(x).mean()))
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(partition(flow)[0]))


def test_a_loss_that_is_never_finite_is_an_error():
    with pytest.warns(TrainingWarning), pytest.raises(TrainingError, match="no finite log-likelihood"):
        training.fit(poisoned(-1.0), KEY, np.ones((50, 1)) * np.arange(50)[:, None], max_epochs=5)


@pytest.fixture
def listening():
    """Ctrl-C raises KeyboardInterrupt, also where the tests were started with it ignored, as in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_ctrl_c_inside_a_long_epoch_returns_the_best_so_far(monkeypatch):
    x = np.random.default_rng(0).normal(3.0, 2.0, (40_000, 2))
    whole, runs = program.run, []

    def run(*arguments, **batch):
        runs.append(whole(*arguments, **batch))
        if len(runs) == 5:
            signal.raise_signal(signal.SIGINT)
        return runs[-1]

    monkeypatch.setattr(program, "run", run)
    fitted, history = training.fit(small(), KEY, x, batch_size=8, learning_rate=0.01)
    assert history.stopped == "interrupted"
    assert len(runs) == 5
    assert len(history.train) == len(history.validation) == 1  # the part of the first epoch that was reached
    assert history.best_epoch == 0
    untrained = small().standardised(x)
    assert abs(float(fitted.log_prob(x[:1000]).mean() - untrained.log_prob(x[:1000]).mean())) < 0.05
    assert not np.array_equal(jax.tree.leaves(fitted.bijection)[0], jax.tree.leaves(small().bijection)[0])


def test_progress_says_what_matters(x, capsys):
    training.fit(small(), KEY, x, max_epochs=2, verbose=True)
    assert "training" in capsys.readouterr().err
    training.fit(small(), KEY, x, max_epochs=2)
    assert capsys.readouterr().err == ""
    progress = training.progress.Progress(False, 10, None)
    line = progress.line(training.History(train=[-2.0], validation=[-2.5], best_epoch=0), 1.5)
    for word in ("epoch 1.5 of 10", "train -2.000", "held-out -2.500", "left", "Ctrl-C"):
        assert word in line


def test_the_schedule_warms_up_falls_and_is_cut():
    schedule = Schedule(1e-3, last_step=1000)
    rates = schedule.next(1001)
    assert rates[0] < rates[50] < rates[99]
    assert rates[200] > rates[600] > rates[999]
    assert rates[1000] == pytest.approx(0.0, abs=1e-12)
    endless = Schedule(1e-3, last_step=None, step=500)
    assert endless.next(1) == [1e-3]
    endless.cut()
    assert endless.next(1)[0] < 1e-3


def test_steps_of_a_run_do_not_read_a_clock():
    assert program.steps_per_run(10, 8) == program.steps_per_run(10, 8) == 256
    assert program.steps_per_run(10**9, 512) == 1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"max_epochs": None, "patience": None}, ArgumentError, ["never end"]),
        ({"validation": 0}, ArgumentError, ["max_epochs"]),
        ({"validation": 1.5}, ArgumentError, ["fraction", "1.5"]),
        ({"max_epochs": 0}, ArgumentError, ["max_epochs"]),
        ({"patience": 0}, ArgumentError, ["patience"]),
        ({"batch_size": 0}, ArgumentError, ["batch_size"]),
        ({"learning_rate": -1.0}, ArgumentError, ["learning_rate"]),
        ({"weight_decay": -1.0}, ArgumentError, ["weight_decay"]),
        ({"x": np.zeros((5, 3))}, ShapeError, ["(rows, 2)", "(5, 3)"]),
        ({"x": np.zeros(5)}, ShapeError, ["(rows, 2)", "(5,)"]),
        ({"x": np.array([[0.0, 1.0], [0.0, np.nan]])}, TableError, ["row 1", "column 1", "nan"]),
        ({"x": np.zeros((1, 2))}, TableError, ["1 rows are too few"]),
        ({"context": np.zeros((700, 1))}, ContextError, ["no context"]),
        ({"sample_weight": np.ones(3)}, WeightError, ["(700,)", "(3,)"]),
        ({"sample_weight": -np.ones(700)}, WeightError, ["negative", "row 0"]),
        ({"sample_weight": np.zeros(700)}, WeightError, ["zero"]),
        ({"validation": (np.zeros((5, 1)),)}, ShapeError, ["(5, 1)"]),
        ({"validation": (np.zeros((0, 2)),)}, TableError, ["held-out x has no rows"]),
        ({"validation": (np.full((3, 2), "a"),)}, TableError, ["held-out x", "U1"]),
        *[
            ({"validation": value}, ArgumentError, ["validation", "fraction", "(x, context, sample_weight)"])
            for value in ((), (np.zeros((5, 2)), None, None, None), [0.1], np.zeros((5, 2)), "a", None, True, np.nan)
        ],
        ({"x": np.zeros((0, 2)), "validation": 0, "max_epochs": 1}, TableError, ["x has no rows", "(0, 2)"]),
        ({"x": np.full((5, 2), "a")}, TableError, ["x must hold", "U1"]),
        ({"x": np.full((5, 2), None)}, TableError, ["x must hold", "object"]),
        ({"x": np.zeros((5, 2), complex)}, TableError, ["x must hold", "complex128"]),
        ({"x": [[1.0, 2.0], [3.0]]}, TableError, ["x must have rows of equal length"]),
        ({"context": np.full((700, 1), "a")}, TableError, ["context must hold", "U1"]),
        ({"max_epochs": 1.5}, ArgumentError, ["max_epochs", "whole", "1.5"]),
        ({"max_epochs": True}, ArgumentError, ["max_epochs", "whole", "True"]),
        ({"patience": "a"}, ArgumentError, ["patience", "whole", "'a'"]),
        ({"batch_size": 8.0}, ArgumentError, ["batch_size", "whole", "8.0"]),
        ({"batch_size": None}, ArgumentError, ["batch_size", "whole", "None"]),
        ({"learning_rate": "a"}, ArgumentError, ["learning_rate", "number", "'a'"]),
        ({"learning_rate": np.inf}, ArgumentError, ["learning_rate", "finite"]),
        ({"weight_decay": np.zeros((2, 2))}, ArgumentError, ["weight_decay", "number"]),
        ({"sample_weight": np.full(700, "a")}, WeightError, ["sample_weight", "U1", "'a'"]),
        ({"sample_weight": np.full(700, "1", object)}, WeightError, ["sample_weight", "row 0", "'1'"]),
        ({"sample_weight": [10**400] * 700}, WeightError, ["sample_weight", "too large"]),
        ({"sample_weight": np.ones(700, complex)}, WeightError, ["sample_weight", "complex128"]),
    ],
)
def test_mistakes_are_named(x, change, error, words):
    options = {"x": x, "context": None, "sample_weight": None} | change
    with pytest.raises(error) as caught:
        training.fit(small(), KEY, options.pop("x"), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_numbers_of_any_kind_are_taken(x):
    options = {"validation": 0, "max_epochs": np.int64(1), "learning_rate": np.float32(1e-3), "weight_decay": 0}
    for dtype in (bool, np.int8, np.uint16, np.float16, jnp.bfloat16):
        _, history = training.fit(small(), KEY, (x > 3).astype(dtype), **options)
        assert np.isfinite(history.train).all()


@pytest.mark.parametrize("unit", [1e-310, 1e-3, 1.0, 1e308])
def test_weights_count_relative_to_each_other(x, unit):
    weight = np.linspace(0.25, 1.0, 700)
    options = {"max_epochs": 2, "validation": (x, None, np.full(700, unit))}
    plain, _ = training.fit(small(), KEY, x, sample_weight=weight, **options)
    other, history = training.fit(small(), KEY, x, sample_weight=weight * unit, **options)
    np.testing.assert_allclose(other.log_prob(x), plain.log_prob(x), rtol=1e-5)
    assert np.isfinite(history.validation).all()
    objects = training_rows.checked_weight(np.array([1, 2.5, True], dtype=object), 3)
    np.testing.assert_array_equal(objects / objects[0], [1, 2.5, 1])


def test_a_missing_context_is_named(x):
    with pytest.raises(ContextError, match="none was given"):
        training.fit(small(2, 1), KEY, x)


def test_steps_on_the_device_when_a_loss_turns_nan_leave_no_trace(monkeypatch):
    """Results are read one run late; what was begun meanwhile must not reach the weights gone back to."""
    monkeypatch.setattr(program, "steps_per_run", lambda *_: 1)
    rows = np.random.default_rng(0).normal(size=(400, 1))
    with pytest.warns(TrainingWarning):
        flow, history = training.fit(poisoned(0.3), KEY, rows, max_epochs=40, learning_rate=0.05)
    assert history.rollbacks > 0
    assert np.isfinite(history.train).all()
    assert float(abs(flow.bijection.moved)) <= 0.3
