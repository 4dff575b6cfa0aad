"""Awkward columns of every kind, for the laws to be tried on: fitted to cells as tables have them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from densiflow.table.columns import SCALES, Column
from densiflow.table.columns.base import Floats
from densiflow.table.kinds import fit_column
from densiflow.table.schema import Label, Schema

ROWS = 1500
DAY = 86_400_000_000.0
BIG = 2.0**52  # beyond twice that float64 can not count


def examples(kind: str) -> dict[str, Column]:
    """Columns of a kind, by name.

    >>> sorted(examples("constant"))
    ['nothing but missing cells', 'one number', 'one number or none']
    """
    return dict(_OF_KIND[kind](kind, np.random.default_rng(0)))


def of_scales() -> dict[str, Column]:
    """A column on every example of every scale."""
    return {
        f"{name}, {case}": Column(name, scale=scale)
        for name, cls in SCALES.items()
        for case, scale in cls.examples().items()
    }


def _fitted(
    kind: str, cells: ArrayLike, dtype: str = "float64", levels: tuple[Label, ...] | None = None, **options: Any
) -> Column:
    cells = np.asarray(cells, np.float64)
    schema = Schema(("a",), (dtype,), "arrow", levels=(levels,))
    return fit_column(schema, 0, cells, np.ones(len(cells)), {"kind": kind, **options}, True)


def _with_missing(cells: ArrayLike) -> Floats:
    return np.where(np.arange(np.size(cells)) % 7 == 3, np.nan, cells)


Cases = Iterator[tuple[str, Column]]


def _real(kind: str, rng: np.random.Generator) -> Cases:
    normal = rng.normal(size=ROWS)
    yield "normal", _fitted(kind, normal)
    yield "far from zero, with missing cells", _fitted(kind, _with_missing(1.7e9 + normal))
    yield "a tiny unit", _fitted(kind, 1e-300 * normal)
    yield "heavy tails", _fitted(kind, rng.standard_cauchy(ROWS))
    yield "two rows", _fitted(kind, normal[:2])
    yield "points said", _fitted(kind, np.where(normal < 0, 0.0, normal), atoms=[0.0, -3.0])
    yield "integers too large for float64", _fitted(kind, 2.0**60 + np.rint(1e6 * normal), "int64", low=2.0**59)
    yield "a step said", _fitted(kind, np.rint(normal * 4) / 4, step=0.25)
    yield "an end said", _fitted(kind, np.abs(normal), low=0)
    yield "two ends said", _fitted(kind, np.clip(normal, -0.9, 0.9), low=-1, high=1)


def _rounded(kind: str, rng: np.random.Generator) -> Cases:
    normal = rng.normal(size=ROWS)
    yield "hundredths", _fitted(kind, np.round(normal, 2))
    yield "hundredths, skewed", _fitted(kind, np.round(rng.gamma(1.0, 2.0, ROWS), 2))
    yield "a fine grid", _fitted(kind, np.round(1000 * normal, 2))
    yield "hundreds, with missing cells", _fitted(kind, _with_missing(100 * np.rint(50 + 20 * normal)))
    yield "a step said, numbers beside it", _fitted(kind, np.where(normal < 0, 0.0, 3 * normal), step=1, atoms=[0.0])
    yield "hundreds, a few beside", _fitted(kind, np.concatenate([100 * np.rint(500 + 200 * normal), [12_345.0]]))
    yield "capped both ways", _fitted(kind, np.clip(np.round(normal, 2), -1.0, 1.5))
    yield "tenths of float32", _fitted(kind, np.round(10 * normal, 1).astype(np.float32), "float")
    yield "levels with a gap", _fitted(kind, rng.choice([1.0, 2.0, 5.0], ROWS))
    yield "integers below zero", _fitted(kind, np.rint(30 * normal), "int64")


def _positive(kind: str, rng: np.random.Generator) -> Cases:
    lognormal = np.exp(rng.normal(size=ROWS))
    yield "any digits", _fitted(kind, lognormal)
    yield "often zero, with missing cells", _fitted(kind, _with_missing(np.where(rng.random(ROWS) < 0.4, 0, lognormal)))
    yield "hundredths", _fitted(kind, np.round(10 * lognormal, 2))
    yield "hundreds", _fitted(kind, 100 * np.rint(3000 * lognormal))
    yield "zeros, no points said", _fitted(kind, np.where(rng.random(ROWS) < 0.1, 0, lognormal), atoms=[])
    yield "capped", _fitted(kind, np.minimum(lognormal, 3.0))
    yield "an end said", _fitted(kind, np.minimum(lognormal, 29.0), high=30.0)
    yield "above a thousand", _fitted(kind, 1000 + lognormal, low=1000)


def _bounded(kind: str, rng: np.random.Generator) -> Cases:
    share = rng.beta(0.7, 2.0, ROWS)
    yield "a share", _fitted(kind, share, low=0, high=1)
    yield "points at both ends", _fitted(kind, np.clip(1.4 * share - 0.1, 0, 1), low=0, high=1)
    yield "percents", _fitted(kind, np.rint(100 * share), low=0, high=100)
    yield "ends found, with missing cells", _fitted(kind, _with_missing(2 * share - 1))
    yield "far from zero", _fitted(kind, 1e6 + 3 * share, low=1e6, high=1e6 + 3)


def _skewed(kind: str, rng: np.random.Generator) -> Cases:
    gamma = rng.gamma(0.7, 3.0, ROWS)
    yield "a long tail", _fitted(kind, gamma)
    yield "a long tail below", _fitted(kind, _with_missing(-gamma))
    yield "heavy tails", _fitted(kind, rng.standard_cauchy(ROWS))
    yield "capped", _fitted(kind, np.minimum(gamma, 5.0))
    yield "often zero", _fitted(kind, np.where(rng.random(ROWS) < 0.3, 0.0, gamma))


def _count(kind: str, rng: np.random.Generator) -> Cases:
    poisson = rng.poisson(30.0, ROWS).astype(np.float64)
    yield "some", _fitted(kind, poisson, "int64")
    yield "often none, with missing cells", _fitted(kind, _with_missing(np.where(rng.random(ROWS) < 0.5, 0, poisson)))
    yield "few, of which some were not seen", _fitted(kind, rng.choice([0.0, 1.0, 3.0, 4.0], ROWS), "int64")
    yield "millions", _fitted(kind, np.rint(1e6 * rng.gamma(2.0, 1.0, ROWS)), "int64")
    yield "up to billions, few as often as many", _fitted(kind, np.rint(np.exp(4 + 4 * rng.normal(size=ROWS))), "int64")
    both = np.where(rng.random(ROWS) < 0.5, poisson, np.rint(2.0**33 * rng.random(ROWS)))
    yield "some, or billions", _fitted(kind, both, "int64", atoms=[7.0])
    yield "as large as float64 can count", _fitted(kind, BIG - 1 - rng.integers(0, 5000, ROWS), "int64", atoms=[])
    yield "an end said", _fitted(kind, np.minimum(poisson, 50.0), "int64", low=0, high=50)
    yield "ends said beyond the levels", _fitted(kind, rng.choice([1.0, 2.0, 3.0], ROWS), "int64", high=6)
    yield "too large to count", _fitted(kind, 2.0**60 + 1024.0 * poisson, "int64")
    yield "below zero too", _fitted(kind, poisson - 30, "int64")


def _periodic(kind: str, rng: np.random.Generator) -> Cases:
    yield "hours", _fitted(kind, rng.binomial(23, 0.8, ROWS).astype(np.float64), "int64", period=24)
    yield "one hour", _fitted(kind, np.full(ROWS, 3.0), "int64", period=24)
    yield "months", _fitted(kind, rng.integers(1, 13, ROWS).astype(np.float64), "int64", period=12, low=1)
    yield "angles", _fitted(kind, _with_missing(np.angle(np.exp(1j * rng.normal(3.0, 1.0, ROWS)))), period=2 * np.pi)
    yield "minutes of the day", _fitted(kind, 60e6 * rng.integers(0, 1440, ROWS), "time64[us]", period=DAY, low=0)
    yield "any time of the day", _fitted(kind, np.rint(DAY * rng.beta(2, 2, ROWS)), "time64[us]", period=DAY, low=0)


def _date(kind: str, rng: np.random.Generator) -> Cases:
    days = 18_000 + rng.integers(0, 900, ROWS)
    yield "days", _fitted(kind, DAY * days, "date32[day]")
    yield "days before 1970, with missing cells", _fitted(kind, _with_missing(-DAY * days), "date32[day]")
    yield "Mondays", _fitted(kind, DAY * (4 + 7 * rng.integers(2000, 2200, ROWS)), "date32[day]")
    yield "seconds", _fitted(kind, 1e6 * np.rint(1.6e9 + 1e7 * rng.random(ROWS)), "timestamp[s]")
    yield "microseconds", _fitted(kind, np.rint(1.6e15 + 1e10 * rng.normal(size=ROWS)), "timestamp[us]")


def _category(kind: str, rng: np.random.Generator) -> Cases:
    codes = rng.integers(0, 3, ROWS).astype(np.float64)
    yield "a level that no row has", _fitted(kind, codes, "string", ("a", "b", "c", "d"))
    yield "missing cells", _fitted(kind, _with_missing(codes), "string", ("a", "b", "c"))
    yield "one level", _fitted(kind, np.zeros(9), "string", ("a",))
    yield "numbers", _fitted(kind, rng.choice([-1.5, 0.0, 99.0], ROWS))


def _boolean(kind: str, rng: np.random.Generator) -> Cases:
    flags = rng.integers(0, 2, ROWS).astype(np.float64)
    yield "both", _fitted(kind, flags, "bool")
    yield "true alone", _fitted(kind, np.ones(9), "bool")
    yield "missing cells", _fitted(kind, _with_missing(flags), "bool")


def _constant(kind: str, rng: np.random.Generator) -> Cases:
    yield "one number", _fitted(kind, np.full(9, 2.5))
    yield "one number or none", _fitted(kind, _with_missing(np.full(9, 2.5)))
    yield "nothing but missing cells", _fitted(kind, np.full(9, np.nan))


def _identifier(kind: str, rng: np.random.Generator) -> Cases:
    yield "a running number", _fitted(kind, np.arange(50.0), "int64")


_OF_KIND: dict[str, Callable[[str, np.random.Generator], Cases]] = {
    "real": _real,
    "rounded": _rounded,
    "positive": _positive,
    "bounded": _bounded,
    "skewed": _skewed,
    "count": _count,
    "periodic": _periodic,
    "date": _date,
    "category": _category,
    "boolean": _boolean,
    "constant": _constant,
    "identifier": _identifier,
}
