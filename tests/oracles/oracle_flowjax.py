"""flowjax's side of the comparison."""

from importlib.metadata import version

import equinox as eqx
import flowjax.bijections as fb
import jax
import jax.numpy as jnp
import numpy as np
import paramax
from flowjax.distributions import Normal, StandardNormal, Transformed
from flowjax.flows import masked_autoregressive_flow
from record import CONTEXT_DIM, record

from densiflow.migrate import from_flowjax
from densiflow.migrate.flowjax import read

LAYERS = 3
WIDTH = {1: 4, 2: 8, 5: 12}


def randomised(tree, numbers):
    """The biases and weights of the networks random: flowjax starts them small."""

    def draw(leaf):
        if not eqx.is_inexact_array(leaf):
            return leaf
        return jnp.asarray(0.5 * numbers.normal(size=leaf.shape) / np.sqrt(max(leaf.shape[-1], 4)), leaf.dtype)

    return jax.tree.map(draw, tree)


def random_networks(flow, numbers):
    def is_network(node):
        return isinstance(node, eqx.nn.MLP)

    return jax.tree.map(lambda node: randomised(node, numbers) if is_network(node) else node, flow, is_leaf=is_network)


def case(name, flow, dim, is_conditional):
    def log_prob(x, context):
        return np.asarray(flow.log_prob(jnp.asarray(x), condition=context))

    def to_data(z, context):
        transform = paramax.unwrap(flow.bijection).transform
        return np.asarray(jax.vmap(transform, (0, None if context is None else 0))(jnp.asarray(z), context))

    return name, flow, dim, is_conditional, log_prob, to_data


def flow(key, dim, **options):
    base = StandardNormal((dim,))
    return masked_autoregressive_flow(
        key, base_dist=base, flow_layers=LAYERS, nn_width=WIDTH[dim], nn_depth=2, **options
    )


def cases():
    numbers = np.random.default_rng(0)
    keys = iter(jax.random.split(jax.random.key(0), 20))
    for dim in WIDTH:
        for cond_dim in (None, CONTEXT_DIM):
            if dim == 1 and cond_dim is None:
                continue  # flowjax takes its degrees modulo dim - 1
            with jax.enable_x64(False):
                activation = jax.nn.relu if cond_dim is None else jax.nn.sigmoid
                live = random_networks(flow(next(keys), dim, cond_dim=cond_dim, nn_activation=activation), numbers)
            yield case(f"{dim} columns{', conditional' if cond_dim else ''}", live, dim, bool(cond_dim))
    with jax.enable_x64(False):
        live = random_networks(
            flow(next(keys), 5, cond_dim=CONTEXT_DIM, invert=False, nn_activation=jax.nn.gelu), numbers
        )
    yield case("not inverted, gelu, conditional", live, 5, True)
    live = random_networks(flow(next(keys), 5, cond_dim=CONTEXT_DIM, nn_activation=jax.nn.tanh), numbers)
    yield case("float64, tanh, conditional", live, 5, True)
    with jax.enable_x64(False):
        live = flow(next(keys), 2, cond_dim=3)
        net = eqx.nn.MLP(CONTEXT_DIM, 3, 7, 1, activation=jax.nn.silu, key=next(keys))
        inside = fb.EmbedCondition(live.bijection.bijection, net, (CONTEXT_DIM,))
        live = random_networks(Transformed(live.base_dist, fb.Invert(inside)), numbers)
    yield case("embedded context", live, 2, True)
    exp = eqx.tree_at(lambda a: a.scale, fb.Affine(0.3), paramax.Parameterize(jnp.exp, jnp.array(-0.2)))
    made = fb.MaskedAutoregressive(next(keys), transformer=exp, dim=5, nn_width=9, nn_depth=1)
    parts = [
        fb.Affine(jnp.arange(5.0) / 5, jnp.array([0.5, 2.0, 1.0, 1.5, 0.7])),
        made,
        fb.Permute(jnp.array([2, 0, 1, 4, 3])),
        fb.Invert(made),
        fb.Flip((5,)),
        fb.Identity((5,)),
    ]
    base = Normal(jnp.array([1.0, -2.0, 0.0, 0.5, 3.0]), 1.5)
    yield case("every part, float64", random_networks(Transformed(base, fb.Chain(parts)), numbers), 5, False)


if __name__ == "__main__":
    record("flowjax", {name: version(name) for name in ("flowjax", "jax")}, cases(), read, from_flowjax)
