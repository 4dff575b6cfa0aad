"""The sections of a report, each from the evidence to HTML; None where there is nothing to say."""

from collections.abc import Callable
from typing import Any

import numpy as np

from densiflow.judge import pictures
from densiflow.judge.columns import Cells, number
from densiflow.judge.evidence import MOST_SAMPLES, Absent, Evidence, numbers_of
from densiflow.judge.html import Html, joined, listed, picture, table, tag
from densiflow.judge.marginals import summary
from densiflow.judge.plots import corner, training_curve
from densiflow.judge.verdict import ADVICE, WORDS, limits, verdict

MOST_PANELS = 24  # columns drawn by themselves
MOST_IN_CORNER = 5
MOST_PAIRS = 8
SIGNS = {"good": "✓", "care": "!", "bad": "✕"}
SAID = {"good": "nothing against it", "care": "with care", "bad": "against it"}


def subject(evidence: Evidence) -> str:
    """What was judged, by what, in a sentence."""
    looked = f"{evidence.given:,} held-out rows"
    if evidence.rows < evidence.given:
        looked = f"{evidence.rows:,} of {looked}, drawn at random"
    given = ", given its context columns" if evidence.conditional else ""
    count = len(evidence.names)
    columns = f"{count} column{'s' if count > 1 else ''}"
    return f"The density of {columns}{given}, judged by {looked} beside {len(evidence.samples[0].values):,} samples."


def conclusion(evidence: Evidence) -> Html:
    """The verdict in plain words, with its reasons."""
    found = verdict(evidence)
    reasons = tag("ul", [tag("li", reason) for reason in found.reasons[:5]])
    return tag(
        "div",
        tag("p", tag("span", SIGNS[found.says], aria_hidden="true", class_="sign"), " ", found.words, class_="words"),
        tag("p", ADVICE[found.says]),
        reasons,
        class_=f"verdict {found.says}",
    )


def _checks(evidence: Evidence) -> Html:
    found = verdict(evidence)
    items = [
        (joined([f.check, " ", tag("span", SIGNS[f.says], " ", SAID[f.says], class_=f"says {f.says}")]), f.reason)
        for f in found.findings
    ]
    return listed(items, label="What each check says")


def _data(evidence: Evidence) -> Html:
    rows = []
    for cells, kind, described in zip(evidence.data, evidence.kinds, evidence.described, strict=True):
        taken = tag("span", described or kind or cells.meaning, class_="taken")
        rows.append((joined([cells.name, taken]), f"{cells.missing:.1%}", *_range(cells)))
    head = ["Column, as the model takes it", "Missing", "Smallest", "Median or commonest", "Largest"]
    return table("The held-out rows", head, rows, numbers=(1, 2, 3, 4))


def _range(cells: Cells) -> tuple[str, str, str]:
    """The smallest, the median and the largest cell; of labels the commonest alone."""
    there = cells.present
    if not len(there):
        return "", "", ""
    if cells.is_label:
        counts = np.bincount(there.astype(int), minlength=len(cells.labels))
        return "", cells.labels[int(np.argmax(counts))], ""
    low, middle, high = (cells.shown(float(value)) for value in (there.min(), np.median(there), there.max()))
    return low, middle, high


def _training(evidence: Evidence) -> Html | None:
    history = evidence.history
    if history is None or not history.train:
        return None
    last = f"training rows {history.train[-1]:.3f} nats a row in the last of {len(history.train)} epochs"
    kept = ""
    if history.best_epoch is not None:
        kept = f" The weights kept are those of epoch {history.best_epoch + 1}"
        if history.validation:
            kept += f", with {history.validation[history.best_epoch]:.3f} on the rows held out while fitting"
        kept += "."
    of = f" It is that of the first of {evidence.members} flows." if evidence.members > 1 else ""
    alt = f"Line chart of the mean log-likelihood by epoch: {last}.{kept}"
    caption = f"The mean log-likelihood by epoch. Training stopped: {history.stopped}.{of}"
    figure = training_curve(history)
    figure.set_size_inches(*pictures.MIDDLE)
    return joined([tag("p", f"{last[0].upper()}{last[1:]}.{kept}"), picture(figure, alt, caption)])


