"""nflows' side of the comparison."""

import itertools

import numpy as np
import torch
from nflows import distributions, flows, transforms
from record import CONTEXT_DIM, record

from densiflow.migrate import from_nflows
from densiflow.migrate.nflows import read

LAYERS = 3
WIDTH = {1: 4, 2: 8, 5: 12}


def randomised(flow, numbers):
    """Every parameter random; the initial ones of a residual block's last product are nearly zero."""
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            size = 0.3 if "final_layer" in name else 0.8
            fan = parameter.shape[1] if parameter.ndim == 2 else 4
            parameter.copy_(parameter.new_tensor(size * numbers.normal(size=parameter.shape) / np.sqrt(fan)))
    return flow.eval()


def case(name, flow, dim, is_conditional):
    def tensor(array):
        return None if array is None else torch.as_tensor(array)

    def log_prob(x, context):
        with torch.no_grad():
            return flow.log_prob(tensor(x), context=tensor(context)).numpy()

    def to_data(z, context):
        with torch.no_grad():
            return flow._transform.inverse(tensor(z), context=flow._embedding_net(tensor(context)))[0].numpy()

    return name, flow, dim, is_conditional, log_prob, to_data


def layer(dim, is_conditional, residual, activation=torch.nn.functional.relu, **options):
    return transforms.MaskedAffineAutoregressiveTransform(
        features=dim,
        hidden_features=WIDTH[dim],
        context_features=CONTEXT_DIM if is_conditional else None,
        num_blocks=2,
        use_residual_blocks=residual,
        activation=activation,
        **options,
    )


def conditional(dim, residual, activation, embedding=None):
    """The chain that most people build by hand: a random permutation before each layer."""
    members = []
    for _ in range(LAYERS):
        members += [transforms.RandomPermutation(dim), layer(dim, True, residual, activation)]
    return flows.Flow(transforms.CompositeTransform(members), distributions.StandardNormal([dim]), embedding)


def cases():
    numbers = np.random.default_rng(0)
    torch.manual_seed(0)
    for dim, residual, random in itertools.product(WIDTH, (True, False), (False, True)):
        flow = flows.MaskedAutoregressiveFlow(
            dim, WIDTH[dim], LAYERS, 2, use_residual_blocks=residual, use_random_permutations=random
        )
        blocks = "residual" if residual else "feed-forward"
        name = f"{dim} columns, {blocks}, {'random' if random else 'reversed'}"
        yield case(name, randomised(flow, numbers), dim, False)
    for dim, residual in itertools.product(WIDTH, (True, False)):
        flow = conditional(dim, residual, torch.nn.functional.relu if dim == 2 else torch.sigmoid)
        blocks = "residual" if residual else "feed-forward"
        yield case(f"{dim} columns, {blocks}, conditional", randomised(flow, numbers), dim, True)
    flow = conditional(5, True, torch.nn.functional.elu).double()
    yield case("float64, elu, residual, conditional", randomised(flow, numbers), 5, True)
    net = torch.nn.Sequential(torch.nn.Linear(CONTEXT_DIM, 7), torch.nn.Tanh(), torch.nn.Linear(7, CONTEXT_DIM))
    yield case("embedded context", randomised(conditional(2, True, torch.tanh, net), numbers), 2, True)
    parts = [
        transforms.PointwiseAffineTransform(torch.tensor(0.5), torch.tensor([0.5, 2.0, 1.0, 1.5, 0.7])),
        layer(5, False, False, torch.nn.functional.leaky_relu, random_mask=True),
        transforms.InverseTransform(transforms.Permutation(torch.tensor([2, 0, 1, 4, 3]))),
        transforms.InverseTransform(layer(5, False, True, torch.nn.functional.silu)),
        transforms.IdentityTransform(),
        layer(5, False, False, torch.nn.functional.gelu, dropout_probability=0.2),
    ]
    base = distributions.DiagonalNormal([5])
    yield case("every part", randomised(flows.Flow(transforms.CompositeTransform(parts), base), numbers), 5, False)


if __name__ == "__main__":
    from importlib.metadata import version

    record("nflows", {name: version(name) for name in ("nflows", "torch")}, cases(), read, from_nflows)
