r"""Six densities of two columns to learn from, each with a sampler and its exact density.

    from densities import DENSITIES
    x = DENSITIES["spirals"].sample(np.random.default_rng(0), 1000)

All but the pinwheel are drawn as in the figures of Grathwohl et al. 2019, "FFJORD"; they differ from those in
details that make their densities exact: spirals run along one curve, and the pinwheel is twisted by an angle that
depends on the radius alone, so that the twist turns circles and keeps areas.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive, logsumexp

Floats = NDArray[np.float64]
Limits = tuple[tuple[float, float], tuple[float, float]]

PIECE = 4096  # rows at once, which bounds the memory of a quadrature


@dataclass(frozen=True)
class Density:
    """A density of two columns: how to draw rows, their exact log density in nats, and where to look."""

    sample: Callable[[np.random.Generator, int], Floats]
    log_density: Callable[[Floats], Floats]
    limits: Limits
    exact_entropy: float | None = None

    def entropy(self, rows: int = 100_000, seed: int = 0) -> tuple[float, float]:
        """The entropy in nats and its standard error: closed form, or the mean of -log p over rows drawn."""
        if self.exact_entropy is not None:
            return self.exact_entropy, 0.0
        nats = -self.log_density(self.sample(np.random.default_rng(seed), rows))
        return float(nats.mean()), float(nats.std() / np.sqrt(rows))


def along_curve(x: Floats, curve: Floats, weight: Floats, noise: float) -> Floats:
    r"""Give the log density of points on a curve, moved by normal noise: (n, 2) to (n,).

    .. math:: p(x) = \int N\left(x;\, c(t), s^2 I\right) w(t) \, dt \approx \sum_k w_k N\left(x;\, c_k, s^2 I\right)

    ``curve`` (k, 2) and ``weight`` (k,) are the nodes and weights of a quadrature, with weights that sum to 1.
    """
    pieces = []
    for start in range(0, len(x), PIECE):
        some = x[start : start + PIECE]
        # |x - c|^2 multiplied out, so that it is one product of matrices
        squares = (some**2).sum(axis=1)[:, None] - 2 * some @ curve.T + (curve**2).sum(axis=1)
        pieces.append(logsumexp(np.log(weight) - 0.5 * squares / noise**2, axis=1))
    return np.concatenate(pieces) - np.log(2 * np.pi * noise**2)


def gauss_legendre(low: float, high: float, nodes: int) -> tuple[Floats, Floats]:
    """Nodes on [low, high] and weights that sum to 1."""
    place, weight = np.polynomial.legendre.leggauss(nodes)
    return low + (high - low) * (place + 1) / 2, weight / 2


# Two moons: half circles of radius 1, the second turned over and moved.

MOON_NOISE = 0.1


def moon(angle: Floats, which: NDArray[np.integer] | int) -> Floats:
    """Points (..., 2) of the upper moon (0) or the lower one (1)."""
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=-1)
    return np.where(np.asarray(which)[..., None] == 1, lower, upper)


def sample_moons(rng: np.random.Generator, n: int) -> Floats:
    return sample_labelled_moons(rng, n)[0]


def sample_labelled_moons(rng: np.random.Generator, n: int) -> tuple[Floats, NDArray[np.int64]]:
    """Rows (n, 2), and which moon each is of (n,)."""
    which = rng.integers(0, 2, n)
    return moon(rng.uniform(0, np.pi, n), which) + MOON_NOISE * rng.normal(size=(n, 2)), which


def log_density_of_moon(x: Floats, which: int) -> Floats:
    angle, weight = gauss_legendre(0, np.pi, 64)
    return along_curve(x, moon(angle, which), weight, MOON_NOISE)


def log_density_of_moons(x: Floats) -> Floats:
    return np.logaddexp(log_density_of_moon(x, 0), log_density_of_moon(x, 1)) - np.log(2)


# Eight Gaussians on a circle.

EIGHT_ANGLES = np.arange(8) * np.pi / 4
EIGHT_CENTRES = 2 * np.sqrt(2) * np.stack([np.cos(EIGHT_ANGLES), np.sin(EIGHT_ANGLES)], axis=1)
EIGHT_NOISE = 0.5 / np.sqrt(2)


def sample_eight(rng: np.random.Generator, n: int) -> Floats:
    return EIGHT_CENTRES[rng.integers(0, 8, n)] + EIGHT_NOISE * rng.normal(size=(n, 2))


def log_density_of_eight(x: Floats) -> Floats:
    return along_curve(x, EIGHT_CENTRES, np.full(8, 1 / 8), EIGHT_NOISE)


def smallest_share_of_eight(x: Floats) -> float:
    """The smallest share of rows (n, 2) that one of the eight modes receives, with a fair share as 1.

    A row belongs to the centre nearest to it if it lies within four standard deviations.
    """
    distance = np.linalg.norm(x[:, None] - EIGHT_CENTRES, axis=-1)
    nearest = distance.argmin(axis=1)[distance.min(axis=1) < 4 * EIGHT_NOISE]
    return float(np.bincount(nearest, minlength=8).min() / (len(x) / 8))


# Two spirals: one curve and its mirror image, with rows at even density along them but near the middle.

SPIRAL_NOISE = 0.1
SPIRAL_END = 3 * np.pi


def spiral(angle: Floats) -> Floats:
    return angle[:, None] / 3 * np.stack([-np.cos(angle), np.sin(angle)], axis=1)


def sample_spirals(rng: np.random.Generator, n: int) -> Floats:
    arm = rng.choice([-1.0, 1.0], n)[:, None]
    return arm * spiral(SPIRAL_END * np.sqrt(rng.uniform(size=n))) + SPIRAL_NOISE * rng.normal(size=(n, 2))


def log_density_of_spirals(x: Floats) -> Floats:
    place, weight = gauss_legendre(0, 1, 256)
    curve = spiral(SPIRAL_END * place)  # a square root of a uniform number has density 2u
    weight = 2 * place * weight
    return along_curve(x, np.concatenate([curve, -curve]), np.concatenate([weight, weight]) / 2, SPIRAL_NOISE)


# Checkerboard: every second of 4 x 4 squares of side 2.


def sample_checkerboard(rng: np.random.Generator, n: int) -> Floats:
    column, row = rng.integers(0, 4, n), 2 * rng.integers(0, 2, n)
    corner = np.stack([column, row + column % 2], axis=1)
    return 2 * (corner + rng.uniform(size=(n, 2))) - 4


def log_density_of_checkerboard(x: Floats) -> Floats:
    cell = np.floor((x + 4) / 2)
    dark = (np.abs(x) < 4).all(axis=1) & (cell.sum(axis=1) % 2 == 0)
    return np.where(dark, -np.log(32), -np.inf)


# Pinwheel: five normal blades, twisted.

BLADES = 5
BLADE_MEAN, BLADE_SPREAD = np.array([1.0, 0.0]), np.array([0.3, 0.1])  # along the radius and across
TWIST = 0.25
PINWHEEL_SCALE = 2.0


def turned(x: Floats, angle: Floats) -> Floats:
    """Points (n, 2), each turned about the origin by its angle (n,)."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], axis=1)


