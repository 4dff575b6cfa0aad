"""Ensembles: the mixture of their members, trained together as each would be alone."""

import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

import densiflow
from densiflow import Flow, bases, bijections, ensemble, recipes, training
from densiflow.cli import main
from densiflow.errors import ArgumentError, ContextError, KeyTypeError, ModelFileError, TrainingError, TrainingWarning
from densiflow.fixed import Fixed
from densiflow.table.files import read_file
from densiflow.training import Ensemble, members

KEY = jax.random.key(0)
SHIFTS = [-4.0, 0.5, 6.0]
SCALES = [0.5, 1.0, 2.0]


def normals():
    return [Flow(bijections.Elementwise([m], [s]), bases.Normal(1)) for m, s in zip(SHIFTS, SCALES, strict=True)]


def several(count=3, dim=2, context_dim=0, hidden=(8,), **options):
    keys = jax.random.split(jax.random.key(7), count)
    return [recipes.made(key, dim=dim, context_dim=context_dim, hidden=hidden, **options) for key in keys]


def random_flows(**options):
    return several(start="random", **options)


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(0)
    first = rng.normal(5.0, 2.0, 500)
    return np.column_stack([first, np.sin(first) + 0.3 * rng.normal(size=500)])


def leaves_equal(a, b):
    return all(np.array_equal(p, q) for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_the_density_is_the_mean_of_the_members():
    rows = np.linspace(-10, 15, 301)[:, None]
    expected = np.mean([norm.pdf(rows[:, 0], m, s) for m, s in zip(SHIFTS, SCALES, strict=True)], axis=0)
    mixture = Ensemble.of(normals())
    np.testing.assert_allclose(np.exp(mixture.log_prob(rows)), expected, rtol=2e-5, atol=1e-30)
    assert mixture.log_prob(np.zeros((2, 3, 1))).shape == (2, 3)
    assert mixture.log_prob(np.zeros(1)).shape == ()
    assert (mixture.dim, mixture.context_dim, mixture.dtype) == (1, 0, np.dtype(np.float32))


@pytest.mark.parametrize("context_dim", [0, 2])
def test_members_of_a_recipe_mix_too_and_the_density_sums_to_one(context_dim):
    flows = random_flows(dim=1, context_dim=context_dim)
    rows = np.linspace(-12, 12, 4001)[:, None]
    context = np.array([0.3, -1.0]) if context_dim else None
    log_p = np.asarray(Ensemble.of(flows).log_prob(rows, context), np.float64)
    alone = np.array([flow.log_prob(rows, context) for flow in flows], np.float64)
    np.testing.assert_allclose(log_p, logsumexp(alone, axis=0) - np.log(3), rtol=1e-5, atol=1e-5)
    assert np.trapezoid(np.exp(log_p), rows[:, 0]) == pytest.approx(1.0, abs=1e-4)


def test_outside_every_member_the_density_is_zero_and_gradients_are_finite():
    flows = [Flow(bijections.Elementwise([m], [1.0]), bases.Uniform([0.0], [1.0])) for m in (0.0, 0.5)]
    mixture = Ensemble.of(flows)
    np.testing.assert_allclose(
        mixture.log_prob(np.array([[0.25], [0.75], [1.25], [2.0]])), [-np.log(2), 0.0, -np.log(2), -np.inf], atol=1e-6
    )

    def total(mixture):
        log_p = mixture.log_prob(jnp.array([[0.75], [2.0]]))
        return jnp.sum(jnp.where(jnp.isfinite(log_p), log_p, 0.0))

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(total, allow_int=True)(mixture)))