def _likelihood(evidence: Evidence) -> Html:
    found, sampled = evidence.likelihood, evidence.sample_nats
    rows: list[tuple[str, str, str]] = [("this model", f"{found.mean:.3f} ± {found.error:.3f}", "")]
    rows += [
        (b.name, f"{b.mean:.3f} ± {b.error:.3f}", f"{b.ahead:+.3f} ± {b.ahead_error:.3f}") for b in found.baselines
    ]
    words = (
        "Mean log density in nats a row, in the table's units, with its standard error; more is better. The "
        "differences are of the same rows, so their errors are smaller. Simpler densities see the columns as the model "
        f"does and were fitted to {found.fitted_on}."
    )
    if found.impossible:
        words += f" {found.impossible} rows have density zero under the model and are left out."
    beside = [table("Mean log density", ["Density", "Nats a row", "Model ahead by"], rows, numbers=(1, 2))]
    if len(sampled):
        own = (
            f"held-out rows have mean {found.nats.mean():.2f} and central 90% {_central(found.nats)}, the model's own "
            f"samples mean {sampled.mean():.2f} and central 90% {_central(sampled)} nats"
        )
        alt = f"Two histograms of log densities: {own}."
        caption = (
            "If the model is right, held-out rows are as likely under it as its own samples are; a longer tail to the "
            "left is of rows that the model did not expect."
        )
        beside.append(picture(pictures.densities_picture(found.nats, sampled), alt, caption))
    return joined([tag("p", words), tag("div", beside, class_="halves")])


def _marginals(evidence: Evidence) -> Html:
    found = evidence.marginals
    order = np.argsort([-m.distance / m.chance for m in found], kind="stable")[:MOST_PANELS]
    words = summary(found) + " Held-out rows are grey, samples blue."
    if len(found) > len(order):
        words += f" The {len(order)} columns that differ most are drawn."
    panels = [
        picture(pictures.marginal_picture(found[j]), f"Histograms of {found[j]}", f"distance {found[j].distance:.3f}")
        for j in sorted(order)
    ]
    rows = [
        (m.name, f"{m.distance:.3f}", f"{m.chance:.3f}", "yes" if m.distance > m.chance else "no")
        for m in sorted(found, key=lambda m: -m.distance / m.chance)
    ]
    head = ["Column", "Distance", "Chance", "Beyond it"]
    caption = "Distance of data and samples"
    return joined([tag("p", words), tag("div", panels, class_="panels"), table(caption, head, rows, numbers=(1, 2))])


def _pairs(evidence: Evidence) -> Html | None:
    names, data, samples = numbers_of(evidence, MOST_IN_CORNER)
    if len(names) < 2 or min(len(data), len(samples)) < 2:
        return None
    limit = slice(0, MOST_SAMPLES)
    shown = [pictures._short(name, 18) for name in names]
    figure = corner(data[limit], samples[limit], shown, labels=("held out", "samples"))
    from scipy.stats import spearmanr

    kept = []
    for i in range(len(names)):
        for j in range(i):
            pair = [float(spearmanr(side[:, j], side[:, i]).statistic) for side in (data, samples)]
            kept.append(f"{names[j]} and {names[i]} {pair[0]:.2f} and {pair[1]:.2f}")
    alt = (
        f"Corner plot of {', '.join(names)}: a histogram for each column, and for each pair the regions that hold 39% "
        f"and 86% of held-out rows (grey) and of samples (blue lines). Rank correlations in data and in samples: "
        f"{'; '.join(kept)}."
    )
    words = (
        "Columns of numbers, in pairs: regions that hold 39% and 86% of the rows. Rows with missing cells are left out."
    )
    if len(names) < sum(not cells.is_label for cells in evidence.data):
        words += f" Of all of them, the {len(names)} that differ most by themselves."
    return joined([tag("p", words), picture(figure, alt, "Held-out rows grey, samples blue", wide=True)])


