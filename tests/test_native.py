"""The compiled kernels beside what they stand for: a row at a time, in float64 where it matters."""

from functools import partial

import jax
import jax.numpy as jnp
import kernel_checks
import numpy as np
import pytest
from kernel_checks import (
    DIRECTIONS,
    assert_masked,
    exact,
    fast,
    fixed_loss,
    in_float64,
    lowered,
    moved_network,
    plain,
    rows_of,
)

from densiflow import native
from densiflow.errors import KernelsWarning, NativeBuildError
from densiflow.native import build, library
from densiflow.networks.masked_mlp import MaskedMLP
from densiflow.scalars import Affine
from densiflow.training import adam

pytestmark = pytest.mark.usefixtures("kernels")

CASES = {
    "one column": (1, 0, {"hidden": (3,)}),
    "one column, context": (1, 2, {"hidden": (5, 4), "activation": "tanh"}),
    "two columns": (2, 0, {"hidden": (64, 64)}),
    "narrower than dim - 1": (6, 0, {"hidden": (3, 2), "activation": "tanh"}),
    "no hidden layer": (7, 0, {"hidden": ()}),
    "no hidden layer, context": (3, 2, {"hidden": ()}),
    "three hidden layers": (21, 3, {"hidden": (40, 17, 33)}),
    "context in every product": (9, 2, {"hidden": (20, 11), "context_layers": "all", "activation": "tanh"}),
    "context bent": (5, 2, {"hidden": (8, 9), "bends_context": True, "activation": "tanh"}),
    "units counted": (3, 0, {"hidden": (4, 3), "units": ((1, 0, 2, 1), (2, 1, 0, 0))}),
    "wide": (43, 0, {"hidden": (128, 128)}),
    "784 columns": (784, 0, {"hidden": (100,)}),
}
SCALARS = {"bounded": Affine(), "tightly bounded": Affine(bound=0.25), "free": Affine(bound=None)}


def network_of(name):
    dim, context_dim, options = CASES[name]
    return moved_network(dim, context_dim, 2, options)


def is_called(function, *args):
    return "densiflow_made" in lowered(function, *args)


assert_close = partial(kernel_checks.assert_close, tolerance=3e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CASES)
def test_values(name, direction):
    network = network_of(name)
    x, context = rows_of(network, 37)
    scalar = Affine()
    assert is_called(partial(fast, direction, scalar), network, x, context)
    found = jax.jit(partial(fast, direction, scalar))(network, x, context)
    assert_close(found, exact(partial(plain, direction, scalar), network, x, context))


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 63, 64, 65, 200])
def test_any_number_of_rows(n):
    network = network_of("three hidden layers")
    x, context = rows_of(network, n)
    z, log_det = fast("to_base", Affine(), network, x, context)
    assert_close((z, log_det), exact(partial(plain, "to_base", Affine()), network, x, context))
    back, log_det_back = fast("to_data", Affine(), network, z, context)
    assert_close((back, -log_det_back), (x, log_det))


@pytest.mark.parametrize("scalar", SCALARS.values(), ids=SCALARS)
def test_scales(scalar):
    network = network_of("wide")
    x, _ = rows_of(network, 20)
    for direction in DIRECTIONS:
        found = fast(direction, scalar, network, x)
        assert_close(found, exact(partial(plain, direction, scalar), network, x, None))


def linear(a):
    """A network that says mu = 0 and this log-scale of one column."""
    return MaskedMLP.of([[[0.0], [0.0]]], [[0.0, a]], dim=1, parameters=2, hidden=())


@pytest.mark.parametrize("a", [0.0, 1e-6, -0.3, 0.7, 5.0, -20.0, 60.0, 87.0, -87.0, 100.0, -100.0, 1e30, -1e30, np.nan])
def test_scale_of_any_size(a):
    """e^alpha within two units in the last place, 0 and infinity where float32 has nothing else."""
    with np.errstate(over="ignore"):
        exponential = np.exp(np.float64(np.float32(a))).astype(np.float32)
        bounded = np.exp(3 * np.tanh(np.float64(np.float32(a)) / 3)).astype(np.float32)
    one = jnp.ones((1, 3))
    found = np.asarray(fast("to_data", Affine(bound=None), linear(a), one)[0][0, 0])
    tiny = np.finfo(np.float32).tiny
    if exponential < tiny:  # XLA's threads take what is smaller than that for 0
        assert 0 <= found < tiny
    else:
        np.testing.assert_array_max_ulp(found, exponential, 2)
    np.testing.assert_allclose(fast("to_data", Affine(), linear(a), one)[0][0, 0], bounded, rtol=1e-6)


