"""The model file: one safetensors file, its arrays as tensors and the tree of classes in its header.

The header holds one JSON string under the key ``densiflow``: the format's version, the versions of the libraries
that wrote it, the tree, and a checksum of these and of the tensors. A node of the tree is one of::

    {"class": "Chain", "static": {...}, "fields": {name: node}}     a registered class
    {"items": [node, ...]}   {"entries": {name: node}}              a tuple, a mapping
    {"tensor": "flow.bijection.layers.0"}   {"value": 3}            an array, a plain value

Classes are looked up in the registry by name. Nothing is imported by name, nothing is pickled, no clock is read:
the same fit gives the same bytes.
"""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from densiflow import precision, registry
from densiflow.atomic import written_whole
from densiflow.ensemble import Ensemble
from densiflow.errors import MissingFileError, ModelFileError, NewerFormatError, PrecisionError
from densiflow.flow import Flow

FORMAT = 1
KEY = "densiflow"

Tensors = dict[str, np.ndarray]
Node = dict[str, Any]


def save(thing: Any, path: str | os.PathLike[str]) -> None:
    """Write a flow, an ensemble or a fitted estimator to one file.

    Raises `UnregisteredClassError` for a class that a file can't name, `OutputPathError` for a path that can't be
    written.
    """
    data = to_bytes(thing)
    with written_whole(path) as part:
        part.write_bytes(data)


def load(path: str | os.PathLike[str]) -> Any:
    """Read what was saved: a `Flow`, an `Ensemble` or an estimator.

    Raises `MissingFileError` where there is no file, `NewerFormatError` for a file of a later densiflow,
    `ModelFileError` for a file that is truncated, damaged or something else, `PrecisionError` for a float64 flow
    while JAX has float64 switched off.

    >>> import tempfile
    >>> from densiflow import recipes
    >>> flow = recipes.made(jax.random.key(0), dim=2, hidden=(8,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     flow.save(f"{folder}/model.densiflow")
    ...     again = load(f"{folder}/model.densiflow")
    >>> bool(again.log_prob(np.zeros(2)) == flow.log_prob(np.zeros(2)))
    True
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"there is no file {path}") from None
    except OSError as error:
        raise ModelFileError(f"can't read {path}: {error.strerror}") from None
    thing = from_bytes(data, str(path))
    if isinstance(thing, eqx.Module) and not isinstance(thing, Flow | Ensemble):
        raise ModelFileError(f"{path} holds no model, but a part of one: a {type(thing).__name__}")
    return thing


def to_bytes(thing: Any) -> bytes:
    """The model file's bytes."""
    return packed(_described(thing))


def packed(value: Any) -> bytes:
    """The bytes of a file that holds registered classes, arrays and plain values, in tuples and mappings."""
    from safetensors.numpy import save as pack

    tensors: Tensors = {}
    tree = _encode(value, "", tensors)
    header: dict[str, Any] = {
        "format": FORMAT,
        "versions": {name: version(name) for name in ("densiflow", "equinox", "jax")},
        "tree": tree,
    }
    header["checksum"] = _checksum(header, tensors)
    return pack(tensors, metadata={KEY: _canonical(header)})


