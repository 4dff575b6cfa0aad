"""Wrong bijections, bases and flows, each after a bug that some library once shipped."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from densiflow.bases import Base
from densiflow.bijections import Bijection
from densiflow.flow import Flow
from densiflow.spaces import Space

UNIT = Space("unit", 0.0, 1.0)


class ShiftAndScale(Bijection):
    """A right one, for the wrong ones to differ from in a single place."""

    shift: jax.Array
    log_scale: jax.Array
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, dim=2, context_dim=0):
        self.shift = jnp.linspace(-1.0, 2.0, dim)
        self.log_scale = jnp.linspace(-0.7, 0.4, dim)
        self.dim, self.context_dim = dim, context_dim

    def to_base(self, x, context=None):
        return (x - self.shift) * jnp.exp(-self.log_scale), -jnp.sum(self.log_scale)

    def to_data(self, z, context=None):
        return z * jnp.exp(self.log_scale) + self.shift, jnp.sum(self.log_scale)

    def dependence(self):
        return np.eye(self.dim, dtype=bool)


class SignWrongBothWays(ShiftAndScale):
    def to_base(self, x, context=None):
        z, log_det = ShiftAndScale.to_base(self, x)
        return z, -log_det

    def to_data(self, z, context=None):
        x, log_det = ShiftAndScale.to_data(self, z)
        return x, -log_det


class SignWrongOneWay(ShiftAndScale):
    def to_data(self, z, context=None):
        x, log_det = ShiftAndScale.to_data(self, z)
        return x, -log_det


class LogDetForgotten(ShiftAndScale):
    def to_base(self, x, context=None):
        return ShiftAndScale.to_base(self, x)[0], jnp.zeros((), x.dtype)

    def to_data(self, z, context=None):
        return ShiftAndScale.to_data(self, z)[0], jnp.zeros((), z.dtype)


class InverseSlightlyOff(ShiftAndScale):
    def to_data(self, z, context=None):
        x, log_det = ShiftAndScale.to_data(self, z)
        return x + 1e-7, log_det


class LogDetOfOneColumn(ShiftAndScale):
    """log_det of shape (1,): added to (n,) it would broadcast to (n, n)."""

    def to_base(self, x, context=None):
        z, log_det = ShiftAndScale.to_base(self, x)
        return z, log_det[None]


class LogDetPerColumn(ShiftAndScale):
    def to_base(self, x, context=None):
        return ShiftAndScale.to_base(self, x)[0], -self.log_scale


class ReturnsFloat32(ShiftAndScale):
    def to_base(self, x, context=None):
        z, log_det = ShiftAndScale.to_base(self, x)
        return z.astype(jnp.float32), log_det


class NarrowedInside(ShiftAndScale):
    """Computes in float32 and hides it."""

    def to_base(self, x, context=None):
        narrow = (x.astype(jnp.float32) - self.shift.astype(jnp.float32)).astype(x.dtype)
        return narrow * jnp.exp(-self.log_scale), -jnp.sum(self.log_scale)


class MixedByBatchMean(ShiftAndScale):
    def to_base_rows(self, x, context=None):
        z, log_det = jax.vmap(self.to_base)(x)
        return z + 0.01 * jnp.mean(x, axis=0), log_det


class RowsDiffer(ShiftAndScale):
    """A fast path that forgot one column."""

    def to_data_rows(self, z, context=None):
        x, log_det = jax.vmap(self.to_data)(z)
        return x.at[:, -1].add(0.1), log_det


class DependsTooMuch(ShiftAndScale):
    """A mask leak: the second column reads itself through the first, which it does not declare."""

    def to_base(self, x, context=None):
        z, log_det = ShiftAndScale.to_base(self, x)
        return z.at[1].add(0.01 * jnp.tanh(x[0])), log_det

    def to_data(self, z, context=None):
        x_0 = ShiftAndScale.to_data(self, z)[0][0]
        return ShiftAndScale.to_data(self, z.at[1].add(-0.01 * jnp.tanh(x_0)))


class DependsTooLittle(Bijection):
    """Half of the mask lost: each column reads only the column right before it, of all those it declares."""

    weight: jax.Array
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self):
        self.weight, self.dim, self.context_dim = jnp.full((3, 3), 0.5), 3, 0

    def _band(self):
        return jnp.where(jnp.eye(3, k=-1, dtype=bool), self.weight, 0.0)

    def to_base(self, x, context=None):
        return x - self._band() @ x, jnp.zeros((), x.dtype)

    def to_data(self, z, context=None):
        return jnp.linalg.solve(jnp.eye(3, dtype=z.dtype) - self._band(), z), jnp.zeros((), z.dtype)

    def dependence(self):
        return np.tri(3, dtype=bool)


class ContextCutForTheFirstColumn(ShiftAndScale):
    """What masks do to a context that is treated as one more column."""

    def to_base(self, x, context=None):
        z, log_det = ShiftAndScale.to_base(self, x)
        return z.at[1:].add(jnp.sum(context)), log_det

    def to_data(self, z, context=None):
        return ShiftAndScale.to_data(self, z.at[1:].add(-jnp.sum(context)))


class ContextIgnored(ShiftAndScale):
    """Takes a context and never looks at it."""


class CoversHalfTheLine(ShiftAndScale):
    """Not onto, though it declares so: the density that it makes sums to 0.68."""

    def to_base(self, x, context=None):
        slope = 1 - jnp.tanh(x) ** 2
        return jnp.tanh(x), jnp.sum(jnp.log(slope))

    def to_data(self, z, context=None):
        z = jnp.clip(z, -0.999999, 0.999999)
        return jnp.arctanh(z), -jnp.sum(jnp.log1p(-(z**2)))


class LandsOutside(ShiftAndScale):
    """Declares to land between 0 and 1, and does not."""

    @property
    def codomain(self):
        return UNIT


@jax.custom_jvp
def _bent(x):
    return x + 0.5 * jnp.tanh(x)


@_bent.defjvp
def _bent_slope(primals, tangents):
    return _bent(primals[0]), 1.5 * tangents[0]


class DerivativeRuleWrong(ShiftAndScale):
    """A hand-written derivative that agrees with log_det, and both are wrong."""

    def to_base(self, x, context=None):
        return _bent(x), jnp.full((), self.dim * math.log(1.5), x.dtype)

    def to_data(self, z, context=None):
        def newton(_, x):
            return x - (_bent(x) - z) / (1 + 0.5 / jnp.cosh(x) ** 2)

        x = jax.lax.fori_loop(0, 60, newton, z / 1.2)
        return x, jnp.full((), -self.dim * math.log(1.5), z.dtype)


class NaNGradientFarOut(ShiftAndScale):
    """Right numbers, but the branch not taken overflows: its gradient is zero times infinity."""

    def to_base(self, x, context=None):
        return ShiftAndScale.to_base(self, jnp.where(jnp.abs(x) < 30, jnp.log(jnp.exp(x)), x))


class FunctionInAField(ShiftAndScale):
    """Holds a function in a static field, which no file can name."""

    function: Callable = eqx.field(static=True)

    def __init__(self):
        ShiftAndScale.__init__(self)
        self.function = jnp.tanh


class NumbersAsNames(ShiftAndScale):
    """An array under the name 0, which a file gives back under the name "0"."""

    extra: dict

    def __init__(self):
        ShiftAndScale.__init__(self)
        self.extra = {0: jnp.ones(2)}


class ListInAStaticField(ShiftAndScale):
    """Comes back from a file as a tuple."""

    widths: list = eqx.field(static=True)

    def __init__(self):
        ShiftAndScale.__init__(self)
        self.widths = [1, 2]


class NumberInAnArrayField(ShiftAndScale):
    """A plain float where training, casting and saving look for an array."""

    power: float

    def __init__(self):
        ShiftAndScale.__init__(self)
        self.power = 2.0


class Bell(Base):
    """A right base, for the wrong ones to differ from in a single place."""

    mean: jax.Array
    log_scale: jax.Array
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, dim=2, context_dim=0):
        self.mean, self.log_scale = jnp.linspace(-1.0, 2.0, dim), jnp.linspace(-0.9, 1.2, dim)
        self.dim, self.context_dim = dim, context_dim

    def log_prob(self, z, context=None):
        u = (z - self.mean) * jnp.exp(-self.log_scale)
        return jnp.sum(-0.5 * u**2 - self.log_scale - 0.5 * math.log(2 * math.pi))

    def sample(self, key, context=None):
        return self.mean + jnp.exp(self.log_scale) * jax.random.normal(key, (self.dim,), self.mean.dtype)


class SamplesIgnoreTheScale(Bell):
    def sample(self, key, context=None):
        return self.mean + jax.random.normal(key, (self.dim,), self.mean.dtype)


class NormalisationForgotten(Bell):
    def log_prob(self, z, context=None):
        return Bell.log_prob(self, z) + jnp.sum(self.log_scale)


class LogProbPerColumn(Bell):
    def log_prob(self, z, context=None):
        return -0.5 * (z - self.mean) ** 2


class KeyIgnored(Bell):
    def sample(self, key, context=None):
        return Bell.sample(self, jax.random.key(0))


class BaseIgnoresItsContext(Bell):
    """Takes a context and never looks at it."""


class BaseHoldsAFunction(Bell):
    function: Callable = eqx.field(static=True)

    def __init__(self):
        Bell.__init__(self)
        self.function = jnp.tanh


class NaNGradientOfTheDensity(Bell):
    def log_prob(self, z, context=None):
        return Bell.log_prob(self, jnp.where(jnp.abs(z) < 30, jnp.log(jnp.exp(z)), z))


class NaNOutside(Bell):
    """A triangle between 0 and 1, by a logarithm that nobody guards."""

    @property
    def support(self):
        return UNIT

    def log_prob(self, z, context=None):
        return jnp.sum(jnp.log(2 * z))

    def sample(self, key, context=None):
        return jnp.sqrt(jax.random.uniform(key, (self.dim,), self.mean.dtype))


class SamplesLeaveTheSupport(NaNOutside):
    def sample(self, key, context=None):
        return 1.1 * NaNOutside.sample(self, key)


class ScalingLeftOut(Flow):
    """Densities in standardised units."""

    def _to_base_rows(self, x, context):
        x, _ = self.scaling.value.to_base_rows(x)
        return self.bijection.to_base_rows(x, context if self.bijection.context_dim else None)


class LogDetLeftOut(Flow):
    def log_prob(self, x, context=None):
        return Flow.log_prob(self, x, context) - 0.5 * self.to_base(x, context)[1]


class DensityInAColumn(Flow):
    def log_prob(self, x, context=None):
        return Flow.log_prob(self, x, context)[..., None]


class SignWrongInSampling(Flow):
    def sample_and_log_prob(self, key, n, context=None):
        x, log_prob = Flow.sample_and_log_prob(self, key, n, context)
        return x, log_prob + 2 * self.to_base(x, context)[1]


class SamplesDependOnTheirNumber(Flow):
    def sample(self, key, n, context=None):
        return Flow.sample(self, jax.random.fold_in(key, n), n, context)


class SamplesTooNarrow(Flow):
    def sample(self, key, n, context=None):
        return 0.8 * Flow.sample(self, key, n, context)


class FirstContextForAll(Flow):
    def log_prob(self, x, context=None):
        if np.ndim(x) == 3:
            context = jnp.broadcast_to(context[..., :1, :], context.shape)
        return Flow.log_prob(self, x, context)


class AnyContextAccepted(Flow):
    def log_prob(self, x, context=None):
        return Flow.log_prob(self, x)


class NaNAtInfinity(Flow):
    def log_prob(self, x, context=None):
        return Flow.log_prob(self, x, context) + 0 * jnp.sum(jnp.asarray(x), axis=-1)


class HostOnly(Flow):
    """Leaves JAX on the way, so that it can't be compiled or differentiated."""

    def log_prob(self, x, context=None):
        return Flow.log_prob(self, np.asarray(x), context)
