"""What a reader says of another library's flow: plain values and numpy arrays, no object of that library.

Steps are listed from data to base. Columns, hidden units and masks are in the order in which the other library
keeps them; `triangle` sorts them.
"""

from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Network(TypedDict):
    """A masked network: weights (out, in), where a mask is False a weight does not count.

    With ``kind="residual"`` the weights are the first product's, two a block, the last one's. Rows of the last
    product go column by column: shift, then scale. ``context_biases`` is empty, or holds the bias inside the
    activation that bends the first context product.
    """

    kind: Literal["plain", "residual"]
    activation: str
    weights: list[Array]
    masks: list[Array]
    biases: list[Array]
    context_weights: list[Array]
    context_biases: list[Array]


class Autoregression(TypedDict):
    """A column's shift and scale from the columns before it.

    ``reversed_scalar`` says z = x e^alpha + mu instead of x = z e^alpha + mu; ``inverted`` that the network reads
    z instead of x. ``bound`` and ``minimum`` are those of `scalars.Affine`.
    """

    kind: Literal["autoregression"]
    network: Network
    form: Literal["exp", "softplus", "softsign"]
    bound: float | None
    minimum: NotRequired[float]
    reversed_scalar: bool
    inverted: bool


class Permutation(TypedDict):
    """z_i = x_{permutation[i]}."""

    kind: Literal["permutation"]
    permutation: Array


class Scaling(TypedDict):
    """x = z scale + shift."""

    kind: Literal["scaling"]
    shift: Array
    scale: Array


Step = Autoregression | Permutation | Scaling


class Embedding(TypedDict):
    """A plain network that the context passes first."""

    activation: str
    weights: list[Array]
    biases: list[Array]


class Description(TypedDict):
    """A flow on a normal base of independent columns."""

    steps: list[Step]
    mean: Array
    scale: Array
    embedding: Embedding | None
    dtype: str


def permutation(order: Any, *, inverted: bool = False) -> Permutation:
    """The step z_i = x_{order[i]}, or the way back."""
    order = np.asarray(order)
    return {"kind": "permutation", "permutation": np.argsort(order) if inverted else order}


def scaling(shift: Any, scale: Any, dim: int, *, inverted: bool = False) -> Scaling:
    """The step x = z scale + shift, or with the two swapped; numbers stand for all columns."""
    shift, scale = (np.broadcast_to(np.asarray(value), (dim,)) for value in (shift, scale))
    if inverted:
        shift, scale = -shift / scale, 1 / scale
    return {"kind": "scaling", "shift": shift, "scale": scale}