def _calibration(evidence: Evidence) -> Html:
    found, cover = evidence.calibration, evidence.coverage
    if isinstance(found, Absent) or isinstance(cover, Absent):
        return _absent(found)
    words = (
        f"{_transformed(evidence)} is uniform if the model is right. The lines show the share of cells at or below "
        f"each probability, less that probability; all of a line stays in the grey band for 95 of 100 right columns. "
        f"{found.rows:,} rows. A hill on the left and a valley on the right say that the model is too narrow, the "
        "reverse that it is too wide."
    )
    order = np.lexsort((-found.distance, found.p_value))[:MOST_PANELS]
    panels = [
        picture(pictures.calibration_picture(found, j), f"Calibration line: {found.described(j)}", _line(found, j))
        for j in sorted(order.tolist())
    ]
    rows = [(name, *(f"{share:.1%}" for share in of)) for name, of in zip(cover.names, cover.share, strict=True)]
    pooled = [f"{share:.1%}" for share in cover.pooled]
    head = ["Column", *(f"{level:.0%}" for level in cover.nominal)]
    numbers = tuple(range(1, len(head)))
    drawn = picture(
        pictures.coverage_picture(cover),
        f"Line chart of coverage. {cover}.",
        f"Of all columns together; bars are 2 standard errors, at most {2 * cover.error.max():.1%}.",
    )
    return joined(
        [
            tag("p", words),
            tag("div", panels, class_="panels"),
            tag("h3", "Coverage of intervals"),
            tag("p", "The share of cells inside the model's central intervals; it should be the probability named."),
            tag("div", drawn, table("Share inside", head, [("all", *pooled), *rows], numbers=numbers), class_="halves"),
        ]
    )


def _base(evidence: Evidence) -> Html:
    found = evidence.base
    if isinstance(found, Absent):
        return _absent(found)
    words = (
        "Held-out rows taken to base space are independent standard normal numbers if the model is right. "
        f"{str(found)[0].upper()}{str(found)[1:]}."
    )
    rows = [
        (name, *(f"{value:.3f}" for value in values))
        for name, *values in zip(
            found.names, found.mean, found.deviation, found.skewness, found.excess, found.distance, strict=True
        )
    ]
    head = ["Column", "Mean", "Deviation", "Skewness", "Excess", "Distance"]
    worst = found.worst
    normal_alt = (
        f"Quantiles of {len(found.names)} base columns against the normal's; farthest is {found.names[worst]}, with "
        f"mean {found.mean[worst]:.3f}, standard deviation {found.deviation[worst]:.3f}, distance "
        f"{found.distance[worst]:.3f} (by chance up to {found.chance:.3f})."
    )
    middle, expected = np.median(found.radius), _chi_squared_median(len(found.names))
    radius_alt = (
        f"Squared radii against those of a chi-squared distribution: median {middle:.2f} beside {expected:.2f}; "
        f"distance {found.radius_distance:.3f} (by chance up to {found.chance:.3f})."
    )
    figures = [
        picture(pictures.normal_picture(found), normal_alt, "On the line: normal."),
        picture(pictures.radius_picture(found), radius_alt, "Above the line: rows too far out for the model."),
    ]
    return joined(
        [
            tag("p", words),
            tag("div", figures, class_="halves"),
            table("Base columns; of a right model 0, 1, 0, 0", head, rows, numbers=(1, 2, 3, 4, 5)),
        ]
    )


def _two_sample(evidence: Evidence) -> Html:
    found = evidence.two_sample
    if isinstance(found, Absent):
        return _absent(found)
    words = (
        "Gradient-boosted trees were trained to tell samples from held-out rows, and tested on rows they had not seen "
        "(5 folds). Guessing is right half of the time. They say: "
    )
    alt = "Bar chart of the accuracy lost by shuffling each column: " + ", ".join(
        f"{name} {drop:.3f}" for name, drop in zip(found.names, found.importance, strict=True)
    )
    caption = "A column whose shuffling costs accuracy is one that gives samples away."
    return joined(
        [
            tag("p", words, tag("strong", f"{found}.")),
            picture(pictures.importance_picture(found.names, found.importance), f"{alt}.", caption),
        ]
    )


def _correlations(evidence: Evidence) -> Html | None:
    found = evidence.correlations
    if isinstance(found, Absent):
        return None if len(evidence.names) < 2 else _absent(found)
    words = (
        "Rank correlations of numbers; where labels are among the two, the correlation ratio or Cramér's V. "
        f"{str(found)[0].upper()}{str(found)[1:]}."
    )
    pairs = found.pairs(MOST_PAIRS)
    rows = [
        (f"{a} and {b}", f"{data:.3f}", f"{samples:.3f}", f"{samples - data:+.3f}") for a, b, data, samples in pairs
    ]
    alt = "Heat map of the differences of all pairs of columns; the largest are " + "; ".join(
        f"{a} and {b} {samples - data:+.3f}" for a, b, data, samples in pairs[:4]
    )
    head = ["Columns", "Data", "Samples", "Difference"]
    caption = "Orange: more in the samples than in the data. Purple: less."
    drawn = picture(pictures.correlations_picture(found), f"{alt}.", caption)
    return joined(
        [
            tag("p", words),
            tag("div", drawn, table("The pairs that differ most", head, rows, numbers=(1, 2, 3)), class_="halves"),
        ]
    )


