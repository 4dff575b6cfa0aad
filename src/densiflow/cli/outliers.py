"""``densiflow outliers``: the rows that a model finds most surprising, and what makes them so."""

from typing import Annotated, Any

import typer

from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import AsJson, Quiet, check_not_read, check_table_output, fitted_table, whole_number
from densiflow.cli.shown import show_json, show_table
from densiflow.cli.tables import Tables, check_new, modelled_names, name_of, parts_of, read

PLACE, NATS, REASONS = "row", "log_density", "because"


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

        write_file(_written(table, found, modelled_names(density, table)), out)
    if as_json:
        show_json({"rows": table.num_rows, "outliers": [_held(table, row) for row in found]})
    elif out is None:
        told = [(str(row.place), f"{row.nats:.2f}", _reasons(table, row)) for row in found]
        show_table([PLACE, NATS, REASONS], told)
    elif not quiet:
        print(f"{out}: {len(found)} of {table.num_rows} rows")


def _found(density: Any, table: Any, count: int) -> list[Any]:
    """The least likely rows, worst first, with their columns named as the table names them."""
    from dataclasses import replace

    from densiflow.judge.surprising_rows import surprising_rows

    rows, context = parts_of(density, table)
    names, found = modelled_names(density, table), []
    for row in surprising_rows(density, rows, context=context, most=count):
        named = dict(zip(row.parts, names, strict=True))
        parts = {named[name]: nats for name, nats in row.parts.items()}
        blamed = tuple((named[name], below) for name, below in row.blamed)
        found.append(replace(row, parts=parts, blamed=blamed))
    return found


def _reasons(table: Any, row: Any) -> str:
    """The columns to blame, their cells, and how many nats each lies below its median."""
    return ", ".join(f"{name} = {_told(table[name][row.place].as_py())} ({-below:.1f})" for name, below in row.blamed)


def _told(cell: Any) -> str:
    return "missing" if cell is None or cell != cell else f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _held(table: Any, row: Any) -> dict[str, Any]:
    """One row for machines."""
    return {
        PLACE: row.place,
        NATS: row.nats,
        REASONS: {name: -below for name, below in row.blamed},
        "columns": row.parts,
        "cells": {name: table[name][row.place].as_py() for name in table.column_names},
    }


def _parts_names(density: Any, table: Any) -> list[str]:
    return [f"{NATS}_{name}" for name in modelled_names(density, table)]


def _written(table: Any, found: list[Any], names: list[str]) -> Any:
    """The rows with their places, log densities, reasons, and what each column adds."""
    import pyarrow as pa

    places, reasons = [row.place for row in found], [_reasons(table, row) for row in found]
    out = table.take(places).add_column(0, PLACE, pa.array(places, pa.int64()))
    out = out.append_column(NATS, pa.array([row.nats for row in found], pa.float64()))
    out = out.append_column(REASONS, pa.array(reasons, pa.string()))
    for name in names:
        out = out.append_column(f"{NATS}_{name}", pa.array([row.parts[name] for row in found], pa.float64()))
    return out
