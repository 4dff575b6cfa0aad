"""What is told of a fitted density: its columns, what was chosen, its training; in words and for machines."""

from typing import Any


def columns_told(encoder: Any) -> list[tuple[str, str, str, str]]:
    """For each column its name, type, kind, and what the model's number for it is."""
    return list(zip(labels(encoder), encoder.schema.dtypes, encoder.described, encoder.meanings, strict=True))


def columns_held(encoder: Any) -> dict[str, dict[str, str]]:
    """The same by name."""
    parts = zip(encoder.columns, columns_told(encoder), strict=True)
    return {
        label: {"kind": column.kind, "type": dtype, "described": described, "meaning": meaning}
        for column, (label, dtype, described, meaning) in parts
    }


def labels(encoder: Any) -> list[str]:
    """The columns' names, "column 0" and so on where they have none."""
    schema = encoder.schema
    return list(schema.names or [f"column {key}" for key in schema.keys])


def training_held(history: Any) -> dict[str, Any]:
    """How a fit went; epochs count from 1, and likelihoods are nats a row."""
    best = history.best_epoch if history.validation else None
    return {
        "epochs": len(history.train),
        "best_epoch": None if best is None else best + 1,
        "held_out_log_likelihood": None if best is None else history.validation[best],
        "stopped": history.stopped,
    }