def from_bytes(data: bytes, name: str = "the file") -> Any:
    """What the bytes of a model file hold; `name` is for errors."""
    tensors, header = _sound(data, name)
    wide = any(tensor.dtype == np.float64 for tensor in tensors.values())
    try:
        with jax.enable_x64(True) if wide else nullcontext():
            described = _decode(header["tree"], tensors)
            thing = _restored(described)
            _check_fits(getattr(thing, "flow_", thing))
    except ModelFileError as error:
        raise type(error)(f"{name}: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ModelFileError(f"{name} is damaged: its header does not describe a model ({error!r})") from None
    if isinstance(thing, eqx.Module):
        try:
            precision.require(precision.dtype_of(thing))
        except PrecisionError as error:
            raise PrecisionError(f"{name} holds a float64 flow; {error}") from None
    return thing


def unpacked(data: bytes, name: str) -> Any:
    """Undo `packed` where no class is in it; arrays are numpy's, lists are tuples.

    Raises `ModelFileError` for bytes that are truncated, damaged or something else.
    """
    tensors, header = _sound(data, name)
    return _decode(header["tree"], tensors)


def _sound(data: bytes, name: str) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the header, which match their checksum."""
    tensors, header = _unpack(data, name)
    if header.pop("checksum", None) != _checksum(header, tensors):
        raise ModelFileError(f"{name} is damaged: what it holds does not match its checksum")
    return tensors, header


def _unpack(data: bytes, name: str) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the header, or an error that says what the file is instead."""
    from safetensors import SafetensorError, deserialize
    from safetensors.numpy import load as unpack

    try:
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
        text = metadata[KEY]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ModelFileError(f"{name} is not a densiflow model, or only the beginning of one") from None
    try:
        header = json.loads(text)
        written = header["format"]
        known = isinstance(written, int) and not isinstance(written, bool) and written >= 1
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise ModelFileError(f"{name} is damaged: its header can't be read")
    if written > FORMAT:
        versions = header.get("versions")
        by = versions.get("densiflow") if isinstance(versions, dict) else "of a later version"
        raise NewerFormatError(
            f"{name} has format {written}, written by densiflow {by}; this densiflow reads up to format {FORMAT}: "
            f"upgrade it"
        )
    try:
        deserialize(data)
        return unpack(data), header
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelFileError(f"{name} is truncated or damaged: {error}") from None


def _canonical(header: dict[str, Any]) -> str:
    return json.dumps(header, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _checksum(header: dict[str, Any], tensors: Tensors) -> str:
    """Of everything in the file but the checksum itself."""
    digest = hashlib.sha256(_canonical(header).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _described(thing: Any) -> Any:
    """An estimator as a mapping that names its class; anything else as it is."""
    if hasattr(thing, "_to_state"):
        return {"estimator": type(thing).__name__, "state": thing._to_state()}
    return thing


def _restored(described: Any) -> Any:
    """Undo `_described`."""
    if isinstance(described, dict):
        from densiflow import estimators

        if "checkpoint" in described:
            raise ModelFileError("holds no model, but a training that was interrupted; fit again to go on with it")
        if described["estimator"] not in estimators.__all__:
            raise ModelFileError(f"holds an estimator unknown here: {described['estimator']!r}")
        return getattr(estimators, described["estimator"])._from_state(described["state"])
    if not isinstance(described, eqx.Module):
        raise ModelFileError("holds no model")
    return described


def _check_fits(flow: Any) -> None:
    """Trace a flow once: tensors whose shapes do not fit their classes are an error here, not at the first use."""
    if not isinstance(flow, Flow | Ensemble):
        return
    row = jax.ShapeDtypeStruct((1, flow.dim), flow.dtype)
    context = jax.ShapeDtypeStruct((1, flow.context_dim), flow.dtype) if flow.context_dim else None
    jax.eval_shape(lambda flow, x, context: flow.log_prob(x, context), flow, row, context)


def _encode(value: Any, path: str, tensors: Tensors) -> Node:
    if isinstance(value, eqx.Module):
        return _encode_module(value, path, tensors)
    if isinstance(value, jax.Array | np.ndarray):
        tensors[path] = np.asarray(value)
        return {"tensor": path}
    if isinstance(value, Mapping):
        return {"entries": {name: _encode(child, _join(path, name), tensors) for name, child in value.items()}}
    if isinstance(value, tuple | list):
        return {"items": [_encode(child, _join(path, str(i)), tensors) for i, child in enumerate(value)]}
    return {"value": _plain(value)}


def _encode_module(module: eqx.Module, path: str, tensors: Tensors) -> Node:
    node: Node = {"class": registry.name_of(type(module)), "static": {}, "fields": {}}
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if field.metadata.get("static", False):
            node["static"][field.name] = _plain(value)
        else:
            node["fields"][field.name] = _encode(value, _join(path, field.name), tensors)
    return node


def _plain(value: Any) -> Any:
    """A plain value as strict JSON holds it; tuples as lists, numbers that are not finite as named strings."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ModelFileError(f"a {type(value).__name__} can't be written to a model file: {value!r}")


def _decode(node: Node, tensors: Tensors, inside_module: bool = False) -> Any:
    if "class" in node:
        return _decode_module(node, tensors)
    if "tensor" in node:
        array = tensors[node["tensor"]]
        return jax.device_put(array) if inside_module else array  # jnp.asarray would compile a copy for each shape
    if "entries" in node:
        return {name: _decode(child, tensors, inside_module) for name, child in node["entries"].items()}
    if "items" in node:
        return tuple(_decode(child, tensors, inside_module) for child in node["items"])
    return _unplain(node["value"])


def _decode_module(node: Node, tensors: Tensors) -> eqx.Module:
    """An instance with these fields, made without its ``__init__`` and then checked by its ``__check_init__``."""
    cls = registry.named(node["class"])
    module: eqx.Module = object.__new__(cls)
    for field in dataclasses.fields(cls):
        is_static = field.metadata.get("static", False)
        held = node["static" if is_static else "fields"]
        if field.name not in held and field.default is not dataclasses.MISSING:
            value = field.default  # a field that files of earlier versions did not have
        elif is_static:
            value = _unplain(held[field.name])
        else:
            value = _decode(held[field.name], tensors, inside_module=True)
        object.__setattr__(module, field.name, value)
    for parent in cls.__mro__:
        if "__check_init__" in vars(parent):
            vars(parent)["__check_init__"](module)
    return module


def _unplain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_unplain(item) for item in value)
    if isinstance(value, dict):
        return float(value["number"])
    return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
