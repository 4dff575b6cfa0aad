"""``densiflow sample``: rows drawn from a model."""

from typing import Annotated, Any

import typer

from densiflow.cli.options import check_table_output, context_names, fitted_table
from densiflow.errors import ArgumentError, ContextError


def sample(
    model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")],
    rows: Annotated[int, typer.Option("--rows", help="Rows to draw.", metavar="N", min=1)],
    out: Annotated[str, typer.Option("--out", help="The .csv or .parquet file to write.", metavar="FILE")],
    given: Annotated[
        list[str] | None,
        typer.Option("--given", help="The value of a context column; repeat for each.", metavar="NAME=VALUE"),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Makes the rows repeatable.", metavar="S", min=0)] = None,
) -> None:
    """Draw rows and write them as a table with the columns and types fitted on."""
    from densiflow.table import files

    density = fitted_table(model)
    check_table_output(out)
    context = _context(context_names(density), given or [])
    files.write_file(density.sample(rows, context=context, random_state=seed), out)
    print(f"{out}: {rows} rows")


def _context(wanted: list[str], given: list[str]) -> Any:
    """One context row as an arrow table; `ContextError` names what is missing, unknown or not a number."""
    values = dict(_pair(text) for text in given)
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


def _pair(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ArgumentError(f"--given takes NAME=VALUE, got {text!r}")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise ArgumentError(f"--given {name.strip()} must be a number, got {value!r}") from None