def _nearest(evidence: Evidence) -> Html:
    found = evidence.nearest
    if isinstance(found, Absent):
        return _absent(found)
    words = f"Did it memorise? {str(found)[0].upper()}{str(found)[1:]}."
    if found.reference == "held-out rows":
        words += " The training rows were not given; with them, copies of them would be found too."
    alt = (
        f"Two histograms of distances: samples have median {np.median(found.samples):.3f} and central 90% "
        f"{_central(found.samples)}, data median {np.median(found.data):.3f} and central 90% {_central(found.data)}."
    )
    caption = "Samples much nearer than data would be copies; much farther, rows of no kind that the data have."
    return joined([tag("p", words), picture(pictures.nearest_picture(found), alt, caption)])


def _surprising(evidence: Evidence) -> Html:
    items = []
    for row in evidence.surprising:
        if row.blamed:
            why = "; ".join(f"{name} = {row.cells[name]} ({below:.1f} nats)" for name, below in row.blamed)
        else:
            why = "; ".join(f"{name} = {cell}" for name, cell in row.cells.items())
        items.append((joined([f"Row {row.place:,} ", tag("span", f"{row.nats:.2f} nats", class_="says")]), why))
    blamed = any(row.blamed for row in evidence.surprising)
    what = "the columns that make it so, with the nats that each costs beside its median" if blamed else "its cells"
    words = (
        "The held-out rows that the model finds least likely, counted from 0, each with its log density (their mean is "
        f"{evidence.likelihood.mean:.2f}) and {what}."
    )
    return joined([tag("p", words), listed(items, label="The most surprising rows")])


def _made(evidence: Evidence) -> Html:
    words = (
        f"{evidence.rows:,} rows were scored, {_rows_of(evidence.calibration)} transformed, "
        f"{_rows_of(evidence.two_sample)} of data and of samples given to the classifier. Samples and all that is "
        f"drawn at random follow from seed {evidence.random_state}, so the same model and table give the same page."
    )
    levels = (
        f"The verdict is the worst of its checks. “{WORDS['care']}” and “{WORDS['bad']}” are said for what chance does "
        "not explain and what is beyond these limits:"
    )
    rows = [(check, number(care) if isinstance(care, float) else care, number(bad)) for check, care, bad in limits()]
    return joined([tag("p", words), tag("p", levels), table("Limits", ["What", "With care", "Against it"], rows)])


def _rows_of(found: Any) -> str:
    return "none" if isinstance(found, Absent) else f"{found.rows:,}"


def _transformed(evidence: Evidence) -> str:
    """What the transforms are of."""
    if isinstance(evidence.calibration, Absent) or list(evidence.calibration.names) == evidence.names:
        return "Each cell's probability under the model, given the columns before it in its row,"
    whose = " of one of the flows, drawn by its share in the row's density" if evidence.members > 1 else ""
    return f"Each row's place in base space (z0, z1, ...){whose}, as a probability under the base, column by column,"


def _absent(found: Any) -> Html:
    return tag("p", f"Not looked at: {getattr(found, 'reason', 'it needs the section before')}.", class_="absent")


def _line(found: Any, column: int) -> str:
    return "outside the band" if found.outside(column) else "inside the band"


def _central(values: Any) -> str:
    low, high = np.quantile(values, [0.05, 0.95])
    return f"{low:.2f} to {high:.2f}"


def _chi_squared_median(freedom: int) -> float:
    from scipy.stats import chi2

    return float(chi2(freedom).median())


SECTIONS: tuple[tuple[str, str, Callable[[Evidence], Html | None]], ...] = (
    ("checks", "What each check says", _checks),
    ("data", "The data", _data),
    ("training", "Training", _training),
    ("likelihood", "Held-out log-likelihood", _likelihood),
    ("columns", "Columns by themselves", _marginals),
    ("pairs", "Columns in pairs", _pairs),
    ("calibration", "Calibration", _calibration),
    ("base", "Base space", _base),
    ("two-sample", "Two-sample test", _two_sample),
    ("correlations", "Correlations kept", _correlations),
    ("nearest", "Nearest rows", _nearest),
    ("surprising", "Most surprising rows", _surprising),
    ("made", "How this was made", _made),
)
