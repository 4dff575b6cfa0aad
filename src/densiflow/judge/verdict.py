"""A verdict in plain words, from what each check found."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from densiflow.judge.evidence import Absent, Evidence
from densiflow.judge.marginals import farthest, summary

Says = Literal["good", "care", "bad"]

ADVICE = {
    "good": "No check speaks against it.",
    "care": "It can be used, with these weaknesses in mind:",
    "bad": "It is wrong in ways that matter:",
}
WORDS = {"good": "Believe it", "care": "Believe it with care", "bad": "Do not believe it"}
FEW_ROWS = 200
BEHIND = 0.1  # nats a row behind the best simpler density: more is bad
OVERFIT = 0.2  # nats a row below the rows held out while fitting
SEEN = 0.1  # nats a row above them
DISTANCES = (0.05, 0.12)  # of distribution functions: beyond the first with care, beyond the second bad
ACCURACIES = (0.6, 0.75)  # of the classifier
INTERVALS = (0.03, 0.08)  # by how much the coverage of an interval may be off
CORRELATIONS = (0.1, 0.25)
COPIES = (0.02, 0.1)  # shares of samples
IMPOSSIBLE = 0.01


@final
@dataclass(frozen=True)
class Finding:
    """What one check says of the model, and why."""

    check: str
    says: Says
    reason: str


@final
@dataclass(frozen=True)
class Verdict:
    """What all checks say together: the worst of them."""

    says: Says
    findings: tuple[Finding, ...]

    @property
    def words(self) -> str:
        """The verdict in plain words."""
        return WORDS[self.says]

    @property
    def reasons(self) -> list[str]:
        """Why it is not better, worst first; of a good one, what speaks for it."""
        if self.says == "good":
            return [finding.reason for finding in self.findings]
        return [finding.reason for says in ("bad", "care") for finding in self.findings if finding.says == says]

    def __str__(self) -> str:
        return f"{self.words}.\n" + "\n".join(f"- {f.check} ({f.says}): {f.reason}" for f in self.findings)


def verdict(evidence: Evidence) -> Verdict:
    """Say how far a model is to be believed: as far as the check that it does worst in.

    A check of a large table finds differences too small to matter, one of a small table misses large ones. So a check
    speaks against a model only for what chance does not explain *and* what is large enough to matter; the limits
    stand at the top of this file and at the foot of the report.
    """
    found = tuple(_findings(evidence))
    order: tuple[Says, ...] = ("good", "care", "bad")
    return Verdict(max((finding.says for finding in found), key=order.index), found)


def _findings(evidence: Evidence) -> Iterator[Finding]:
    yield _rows(evidence)
    yield from _training(evidence)
    yield _likelihood(evidence)
    yield _marginals(evidence)
    checks = (
        ("Calibration", _calibration),
        ("Coverage of intervals", _coverage),
        ("Base space", _base),
        ("Two-sample test", _two_sample),
        ("Correlations", _correlations),
        ("Copies", _copies),
    )
    for name, check in checks:
        result = check(evidence)
        if result is not None:
            yield Finding(name, *result)


def _level(size: float, limits: tuple[float, float]) -> Says:
    return "good" if size <= limits[0] else "care" if size <= limits[1] else "bad"


def _rows(evidence: Evidence) -> Finding:
    count = evidence.rows
    if count < FEW_ROWS:
        return Finding("Rows", "care", f"{count} held-out rows are too few to find anything but large errors.")
    return Finding("Rows", "good", f"{count:,} held-out rows were looked at.")


def _training(evidence: Evidence) -> Iterator[Finding]:
    history = evidence.history
    if history is None or not history.train or history.best_epoch is None:
        return
    if history.validation and history.best_epoch == len(history.train) - 1 and "max_epochs" in history.stopped:
        reason = "Training ended at its limit of epochs while the held-out likelihood was still rising; fit longer."
        yield Finding("Training", "care", reason)
    if not history.validation or evidence.members > 1:
        return
    while_fitting = history.validation[history.best_epoch]
    found = evidence.likelihood
    behind = while_fitting - found.mean
    if behind > max(OVERFIT, 5 * found.error):
        reason = (
            f"These rows score {behind:.2f} nats below those held out while fitting ({while_fitting:.2f}): they are "
            f"not like the rows it was fitted on."
        )
        yield Finding("Like the training rows", "care", reason)
    if -behind > max(SEEN, 5 * found.error):
        reason = (
            f"These rows score {-behind:.2f} nats above those held out while fitting ({while_fitting:.2f}), as rows do "
            f"that a model was fitted on: judge it by rows that it has not seen."
        )
        yield Finding("Not the training rows", "care", reason)


def _likelihood(evidence: Evidence) -> Finding:
    found = evidence.likelihood
    share = found.impossible / (found.impossible + found.rows)
    if share > 0:
        reason = f"{found.impossible} of {found.impossible + found.rows} rows have density zero under the model."
        return Finding("Held-out likelihood", "bad" if share > IMPOSSIBLE else "care", reason)
    best = found.best
    if best is None:
        return Finding("Held-out likelihood", "good", f"{found.mean:.3f} ± {found.error:.3f} nats a row.")
    gap = f"{abs(best.ahead):.3f} ± {best.ahead_error:.3f} nats a row"
    if best.ahead > 2 * best.ahead_error:
        return Finding("Held-out likelihood", "good", f"It beats the best simpler density ({best.name}) by {gap}.")
    if best.ahead > -2 * best.ahead_error:
        return Finding("Held-out likelihood", "good", f"It does as well as the best simpler density ({best.name}).")
    says: Says = "bad" if best.ahead < -BEHIND else "care"
    return Finding("Held-out likelihood", says, f"A simpler density ({best.name}) beats it by {gap}.")


def _marginals(evidence: Evidence) -> Finding:
    found = evidence.marginals
    beyond = [marginal for marginal in found if marginal.distance > marginal.chance]
    largest = max(beyond or found, key=lambda marginal: marginal.distance)
    says = _level(largest.distance, DISTANCES) if beyond else "good"
    if farthest(found) is not largest and says != "good":
        return Finding("Columns by themselves", says, f"{largest}")
    return Finding("Columns by themselves", says, summary(found) + _small(says, bool(beyond)))


def _calibration(evidence: Evidence) -> tuple[Says, str] | None:
    found = evidence.calibration
    if isinstance(found, Absent):
        return None
    columns = len(found.names)
    real = found.p_value * columns < 0.05
    if not real.any():
        return (
            "good",
            f"The conditional of each of {columns} columns is calibrated as far as {found.rows} rows can tell.",
        )
    column = int(np.argmax(np.where(real, found.distance, 0.0)))
    says = _level(float(found.distance[column]), DISTANCES)
    return says, found.described(column) + _small(says, True)


def _coverage(evidence: Evidence) -> tuple[Says, str] | None:
    found = evidence.coverage
    if isinstance(found, Absent):
        return None
    off = found.pooled - np.asarray(found.nominal)
    real = np.abs(off) > 2 * found.error
    level = int(np.argmax(np.where(real, np.abs(off), 0.0))) if real.any() else found.nominal.index(0.9)
    says = _level(float(abs(off[level])), INTERVALS) if real.any() else "good"
    way = "" if says == "good" else ": it is too narrow" if off[level] < 0 else ": it is too wide"
    return says, f"Its {found.nominal[level]:.0%} intervals hold {found.pooled[level]:.1%} of the cells{way}."


def _base(evidence: Evidence) -> tuple[Says, str] | None:
    found = evidence.base
    if isinstance(found, Absent) or found.correlated is None or found.squares_correlated is None:
        return None
    pairs = [(found.correlation, found.correlated, ""), (found.of_squares, found.squares_correlated, " the squares of")]
    size, columns, of = max(pairs, key=lambda pair: abs(pair[0]))
    if abs(size) <= found.correlation_chance:
        return "good", "No two columns depend on each other in base space, as far as correlations tell."
    return _level(abs(size), CORRELATIONS), (
        f"In base space{of} {columns[0]} and {columns[1]} have correlation {size:.2f}; a right model leaves none "
        f"(by chance up to {found.correlation_chance:.2f})."
    )


def _two_sample(evidence: Evidence) -> tuple[Says, str] | None:
    found = evidence.two_sample
    if isinstance(found, Absent):
        return None
    says = _level(found.accuracy, ACCURACIES) if found.accuracy > 0.5 + 2 * found.error else "good"
    telling = found.telling()
    by = f", by {_and(telling)}" if telling else ""
    return says, (
        f"A classifier tells samples from data with accuracy {found.accuracy:.3f} ± {found.error:.3f} "
        f"(0.5 is guessing){by}." + _small(says, found.accuracy > 0.5 + 2 * found.error)
    )


def _correlations(evidence: Evidence) -> tuple[Says, str] | None:
    found = evidence.correlations
    if isinstance(found, Absent):
        return None
    says = _level(found.largest, CORRELATIONS) if found.largest > found.chance else "good"
    a, b, data, samples = found.pairs(1)[0]
    beyond = "more than chance explains" if found.largest > found.chance else "no more than chance explains"
    return says, (
        f"The dependence of {a} and {b} differs most: {data:.2f} in the data, {samples:.2f} in the samples, {beyond}."
        + _small(says, found.largest > found.chance)
    )


def _copies(evidence: Evidence) -> tuple[Says, str] | None:
    found = evidence.nearest
    if isinstance(found, Absent):
        return None
    more = max(found.copies - found.copies_of_data, found.close - 0.05, 0.0)
    return _level(more, COPIES), (
        f"Samples lie {found.ratio:.2f} times as far from the nearest of the {found.reference} as data do; "
        f"{found.copies:.1%} are exact copies (of data {found.copies_of_data:.1%})."
    )


def _small(says: Says, real: bool) -> str:
    """What is added to a difference that chance does not explain, but that no one need mind."""
    return " Too little to matter." if says == "good" and real else ""


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def limits() -> list[tuple[str, Any, Any]]:
    """What the verdict calls care and bad, for the foot of the report: check, care beyond, bad beyond."""
    return [
        ("Nats a row behind the best simpler density", "2 standard errors", BEHIND),
        ("Largest difference of distribution functions (columns by themselves, calibration)", *DISTANCES),
        ("Accuracy of the classifier", *ACCURACIES),
        ("Coverage of an interval off by", *INTERVALS),
        ("Difference of a correlation, or a correlation in base space", *CORRELATIONS),
        ("Share of copies, more than among data", *COPIES),
        ("Share of rows with density zero", 0, IMPOSSIBLE),
    ]
