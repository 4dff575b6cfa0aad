"""TensorFlow Probability's side of the comparison."""

import itertools

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from record import CONTEXT_DIM, record

from densiflow.migrate import from_tfp
from densiflow.migrate.tfp import read

tfb, tfd = tfp.bijectors, tfp.distributions
LAYERS = 3
HIDDEN = {1: [6, 6], 2: [8, 8], 5: [12, 11]}


def network(numbers, dim, activation, mode=None, dtype="float32", **options):
    """An AutoregressiveNetwork with random weights and biases inside its masks."""
    if mode is not None:
        options |= {"conditional": True, "conditional_event_shape": (CONTEXT_DIM,), "conditional_input_layers": mode}
    made = tfb.AutoregressiveNetwork(
        params=2, event_shape=[dim], hidden_units=HIDDEN[dim], activation=activation, dtype=dtype, **options
    )
    row = np.zeros((1, dim), dtype)
    made(row) if mode is None else made(row, conditional_input=np.zeros((1, CONTEXT_DIM), dtype))
    for variable in made.trainable_variables:
        size = 0.3 if variable.shape[-1] == 2 * dim else 1.0  # larger scales leave float32's range
        fan = variable.shape[0] if len(variable.shape) == 2 else 4
        variable.assign(size * numbers.normal(size=variable.shape) / np.sqrt(fan))
    for layer in made._network.layers:  # as Keras' optimizers do after each step
        if hasattr(layer, "kernel") and layer.kernel_constraint is not None:
            layer.kernel.assign(layer.kernel_constraint(layer.kernel))
    return made


def contexts(bijector, context):
    """The nested keywords that a Chain wants, by the bijectors' names."""
    if isinstance(bijector, tfb.Chain) or hasattr(bijector, "bijectors"):
        return {member.name: contexts(member, context) for member in bijector.bijectors}
    return {"conditional_input": context} if isinstance(bijector, tfb.MaskedAutoregressiveFlow) else {}


def case(name, distribution, dim, is_conditional):
    def given(context):
        return {} if context is None else contexts(distribution.bijector, context)

    return (
        name,
        distribution,
        dim,
        is_conditional,
        lambda x, context: distribution.log_prob(x, bijector_kwargs=given(context)).numpy(),
        lambda z, context: distribution.bijector.forward(z, **given(context)).numpy(),
    )


def chain(numbers, dim, activation, mode, permutation, dtype="float32", **options):
    """MAF, Permute, MAF, Permute, MAF."""
    bijectors = []
    for layer in range(LAYERS):
        made = network(numbers, dim, activation, mode, dtype, **options)
        bijectors.append(tfb.MaskedAutoregressiveFlow(made, name=f"maf{layer}"))
        order = np.arange(dim)[::-1] if permutation == "reversed" else numbers.permutation(dim)
        bijectors.append(tfb.Permute(order.astype(np.int32), name=f"permute{layer}"))
    return tfb.Chain(bijectors[:-1])


def cases():
    np.random.seed(0)  # noqa: NPY002 (where TFP takes its random degrees from)
    numbers = np.random.default_rng(0)
    modes = {None: "unconditional", "first_layer": "context in the first layer", "all_layers": "context in all layers"}
    for dim, activation, mode, permutation in itertools.product(
        HIDDEN, ("relu", "sigmoid"), modes, ("reversed", "random")
    ):
        base = tfd.Sample(tfd.Normal(0.0, 1.0), sample_shape=[dim])
        flow = tfd.TransformedDistribution(base, chain(numbers, dim, activation, mode, permutation))
        yield case(f"{dim} columns, {activation}, {modes[mode]}, {permutation}", flow, dim, mode is not None)
    base = tfd.MultivariateNormalDiag(np.array([1.0, -2.0, 0.0, 0.5, 3.0]), np.array([0.5, 2.0, 1.0, 1.5, 0.7]))
    tf_keras.backend.set_floatx("float64")  # the activations in a network pass by the dtype that it is given
    chained = chain(numbers, 5, "tanh", "all_layers", "random", "float64")
    tf_keras.backend.set_floatx("float32")
    yield case("float64, tanh, a base of its own", tfd.TransformedDistribution(base, chained), 5, True)
    base = tfd.MultivariateNormalDiag(np.zeros(5, np.float32), np.ones(5, np.float32))
    inverted = tfb.Invert(chain(numbers, 5, "relu", None, "random"))
    yield case("inverted chain", tfd.TransformedDistribution(base, inverted), 5, False)
    parts = [
        tfb.Shift(np.float32(0.5)),
        tfb.Scale(np.float32([0.5, 2.0, 1.0, 1.5, 0.7])),
        tfb.MaskedAutoregressiveFlow(network(numbers, 5, None, input_order="right-to-left")),
        tfb.Invert(tfb.Chain([tfb.Permute(np.int32([2, 0, 1, 4, 3])), tfb.Scale(np.float32(1.5))])),
        tfb.Invert(tfb.MaskedAutoregressiveFlow(network(numbers, 5, "elu", hidden_degrees="random"))),
        tfb.MaskedAutoregressiveFlow(network(numbers, 5, "gelu", input_order=[3, 1, 5, 2, 4], use_bias=False)),
    ]
    yield case("every part", tfd.TransformedDistribution(base, tfb.Chain(parts)), 5, False)


if __name__ == "__main__":
    versions = {"tensorflow": tf.__version__, "tensorflow_probability": tfp.__version__}
    record("tfp", versions, cases(), read, from_tfp)
