"""``densiflow info``: what a model file holds, or what a table would be read as."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from densiflow.cli import table_told
from densiflow.cli.fitted import columns_held, columns_told, training_held
from densiflow.cli.options import AsJson
from densiflow.cli.shown import show_json
from densiflow.cli.tables import is_table
from densiflow.errors import ArgumentError


def info(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="A model file; or a table: a file, several, a folder of Parquet files, or - for stdin.",
            metavar="MODEL|TABLE...",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Print what a model file holds, or the kinds that a table's columns would be read as."""
    if is_table(paths[0]):
        table_told.show(paths, as_json)
        return
    if len(paths) > 1:
        raise ArgumentError(f"a model must come from one file, got {len(paths)}: {', '.join(paths)}")
    from densiflow.estimators import FlowDensity
    from densiflow.files import load

    loaded = load(paths[0])
    # the other estimators are made of densities
    densities = [loaded] if isinstance(loaded, FlowDensity) else _inside(loaded)
    if as_json:
        show_json({"model": type(loaded).__name__} | (_held(densities[0]) if densities else _flow_held(loaded)))
        return
    pairs = [("model", type(loaded).__name__ + (", fitted on a table" if densities else ""))]
    for density in densities:
        pairs += _density(density)
    pairs += [] if densities else _flow(loaded)
    print("\n".join(f"{name:<12} {text}" for name, text in pairs))


def _inside(loaded: Any) -> list[Any]:
    """The densities of an estimator made of them, none for a flow."""
    return list(getattr(loaded, "densities_", None) or [part for part in [getattr(loaded, "density_", None)] if part])


def _density(density: Any) -> Iterator[tuple[str, str]]:
    yield from (("column", text) for text in _columns(density.encoder_))
    if density.context_encoder_ is not None:
        yield from (("context", text) for text in _columns(density.context_encoder_))
    yield "chosen", str(density.choices_)
    yield from _flow(density.flow_)
    for history in density.histories_:
        yield from _training(history)


def _training(history: Any) -> Iterator[tuple[str, str]]:
    yield "epochs", f"{len(history.train)}, {history.stopped}"
    if history.best_epoch is None:
        yield "best epoch", "none, the weights are those before training"
    elif history.validation:
        yield (
            "best epoch",
            f"{history.best_epoch + 1}, held out {history.validation[history.best_epoch]:.4f} nats a row",
        )
    if history.rollbacks:
        yield "rollbacks", f"{history.rollbacks} (the loss was not finite)"


def _columns(encoder: Any) -> Iterator[str]:
    for label, dtype, described, meaning in columns_told(encoder):
        yield f"{label} ({dtype}): {described}; number: {meaning}"


def _flow(flow: Any) -> Iterator[tuple[str, str]]:
    held = _flow_held(flow)
    of_each = f", each of {held['members']}" if held["members"] > 1 else ""
    yield "flow", f"{held['flow']} on a {held['base']} base{of_each}"
    yield "dim", f"{held['dim']}, context {held['context_dim']}"
    yield "parameters", f"{held['parameters']} trained, {held['dtype']}"


def _held(density: Any) -> dict[str, Any]:
    """A fitted density for machines."""
    context = density.context_encoder_
    return {
        "columns": columns_held(density.encoder_),
        "context": {} if context is None else columns_held(context),
        "choices": asdict(density.choices_),
        **_flow_held(density.flow_),
        "training": [training_held(history) for history in density.histories_],
    }


def _flow_held(flow: Any) -> dict[str, Any]:
    import jax

    from densiflow.fixed import partition

    one, members = (flow.flows, flow.members) if hasattr(flow, "members") else (flow, 1)
    return {
        "flow": _described(one.bijection),
        "base": type(one.base).__name__,
        "members": members,
        "dim": flow.dim,
        "context_dim": flow.context_dim,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(partition(flow)[0])),
        "dtype": str(flow.dtype),
    }


def _described(bijection: Any) -> str:
    """A bijection in a few words, its members in brackets."""
    name = type(bijection).__name__
    if hasattr(bijection, "depth"):
        return f"{bijection.depth} x {_described(bijection.layers)}"
    if hasattr(bijection, "members"):
        return f"{name}({', '.join(_described(member) for member in bijection.members)})"
    if hasattr(bijection, "conditioner"):
        network = bijection.conditioner
        widths = " x ".join(map(str, network.hidden)) or "no hidden layer"
        return f"{name}({type(bijection.scalar).__name__}, {widths} {network.activation})"
    return name