def test_a_row_is_drawn_by_one_member_chosen_by_the_key_and_its_place_alone():
    mixture = Ensemble.of(normals())
    drawn = np.asarray(mixture.sample(KEY, 3000))
    _, draw_key = jax.random.split(KEY)
    by_member = np.array([flow.sample(draw_key, 3000) for flow in mixture.unstacked()])
    which = np.argmin(np.abs(by_member - drawn), axis=0)[:, 0]
    np.testing.assert_allclose(np.take_along_axis(by_member, which[None, :, None], 0)[0], drawn, rtol=1e-5)
    assert np.abs(np.bincount(which, minlength=3) / 3000 - 1 / 3).max() < 0.04
    np.testing.assert_array_equal(drawn[:70], mixture.sample(KEY, 70))
    np.testing.assert_array_equal(drawn[1000:1100], mixture.sample(KEY, 100, start=1000))
    rows, log_p = mixture.sample_and_log_prob(KEY, 100)
    np.testing.assert_allclose(rows, drawn[:100], rtol=1e-6)
    np.testing.assert_allclose(log_p, mixture.log_prob(rows), rtol=1e-5, atol=1e-6)


def test_shapes_follow_the_context():
    mixture = Ensemble.of(random_flows(context_dim=1))
    assert mixture.sample(KEY, 4, np.zeros((3, 1))).shape == (4, 3, 2)
    assert mixture.log_prob(np.zeros((4, 3, 2)), np.zeros((3, 1))).shape == (4, 3)
    with pytest.raises(ContextError):
        mixture.log_prob(np.zeros((4, 2)))


def test_it_is_compiled_differentiated_and_mapped_like_a_flow(x):
    mixture = Ensemble.of(random_flows())
    rows = jnp.asarray(x[:50], jnp.float32)
    expected = mixture.log_prob(rows)
    np.testing.assert_allclose(jax.jit(mixture.log_prob)(rows), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(jax.vmap(mixture.log_prob)(rows), expected, rtol=1e-5, atol=1e-5)
    one = lambda row: mixture.log_prob(row)  # noqa: E731
    np.testing.assert_allclose(jax.jacfwd(one)(rows[0]), jax.grad(one)(rows[0]), rtol=1e-4, atol=1e-5)


def test_members_side_by_side_give_what_they_give_one_by_one(x, monkeypatch):
    flows = random_flows(hidden=(9,))  # a structure of its own: what is compiled here nobody else finds
    rows = jnp.asarray(x, jnp.float32)
    alone = logsumexp([flow.log_prob(rows) for flow in flows], axis=0) - np.log(3)
    monkeypatch.setattr(ensemble, "one_by_one", lambda: False)
    monkeypatch.setattr(members, "one_by_one", lambda: False)
    np.testing.assert_allclose(Ensemble.of(flows).log_prob(rows), alone, rtol=1e-4, atol=1e-4)
    assert_trained_as_alone(flows, x, max_epochs=12, patience=2, learning_rate=0.03)


def test_a_file_gives_back_the_same_ensemble(tmp_path):
    mixture = Ensemble.of(random_flows(context_dim=1))
    mixture.save(tmp_path / "model")
    again = densiflow.load(tmp_path / "model")
    assert isinstance(again, Ensemble)
    assert again.members == 3
    assert leaves_equal(again, mixture)
    again.save(tmp_path / "twice")
    assert (tmp_path / "twice").read_bytes() == (tmp_path / "model").read_bytes()


def test_a_file_whose_members_do_not_add_up_is_refused(tmp_path):
    mixture = Ensemble.of(normals())
    with pytest.raises(ArgumentError, match="5 members"):
        Ensemble(mixture.flows, 5)
    object.__setattr__(mixture, "members", 5)
    mixture.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="5 members"):
        densiflow.load(tmp_path / "model")


