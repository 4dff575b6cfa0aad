"""The affine scalar map and the forms its scale may take."""

import math
from typing import Literal, Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from densiflow.arguments import check_offered
from densiflow.errors import ArgumentError
from densiflow.scalars.base import ScalarMap

ScaleForm = Literal["exp", "softplus", "sigmoid", "softsign"]


@final
class Affine(ScalarMap):
    r"""Shift and scale one number.

    .. math:: x = z\, e^{\alpha} + \mu, \qquad z = (x - \mu)\, e^{-\alpha}

    The network gives :math:`(\mu, a)` and ``form`` says how the scale :math:`e^\alpha` comes of `a`:

    * ``"exp"``: :math:`\alpha = B \tanh(a / B)`, softly bounded by ``bound`` B; ``bound=None`` is the paper's
      :math:`\alpha = a`;
    * ``"softplus"``: :math:`e^\alpha = m + \log(1 + e^{a + c})`, never below ``minimum`` m;
    * ``"sigmoid"``: :math:`e^\alpha = 2 / (1 + e^{-a})`, never above 2;
    * ``"softsign"``: :math:`\alpha = a / (1 + |a| / B)`, bounded as ``"exp"`` is, reached more slowly.

    Each is 1 at a = 0. Shapes: ``theta`` (..., 2). Raises `ArgumentError` for another form, a bound that is not
    positive, ``"softsign"`` without one, or a minimum outside (0, 1).

    Source: Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", eq. 3 and 4.

    >>> x, log_slope = Affine(bound=None).to_data(jnp.array(3.0), jnp.array([1.0, 0.6931472]))
    >>> round(float(x), 4), round(float(log_slope), 4)
    (7.0, 0.6931)
    """

    form: ScaleForm = eqx.field(static=True)
    bound: float | None = eqx.field(static=True)
    minimum: float = eqx.field(static=True)
    parameters: int = eqx.field(static=True)

    def __init__(self, form: ScaleForm = "exp", bound: float | None = 3.0, minimum: float = 1e-3) -> None:
        self.form, self.bound, self.minimum = form, bound, minimum
        self.parameters = 2  # the shift, and what the scale is made of

    def __check_init__(self) -> None:
        check_offered("the scale's form", self.form, ScaleForm)
        real = isinstance(self.bound, float | int)
        if self.bound is not None and not (real and self.bound > 0 and math.isfinite(self.bound)):
            raise ArgumentError(f"bound must be positive and finite, or None, got {self.bound!r}")
        if self.bound is None and self.form == "softsign":
            raise ArgumentError("the form softsign needs a bound, got None")
        if not 0 < self.minimum < 1:
            raise ArgumentError(f"minimum must lie between 0 and 1, got {self.minimum}")

    def log_scale(self, a: Array) -> Array:
        """The logarithm of the scale, alpha."""
        match self.form:
            case "exp":
                return a if self.bound is None else self.bound * jnp.tanh(a / self.bound)
            case "softplus":
                at_zero_one = math.log(math.expm1(1 - self.minimum))
                return jnp.log(self.minimum + jax.nn.softplus(a + at_zero_one))
            case "sigmoid":
                return math.log(2) + jax.nn.log_sigmoid(a)
            case "softsign":
                return a / (1 + jnp.abs(a) / (self.bound or math.inf))

    def to_base(self, x: Array, theta: Array) -> tuple[Array, Array]:
        alpha = self.log_scale(theta[..., 1])
        return (x - theta[..., 0]) * jnp.exp(-alpha), -alpha

    def to_data(self, z: Array, theta: Array) -> tuple[Array, Array]:
        alpha = self.log_scale(theta[..., 1])
        return z * jnp.exp(alpha) + theta[..., 0], alpha

    @classmethod
    def examples(cls) -> dict[str, Self]:
        return {
            "exp, bounded": cls(),
            "exp, free": cls(bound=None),
            "softplus": cls("softplus"),
            "sigmoid": cls("sigmoid"),
            "softsign": cls("softsign", bound=2.0),
        }
