"""How far numbers are from a normal's, judged from a few quantiles."""

import numpy as np

from densiflow.table.columns.base import Floats, Scale
from densiflow.table.quantiles import weighted_quantiles

LOPSIDED = 1.8  # one tail is so much longer than the other
HEAVY = 1.7  # both tails together, in inner quartile ranges, are so much longer than a normal's
NORMAL = 4.6527 / 1.3490  # 1 % to 99 %, and 25 % to 75 %
FEWEST = 500.0


def is_far_from_normal(scale: Scale, values: Floats, weight: Floats) -> bool:
    """Whether a tail is much longer than the other, or than a normal's, on a scale; few rows tell nothing.

    >>> rng = np.random.default_rng(0)
    >>> from densiflow.table.columns import Real
    >>> normal, gamma, ones = rng.normal(size=2000), rng.gamma(0.5, size=2000), np.ones(2000)
    >>> [is_far_from_normal(Real.fit(x, ones), x, ones) for x in (normal, gamma)]
    [False, True]
    """
    if max(float(len(values)), float(weight.sum())) < FEWEST:
        return False
    y = scale.encode(values)[0]
    far_left, left, middle, right, far_right = weighted_quantiles(y, weight, [0.01, 0.25, 0.5, 0.75, 0.99])
    lower, upper, inner = middle - far_left, far_right - middle, right - left
    if min(lower, upper, inner) <= 0:
        return True
    ratio = upper / lower
    return bool(max(ratio, 1 / ratio) > LOPSIDED or (lower + upper) / inner > HEAVY * NORMAL or np.abs(y).max() > 12)
