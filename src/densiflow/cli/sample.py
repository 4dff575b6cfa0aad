"""``densiflow sample``: rows drawn from a model."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

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
            help="The value of a context column, or of a column that is modelled; repeat for each.",
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
    drawn = _drawn(density, rows, context, fixed, complete, seed)
    with programs_kept(no_cache), written_file(out) as write, rows_shown("drawn", rows, quiet) as show:
        for part in drawn:
            write(part)
            show(len(part))
    if as_json:
        show_json({"out": out, "rows": rows})
    elif not quiet:
        print(f"{out}: {rows} rows")


def _drawn(
    density: Any, rows: int, context: Any, fixed: dict[str, Any], complete: bool, seed: int | None
) -> Iterator[Any]:
    """Rows in tables of some of them: plain draws a batch at a time, others at once."""
    options = {"context": context, "random_state": seed}
    if fixed:
        yield density.conditional(fixed).sample(rows, complete=complete, **options)
    elif complete:
        yield density.sample(rows, complete=True, **options)
    else:
        yield from density.sample_batches(rows, **options)
