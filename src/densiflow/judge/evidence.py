"""Everything that is asked of a model and a held-out table, in one place."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import DensiflowError, TableError
from densiflow.judge.abilities import given, pit, pit_names
from densiflow.judge.base_space import BaseSpace, base_space, normal_scores
from densiflow.judge.calibration import Calibration, Coverage, calibration, coverage
from densiflow.judge.columns import Cells, height, matrix_of, paired, subset, take
from densiflow.judge.correlations import Correlations, correlations
from densiflow.judge.likelihood import Likelihood, likelihood
from densiflow.judge.marginals import Marginal, marginals
from densiflow.judge.nearest_rows import NearestRows, nearest_rows
from densiflow.judge.seen import columns_seen, context_seen, kept_columns, kept_of, whole_rows
from densiflow.judge.surprising_rows import SurprisingRow, surprising_rows
from densiflow.judge.two_sample import TwoSample, two_sample

Floats = NDArray[Any]
T = TypeVar("T")

MOST_ROWS = 10_000  # of the table
MOST_TRANSFORMED = 3000  # rows for calibration and base space
MOST_SAMPLES = 5000
MOST_SURPRISING = 10


@final
@dataclass(frozen=True)
class Absent:
    """Why a check was not made."""

    reason: str


@final
@dataclass(frozen=True)
class Evidence:
    """What the checks found; `Absent` where one could not be made.

    ``given`` are the rows of the table, ``rows`` those looked at, ``data`` and ``samples`` their columns with equal
    codes for labels. ``kinds`` and ``described`` say how the model takes each column, in words. ``history`` is that
    of the first of ``members`` flows.
    """

    given: int
    rows: int
    data: tuple[Cells, ...]
    samples: tuple[Cells, ...]
    conditional: bool
    kinds: tuple[str, ...]
    described: tuple[str, ...]
    history: Any
    members: int
    likelihood: Likelihood
    sample_nats: Floats
    marginals: list[Marginal]
    calibration: Calibration | Absent
    coverage: Coverage | Absent
    base: BaseSpace | Absent
    two_sample: TwoSample | Absent
    correlations: Correlations | Absent
    nearest: NearestRows | Absent
    surprising: list[SurprisingRow]
    random_state: int

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [cells.name for cells in self.data]


def examine(
    model: Any,
    table: Any,
    train: Any = None,
    *,
    context: Any = None,
    train_context: Any = None,
    random_state: int = 0,
    tell: Callable[[str], None] | None = None,
) -> Evidence:
    """Ask everything of a fitted model and rows that it was not fitted on.

    Long tables are thinned: at most 10,000 rows are scored, 3,000 transformed, 2,000 compared by a classifier and by
    distances. Rows that lack a cell which the model knows only present are scored, and not transformed. ``train``, the
    rows fitted on, is optional: simpler densities then learn from them, and samples are searched for copies of them;
    with a context, ``train_context`` belongs to them. With a context there is one sample for each row, and context
    columns count as columns of both tables in the two-sample test. ``tell`` is called with what is done next.

    Raises `TableError` or `ContextError` where the table does not fit the model, `TableError` for fewer than 2 rows.
    """
    tell = tell or (lambda step: None)
    rng = np.random.default_rng(random_state)
    all_rows = height(table)
    if all_rows < 2:
        raise TableError(f"a report needs at least 2 held-out rows, got {all_rows}")
    places = subset(np.arange(all_rows)[:, None], MOST_ROWS, rng)[:, 0]
    table, context = _thinned(table, context, places)
    tell("likelihood")
    found = likelihood(model, table, train, context=context, train_context=train_context, random_state=random_state)
    tell("samples")
    drawn = _drawn(model, height(table), context, random_state)
    # samples lack the identifiers that the model was given, so it may not take them as a table of its own
    nats = attempt(lambda: np.asarray(model.score_samples(drawn, **given(context)), np.float64))
    seen = paired(columns_seen(model, table), columns_seen(model, drawn))
    data, samples = (list(side) for side in zip(*seen, strict=True))
    tell("calibration")
    whole = np.flatnonzero(whole_rows(model, table))
    part = np.sort(rng.choice(whole, min(len(whole), MOST_TRANSFORMED), replace=False))
    rows, beside = _thinned(table, context, part)
    names = pit_names(model, [cells.name for cells in data])
    transforms = attempt(lambda: kept_of(model, pit(model, rows, context=beside, random_state=random_state)))
    tell("two-sample test")
    extra = context_seen(model, context)
    tested = attempt(lambda: two_sample(data + extra, samples + extra, random_state=random_state))
    tell("correlations and distances")
    kept = attempt(lambda: correlations(data + extra, samples + extra, random_state=random_state))
    known = None if train is None else columns_seen(model, train)
    nearest = attempt(lambda: nearest_rows(data, samples, known, random_state=random_state))
    tell("surprising rows")
    surprising = surprising_rows(model, table, context=context, most=min(MOST_SURPRISING, height(table)))
    histories = getattr(model, "histories_", None) or [getattr(model, "history_", None)]
    kinds, described = _kinds(model, len(data))
    return Evidence(
        given=all_rows,
        rows=height(table),
        data=tuple(data),
        samples=tuple(samples),
        conditional=context is not None,
        kinds=kinds,
        described=described,
        history=histories[0],
        members=len(histories),
        likelihood=found,
        sample_nats=np.empty(0) if isinstance(nats, Absent) else nats[np.isfinite(nats)],
        marginals=marginals(data, samples),
        calibration=_of(transforms, lambda pits: calibration(pits, names)),
        coverage=_of(transforms, lambda pits: coverage(pits, names)),
        base=_of(transforms, lambda pits: base_space(normal_scores(pits), names)),
        two_sample=tested,
        correlations=kept if len(data + extra) > 1 else Absent("one column has no correlations"),
        nearest=nearest,
        surprising=[replace(row, place=int(places[row.place])) for row in surprising],
        random_state=random_state,
    )


def attempt(work: Callable[[], T]) -> T | Absent:
    """The result, or the reason why there is none."""
    try:
        return work()
    except DensiflowError as error:
        return Absent(str(error))


def _of(value: T | Absent, work: Callable[[T], Any]) -> Any:
    return value if isinstance(value, Absent) else attempt(lambda: work(value))


def _thinned(table: Any, context: Any, places: Floats) -> tuple[Any, Any]:
    if len(places) == height(table):
        return table, context
    return take(table, places), None if context is None else take(context, places)


def _drawn(model: Any, rows: int, context: Any, random_state: int) -> Any:
    """As many samples as rows, at most 5,000; one for each row of a context."""
    if context is not None:
        return model.sample(1, context=context, random_state=random_state)
    return model.sample(min(rows, MOST_SAMPLES), random_state=random_state)


def _kinds(model: Any, width: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """How the model takes each column: its kind, and what the encoder says of it."""
    encoder = getattr(model, "encoder_", None)
    if encoder is None or not encoder.columns:
        return ("",) * width, ("",) * width
    kept = kept_columns(model)
    described = getattr(encoder, "described", ("",) * encoder.schema.width)
    return tuple(str(encoder.columns[i].kind) for i in kept), tuple(described[i] for i in kept)


def numbers_of(evidence: Evidence, most: int) -> tuple[list[str], Floats, Floats]:
    """The columns of numbers whose samples differ most: names, data and samples, rows with missing cells left out."""
    order = np.argsort([-m.distance / m.chance for m in evidence.marginals], kind="stable")
    wanted = [j for j in order if _is_spread(evidence.data[j]) and _is_spread(evidence.samples[j])][:most]
    chosen = sorted(wanted)
    if not chosen:
        return [], np.empty((0, 0)), np.empty((0, 0))
    sides = [matrix_of([side[j] for j in chosen]) for side in (evidence.data, evidence.samples)]
    data, samples = (side[~np.isnan(side).any(axis=1)] for side in sides)
    return [evidence.names[j] for j in chosen], data, samples


def _is_spread(cells: Cells) -> bool:
    return not cells.is_label and len(np.unique(cells.present)) > 1
