"""Points on their way through a flow's layers, in base space, and beside the model."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from densiflow import Flow, bases, judge, recipes
from densiflow.bijections import Chain, Elementwise, Inverse, Permute, Stack
from densiflow.errors import ArgumentError, ContextError, ShapeError, TableError
from densiflow.judge import steps
from densiflow.judge.points import colour_wheel, thinned


@pytest.fixture
def z():
    return np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def maf(context_dim=0, permutation="random"):
    key = jax.random.key(0)
    flow = recipes.maf(
        key, 3, context_dim, layers=3, hidden=(8,), activation="tanh", start="random", permutation=permutation
    )
    context = None if context_dim == 0 else np.array([[2.0], [4.0]])
    return flow.standardised(np.array([[1.0, 2.0, 3.0], [3.0, 7.0, 4.0]]), context)


def inverse():
    return Flow(Inverse(maf().bijection), bases.Normal(3))


def by_hand():
    scale = Elementwise([1.0, -1.0, 0.5], [2.0, 0.3, 1.0])
    permute = Permute([1, 2, 0])
    stack = Stack.of([Chain([scale, permute]), Chain([scale, Permute([0, 2, 1])])])
    return Flow(Chain([permute, stack, Inverse(Chain([permute, scale])), permute]), bases.Normal(3))


@pytest.mark.parametrize(("flow", "count"), [(maf(), 3), (inverse(), 3), (by_hand(), 3)], ids=["maf", "iaf", "chain"])
def test_a_journey_starts_in_base_space_and_ends_in_data(flow, count, z):
    along = judge.journey(flow, z)
    assert along.shape == (count + 1, 50, 3)
    np.testing.assert_array_equal(along[0], z)
    np.testing.assert_allclose(along[-1], flow.to_data(z)[0], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_has_a_journey(name):
    layers = {} if name in ("made", "made_mog") else {"layers": 3}
    flow = recipes.RECIPES[name](jax.random.key(0), 2, hidden=(8,), start="random", **layers)
    z = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    along = judge.journey(flow, z)
    assert len(along) - 1 == {"made": 1, "made_mog": 1, "nice": 4}.get(name, 3)  # NICE scales after its layers
    np.testing.assert_array_equal(along[0], z)
    np.testing.assert_allclose(along[-1], flow.to_data(z)[0], rtol=1e-4, atol=1e-4)


def test_each_step_is_one_layer(z):
    flow = maf()
    along = judge.journey(flow, z)
    expected = z
    for t, layer in enumerate(reversed(flow.bijection.unstacked())):
        expected = layer.to_data_rows(expected)[0]
        if t < 2:
            np.testing.assert_allclose(along[t + 1], expected, rtol=1e-5, atol=1e-5)
    scaled = flow.scaling.value.to_data_rows(expected)[0]
    np.testing.assert_allclose(along[3], scaled, rtol=1e-5, atol=1e-5)
    assert np.abs(scaled - expected).max() > 0.5  # so that a scaling left out would be seen


def test_every_layer_of_a_journey_sees_its_context(z):
    flow = maf(context_dim=1)
    context = np.linspace(-1, 1, 50)[:, None]
    along = judge.journey(flow, z, context)
    np.testing.assert_allclose(along[-1], flow.to_data(z, context)[0], rtol=2e-5, atol=2e-5)
    moved = judge.journey(flow, z, context + 1.0)
    assert (np.abs(along[1:] - moved[1:]).max(axis=(1, 2)) > 1e-3).all()


def test_in_the_datas_column_order_only_columns_are_exchanged(z):
    flow = maf()
    own, data = judge.journey(flow, z), judge.journey(flow, z, column_order="data")
    np.testing.assert_array_equal(np.sort(own, axis=-1), np.sort(data, axis=-1))
    np.testing.assert_array_equal(own[-1], data[-1])
    # the first column of an autoregressive layer is only shifted and scaled, the same for every row
    orders = steps.column_orders(flow.bijection)
    assert sorted(map(tuple, orders)) != [(0, 1, 2)] * 4
    for move, before, after in zip(steps.moves(flow.bijection), data[:-1], data[1:], strict=True):
        permutation = np.concatenate([s.permutation for s in move if isinstance(s, Permute)])
        assert len(permutation) == 3
        slopes = [np.corrcoef(before[:, j], after[:, j])[0, 1] for j in range(3)]
        assert max(slopes) > 1 - 1e-5


def test_a_flow_of_reorderings_alone_is_one_step(z):
    flow = Flow(Chain([Permute([1, 2, 0]), Permute([2, 1, 0])]), bases.Normal(3))
    assert judge.journey(flow, z).shape == (2, 50, 3)
    standing = judge.journey(flow, z, column_order="data")
    np.testing.assert_array_equal(standing[0], standing[1])


def test_colours_tell_directions_apart():
    angles = np.linspace(0, 2 * np.pi, 7)[:-1]
    colours = colour_wheel(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + np.eye(6)
    assert apart.min() > 0.3
    assert np.isfinite(colour_wheel(np.zeros((5, 2)))).all()


def test_thinned_rows_keep_their_order():
    rows = np.arange(10)[:, None]
    assert thinned(rows, 4)[:, 0].tolist() == [0, 3, 6, 9]
    assert thinned(rows, 10) is not rows
    assert len(thinned(rows, 10)) == 10


def way():
    start = np.random.default_rng(0).normal(size=(60, 2))
    return np.stack([start, start * [2.0, 1.0], start + 3.0])


def test_panels_show_each_step_with_the_colours_of_the_start():
    positions = way()
    figure = judge.journey_panels(positions, ["a", "b"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["base space", "after layer 1", "data space"]
    for axes, points in zip(figure.axes, positions, strict=True):
        (dots,) = axes.collections
        np.testing.assert_array_equal(dots.get_offsets(), points)
        np.testing.assert_array_equal(dots.get_facecolors()[:, :3], colour_wheel(positions[0]))
    eight = judge.journey_panels(np.concatenate([positions] * 3)[:8], ["a", "b"], limits=((-9, 9), (-9, 9)))
    assert len(eight.axes) == 8
    assert {axes.get_xlim() for axes in eight.axes} == {(-9, 9)}


def test_an_animation_goes_from_the_first_step_to_the_last(tmp_path):
    for name in ("first.gif", "second.gif"):
        judge.save_journey(way(), tmp_path / name, ["a", "b"], frames=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.gif", "second.gif"]
    written = (tmp_path / "first.gif").read_bytes()
    assert written == (tmp_path / "second.gif").read_bytes()
    picture = Image.open(io.BytesIO(written))
    assert picture.format == "GIF"
    stills = []
    for frame in range(picture.n_frames):
        picture.seek(frame)
        stills.append(np.asarray(picture.convert("RGB")))
    distinct = [a for a, b in zip(stills, [None, *stills], strict=False) if b is None or (a != b).any()]
    assert len(distinct) == 3 + 2 * 2  # a still a step, and two frames between each and the next


def test_latent_space_counts_the_points_inside_the_bases_lines():
    flow = Flow(Elementwise([5.0, -5.0], [3.0, 0.1]), bases.Normal(2))
    x = flow.sample(jax.random.key(1), 4000)
    figure = judge.latent_space(flow, x, ["a", "b"])
    shares = [
        int(share) for share in figure.axes[1].get_title(loc="right").removeprefix("points inside: ")[:-1].split("%, ")
    ]
    np.testing.assert_allclose(shares, [50, 90, 99], atol=3)
    far = judge.latent_space(flow, np.asarray(x) * [1.0, 0.0] + [0.0, -4.0], ["a", "b"])
    assert far.axes[1].get_title(loc="right") == "points inside: 0%, 0%, 0%"


def test_latent_space_takes_a_context():
    flow = recipes.maf(jax.random.key(0), 2, 1, layers=1, hidden=(8,))
    figure = judge.latent_space(flow, np.zeros((20, 2)), ["a", "b"], np.zeros((20, 1)))
    assert len(figure.axes) == 2


def test_data_and_model_stand_on_the_same_axes():
    rng = np.random.default_rng(0)
    data, samples = rng.normal(size=(200, 2)), rng.normal(size=(300, 2)) + 1
    figure = judge.data_beside_model(data, samples, ["a", "b"], labels=("rows", "flow"))
    left, right = figure.axes
    assert left.get_xlim() == right.get_xlim()
    assert left.get_ylim() == right.get_ylim()
    assert [axes.get_title(loc="left") for axes in (left, right)] == ["rows", "flow"]
    assert len(left.lines[0].get_xdata()) == len(right.lines[0].get_xdata())


FLAT = np.zeros((20, 2))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: judge.journey(maf(), np.zeros(3)), ShapeError, r"\(rows, 3\), got \(3,\)"),
        (lambda: judge.journey(maf(), FLAT), ShapeError, r"\(..., 3\)"),
        (lambda: judge.journey(maf(1), np.zeros((4, 3))), ContextError, "needs a context"),
        (lambda: judge.journey(maf(), np.zeros((4, 3)), column_order="x"), ArgumentError, "own, data, got 'x'"),
        (lambda: judge.journey_panels(FLAT, ["a", "b"]), ShapeError, r"\(steps \+ 1, rows, 2\).*\(20, 2\)"),
        (lambda: judge.journey_panels(way(), ["a"]), ShapeError, "2 columns, got 1"),
        (lambda: judge.journey_panels(way(), ["a", "b"], titles=["x"]), ShapeError, "got 1 for 3"),
        (lambda: judge.save_journey(way(), "way.png", ["a", "b"]), ArgumentError, r"ends in \.gif"),
        (lambda: judge.latent_space(maf(), np.zeros((4, 3)), ["a", "b"]), ShapeError, r"x must have shape \(rows, 2\)"),
        (lambda: judge.latent_space(maf(), FLAT, ["a"]), ShapeError, "2 columns, got 1"),
        (lambda: judge.data_beside_model(FLAT, FLAT, ["a"]), ShapeError, "2 columns, got 1"),
        (lambda: judge.data_beside_model(FLAT, FLAT * np.nan, ["a", "b"]), TableError, "samples must be finite"),
    ],
)
def test_pictures_of_a_flow_name_what_they_can_not_use(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_reorderings_belong_to_the_layer_they_prepare_for():
    flow = by_hand()
    kinds = [[type(step).__name__ for step in move] for move in steps.moves(flow.bijection)]
    assert kinds == [
        ["Permute", "Inverse", "Inverse"],
        ["Permute", "Elementwise"],
        ["Permute", "Elementwise", "Permute"],
    ]
    value = jnp.array([0.3, -1.0, 2.0])
    expected = flow.bijection.to_data(value)[0]
    for move in steps.moves(flow.bijection):
        for step in move:
            value = step.to_data(value)[0]
    np.testing.assert_allclose(value, expected, atol=1e-6)
