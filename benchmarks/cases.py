"""What is measured: flows of five sizes, some given a context, and the arithmetic that non-zero weights ask for."""

from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import numpy as np

BINS = 8  # of a spline


@dataclass(frozen=True)
class Case:
    """A flow of that size.

    ``kind`` is a masked autoregressive flow, "affine" (relu, scales by exp), "conditional" (the same, given a context)
    or "spline"; or "coupling" (RealNVP; relu, scales by exp).
    """

    name: str
    dim: int
    hidden: tuple[int, ...]
    layers: int
    batch: int = 512
    kind: str = "affine"
    context_dim: int = 0

    @property
    def label(self):
        return self.name if self.kind == "affine" else f"{self.name}, {self.kind}"

    @property
    def parameters(self):
        """Numbers that the network gives for each column."""
        return 3 * BINS - 1 if self.kind == "spline" else 2

    def non_zero(self):
        """Weights inside the masks, all layers: unit i of a hidden layer reads what has its degree or less."""
        if self.kind == "coupling":  # half of the columns pass, the others are mapped
            widths = (self.dim // 2, *self.hidden, 2 * (self.dim - self.dim // 2))
            return self.layers * sum(read * reader for read, reader in pairwise(widths))
        columns = np.arange(1, self.dim + 1)
        degrees = [columns, *(np.ceil(np.arange(1, h + 1) * (self.dim - 1) / h) for h in self.hidden)]
        hidden = sum(np.sum(b[:, None] >= a) for a, b in pairwise(degrees))
        last = self.parameters * np.sum(columns[:, None] > degrees[-1])
        return int(self.layers * (hidden + last + self.hidden[0] * self.context_dim))

    def gflop(self, quantity, rows):
        """Arithmetic of one unit: a multiply and an add a weight and row, three times that in a training step."""
        return 2e-9 * self.non_zero() * rows * (3 if quantity == "train" else 1)

    def as_dict(self):
        return asdict(self)


SIZES = [
    Case("small", 6, (64, 64), 5),
    Case("power", 6, (100, 100), 10),
    Case("miniboone", 43, (512, 512), 5),
    Case("bsds300", 63, (512, 512), 10),
    Case("mnist", 784, (1024,), 5, batch=256),
]
AFFINE = {case.name: case for case in SIZES}
SMALLER = [AFFINE[name] for name in ("small", "power", "miniboone")]
SPLINE = {case.name: replace(case, kind="spline") for case in SMALLER}
CONDITIONAL = {case.name: replace(case, kind="conditional", context_dim=8) for case in SMALLER}
COUPLING = {case.name: replace(case, kind="coupling") for case in SMALLER}
KINDS = {"affine": AFFINE, "conditional": CONDITIONAL, "spline": SPLINE, "coupling": COUPLING}
