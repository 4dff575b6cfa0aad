"""The classifier two-sample test: can a classifier tell samples from data, and by which columns?"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import TableError
from densiflow.judge.columns import Cells, matrix_of, paired
from densiflow.judge.threads import one_thread

Floats = NDArray[Any]

FOLDS = 5
MOST_ROWS = 2000  # of each table
MOST_LABELS = 255  # of a column that scikit-learn takes as labels
REPEATS = 3  # shufflings of a column


@final
@dataclass(frozen=True)
class TwoSample:
    """How well a classifier told samples from data on rows it was not trained on.

    ``accuracy`` (0.5 is guessing) with its standard error, ``auc`` the area under the ROC curve, ``rows`` of each
    table. ``importance`` is by how much the accuracy falls when a column is shuffled, with ``names`` in its order,
    largest first.
    """

    accuracy: float
    error: float
    auc: float
    rows: int
    names: tuple[str, ...]
    importance: tuple[float, ...]

    def __str__(self) -> str:
        text = (
            f"a classifier tells samples from data with accuracy {self.accuracy:.3f} ± {self.error:.3f} "
            f"(0.5 is guessing; area under the ROC curve {self.auc:.3f}; {self.rows:,} rows of each)"
        )
        telling = self.telling()
        return text + (f"; what gives samples away: {', '.join(telling)}" if telling else "")

    def telling(self, most: int = 3) -> list[str]:
        """The columns that give samples away, at most `most`: those whose shuffling costs more than noise would."""
        if self.accuracy < 0.5 + 2 * self.error:
            return []
        pairs = zip(self.names, self.importance, strict=True)
        least = max(self.error, self.importance[0] / 10)
        return [name for name, drop in pairs if drop > least][:most]


def two_sample(data: Any, samples: Any, *, most_rows: int = MOST_ROWS, random_state: int | None = 0) -> TwoSample:
    r"""Train gradient-boosted trees to tell samples from data, by five-fold cross-validation.

    .. math:: \hat a = \frac1{2n} \sum_i 1\{\hat c_{-i}(x_i) = c_i\}, \qquad
              s = \max\left(\sqrt{\hat a (1 - \hat a) / 2n},\; \mathrm{sd}(a_k) / \sqrt 5\right)

    The classifier is scikit-learn's `HistGradientBoostingClassifier` with its defaults; labels are categories to it
    and missing cells are allowed. As many rows of each, at most ``most_rows``, drawn by ``random_state``.

    Raises `ShapeError` if the tables do not have the same columns, `TableError` for fewer than 10 rows.

    Source: Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests".

    >>> rng = np.random.default_rng(0)
    >>> found = two_sample(rng.normal(size=(300, 2)), rng.normal([0.0, 3.0], size=(300, 2)))
    >>> found.accuracy > 0.8, found.names[0]
    (True, 'column 1')
    """
    pairs = paired(data, samples)
    rng = np.random.default_rng(random_state)
    count = min(len(pairs[0][0].values), len(pairs[0][1].values), most_rows)
    if count < 2 * FOLDS:
        raise TableError(f"a two-sample test needs at least {2 * FOLDS} rows of data and of samples, got {count}")
    sides = [matrix_of([pair[side] for pair in pairs]) for side in (0, 1)]
    x = np.concatenate([side[np.sort(rng.choice(len(side), count, replace=False))] for side in sides])
    is_sample = np.repeat([0, 1], count)
    classes = [_is_category(cells) for cells, _ in pairs]
    with one_thread():
        guess, falls, spread = _cross_validated(x, is_sample, classes, rng)
    accuracy = float(np.mean((guess > 0.5) == is_sample))
    error = max(float(np.sqrt(accuracy * (1 - accuracy) / (2 * count))), spread)
    order = np.argsort(-falls, kind="stable")
    names = tuple(pairs[j][0].name for j in order)
    return TwoSample(accuracy, error, _auc(guess, is_sample), count, names, tuple(falls[order].tolist()))


def _cross_validated(
    x: Floats, is_sample: Floats, classes: list[bool], rng: np.random.Generator
) -> tuple[Floats, Floats, float]:
    """Guesses on rows not trained on, by how much shuffling each column hurts, the standard error over folds."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold

    seed = int(rng.integers(2**31))
    guess, falls, accuracies = np.empty(len(x)), np.zeros(x.shape[1]), []
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, is_sample):
        trees = HistGradientBoostingClassifier(categorical_features=classes, random_state=seed)
        trees.fit(x[train], is_sample[train])
        guess[test] = trees.predict_proba(x[test])[:, 1]
        right = float(np.mean((guess[test] > 0.5) == is_sample[test]))
        accuracies.append(right)
        falls += [_fall(trees, x[test], is_sample[test], right, j, rng) / FOLDS for j in range(x.shape[1])]
    return guess, falls, float(np.std(accuracies, ddof=1) / np.sqrt(FOLDS))


def _is_category(cells: Cells) -> bool:
    return cells.is_label and len(cells.labels) <= MOST_LABELS


def _fall(trees: Any, x: Floats, is_sample: Floats, right: float, column: int, rng: np.random.Generator) -> float:
    """By how much the accuracy falls when a column is shuffled."""
    shuffled = np.tile(x, (REPEATS, 1))
    for part in np.split(shuffled, REPEATS):
        part[:, column] = rng.permutation(part[:, column])
    return right - float(np.mean(trees.predict(shuffled) == np.tile(is_sample, REPEATS)))


def _auc(guess: Floats, is_sample: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_sample, guess))
