"""The scale "skewed": another scale, bent by a monotone spline of few knots until it is close to a normal."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self, final

import numpy as np

from densiflow.errors import ArgumentError
from densiflow.table.columns.base import Floats, Scale
from densiflow.table.columns.real import Real
from densiflow.table.columns.within import Within
from densiflow.table.quantiles import normal_scores, weighted_quantiles

SHARES = (0.001, 0.01, 0.04, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.96, 0.99, 0.999)
FEWEST_BEYOND = 5.0  # rows that lie beyond an outermost knot
LEAST_GAP = 1e-3  # between knots, in standard deviations


@final
@dataclass(frozen=True)
class Skewed(Scale):
    r"""A rational-quadratic spline through quantiles: knots u_k go to normal scores y_k, with slopes d_k.

    .. math:: y = y_k + \frac{(y_{k+1} - y_k)\,(s t^2 + d_k t (1 - t))}{s + (d_k + d_{k+1} - 2 s)\, t (1 - t)},
              \qquad t = \frac{u - u_k}{u_{k+1} - u_k}, \quad s = \frac{y_{k+1} - y_k}{u_{k+1} - u_k}

    u is the number on the ``inner`` scale. Beyond the outermost knots the map is a line of the slope there. It is
    smooth, and both ways and the derivative are closed forms.

    Shapes: ``values, y, log_volume`` (n,).

    Source: Gregory and Delbourgo 1982, "Piecewise rational quadratic interpolation to monotonic data"; Durkan et al.
    2019, "Neural spline flows", section 3.1.

    >>> scale = Skewed(Real(0.0, 1.0), (-1.0, 0.0, 3.0), (-1.0, 0.0, 1.0), (1.0, 0.5, 0.25))
    >>> y, _ = scale.encode(np.array([-0.5, 3.0]))
    >>> scale.decode(y).round(12)
    array([-0.5,  3. ])
    """

    inner: Scale
    knots: tuple[float, ...]
    scores: tuple[float, ...]
    slopes: tuple[float, ...]
    kind: ClassVar[str] = "skewed"

    def __post_init__(self) -> None:
        rises = all((np.diff(part) > 0).all() for part in (self.knots, self.scores))
        lengths = {len(self.knots), len(self.scores), len(self.slopes)}
        if len(lengths) > 1 or len(self.knots) < 2 or not rises or min(self.slopes) <= 0:
            raise ArgumentError("a skewed column needs two or more rising knots and scores, and positive slopes")

    @classmethod
    def fit(cls, values: Floats, weight: Floats, inner: Scale | None = None, size: float | None = None) -> Self:
        inner = Real.fit(values, weight) if inner is None else inner
        u = inner.encode(values)[0]
        size = max(float(len(values)), float(weight.sum())) if size is None else size
        shares = np.array([p for p in SHARES if min(p, 1 - p) * size >= FEWEST_BEYOND] or [0.25, 0.75])
        knots = weighted_quantiles(u, weight, shares)
        kept = [0]
        for k in range(1, len(knots)):
            if knots[k] - knots[kept[-1]] > LEAST_GAP:
                kept.append(k)
        if len(kept) < 2:
            return cls(inner, (-1.0, 1.0), (-1.0, 1.0), (1.0, 1.0))
        knots, scores = knots[kept], normal_scores(shares[kept])
        return cls(inner, tuple(knots.tolist()), tuple(scores.tolist()), tuple(_slopes(knots, scores).tolist()))

    def encode(self, values: Floats) -> tuple[Floats, Floats]:
        u, log_volume = self.inner.encode(values)
        knots, scores, slopes = self._arrays
        k = np.clip(np.searchsorted(knots, u, "right") - 1, 0, len(knots) - 2)
        width, height = knots[k + 1] - knots[k], scores[k + 1] - scores[k]
        s, d0, d1 = height / width, slopes[k], slopes[k + 1]
        t = np.clip((u - knots[k]) / width, 0.0, 1.0)
        below = s + (d0 + d1 - 2 * s) * t * (1 - t)
        y = scores[k] + height * (s * t**2 + d0 * t * (1 - t)) / below
        slope = s**2 * (d1 * t**2 + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2) / below**2
        beyond_left, beyond_right = np.minimum(u - knots[0], 0.0), np.maximum(u - knots[-1], 0.0)
        y = y + slopes[0] * beyond_left + slopes[-1] * beyond_right
        return y, log_volume + np.log(slope)

    def decode(self, y: Floats) -> Floats:
        knots, scores, slopes = self._arrays
        k = np.clip(np.searchsorted(scores, y, "right") - 1, 0, len(knots) - 2)
        width, height = knots[k + 1] - knots[k], scores[k + 1] - scores[k]
        s, d0, d1 = height / width, slopes[k], slopes[k + 1]
        rise = np.clip(y - scores[k], 0.0, height)
        bend = rise * (d0 + d1 - 2 * s)
        a, b, c = height * (s - d0) + bend, height * d0 - bend, -s * rise
        t = 2 * c / (-b - np.sqrt(np.maximum(b**2 - 4 * a * c, 0.0)))
        u = knots[k] + np.clip(t, 0.0, 1.0) * width
        u = u + np.minimum(y - scores[0], 0.0) / slopes[0] + np.maximum(y - scores[-1], 0.0) / slopes[-1]
        return self.inner.decode(u)

    def support(self) -> tuple[float, float]:
        return self.inner.support()

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        return np.asarray(self.knots), np.asarray(self.scores), np.asarray(self.slopes)

    def to_state(self) -> dict[str, Any]:
        inner = {"scale": self.inner.kind, "constants": self.inner.to_state()}
        return {
            "inner": inner,
            "knots": list(self.knots),
            "scores": list(self.scores),
            "slopes": list(self.slopes),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        kind: type[Real] | type[Within] = Within if state["inner"]["scale"] == Within.kind else Real
        inner = kind.from_state(state["inner"]["constants"])
        return cls(inner, *(tuple(float(number) for number in state[key]) for key in ("knots", "scores", "slopes")))

    @classmethod
    def examples(cls) -> dict[str, Self]:
        values = np.random.default_rng(0).gamma(0.7, 3.0, 2000)
        ones = np.ones(2000)
        return {
            "gamma": cls.fit(values, ones),
            "gamma above zero": cls.fit(values, ones, Within.fit(values, ones)),
            "heavy tails": cls.fit(np.random.default_rng(1).standard_cauchy(2000), ones),
        }


def _slopes(knots: Floats, scores: Floats) -> Floats:
    """Slopes at knots: the harmonic mean of both sides' weighted by the other's width; at the ends the nearest's."""
    width, rise = np.diff(knots), np.diff(scores)
    s = rise / width
    inside = (width[1:] + width[:-1]) / (width[1:] / s[:-1] + width[:-1] / s[1:])
    return np.concatenate([s[:1], inside, s[-1:]])
