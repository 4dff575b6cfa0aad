"""``densiflow report``: how far a model is to be believed, on one page."""

from pathlib import Path
from typing import Annotated

import typer

from densiflow.cli.judged import judged_columns, steps_shown
from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import check_not_read, fitted_table, whole_number
from densiflow.cli.tables import name_of
from densiflow.errors import ArgumentError


def report(
    model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")],
    tables: Annotated[
        list[str],
        typer.Argument(
            help="Rows that the model was not fitted on: a file, several, a folder of Parquet files, or - for stdin.",
            metavar="TABLE...",
        ),
    ],
    *,
    out: Annotated[str, typer.Option("--out", help="The .html file to write.", metavar="FILE")],
    train: Annotated[
        list[str] | None,
        typer.Option(
            "--train",
            help="The table fitted on (repeat for several files): simpler densities learn from it, and samples are "
            "searched for copies of it.",
            metavar="TABLE",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option("--seed", help="Of the samples and all chance.", metavar="S", parser=whole_number(0)),
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    no_cache: NoCache = False,
) -> None:
    """Judge a model by held-out rows: one HTML page with a verdict, what it rests on, and pictures."""
    from densiflow.atomic import check_writable, written_whole

    if Path(out).suffix.lower() not in (".html", ".htm"):
        raise ArgumentError(f"a report is written as HTML: give --out a name that ends in .html, got {out!r}")
    check_not_read("--out", out, model=model, table=tables, train=train)
    density = fitted_table(model)
    check_writable(out)
    rows, context = judged_columns(density, tables)
    known, known_context = judged_columns(density, train) if train else (None, None)
    from densiflow.judge.evidence import examine
    from densiflow.judge.report import written
    from densiflow.judge.verdict import verdict

    with programs_kept(no_cache), steps_shown("judging", quiet) as tell:
        evidence = examine(
            density, rows, known, context=context, train_context=known_context, random_state=seed, tell=tell
        )
        page = written(evidence, f"{Path(model).name}, judged by {name_of(tables)}")
    with written_whole(out) as part:
        part.write_text(page, "utf-8")
    print(f"{out}: {verdict(evidence).words.lower()}")
    for reason in verdict(evidence).reasons:
        print(f"- {reason}")
