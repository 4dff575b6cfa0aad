"""zuko: `MAF` and `NSF` on torch."""

from unittest.mock import patch

import torch
import zuko
from serve import serve
from torch_peer import TOLERANCE, move, variants
from zuko.transforms import AutoregressiveTransform


def by_fixed_points(self, y):
    """The inverse as it is there, left when no number moves any more."""
    x = torch.zeros_like(y)
    for _ in range(self.passes):
        x, before = self.meta(x).inv(y), x
        if torch.max(torch.abs(x - before)) < TOLERANCE:
            break
    return x


def make(case, quantity, rows, way):
    torch.manual_seed(0)
    options = {"features": case.dim, "transforms": case.layers, "hidden_features": tuple(case.hidden)}
    flow = move(zuko.flows.MAF(**options) if case.kind == "affine" else zuko.flows.NSF(bins=8, **options))

    def log_prob(x):
        return flow().log_prob(x)

    def sample(rows):
        if way != "Jacobi":
            return flow().sample((rows,))
        with patch.object(AutoregressiveTransform, "_inverse", by_fixed_points):
            return flow().sample((rows,))

    return variants(flow, log_prob, sample, case, quantity, rows)


if __name__ == "__main__":
    serve(make)
