"""TensorFlow Probability: `MaskedAutoregressiveFlow` of an `AutoregressiveNetwork`, by `tf.function`, XLA or not."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from serve import jittered, rows_of, serve

tfb, tfd = tfp.bijectors, tfp.distributions


def network_of(case, numbers):
    made = tfb.AutoregressiveNetwork(
        params=2, event_shape=[case.dim], hidden_units=list(case.hidden), activation="relu"
    )
    made(np.zeros((1, case.dim), np.float32))
    for weight in made.trainable_variables:
        weight.assign(jittered(weight.numpy().T, numbers).T)
    for layer in made._network.layers:  # masked, as Keras' optimisers do after each step
        if hasattr(layer, "kernel") and layer.kernel_constraint is not None:
            layer.kernel.assign(layer.kernel_constraint(layer.kernel))
    return made


def flow_of(case):
    numbers = np.random.default_rng(1)
    networks = [network_of(case, numbers) for _ in range(case.layers)]
    reversed_columns = np.arange(case.dim)[::-1].astype(np.int32)
    bijectors = []
    for network in networks:
        bijectors += [tfb.MaskedAutoregressiveFlow(network), tfb.Permute(reversed_columns)]
    base = tfd.Sample(tfd.Normal(0.0, 1.0), sample_shape=[case.dim])
    flow = tfd.TransformedDistribution(base, tfb.Chain(bijectors[:-1]))
    return flow, [weight for network in networks for weight in network.trainable_variables]


def train(case, is_xla):
    flow, weights = flow_of(case)
    optimiser = tf_keras.optimizers.Adam(1e-4, jit_compile=is_xla)
    optimiser.build(weights)
    batches = [tf.constant(batch) for batch in rows_of(case, 8, case.batch)]

    def losses_and_gradients(x):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(flow.log_prob(x))
        return loss, tape.gradient(loss, weights)

    differentiated = tf.function(losses_and_gradients, jit_compile=is_xla)

    @tf.function
    def step(x):
        loss, gradients = differentiated(x)
        optimiser.apply_gradients(zip(gradients, weights, strict=True))
        return loss

    def run(count):
        for k in range(count):
            step(batches[k % 8]).numpy()
        return count

    return run


def repeat(call, *arguments):
    def run(count):
        for _ in range(count):
            call(*arguments).numpy()
        return count

    return run


def make(case, quantity, rows, way):
    if quantity == "train":
        return {"graph": train(case, False), "XLA": train(case, True)}
    flow, _ = flow_of(case)
    if quantity == "log_prob":
        x = tf.constant(rows_of(case, rows))
        return {name: repeat(tf.function(flow.log_prob, jit_compile=name == "XLA"), x) for name in ("graph", "XLA")}
    draw = lambda: flow.sample(rows)  # noqa: E731
    return {name: repeat(tf.function(draw, jit_compile=name == "XLA")) for name in ("graph", "XLA")}


if __name__ == "__main__":
    serve(make)
