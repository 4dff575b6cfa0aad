"""``densiflow score``: a model and a table in, the table with a column log_density out."""

from typing import Annotated

import typer

from densiflow.cli.options import check_not_read, check_table_output, context_names, fitted_table
from densiflow.errors import TableError

COLUMN = "log_density"


def score(
    model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")],
    table: Annotated[str, typer.Argument(help="A .csv or .parquet file.", metavar="TABLE")],
    out: Annotated[str, typer.Option("--out", help="The .csv or .parquet file to write.", metavar="FILE")],
) -> None:
    """Write the table's rows with a column log_density: nats per row, in the table's units."""
    import pyarrow as pa

    from densiflow.table import files

    check_not_read("--out", out, model=model, table=table)
    density = fitted_table(model)
    check_table_output(out)
    rows = files.read_file(table)
    if COLUMN in rows.column_names:
        raise TableError(f"{table} already has a column {COLUMN!r}; rename or drop it first")
    context = context_names(density)
    names = density.encoder_.schema.names or [name for name in rows.column_names if name not in context]
    nats = density.score_samples(files.select(rows, names), context=files.select(rows, context) if context else None)
    files.write_file(rows.append_column(COLUMN, pa.array(nats)), out)
    print(f"{out}: {len(nats)} rows, mean log density {nats.mean():.4f} nats")
