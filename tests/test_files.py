"""The model file: what survives, what is refused, what is left behind."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as pack

from densiflow import Flow, bases, bijections, files, load, recipes
from densiflow.errors import (
    MissingFileError,
    ModelFileError,
    NewerFormatError,
    OutputPathError,
    UnregisteredClassError,
)

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def by_hand():
    layers = [
        bijections.Chain([bijections.Autoregressive(key, 3, 1, hidden=(5,), start="random"), bijections.Permute(order)])
        for key, order in zip(jax.random.split(KEY, 2), ([2, 0, 1], [1, 0, 2]), strict=True)
    ]
    whole = bijections.Chain(
        [
            bijections.Elementwise([1.0, 2.0, 3.0], [1.0, 0.5, 2.0]),
            bijections.Stack.of(layers),
            bijections.Inverse(bijections.Autoregressive(KEY, 3, 1, hidden=(4,), start="random")),
        ]
    )
    return Flow(whole, bases.Normal(3, mean=[0.0, 1.0, 2.0]))


def test_a_flow_by_hand_survives_bit_for_bit(by_hand, tmp_path):
    by_hand.save(tmp_path / "flow")
    again = load(tmp_path / "flow")
    assert jax.tree.structure(again) == jax.tree.structure(by_hand)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(by_hand), strict=True))
    x, context = np.ones((4, 3)), np.zeros((4, 1))
    assert np.array_equal(again.log_prob(x, context), by_hand.log_prob(x, context))


def test_the_header_is_one_strict_json_string_with_names_and_no_clock(by_hand, tmp_path):
    by_hand.save(tmp_path / "flow")
    with safe_open(tmp_path / "flow", "np") as file:
        metadata = file.metadata()
        names = list(file.keys())
    assert list(metadata) == ["densiflow"]
    header = json.loads(metadata["densiflow"], parse_constant=lambda name: pytest.fail(f"{name} in the header"))
    assert header["format"] == files.FORMAT
    assert set(header["versions"]) == {"densiflow", "equinox", "jax"}
    assert header["tree"]["class"] == "Flow"
    assert "bijection.members.1.layers.members.1.permutation" in names
    assert files.to_bytes(by_hand) == (tmp_path / "flow").read_bytes()


def changed(flow, change):
    """The flow's file with its header changed."""
    data = files.to_bytes(flow)
    tensors, header = files._unpack(data, "the file")
    change(header)
    header.pop("checksum", None)
    header["checksum"] = files._checksum(header, tensors)  # a file made so, not one damaged on its way
    return pack(tensors, metadata={files.KEY: json.dumps(header)})


def rename(header):
    header["tree"]["fields"]["base"]["class"] = "Cauchy"


def widen(header):
    header["tree"]["fields"]["base"]["static"]["dim"] = 7


def other_shape(header):
    fields = header["tree"]["fields"]["bijection"]["fields"]["members"]["items"][0]["fields"]
    fields["shift"] = {"tensor": "bijection.members.1.layers.members.0.conditioner.weights.0"}


def drop_field(header):
    del header["tree"]["fields"]["bijection"]


def spoil_static(header):
    header["tree"]["fields"]["base"]["static"]["dim"] = {"os": "system"}


def other_tensor(header):
    header["tree"]["fields"]["base"]["fields"]["mean"] = {"tensor": "elsewhere"}


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda f: files.to_bytes(f)[:-10], ModelFileError, ["truncated"]),
        (lambda f: files.to_bytes(f)[:100], ModelFileError, ["not a densiflow model"]),
        (lambda f: b"", ModelFileError, ["not a densiflow model"]),
        (lambda f: b"a,b\n1,2\n" * 50, ModelFileError, ["not a densiflow model"]),
        (lambda f: b"\x80\x04\x95pickle" * 10, ModelFileError, ["not a densiflow model"]),
        (lambda f: pack({"w": np.ones(3)}), ModelFileError, ["not a densiflow model"]),
        (lambda f: pack({"w": np.ones(3)}, metadata={"densiflow": "no json"}), ModelFileError, ["damaged"]),
        (lambda f: files.to_bytes(f)[:-1] + b"\x01", ModelFileError, ["checksum"]),
        (lambda f: files.to_bytes(f).replace(b'"dim\\":3', b'"dim\\":4', 1), ModelFileError, ["checksum"]),
        (lambda f: changed(f, lambda h: h.update(format=99)), NewerFormatError, ["format 99", "upgrade"]),
        (lambda f: changed(f, lambda h: h.update(format=99, versions=None)), NewerFormatError, ["format 99"]),
        (lambda f: changed(f, lambda h: h.update(format=True)), ModelFileError, ["damaged"]),
        (lambda f: changed(f, lambda h: h.update(tree=h["tree"]["fields"]["scaling"])), ModelFileError, ["no model"]),
        (lambda f: changed(f, rename), UnregisteredClassError, ["'Cauchy'", "Normal"]),
        (lambda f: changed(f, drop_field), ModelFileError, ["does not describe a model"]),
        (lambda f: changed(f, spoil_static), ModelFileError, ["does not describe a model"]),
        (lambda f: changed(f, other_tensor), ModelFileError, ["does not describe a model"]),
        (lambda f: changed(f, other_shape), ModelFileError, ["does not describe a model"]),
        (lambda f: changed(f, widen), ModelFileError, ["does not describe a model"]),
    ],
)
def test_what_is_not_a_model_is_named(by_hand, tmp_path, spoil, error, words):
    path = tmp_path / "spoiled"
    path.write_bytes(spoil(by_hand))
    with pytest.raises(error) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert all(word in message for word in words), message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="no file"):
        load(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match="can't read"):
        load(tmp_path)


def test_a_class_that_files_do_not_know_is_refused_in_saving(tmp_path):
    class Mine(bijections.Bijection):
        dim: int = 1
        context_dim: int = 0

        def to_base(self, x, context=None):
            return x, jnp.zeros(())

        def to_data(self, z, context=None):
            return z, jnp.zeros(())

    with pytest.raises(UnregisteredClassError, match="Mine"):
        Flow(Mine(), bases.Normal(1)).save(tmp_path / "flow")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["missing/flow", "folder", "file/flow"])
def test_a_path_that_cannot_be_written_leaves_nothing(tmp_path, where):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("here before")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputPathError, match="can't write"):
        recipes.made(KEY, dim=1, hidden=(2,)).save(tmp_path / where)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "here before"


def test_a_write_that_fails_half_way_keeps_the_old_file(tmp_path):
    from densiflow.atomic import written_whole

    def interrupted():
        with written_whole(tmp_path / "model") as part:
            part.write_text("half")
            raise KeyboardInterrupt

    (tmp_path / "model").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model").read_text() == "old"


def test_a_link_is_followed_and_a_device_left_alone(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    flow = recipes.made(KEY, dim=1, hidden=(2,))
    flow.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "real").dim == 1
    with pytest.raises(OutputPathError, match="not a regular file"):
        flow.save("/dev/null")


@pytest.mark.parametrize("name", ["a" * 248 + ".plane", "ä" * 124 + ".plane", "a." + "b" * 253])
def test_the_longest_names_can_be_written(tmp_path, name):
    from densiflow.atomic import written_whole

    with written_whole(tmp_path / name) as part:
        part.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "whole"


def test_a_temporary_file_keeps_the_ending(tmp_path):
    from densiflow.atomic import written_whole

    with written_whole(tmp_path / ("a" * 243 + ".parquet")) as part:
        part.touch()
        assert part.suffix == ".parquet"
