"""``densiflow outliers``: the rows that a model finds most surprising, and what makes them so."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import AsJson, Quiet, check_not_read, check_table_output, fitted_table, whole_number
from densiflow.cli.shown import show_json, show_table
from densiflow.cli.tables import Tables, check_new, modelled_names, name_of, parts_of, read

PLACE, NATS, REASONS = "row", "log_density", "because"
BLAMED = 3  # columns named with a row
TYPICAL_ROWS = 500  # that say what is usual of a column


def outliers(
    model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")],
    tables: Tables,
    *,
    out: Annotated[
        str | None,
        typer.Option("--out", help="A .csv or .parquet file to write, rather than to print them.", metavar="FILE"),
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", help="How many, the worst first.", metavar="N", parser=whole_number(1))
    ] = 20,
    quiet: Quiet = False,
    as_json: AsJson = False,
    no_cache: NoCache = False,
) -> None:
    """Find the rows of least log density, and the columns that make them so."""
    if out is not None:
        check_not_read("--out", out, model=model, table=tables)
    density = fitted_table(model)
    if out is not None:
        check_table_output(out)
    table = read(tables)
    check_new(table.column_names, [PLACE, NATS, REASONS, *_parts_names(density, table)], name_of(tables))
    with programs_kept(no_cache):
        found = _found(density, table, rows)
    if out is not None:
        from densiflow.table.files import write_file

        write_file(_written(table, found), out)
    if as_json:
        show_json({"rows": table.num_rows, "outliers": [_held(table, found, k) for k in range(len(found.places))]})
    elif out is None:
        told = [(str(place), f"{found.nats[k]:.2f}", _reasons(table, found, k)) for k, place in enumerate(found.places)]
        show_table([PLACE, NATS, REASONS], told)
    elif not quiet:
        print(f"{out}: {len(found.places)} of {table.num_rows} rows")


@dataclass(frozen=True)
class _Found:
    """Rows by their places in the table, the least likely first."""

    places: Any  # (k,)
    nats: Any  # (k,) log densities
    names: list[str]  # of columns
    parts: Any  # (k, columns): what each adds to its row's log density, given the columns before it
    below: Any  # (k, columns): how far that lies below the column's median


def _found(density: Any, table: Any, count: int) -> _Found:
    import numpy as np

    rows, context = parts_of(density, table)
    nats = density.score_samples(rows, context=context)
    places = np.argsort(nats, kind="stable")[:count]
    typical = _some(table.num_rows, TYPICAL_ROWS)
    known = np.union1d(places, typical)
    scores = density.column_scores(rows.take(known), context=None if context is None else context.take(known))
    scores = scores[:, density.encoder_.kept]
    parts, usual = scores[np.searchsorted(known, places)], scores[np.searchsorted(known, typical)]
    return _Found(places, nats[places], modelled_names(density, table), parts, np.median(usual, axis=0) - parts)


def _some(count: int, most: int) -> Any:
    """Places of at most `most` rows, evenly over the table."""
    import numpy as np

    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _blamed(found: _Found, k: int) -> list[int]:
    """The columns of a row that lie lowest below their medians."""
    import numpy as np

    order = np.argsort(-found.below[k], kind="stable")[:BLAMED]
    return [int(j) for j in order if found.below[k, j] > 0]


def _reasons(table: Any, found: _Found, k: int) -> str:
    """The columns to blame, their cells, and how many nats each lies below its median."""
    place = int(found.places[k])
    return ", ".join(
        f"{found.names[j]} = {_told(table[found.names[j]][place].as_py())} ({-found.below[k, j]:.1f})"
        for j in _blamed(found, k)
    )


def _told(cell: Any) -> str:
    return "missing" if cell is None or cell != cell else f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _held(table: Any, found: _Found, k: int) -> dict[str, Any]:
    """One row for machines."""
    place = int(found.places[k])
    return {
        PLACE: place,
        NATS: found.nats[k],
        REASONS: {found.names[j]: -found.below[k, j] for j in _blamed(found, k)},
        "columns": dict(zip(found.names, found.parts[k], strict=True)),
        "cells": {name: table[name][place].as_py() for name in table.column_names},
    }


def _parts_names(density: Any, table: Any) -> list[str]:
    return [f"{NATS}_{name}" for name in modelled_names(density, table)]


def _written(table: Any, found: _Found) -> Any:
    """The rows with their places, log densities, reasons, and what each column adds."""
    import pyarrow as pa

    reasons = [_reasons(table, found, k) for k in range(len(found.places))]
    out = table.take(found.places).add_column(0, PLACE, pa.array(found.places))
    out = out.append_column(NATS, pa.array(found.nats)).append_column(REASONS, pa.array(reasons, pa.string()))
    for j, name in enumerate(found.names):
        out = out.append_column(f"{NATS}_{name}", pa.array(found.parts[:, j]))
    return out
