"""``densiflow fit``: a table in, a model file out."""

import os
import warnings
from dataclasses import asdict
from typing import Annotated, Any

import typer

from densiflow.cli.fitted import columns_held, columns_told, training_held
from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import AsJson, Quiet, check_not_read, names, whole_number
from densiflow.cli.schema import read_kinds
from densiflow.cli.shown import show_json, show_table
from densiflow.cli.tables import Tables, read
from densiflow.errors import ArgumentError, DensiflowWarning


def fit(
    tables: Tables,
    *,
    model: Annotated[str, typer.Option("--model", help="The model file to write.", metavar="FILE")],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            help="Columns to model, or repeat for each; all but context and weights if not given.",
            metavar="A,B",
        ),
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context", help="Columns that the density is conditional on, or repeat for each.", metavar="C,D"
        ),
    ] = None,
    weights: Annotated[str | None, typer.Option("--weights", help="The column of sample weights.", metavar="W")] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            help="Kinds of columns, those of the context too, as densiflow info TABLE --json prints them; others are "
            "read from their cells.",
            metavar="FILE.json",
        ),
    ] = None,
    flow: Annotated[
        str, typer.Option("--flow", help="auto, or a recipe: maf, maf_mog, neural_spline, real_nvp, ...")
    ] = "auto",
    max_epochs: Annotated[
        int | None,
        typer.Option("--max-epochs", help="Passes over the rows at most.", metavar="N", parser=whole_number(1)),
    ] = None,
    ensemble: Annotated[
        int,
        typer.Option(
            "--ensemble", help="Flows to fit; their mean density is the model's.", metavar="N", parser=whole_number(1)
        ),
    ] = 1,
    bootstrap: Annotated[
        bool,
        typer.Option("--bootstrap", help="Give each flow of an ensemble rows drawn anew, so that they tell its error."),
    ] = False,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Makes the fit repeatable.", metavar="S", parser=whole_number(0))
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a fit that was interrupted or killed, from FILE.checkpoint, in which a fit is kept while "
            "it is under way. Repeat its options; --max-epochs may be raised. Without such a file it fits from the "
            "beginning.",
        ),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    no_cache: NoCache = False,
) -> None:
    """Fit the density of a table's columns and save it."""
    from densiflow.atomic import check_writable
    from densiflow.estimators import FlowDensity
    from densiflow.table import files
    from densiflow.training import Checkpoint

    checkpoint = f"{model}.checkpoint"
    for written in (model, checkpoint):
        check_not_read("--model", written, table=tables, schema=schema)
        check_writable(written)  # before the long work, not after it
    rows = read(tables)
    modelled, given = _roles(rows.column_names, columns or [], context or [], weights)
    density = FlowDensity(
        flow=flow,
        columns=None if schema is None else _kinds(schema, rows.column_names, [*modelled, *given]),
        ensemble=ensemble,
        bootstrap=bootstrap,
        max_epochs=max_epochs,
        random_state=seed,
        verbose=False if quiet else None,
    )
    with programs_kept(no_cache):
        density.fit(
            files.select(rows, modelled),
            context=files.select(rows, given) if given else None,
            sample_weight=_weight(rows, weights),
            checkpoint=Checkpoint(checkpoint, resume=resume),
        )
    _note_what_is_left(density, checkpoint)
    for history in density.histories_:
        _check_trained(history)
    density.save(model)
    if as_json:
        show_json(_result(density, model, rows.num_rows))
    elif not quiet:
        print(_summary(density, model))
        show_table(["column", "type", "kind", "number"], columns_told(density.encoder_))


def _roles(
    present: list[str], columns: list[str], context: list[str], weights: str | None
) -> tuple[list[str], list[str]]:
    """The columns to model and the context columns, each name known and in one role."""
    columns, context = names(columns, present), names(context, present)
    roles = {"--columns": columns, "--context": context, "--weights": [] if weights is None else [weights]}
    for option, members in roles.items():
        unknown = [name for name in members if name not in present]
        if unknown:
            raise ArgumentError(f"{option} names {unknown[0]!r}, but the table has the columns {', '.join(present)}")
    taken = [*context, *roles["--weights"]]
    twice = sorted({name for name in [*columns, *taken] if [*columns, *taken].count(name) > 1})
    if twice:
        raise ArgumentError(f"column {twice[0]!r} is given two roles; give it one of --columns, --context, --weights")
    modelled = columns or [name for name in present if name not in taken]
    if not modelled:
        raise ArgumentError("no column is left to model: every one is context or weights")
    return modelled, context


def _kinds(schema: str, present: list[str], wanted: list[str]) -> dict[str, Any]:
    """The kinds of the columns to model and of the context; a schema may tell of others as well."""
    return {name: kind for name, kind in read_kinds(schema, present).items() if name in wanted}


def _weight(rows: Any, name: str | None) -> Any:
    """The weights column, refused like any other column if it is not numbers."""
    from densiflow.table import files, frames

    return None if name is None else frames.read(files.select(rows, [name]), "the weights")[1][:, 0]


def _note_what_is_left(density: Any, checkpoint: str) -> None:
    """Say after Ctrl-C how to go on."""
    if os.path.exists(checkpoint) and "interrupted" in {history.stopped for history in density.histories_}:
        note = f"interrupted; the same command with --resume goes on from {checkpoint}"
        warnings.warn(note, DensiflowWarning, stacklevel=2)


def _check_trained(history: Any) -> None:
    """Raise for a fit that Ctrl-C ended before it had any weights but those it started from."""
    if history.best_epoch is None:
        reached = "the held-out log-likelihood was finite" if history.train else "the first step"
        raise typer.Abort(f"interrupted before {reached}; nothing was saved")


def _result(density: Any, model: str, rows: int) -> dict[str, Any]:
    """All that is told, for machines; of an ensemble's flows the first one's training, and that of each."""
    context, flows = density.context_encoder_, [training_held(history) for history in density.histories_]
    return {
        "model": model,
        "rows": rows,
        "columns": columns_held(density.encoder_),
        "context": {} if context is None else columns_held(context),
        "choices": asdict(density.choices_),
        **flows[0],
        **({"flows": flows} if len(flows) > 1 else {}),
    }


def _summary(density: Any, model: str) -> str:
    parts = [f"{model}: {density.n_features_in_} columns"]
    for m, history in enumerate(density.histories_):
        member = f"flow {m + 1}: " if len(density.histories_) > 1 else ""
        if history.validation:
            nats = history.validation[history.best_epoch]
            parts.append(
                f"{member}best epoch {history.best_epoch + 1} of {len(history.train)}, held out {nats:.4f} nats a row"
            )
        else:
            parts.append(f"{member}{len(history.train)} epochs, nothing held out")
    parts += dict.fromkeys(history.stopped for history in density.histories_)
    return "; ".join(parts) + f"\nchosen: {density.choices_}"
