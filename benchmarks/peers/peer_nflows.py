"""nflows: feed-forward MADE layers on torch, its columns reversed between them; or coupling layers."""

import torch
from nflows import distributions, flows, transforms
from nflows.nn.nets import MLP
from serve import serve
from torch_peer import move, variants


class Network(MLP):
    """What a coupling layer calls, with a context that it has none of."""

    def forward(self, x, context):
        return super().forward(x)


def couplings(case):
    """Every other column passes, and the others in the next layer."""
    halves = torch.ones(case.dim)
    halves[::2] = -1
    signs = [(-1) ** layer for layer in range(case.layers)]
    network = lambda read, given: Network([read], [given], list(case.hidden))  # noqa: E731
    return [transforms.AffineCouplingTransform(sign * halves, network) for sign in signs]


def flow_of(case):
    layers = couplings(case) if case.kind == "coupling" else autoregressive(case)
    return flows.Flow(transforms.CompositeTransform(layers), distributions.StandardNormal([case.dim]))


def autoregressive(case):
    kind, options = transforms.MaskedAffineAutoregressiveTransform, {}
    if case.kind == "spline":
        kind = transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform
        options = {"num_bins": 8, "tails": "linear", "tail_bound": 3.0}
    width = {"features": case.dim, "hidden_features": case.hidden[0], "num_blocks": len(case.hidden) - 1}
    width["context_features"] = case.context_dim or None
    layers = []
    for _ in range(case.layers):
        layers += [transforms.ReversePermutation(case.dim), kind(**width, **options, use_residual_blocks=False)]
    return layers


def make(case, quantity, rows, way):
    torch.manual_seed(0)
    flow = move(flow_of(case))

    def sample(rows, context):
        return flow.sample(rows) if context is None else flow.sample(1, context)

    return variants(flow, flow.log_prob, sample, case, quantity, rows)


if __name__ == "__main__":
    serve(make)