def test_hyperbolic_tangent_to_the_last_places():
    a = np.concatenate([np.linspace(-12, 12, 4001), np.geomspace(1e-30, 1, 500)]).astype(np.float32)
    network = MaskedMLP.of([np.zeros((2, 1))], [[0.0, 0.0]], [np.array([[0.0], [1.0]])], dim=1, context_dim=1,
                           parameters=2, hidden=())  # fmt: skip
    log_det = fast("to_data", Affine(bound=1.0), network, jnp.ones((1, len(a))), jnp.asarray(a)[None])[1]
    np.testing.assert_array_max_ulp(np.asarray(log_det), np.tanh(a.astype(np.float64)).astype(np.float32), 4)


def test_rows_that_are_not_finite_stay_alone():
    network = network_of("wide")
    x, _ = rows_of(network, 70)
    clean = fast("to_base", Affine(), network, x)
    z, log_det = fast("to_base", Affine(), network, x.at[0, 3].set(np.nan).at[5, 40].set(np.inf))
    others = np.delete(np.arange(70), [3, 40])
    np.testing.assert_array_equal(z[:, others], clean[0][:, others])
    np.testing.assert_array_equal(log_det[others], clean[1][others])
    assert np.isnan(z[:, 3]).all()
    assert not np.isfinite(z[5:, 40]).any()


def loss(direction, scalar, network, x, context):
    return fixed_loss(fast(direction, scalar, network, x, context))


BOUNDED = [(name, "bounded") for name in CASES if name != "784 columns"]


@pytest.mark.parametrize(("name", "scale"), [*BOUNDED, ("wide", "free"), ("two columns", "tightly bounded")])
def test_gradients_in_training(name, scale):
    network, scalar = network_of(name), SCALARS[scale]
    args = (network, *rows_of(network, 75))
    gradient = jax.grad(partial(loss, "to_base", scalar), argnums=(0, 1, 2) if network.context_dim else (0, 1))
    with native.gradients_only():
        assert "densiflow_made_to_base_back" in lowered(gradient, *args)
        found = jax.jit(gradient)(*args)
    with native.derivatives("none"), native.gradients_only():
        wanted = jax.jit(gradient)(*args)
        assert not is_called(gradient, *args)
    assert_close(found, wanted, tolerance=1e-5)
    assert_masked(network, found[0])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_other_derivative_is_the_plain_one(direction):
    network = network_of("context in every product")
    x, context = rows_of(network, 4)
    of_x = partial(fast, direction, Affine(), network, context=context)
    of_x_plain = partial(plain, direction, Affine(), network, context=context)
    for derivative in (jax.jacfwd, lambda f: jax.jacfwd(jax.jacrev(f))):
        assert_close(jax.jit(derivative(of_x))(x), jax.jit(derivative(of_x_plain))(x), tolerance=1e-5)


def test_over_flows():
    """`vmap` over networks, as ensembles have it, and over batches; gradients in training too."""
    networks = jax.vmap(lambda key: MaskedMLP(key, 4, parameters=2, hidden=(9,), start="random"))(
        jax.random.split(jax.random.key(0), 3)
    )
    x = jax.random.normal(jax.random.key(1), (3, 4, 20))
    of_all = jax.vmap(partial(fast, "to_base", Affine()))
    assert_close(of_all(networks, x), jax.vmap(partial(plain, "to_base", Affine()))(networks, x))
    slopes = jax.vmap(jax.grad(partial(loss, "to_base", Affine())), in_axes=(0, 0, None))
    with native.gradients_only():
        found = slopes(networks, x, None)
    assert_close(found, slopes(networks, x, None), tolerance=1e-5)


def test_what_the_kernels_do_not_know_is_left_to_jax(monkeypatch):
    network = network_of("two columns")
    x, _ = rows_of(network, 5)

    def called(network, x):
        return is_called(partial(fast, "to_base", Affine()), network, x)

    assert called(network, x)
    assert not is_called(partial(fast, "to_base", Affine("softplus")), network, x)
    silu = MaskedMLP(jax.random.key(0), 2, parameters=2, hidden=(4,), activation="silu")
    assert not called(silu, x)
    with jax.enable_x64(True):
        assert not called(*in_float64((network, x)))
    monkeypatch.setenv("DENSIFLOW_NATIVE", "0")
    assert not called(network, x)


