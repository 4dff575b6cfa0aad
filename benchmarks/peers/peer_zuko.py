"""zuko: `MAF` and `NSF` on torch."""

from functools import partial
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
    options = {"features": case.dim, "context": case.context_dim, "transforms": case.layers}
    options["hidden_features"] = tuple(case.hidden)
    kinds = {"spline": partial(zuko.flows.NSF, bins=8), "coupling": zuko.flows.NICE}
    flow = move(kinds.get(case.kind, zuko.flows.MAF)(**options))

    def log_prob(x, context):
        return flow(context).log_prob(x)

    def sample(rows, context):
        shape = (rows,) if context is None else ()  # a row for each context
        if way != "Jacobi":
            return flow(context).sample(shape)
        with patch.object(AutoregressiveTransform, "_inverse", by_fixed_points):
            return flow(context).sample(shape)

    compiles = case.kind != "coupling"  # torch's compiled way back through zuko's couplings ends the process
    return variants(flow, log_prob, sample, case, quantity, rows, compiles)


if __name__ == "__main__":
    serve(make)
