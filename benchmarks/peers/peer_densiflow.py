"""densiflow, by what is public in it."""

import jax
import jax.numpy as jnp
import numpy as np
from serve import contexts_of, jittered, rows_of, serve

from densiflow import recipes, training
from densiflow.fixed import combine, partition
from densiflow.training import program


def flow_of(case):
    options = {"context_dim": case.context_dim, "layers": case.layers, "hidden": tuple(case.hidden)}
    if case.kind == "spline":
        flow = recipes.neural_spline(jax.random.key(0), case.dim, **options)
    else:
        recipe = recipes.real_nvp if case.kind == "coupling" else recipes.maf
        flow = recipe(jax.random.key(0), case.dim, bound=None, **options)
    trained, rest = partition(flow)
    numbers = np.random.default_rng(1)
    return combine(jax.tree.map(lambda leaf: jnp.asarray(jittered(leaf, numbers)), trained), rest)


def train(case):
    """Training's own compiled run of steps, called as `training.fit` calls it."""
    state, rest = partition(flow_of(case))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state))
    steps = program.steps_per_run(parameters, case.batch)
    state = program.start(state)
    x, context = rows_of(case, steps, case.batch), contexts_of(case, steps, case.batch)
    weight = np.full((steps, case.batch), 1 / case.batch, np.float32)
    rates, decay = np.full(steps, 1e-4, np.float32), np.float32(0)

    def run(count):
        nonlocal state
        times = -(-count // steps)
        for _ in range(times):
            state, losses, _ = program.run(
                state, rates, np.int32(steps), rest=rest, x=x, context=context, weight=weight, decay=decay
            )
        jax.block_until_ready((state, losses))
        return times * steps

    return run


def whole_fit(case):
    """`training.fit` from call to return: standardising, shuffling, the schedule and the history included."""
    flow = flow_of(case)

    def run(count):
        steps = 1 << (count - 1).bit_length()  # few sizes, so that what depends on the size is compiled once
        x, context = rows_of(case, steps * case.batch), contexts_of(case, steps * case.batch)
        options = {"validation": 0.0, "max_epochs": 1, "batch_size": case.batch, "verbose": False}
        fitted, _ = training.fit(flow, jax.random.key(1), x, context=context, **options)
        jax.block_until_ready(fitted)
        return steps

    return run


def repeat(call):
    def run(count):
        for _ in range(count):
            jax.block_until_ready(call())
        return count

    return run


def make(case, quantity, rows, way):
    match quantity:
        case "peak":
            a = jnp.asarray(np.random.default_rng(0).standard_normal((2048, 2048), np.float32))
            product = jax.jit(jnp.matmul)
            return {"": repeat(lambda: product(a, a))}
        case "train":
            return {"": (whole_fit if way == "whole fit" else train)(case)}
        case "log_prob":
            flow, x, context = flow_of(case), rows_of(case, rows), contexts_of(case, rows)
            return {"": repeat(lambda: flow.log_prob(x, context))}
        case "sample":
            flow, key, context = flow_of(case), jax.random.key(0), contexts_of(case, rows)
            return {"": repeat(lambda: flow.sample(key, rows if context is None else 1, context))}


if __name__ == "__main__":
    serve(make)