def test_another_device_has_jax_alone():
    network = network_of("two columns")
    x, _ = rows_of(network, 5)
    for mode in ("all", "reverse"):
        with native.derivatives(mode):
            gradient = jax.jit(jax.value_and_grad(partial(loss, "to_base", Affine())))
            text = gradient.trace(network, x, None).lower(lowering_platforms=("cuda",)).as_text()
        assert "densiflow_made" not in text


def optimised(mode, scale=1.0, over=lambda step: step, members=(), bad=None):
    """Steps of Adam in one compiled loop over leaves of any size, with the kernel or without; one may be unsound."""
    shapes = [(), (1,), (15,), (4, 4), (17,), (3, 5461), (2, 128, 130)]
    keys = jax.random.split(jax.random.key(0), (2, len(shapes)))
    weights, slopes = (
        [jax.random.normal(k, members + shape) for k, shape in zip(row, shapes, strict=True)] for row in keys
    )
    rates = jnp.full(members, 0.01)

    def steps(state, slopes, rate):
        def one(k, state):
            wave = scale * jnp.sin(1.0 + k)  # gradients that change with each step and shrink with the weights
            gradient = [wave * slope + 0.1 * w for slope, w in zip(slopes, state.trained, strict=True)]
            value = jnp.where(k == 7, jnp.float32(bad or 0.0), 1.0)
            return adam.step(state, value, gradient, rate, 0.1)[0]

        return jax.lax.fori_loop(0, 12, one, state)

    with native.derivatives(mode):
        run = jax.jit(over(steps))
        state = (jax.vmap(adam.start) if members else adam.start)(weights)
        assert ("densiflow_adam_step" in run.lower(state, slopes, rates).as_text()) == (mode != "none")
        return run(state, slopes, rates)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("bad", [None, np.nan])
def test_the_optimiser(scale, bad):
    """Each kind of number apart, since they are of very different sizes."""
    found, wanted = (optimised(mode, scale, bad=bad) for mode in ("all", "none"))
    assert int(found.step) == (12 if bad is None else 11)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * float(np.max(np.abs(b))))


@pytest.mark.parametrize("over", [jax.vmap, lambda step: lambda *trees: jax.lax.map(lambda a: step(*a), trees)])
def test_the_optimiser_over_flows(over):
    found, wanted = (optimised(mode, over=over, members=(3,)) for mode in ("all", "none"))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * float(np.max(np.abs(b))))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_a_step_of_the_optimiser_that_is_not_sound_changes_no_bit(bad):
    """Also where the old state is not used up, so that the kernel must copy it."""
    weights = [jnp.linspace(-1.0, 1.0, 37)]
    state, sound = jax.jit(adam.step)(adam.start(weights), jnp.float32(1.0), weights, jnp.float32(0.1), 0.1)
    assert bool(sound)
    before = jax.tree.map(np.array, state)
    after, sound = jax.jit(adam.step)(state, jnp.float32(1.0), [weights[0].at[20].set(bad)], jnp.float32(0.1), 0.1)
    assert not bool(sound)
    for a, b, c in zip(*map(jax.tree.leaves, (after, before, state)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(c, b)


def test_the_optimiser_elsewhere_and_in_float64_is_jax_alone():
    def text(weights, *platforms):
        args = (adam.start(weights), weights[0][0], weights, weights[0][0], 0.0)
        return jax.jit(adam.step).trace(*args).lower(lowering_platforms=platforms).as_text()

    assert "densiflow_adam_step" in text([jnp.ones(5)], "cpu")
    assert "densiflow_adam_step" not in text([jnp.ones(5)], "cuda")
    with jax.enable_x64(True):
        assert "densiflow_adam_step" not in text([jnp.ones(5)], "cpu")


def test_a_library_is_known_by_what_it_is_made_of(monkeypatch):
    before = build.library()
    assert build.library() == before
    monkeypatch.setattr(build, "_processor", lambda: "another")
    assert build.library() != before


def test_a_library_made_of_something_else_is_not_passed_over_in_silence(monkeypatch, tmp_path):
    """Said once, and nothing where there has never been one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library._loaded.cache_clear()
    assert not native.available()
    library._loaded.cache_clear()
    build.library().parent.mkdir(parents=True)
    build.library().with_name("made-000000000000000000000000.so").write_bytes(b"of other sources")
    with pytest.warns(KernelsWarning, match=r"found in .* only others: .*run python -m densiflow\.native"):
        assert not native.available()
    assert not native.available()
    monkeypatch.undo()
    library._loaded.cache_clear()
    assert native.available()


def test_without_a_compiler_the_reason_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "")
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    with pytest.raises(NativeBuildError, match=r"expected a C\+\+ compiler"):
        build.build()
    assert not library._loaded.__wrapped__()
