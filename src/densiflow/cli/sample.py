"""``densiflow sample``: rows drawn from a model."""

from typing import Annotated, Any

import typer

from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import (
    check_not_read,
    check_table_output,
    column_name,
    context_names,
    fitted_table,
    whole_number,
)
from densiflow.cli.side_by_side import rows_shown
from densiflow.errors import ArgumentError, ContextError


def sample(
    model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")],
    rows: Annotated[int, typer.Option("--rows", help="Rows to draw, at least 1.", metavar="N", parser=whole_number(1))],
    out: Annotated[str, typer.Option("--out", help="The .csv or .parquet file to write.", metavar="FILE")],
    given: Annotated[
        list[str] | None,
        typer.Option("--given", help="The value of a context column; repeat for each.", metavar="NAME=VALUE"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Makes the rows repeatable.", metavar="S", parser=whole_number(0))
    ] = None,
    no_cache: NoCache = False,
) -> None:
    """Draw rows and write them as a table with the columns and types fitted on."""
    from densiflow.table.files import written_file

    check_not_read("--out", out, model=model)
    density = fitted_table(model)
    check_table_output(out)
    context = _context(context_names(density), given or [])
    drawn = density.sample_batches(rows, context=context, random_state=seed)
    with programs_kept(no_cache), written_file(out) as write, rows_shown("drawn", rows) as show:
        for part in drawn:
            write(part)
            show(len(part))
    print(f"{out}: {rows} rows")


def _context(wanted: list[str], given: list[str]) -> Any:
    """One context row as an arrow table; an error names what is missing, unknown, given twice or not a number."""
    values: dict[str, float] = {}
    for name, value in (_pair(text, wanted) for text in given):
        if name in values:
            raise ArgumentError(f"--given {name!r} is given twice, as {values[name]} and as {value}; give it once")
        values[name] = value
    unknown = [name for name in values if name not in wanted]
    if unknown:
        has = f"the context columns {', '.join(wanted)}" if wanted else "no context"
        raise ContextError(f"--given names {unknown[0]!r}, but the model has {has}")
    missing = [name for name in wanted if name not in values]
    if missing:
        raise ContextError(
            f"the model is conditional on {', '.join(wanted)}; missing: {', '.join(missing)}; "
            f"give --given {missing[0]}=VALUE"
        )
    if not wanted:
        return None
    import pyarrow as pa

    return pa.table({name: [values[name]] for name in wanted})


def _pair(text: str, wanted: list[str]) -> tuple[str, float]:
    """A column's name and its value, which follows the last equals sign: names may hold others."""
    left, equals, value = text.rpartition("=")
    name = column_name(left, wanted)
    if not equals:
        raise ArgumentError(f"--given takes NAME=VALUE, got {text!r}")
    try:
        return name, float(value)
    except ValueError:
        raise ArgumentError(f"--given {name} must be a number, got {value!r}") from None
