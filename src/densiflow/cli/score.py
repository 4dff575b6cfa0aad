"""``densiflow score``: a model and a table in, the table with a column log_density out."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import AsJson, Quiet, check_not_read, check_table_output, fitted_table
from densiflow.cli.shown import show_json
from densiflow.cli.side_by_side import rows_shown, side_by_side
from densiflow.cli.tables import Tables, check_new, name_of, parts_of, read_in_batches
from densiflow.errors import DensiflowError

COLUMN = "log_density"


def score(
    model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")],
    tables: Tables,
    *,
    out: Annotated[str, typer.Option("--out", help="The .csv or .parquet file to write.", metavar="FILE")],
    quiet: Quiet = False,
    as_json: AsJson = False,
    no_cache: NoCache = False,
) -> None:
    """Write the table's rows with a column log_density: nats per row, in the table's units."""
    import pyarrow as pa

    from densiflow import rows
    from densiflow.table.files import written_file

    check_not_read("--out", out, model=model, table=tables)
    density = fitted_table(model)
    check_table_output(out)

    def scored(part: Any) -> tuple[Any, Any]:
        nats = _nats(density, part)
        return part.append_column(COLUMN, pa.array(nats)), nats

    found = _Found()
    with read_in_batches(tables, rows.batch(density.flow_)) as (source, whole):
        check_new(source.names, [COLUMN], name_of(tables))
        with programs_kept(no_cache), written_file(out) as write, rows_shown("scored", source.count, quiet) as show:
            try:
                for part, nats in side_by_side(scored, source.tables):
                    write(part)
                    show(part.num_rows)
                    found.add(nats)
            except DensiflowError:
                _nats(density, whole())  # the whole table's error has its row numbers, and counts such cells in all
                raise
    if as_json:
        show_json({"out": out, **found.held()})
    elif not quiet:
        print(f"{out}: {found.rows} rows, mean log density {found.mean:.4f} nats")


def _nats(density: Any, table: Any) -> Any:
    """Log densities of an arrow table's rows."""
    rows, context = parts_of(density, table)
    return density.score_samples(rows, context=context)


@dataclass
class _Found:
    """Log densities of batch after batch, summed up as distances from one of them, so that no digits are lost."""

    rows: int = 0
    impossible: int = 0  # rows of log density -inf
    origin: float | None = None
    total: float = 0.0
    squares: float = 0.0

    def add(self, nats: Any) -> None:
        if self.origin is None:
            self.origin = float(nats[0]) if math.isfinite(nats[0]) else 0.0
        apart = nats - self.origin
        self.rows += len(nats)
        self.impossible += int((nats == -math.inf).sum())
        self.total += float(apart.sum())
        self.squares += float((apart**2).sum())

    @property
    def mean(self) -> float:
        return (self.origin or 0.0) + self.total / self.rows

    @property
    def standard_error(self) -> float:
        """Of the mean; NaN for a single row, or where a row is impossible."""
        if self.rows < 2 or self.impossible:
            return math.nan
        variance = (self.squares - self.total**2 / self.rows) / (self.rows - 1)
        return math.sqrt(max(variance, 0.0) / self.rows)

    def held(self) -> dict[str, Any]:
        names = ("rows", "mean", "standard_error", "impossible")
        return {name: getattr(self, name) for name in names}
