"""``densiflow info``: what a model file holds."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer


def info(model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")]) -> None:
    """Print what a model file holds: columns and their kinds, context, flow, training."""
    from densiflow.estimators import FlowDensity
    from densiflow.files import load

    loaded = load(model)
    pairs = _density(loaded) if isinstance(loaded, FlowDensity) else _flow(loaded)
    print("\n".join(f"{name:<12} {text}" for name, text in pairs))


def _density(density: Any) -> Iterator[tuple[str, str]]:
    yield "model", "FlowDensity, fitted on a table"
    yield from (("column", text) for text in _columns(density.encoder_))
    if density.context_encoder_ is not None:
        yield from (("context", text) for text in _columns(density.context_encoder_))
    yield from list(_flow(density.flow_))[1:]
    for history in density.histories_:
        yield from _training(history)


def _training(history: Any) -> Iterator[tuple[str, str]]:
    yield "epochs", f"{len(history.train)}, {history.stopped}"
    if history.best_epoch is None:
        yield "best epoch", "none, the weights are those before training"
    elif history.validation:
        yield "best epoch", str(history.best_epoch + 1)
    if history.rollbacks:
        yield "rollbacks", f"{history.rollbacks} (the loss was not finite)"


def _columns(encoder: Any) -> Iterator[str]:
    schema = encoder.schema
    labels = schema.names or [f"column {j}" for j in range(len(schema.dtypes))]
    for label, dtype, column in zip(labels, schema.dtypes, encoder.columns, strict=True):
        yield f"{label} ({dtype}): {column.kind}, log density"


def _flow(flow: Any) -> Iterator[tuple[str, str]]:
    import jax

    from densiflow.fixed import partition

    yield "model", type(flow).__name__
    one, of_each = (flow.flows, f", each of {flow.members}") if hasattr(flow, "members") else (flow, "")
    yield "flow", f"{_described(one.bijection)} on a {type(one.base).__name__} base{of_each}"
    yield "dim", f"{flow.dim}, context {flow.context_dim}"
    yield "parameters", f"{sum(leaf.size for leaf in jax.tree.leaves(partition(flow)[0]))} trained, {flow.dtype}"


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
