"""``densiflow plot``: one picture of a model, or of a model beside a table."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from densiflow.cli.judged import judged_columns
from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import check_not_read, fitted_table, whole_number
from densiflow.errors import ArgumentError


class Kind(StrEnum):
    """The pictures there are."""

    marginals = "marginals"
    corner = "corner"
    calibration = "calibration"
    training = "training"
    correlations = "correlations"


def plot(
    model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")],
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            help="A table: a file, several, a folder of Parquet files, or - for stdin; only training needs none.",
            metavar="[TABLE...]",
        ),
    ] = None,
    *,
    out: Annotated[str, typer.Option("--out", help="The .png file to write.", metavar="FILE")],
    kind: Annotated[Kind, typer.Option("--kind", help="What to draw.")] = Kind.corner,
    seed: Annotated[int, typer.Option("--seed", help="Of the samples.", metavar="S", parser=whole_number(0))] = 0,
    no_cache: NoCache = False,
) -> None:
    """Draw one picture: columns, pairs of columns, calibration, training or correlations."""
    from densiflow.atomic import check_writable

    if not out.lower().endswith(".png"):
        raise ArgumentError(f"pictures are written as PNG: give --out a name that ends in .png, got {out!r}")
    check_not_read("--out", out, model=model, table=tables)
    density = fitted_table(model)
    check_writable(out)
    if not tables and kind is not Kind.training:
        raise ArgumentError(f"--kind {kind} compares the model with a table: give MODEL and TABLE")
    from densiflow import judge

    with programs_kept(no_cache):
        figure = _drawn(density, tables, kind, seed) if tables else judge.training_curve(density.history_)
    judge.save_figure(figure, out)
    print(f"{out}: {kind}")


def _drawn(density: Any, tables: list[str], kind: Kind, seed: int) -> Any:
    """A picture that needs a table."""
    from densiflow import judge

    if kind is Kind.training:
        return judge.training_curve(density.history_)
    rows, context = judged_columns(density, tables)
    chosen: Any = kind.value
    return judge.compared(density, rows, chosen, context=context, random_state=seed)
