"""What zuko and nflows share: steps, scores and samples of a torch module, as it is and by `torch.compile`."""

import numpy as np
import torch
from serve import jittered, rows_of

TOLERANCE = 1e-5


def move(flow):
    """Jitter every weight, in place."""
    numbers = np.random.default_rng(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.copy_(torch.as_tensor(jittered(parameter.numpy(), numbers)))
    return flow


def train(flow, log_prob, case):
    """Adam's step a minibatch, all parameters in one call where torch can."""
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-4, fused=True)
    batches = list(torch.as_tensor(rows_of(case, 8, case.batch)))

    def run(count):
        for k in range(count):
            loss = -log_prob(batches[k % 8]).mean()
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


def variants(flow, log_prob, sample, case, quantity, rows):
    """Both variants of a quantity; samples are drawn as they are, since a loop over columns does not compile well."""
    if quantity == "sample":
        return {"eager": repeat(sample, rows)}
    calls = {"eager": log_prob, "compiled": torch.compile(log_prob)}
    if quantity == "train":
        return {name: train(flow, call, case) for name, call in calls.items()}
    x = torch.as_tensor(rows_of(case, rows))
    return {name: repeat(call, x) for name, call in calls.items()}
