"""flowjax: every call compiled ahead by `jax.jit`, the flow an argument."""

from unittest.mock import patch

import equinox as eqx
import flowjax.bijections as fb
import jax
import jax.numpy as jnp
import numpy as np
import optax
import paramax
from flowjax.distributions import StandardNormal
from flowjax.flows import coupling_flow, masked_autoregressive_flow
from flowjax.train.losses import MaximumLikelihoodLoss
from flowjax.train.train_utils import step
from serve import contexts_of, jittered, rows_of, serve

TOLERANCE = 1e-5
SCANNED = 0.3  # seconds of steps in one scan


def flow_of(case):
    if case.kind == "spline":
        scalar = fb.RationalQuadraticSpline(knots=8, interval=3)
    else:  # scales by exp, which is faster than flowjax's own softplus
        scalar = eqx.tree_at(lambda a: a.scale, fb.Affine(), paramax.Parameterize(jnp.exp, jnp.zeros(())))
    flow = (coupling_flow if case.kind == "coupling" else masked_autoregressive_flow)(
        jax.random.key(0),
        base_dist=StandardNormal((case.dim,)),
        transformer=scalar,
        cond_dim=case.context_dim or None,
        flow_layers=case.layers,
        nn_width=case.hidden[0],
        nn_depth=len(case.hidden),
    )
    numbers = np.random.default_rng(1)
    trained, rest = split(flow)
    return eqx.combine(jax.tree.map(lambda leaf: jnp.asarray(jittered(leaf, numbers)), trained), rest)


def split(flow):
    """What flowjax trains, and the rest."""
    is_leaf = lambda leaf: isinstance(leaf, paramax.NonTrainable)  # noqa: E731
    return eqx.partition(flow, eqx.is_inexact_array, is_leaf=is_leaf)


def train(case, is_scanned):
    """A minibatch a call, by the jitted step that `fit_to_data` calls; or flowjax's loss and optax inside a scan."""
    trained, rest = split(flow_of(case))
    optimiser, loss = optax.adam(1e-4), MaximumLikelihoodLoss()
    state = optimiser.init(trained)
    steps = 64 if case.hidden[0] < 200 else 8
    x, context = jax.tree.map(jnp.asarray, (rows_of(case, steps, case.batch), contexts_of(case, steps, case.batch)))
    batches = [(x[k], None if context is None else context[k]) for k in range(steps)]

    def one(count):
        nonlocal trained, state
        for k in range(count):
            trained, state, value = step(
                trained, rest, *batches[k % steps], optimizer=optimiser, opt_state=state, loss_fn=loss
            )
            value.block_until_ready()  # fit_to_data reads every loss
        return count

    @eqx.filter_jit
    def several(trained, state, x, context):
        def body(carry, batch):
            trained, state = carry
            value, gradient = eqx.filter_value_and_grad(loss)(trained, rest, *batch)
            updates, state = optimiser.update(gradient, state, params=trained)
            return (eqx.apply_updates(trained, updates), state), value

        return jax.lax.scan(body, (trained, state), (x, context))

    def scanned(count):
        nonlocal trained, state
        times = -(-count // steps)
        for _ in range(times):
            (trained, state), value = several(trained, state, x, context)
        value.block_until_ready()
        return times * steps

    return scanned if is_scanned else one


def by_fixed_points(self, y, condition=None):
    """The inverse of a layer by Jacobi's iteration, which ends when no number moves any more."""

    def body(carry):
        x, _, count = carry
        new = self._flat_params_to_transformer(self.masked_autoregressive_mlp(x)).inverse(y)
        return new, jnp.max(jnp.abs(new - x)), count + 1

    def moves(carry):
        return (carry[1] > TOLERANCE) & (carry[2] <= len(y))

    x, _, _ = jax.lax.while_loop(moves, body, (jnp.zeros_like(y), jnp.inf, 0))
    return x, -self.transform_and_log_det(x, condition)[1]


def compiled(function, flow, *arguments):
    arrays, rest = eqx.partition(flow, eqx.is_array)
    call = jax.jit(lambda arrays, *arguments: function(eqx.combine(arrays, rest), *arguments))
    call = call.lower(arrays, *arguments).compile()

    def run(count):
        for _ in range(count):
            call(arrays, *arguments).block_until_ready()
        return count

    return run


def make(case, quantity, rows, way):
    match quantity:
        case "train":
            return {"": train(case, way == "scanned")}
        case "log_prob":
            rows_and_contexts = jax.tree.map(jnp.asarray, (rows_of(case, rows), contexts_of(case, rows)))
            return {"": compiled(lambda flow, *given: flow.log_prob(*given), flow_of(case), *rows_and_contexts)}
        case "sample":
            context = jax.tree.map(jnp.asarray, contexts_of(case, rows))
            shape = (rows,) if context is None else ()  # a row for each context
            inverse = by_fixed_points if way == "Jacobi" else fb.MaskedAutoregressive.inverse_and_log_det
            with patch.object(fb.MaskedAutoregressive, "inverse_and_log_det", inverse):
                draw = compiled(
                    lambda flow, key, c: flow.sample(key, shape, c), flow_of(case), jax.random.key(0), context
                )
            return {"": draw}


if __name__ == "__main__":
    serve(make)
