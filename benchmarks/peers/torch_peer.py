"""What zuko and nflows share: steps, scores and samples of a torch module, as it is and by `torch.compile`."""

import numpy as np
import torch
from serve import contexts_of, jittered, rows_of

TOLERANCE = 1e-5


def move(flow):
    """Jitter every weight, in place."""
    numbers = np.random.default_rng(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.copy_(torch.as_tensor(jittered(parameter.numpy(), numbers)))
    return flow


def given(case, *shape):
    """Rows, and contexts or None."""
    context = contexts_of(case, *shape)
    return torch.as_tensor(rows_of(case, *shape)), None if context is None else torch.as_tensor(context)


def train(flow, log_prob, case):
    """Adam's step a minibatch, all parameters in one call where torch can."""
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-4, fused=True)
    x, context = given(case, 8, case.batch)
    batches = [(x[k], None if context is None else context[k]) for k in range(8)]

    def run(count):
        for k in range(count):
            loss = -log_prob(*batches[k % 8]).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            loss.item()
        return count

    return run


def repeat(call, *arguments):
    def run(count):
        with torch.no_grad():
            for _ in range(count):
                call(*arguments)
        return count

    return run


def variants(flow, log_prob, sample, case, quantity, rows, compiles=True):
    """Both variants of a quantity; samples are drawn as they are, since a loop over columns does not compile well."""
    x, context = given(case, rows)
    if quantity == "sample":
        return {"eager": repeat(sample, rows, context)}
    calls = {"eager": log_prob} | ({"compiled": torch.compile(log_prob)} if compiles else {})
    if quantity == "train":
        return {name: train(flow, call, case) for name, call in calls.items()}
    return {name: repeat(call, x, context) for name, call in calls.items()}
