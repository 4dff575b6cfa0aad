"""Does a row come back where it started?"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from densiflow.flow import Flow


def round_trip(flow: "Flow", x: ArrayLike, context: ArrayLike | None = None) -> NDArray[Any]:
    r"""How far each row lands from where it started, after `to_base` and `to_data`.

    .. math:: r = \max_i |x_i - f^{-1}(f(x))_i| \,/\, s_i

    in units of the flow's own scale of each column, `s`. Rounding alone gives some 1e-6 in float32 near the data; more
    says that there the flow stretches its rows too much for its floating type, or that an iteration ended too early.

    Shapes: ``x`` (..., dim), ``context`` (..., c), result (...). Raises as `Flow.to_base` does.

    >>> import jax
    >>> from densiflow import recipes
    >>> flow = recipes.maf(jax.random.key(0), dim=2, layers=2, hidden=(8,), start="random")
    >>> bool(np.all(round_trip(flow, np.zeros((3, 2))) < 1e-5))
    True
    """
    z, _ = flow.to_base(x, context)
    back, _ = flow.to_data(z, context)
    scale = np.exp(np.asarray(flow.scaling.value.log_scale, np.float64))
    return np.max(np.abs(np.asarray(back, np.float64) - np.asarray(x, np.float64)) / scale, axis=-1)