def assert_trained_as_alone(flows, rows, context=None, sample_weight=None, **options):
    mixture, histories = training.fit_ensemble(flows, KEY, rows, context, sample_weight, **options)
    keys = jax.random.split(KEY, len(flows))
    for flow, key, member, history in zip(flows, keys, mixture.unstacked(), histories, strict=True):
        alone, expected = training.fit(flow, key, rows, context, sample_weight, **options)
        assert (history.best_epoch, history.stopped) == (expected.best_epoch, expected.stopped)
        assert history.rollbacks == expected.rollbacks
        for name in ("train", "validation", "learning_rate"):
            np.testing.assert_allclose(getattr(history, name), getattr(expected, name), rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(member.log_prob(rows, context), alone.log_prob(rows, context), rtol=5e-3, atol=5e-3)
    return mixture, histories


def test_each_member_is_trained_as_it_would_be_alone(x):
    weight = np.linspace(0.1, 2.0, len(x))
    assert_trained_as_alone(several(), x, sample_weight=weight, max_epochs=4, batch_size=32, weight_decay=0.1)
    assert_trained_as_alone(several(), x, validation=0, max_epochs=3, batch_size=64)
    context = x[:, :1]
    flows = several(dim=1, context_dim=1)
    assert_trained_as_alone(flows, x[:, 1:], context, validation=(x[:50, 1:], context[:50]), max_epochs=3)


def test_members_stop_each_in_its_own_time_and_keep_their_best(x):
    _, histories = assert_trained_as_alone(several(), x[:150], patience=3, learning_rate=0.05)
    assert len({len(history.train) for history in histories}) > 1
    for history in histories:
        assert len(history.train) == history.best_epoch + 1 + 3
        assert history.best_epoch == int(np.argmax(history.validation))


def test_flows_passed_in_are_not_changed_and_one_key_gives_one_result(x):
    flows = several()
    before = jax.tree.map(np.array, flows)
    first, histories = training.fit_ensemble(flows, KEY, x, max_epochs=3)
    second, again = training.fit_ensemble(flows, KEY, x, max_epochs=3)
    assert leaves_equal(flows, before)
    assert leaves_equal(first, second)
    assert histories == again
    a, b, _ = first.unstacked()
    assert not np.array_equal(a.scaling.inside.shift, b.scaling.inside.shift)  # each by the rows it was trained on


class Poisoned(bijections.Bijection):
    """Its density turns NaN once its parameter has moved past a limit."""

    moved: jax.Array
    limit: Fixed
    dim: int = eqx.field(static=True, default=1)
    context_dim: int = eqx.field(static=True, default=0)

    def to_base(self, x, context=None):
        log_det = jnp.where(jnp.abs(self.moved) > self.limit.value, jnp.nan, 1.0) * self.moved
        return x * jnp.exp(self.moved), log_det

    def to_data(self, z, context=None):
        return z * jnp.exp(-self.moved), -self.moved


def poisoned(limit):
    bijection = Poisoned(jnp.zeros(()), Fixed(jnp.asarray(limit)))
    return Flow(bijection, bases.Normal(1, scale=[2.0]))  # it wants to move by log 2


def test_a_member_whose_loss_turns_nan_goes_back_by_itself():
    rows = np.random.default_rng(0).normal(size=(400, 1))
    with pytest.warns(TrainingWarning, match="not finite"):
        mixture, histories = assert_trained_as_alone(
            [poisoned(0.3), poisoned(9.0)], rows, max_epochs=30, learning_rate=0.05
        )
    assert histories[0].rollbacks > 0
    assert histories[1].rollbacks == 0
    assert np.isfinite(mixture.log_prob(rows)).all()
    with pytest.warns(TrainingWarning), pytest.raises(TrainingError, match="member 1: no finite log-likelihood"):
        training.fit_ensemble([poisoned(9.0), poisoned(-1.0)], KEY, rows, max_epochs=3)


@pytest.fixture
def listening():
    """Ctrl-C raises KeyboardInterrupt, also where the tests were started with it ignored, as in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_ctrl_c_returns_the_best_so_far_of_every_member(x, monkeypatch):
    whole, runs = members.run, []

    def run(*arguments, **batch):
        runs.append(1)
        if len(runs) == 3:
            signal.raise_signal(signal.SIGINT)
        return whole(*arguments, **batch)

    monkeypatch.setattr(members, "run", run)
    mixture, histories = training.fit_ensemble(several(), KEY, np.tile(x, (20, 1)), batch_size=8)
    assert len(runs) == 3
    for history in histories:
        assert history.stopped == "interrupted"
        assert len(history.train) == len(history.validation) == 1
        assert history.best_epoch == 0
    assert np.isfinite(mixture.log_prob(x)).all()


def test_a_second_fit_of_equal_shapes_compiles_nothing(x):
    training.fit_ensemble(several(), KEY, x, max_epochs=2, batch_size=32)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, _, **__: compiled.append(name))
    try:
        training.fit_ensemble(several(), KEY, x[:450], max_epochs=4, batch_size=32, learning_rate=1e-4)
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [name for name in compiled if "backend_compile" in name]


@pytest.mark.parametrize(
    ("flows", "words"),
    [
        ([], ["at least one Flow", "[]"]),
        (several()[0], ["list", "Flow"]),
        ([1, 2], ["int"]),
        ([*several(), *several(count=1, hidden=(9,))], ["flow 3 differs from flow 0", "different keys"]),
        ([*normals(), *several(count=1, dim=1)], ["flow 3 differs"]),
    ],
)
def test_flows_that_make_no_ensemble_are_named(x, flows, words):
    for make in (Ensemble.of, lambda flows: training.fit_ensemble(flows, KEY, x, max_epochs=1)):
        with pytest.raises(ArgumentError) as caught:
            make(flows)
        assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_int_as_key_is_named(x):
    with pytest.raises(KeyTypeError):
        training.fit_ensemble(several(), 0, x, max_epochs=1)
    with pytest.raises(KeyTypeError):
        Ensemble.of(normals()).sample(0, 3)


def test_a_table_fitted_by_several_flows(x, tmp_path):
    options = {"layers": 1, "hidden": (8,), "max_epochs": 3, "random_state": 0}
    density = densiflow.FlowDensity(ensemble=3, **options).fit(x)
    assert isinstance(density.flow_, Ensemble)
    assert len(density.histories_) == density.flow_.members == 3
    assert not leaves_equal(*density.flow_.unstacked()[:2])
    nats = density.score_samples(x)
    assert density.sample(5, random_state=1).shape == (5, 2)
    for method in (density.transform, density.inverse_transform):
        with pytest.raises(ArgumentError, match="ensemble of 3 flows has no one base space"):
            method(x)
    density.save(tmp_path / "model")
    again = densiflow.load(tmp_path / "model")
    np.testing.assert_array_equal(again.score_samples(x), nats)
    assert again.histories_ == density.histories_
    assert again.get_params()["ensemble"] == 3
    alone = densiflow.FlowDensity(**options).fit(x)
    assert isinstance(alone.flow_, Flow)
    assert alone.histories_ == [alone.history_]
    with pytest.raises(ArgumentError, match="ensemble must be a whole number"):
        densiflow.FlowDensity(ensemble=0, **options).fit(x)


def test_the_command_line_fits_and_describes_an_ensemble(x, tmp_path, capsys):
    table, model = tmp_path / "rows.csv", tmp_path / "model"
    np.savetxt(table, x[:200], delimiter=",", header="a,b", comments="")
    options = ["--ensemble", "2", "--max-epochs", "2", "--seed", "1"]
    assert main(["fit", str(table), "--model", str(model), *options]) == 0
    said = capsys.readouterr().out
    assert all(words in said for words in ("flow 1: best epoch", "flow 2: best epoch", "max_epochs reached"))
    by_hand = densiflow.FlowDensity(ensemble=2, max_epochs=2, random_state=1).fit(read_file(table))
    assert densiflow.load(model).score(read_file(table)) == by_hand.score(read_file(table))
    assert main(["info", str(model)]) == 0
    assert "each of 2" in capsys.readouterr().out
