"""``densiflow score``: a model and a table in, the table with a column log_density out."""

from typing import Annotated, Any

import typer

from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import check_not_read, check_table_output, context_names, fitted_table
from densiflow.cli.side_by_side import rows_shown, side_by_side
from densiflow.errors import DensiflowError, TableError

COLUMN = "log_density"


def score(
    model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")],
    table: Annotated[str, typer.Argument(help="A .csv or .parquet file.", metavar="TABLE")],
    out: Annotated[str, typer.Option("--out", help="The .csv or .parquet file to write.", metavar="FILE")],
    no_cache: NoCache = False,
) -> None:
    """Write the table's rows with a column log_density: nats per row, in the table's units."""
    import pyarrow as pa

    from densiflow import rows
    from densiflow.table.batches import read_batches
    from densiflow.table.files import written_file

    check_not_read("--out", out, model=model, table=table)
    density = fitted_table(model)
    check_table_output(out)

    def scored(part: Any) -> tuple[Any, Any]:
        nats = _nats(density, part)
        return part.append_column(COLUMN, pa.array(nats)), nats.sum()

    total = 0.0
    with read_batches(table, rows.batch(density.flow_)) as source:
        if COLUMN in source.names:
            raise TableError(f"{table} already has a column {COLUMN!r}; rename or drop it first")
        with programs_kept(no_cache), written_file(out) as write, rows_shown("scored", source.count) as show:
            try:
                for part, nats in side_by_side(scored, source.tables):
                    write(part)
                    show(part.num_rows)
                    total += nats
            except DensiflowError:
                _refuse_whole(density, table)
                raise
    print(f"{out}: {source.count} rows, mean log density {total / source.count:.4f} nats")


def _nats(density: Any, part: Any) -> Any:
    """Log densities of an arrow table's rows."""
    from densiflow.table.files import select

    context = context_names(density)
    names = density.encoder_.schema.names or [name for name in part.column_names if name not in context]
    return density.score_samples(select(part, names), context=select(part, context) if context else None)


def _refuse_whole(density: Any, table: str) -> None:
    """Raise what a batch raised as the whole table does: with its row numbers, and such cells counted in all of it."""
    from densiflow.table.files import read_file

    _nats(density, read_file(table))