def twist(x: Floats, blade: NDArray[np.integer] | int) -> Floats:
    """The angle (n,) by which points (n, 2) of a blade are turned; it depends on their radius alone."""
    return 2 * np.pi * blade / BLADES + TWIST * np.exp(np.linalg.norm(x, axis=1))


def sample_pinwheel(rng: np.random.Generator, n: int) -> Floats:
    straight = BLADE_MEAN + BLADE_SPREAD * rng.normal(size=(n, 2))
    return PINWHEEL_SCALE * turned(straight, twist(straight, rng.integers(0, BLADES, n)))


def log_density_of_pinwheel(x: Floats) -> Floats:
    x = x / PINWHEEL_SCALE
    log_blades = []
    for blade in range(BLADES):
        straight = (turned(x, -twist(x, blade)) - BLADE_MEAN) / BLADE_SPREAD
        log_blades.append(-0.5 * (straight**2).sum(axis=1))
    constant = np.log(2 * np.pi * BLADE_SPREAD.prod() * BLADES) + 2 * np.log(PINWHEEL_SCALE)
    return np.logaddexp.reduce(log_blades) - constant


# Rings: four circles around one middle, with as many rows each.

RADII = np.array([0.75, 1.5, 2.25, 3.0])
RING_NOISE = 0.08


def sample_rings(rng: np.random.Generator, n: int) -> Floats:
    angle = rng.uniform(0, 2 * np.pi, n)
    circle = rng.choice(RADII, n)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return circle + RING_NOISE * rng.normal(size=(n, 2))


def log_density_of_rings(x: Floats) -> Floats:
    r"""Closed form, with the modified Bessel function I_0.

    .. math:: p(x) = \tfrac14 \sum_R \frac{1}{2\pi s^2} \exp\left(-\frac{r^2 + R^2}{2 s^2}\right)
              I_0\left(\frac{r R}{s^2}\right), \qquad r = \|x\|
    """
    radius = np.linalg.norm(x, axis=1)[:, None]
    # ive(0, t) is exp(-t) I0(t), which does not overflow; the square takes the exp(-t) up again
    log_rings = -0.5 * ((radius - RADII) / RING_NOISE) ** 2 + np.log(ive(0, radius * RADII / RING_NOISE**2))
    return np.logaddexp.reduce(log_rings, axis=1) - np.log(len(RADII) * 2 * np.pi * RING_NOISE**2)


def square(half: float) -> Limits:
    return (-half, half), (-half, half)


DENSITIES = {
    "two moons": Density(sample_moons, log_density_of_moons, ((-1.6, 2.6), (-1.85, 2.35))),
    "eight Gaussians": Density(sample_eight, log_density_of_eight, square(4.5)),
    "spirals": Density(sample_spirals, log_density_of_spirals, square(4.0)),
    "checkerboard": Density(
        sample_checkerboard, log_density_of_checkerboard, square(4.6), exact_entropy=float(np.log(32))
    ),
    "pinwheel": Density(sample_pinwheel, log_density_of_pinwheel, square(4.0)),
    "rings": Density(sample_rings, log_density_of_rings, square(3.6)),
}
