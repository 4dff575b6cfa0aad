"""``densiflow sample``: rows drawn from a model."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from densiflow.cli.batched import ROWS, random_states
from densiflow.cli.given import given_values
from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import AsJson, Quiet, check_not_read, check_table_output, fitted_table, whole_number
from densiflow.cli.shown import show_json
from densiflow.cli.side_by_side import rows_shown


def sample(
    model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")],
    rows: Annotated[int, typer.Option("--rows", help="Rows to draw, at least 1.", metavar="N", parser=whole_number(1))],
    out: Annotated[str, typer.Option("--out", help="The .csv or .parquet file to write.", metavar="FILE")],
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            help="The value of a context column, or of any column of a model without context; repeat for each.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    complete: Annotated[bool, typer.Option("--complete", help="Draw rows without missing cells.")] = False,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Makes the rows repeatable.", metavar="S", parser=whole_number(0))
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    no_cache: NoCache = False,
) -> None:
    """Draw rows and write them as a table with the columns and types fitted on."""
    from densiflow.table.files import written_file

    check_not_read("--out", out, model=model)
    density = fitted_table(model)
    check_table_output(out)
    context, fixed = given_values(density, given or [])
    drawn = (
        _given_cells(density, rows, fixed, complete, seed) if fixed else _drawn(density, rows, context, complete, seed)
    )
    with programs_kept(no_cache), written_file(out) as write, rows_shown("drawn", rows, quiet) as show:
        for part in drawn:
            write(part)
            show(len(part))
    if as_json:
        show_json({"out": out, "rows": rows})
    elif not quiet:
        print(f"{out}: {rows} rows")


def _drawn(density: Any, rows: int, context: Any, complete: bool, seed: int | None) -> Iterator[Any]:
    if complete:
        yield density.sample(rows, context=context, complete=True, random_state=seed)
    else:
        yield from density.sample_batches(rows, context=context, random_state=seed)


def _given_cells(density: Any, rows: int, fixed: dict[str, Any], complete: bool, seed: int | None) -> Iterator[Any]:
    """Rows that hold the cells given."""
    from densiflow.table.batches import shares

    conditional = density.conditional(fixed)
    for count, state in zip(shares(rows, ROWS), random_states(seed), strict=False):
        yield conditional.sample(count, complete=complete, random_state=state)
