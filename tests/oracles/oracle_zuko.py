"""zuko's side of the comparison."""

from functools import partial
from importlib.metadata import version

import numpy as np
import torch
import zuko
from record import CONTEXT_DIM, record

from densiflow.migrate import from_zuko
from densiflow.migrate.zuko import read

LAYERS = 3
HIDDEN = {1: (4, 4), 2: (8, 8), 5: (12, 11)}


def randomised(flow, numbers):
    with torch.no_grad():
        for parameter in flow.parameters():
            fan = parameter.shape[1] if parameter.ndim == 2 else 4
            size = 0.4 if parameter.shape[0] in (2, 4, 10) else 0.8
            parameter.copy_(parameter.new_tensor(size * numbers.normal(size=parameter.shape) / np.sqrt(fan)))
    return flow


def case(name, flow, dim, is_conditional):
    def given(context):
        return flow(None if context is None else torch.as_tensor(context))

    def log_prob(x, context):
        with torch.no_grad():
            return given(context).log_prob(torch.as_tensor(x)).numpy()

    def to_data(z, context):
        with torch.no_grad():
            return given(context).transform.inv(torch.as_tensor(z)).numpy()

    return name, flow, dim, is_conditional, log_prob, to_data


def cases():
    numbers = np.random.default_rng(0)
    torch.manual_seed(0)
    for dim in HIDDEN:
        for context, randperm in ((0, False), (0, True), (CONTEXT_DIM, False), (CONTEXT_DIM, True)):
            options = {} if dim == 2 else {"activation": torch.nn.Sigmoid if randperm else torch.nn.ELU}
            if dim == 1 and not context:
                options = {}
            else:
                options["hidden_features"] = HIDDEN[dim]
            flow = zuko.flows.MAF(dim, context, transforms=LAYERS, randperm=randperm, **options)
            name = f"{dim} columns, {'random' if randperm else 'reversed'}{', conditional' if context else ''}"
            yield case(name, randomised(flow, numbers), dim, bool(context))
    flow = zuko.flows.MAF(5, CONTEXT_DIM, transforms=LAYERS, randperm=True, hidden_features=(12, 11)).double()
    yield case("float64, conditional", randomised(flow, numbers), 5, True)
    layer = partial(zuko.flows.MaskedAutoregressiveTransform, 5, hidden_features=(9, 7))
    graph = torch.eye(5, dtype=bool)
    graph[0, 3] = graph[3, 1] = graph[2, 4] = graph[2, 0] = True
    parts = [
        layer(passes=2),
        zuko.lazy.UnconditionalTransform(
            zuko.transforms.PermutationTransform, torch.tensor([2, 0, 1, 4, 3]), buffer=True
        ),
        layer(adjacency=graph, activation=torch.nn.GELU),
        layer(univariate=partial(zuko.transforms.MonotonicAffineTransform, slope=1e-1)).inv,
        zuko.flows.ElementWiseTransform(5),
    ]
    base = zuko.lazy.UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.tensor([1.0, -2.0, 0.0, 0.5, 3.0]), torch.full((5,), 1.5), buffer=True
    )
    yield case("every part", randomised(zuko.lazy.Flow(parts, base), numbers), 5, False)


if __name__ == "__main__":
    record("zuko", {name: version(name) for name in ("zuko", "torch")}, cases(), read, from_zuko)
