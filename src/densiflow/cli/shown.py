"""Results on stdout: tables for people, strict JSON for machines."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below a header: fitted to a terminal, else aligned text, whatever its width."""
    if not sys.stdout.isatty():
        print(aligned(header, rows))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))  # as text, or brackets in a cell would be markup
    Console().print(table)


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows below a header, one a line, columns aligned.

    >>> print(aligned(["column", "kind"], [["a", "real"], ["b, c", "count"]]))
    column  kind
    a       real
    b, c    count
    """
    lines = [[" ".join(cell.split()) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def show_json(result: Mapping[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(strict(result), indent=2, allow_nan=False))


def strict(value: Any) -> Any:
    """A value as strict JSON holds it: null for a number that is not finite, text for what JSON has no word for.

    >>> strict({"mean": float("-inf"), "shape": (2, 1.5)})
    {'mean': None, 'shape': [2, 1.5]}
    """
    if isinstance(value, Mapping):
        return {str(key): strict(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [strict(part) for part in value]
    if hasattr(value, "tolist"):  # of numpy
        return strict(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
