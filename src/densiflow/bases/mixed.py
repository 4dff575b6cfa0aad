"""Rows of states and of numbers, each given those before it: what the cells of a table become."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import logsumexp, ndtr
from jax.typing import ArrayLike, DTypeLike

from densiflow import gaussian
from densiflow.arguments import check_count
from densiflow.bases.base import Base
from densiflow.bases.layout import Layout
from densiflow.errors import ArgumentError
from densiflow.fixed import Fixed
from densiflow.networks.uneven_masked_mlp import UnevenMaskedMLP
from densiflow.precision import dtype_of, float_dtype
from densiflow.scalars.mixture_cdf import MixtureCDF
from densiflow.spaces import REAL, Space

FARTHEST = 8.0  # what the network sees of numbers farther out
CENTRES = np.linspace(-2.5, 2.5, 16)  # of the steps by which it sees a number finely
STEEPNESS = 3.0
NOWHERE = -1e30  # the logit of a level that a state does not have
RAREST = 1e-4  # the share, before training, of a level that no row has
BEYOND = 1e9  # an edge that no number reaches


class Parameters(NamedTuple):
    """What the network gives all variables of a row."""

    states: Array  # (states, most levels), log probabilities
    values: Array  # (values, 3 components), of mixtures of normals


@final
class Mixed(Base):
    r"""A row of variables, each a state or a number, given the ones before it and the context.

    .. math:: \log p(z \mid c) = \sum_{v \text{ a state}} \log \operatorname{softmax}_{z_v}(\theta_v)
              + \sum_{v \text{ there}} \log \sum_k w_{vk}\, \mathcal N(z_v; \mu_{vk}, s_{vk}^2), \qquad
              \theta_v = \theta_v(z_{<v}, c)

    A state is one of ``sizes[v]`` levels, 0, 1, ..., held as a number; its probability is exact. A number (of size 0)
    counts where the state ``presence[v]`` is 0 (with -1, always); elsewhere it holds 0 and adds nothing, and later
    variables read nothing of it, so that every pattern of absent numbers has its own exact density. A number may
    stand for a cell: then a row holds its middle and its edges a and b, and it counts with the cell's exact mass,
    :math:`\sum_k w_{vk} (\Phi((b - \mu_{vk}) / s_{vk}) - \Phi((a - \mu_{vk}) / s_{vk}))`; where a and b are equal, with
    the density there. So the sum is the log of mass times density, one number for any row.

    Shapes: V variables; ``z`` (dim,), a number for each variable and three for one in cells; ``context``
    (context_dim,). ``cells`` maps a variable to the cells that samples fall into, (cells, 3): middles and lower and
    upper edges, rising; within one whose middle is its lower edge a number stays where it is drawn. Draws are those
    that lie between the outermost edges. Outside (a level that a state does not have) the log density is -inf.
    Raises `ArgumentError` for sizes, presence or cells that describe no row.

    Source: Germain et al. 2015, "MADE"; Papamakarios et al. 2017, section 3.2 (MADE MoG); Uria et al. 2013, "RNADE".

    >>> base = Mixed(jax.random.key(0), sizes=(3, 0), presence=(-1, -1), components=2, width=8)
    >>> round(float(jnp.exp(base.log_probs(jnp.array([1.0, 0.5]))[0])), 4)
    0.3333
    """

    network: UnevenMaskedMLP
    grids: Fixed  # (variables in cells, most cells, 3)
    scalar: MixtureCDF
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    presence: tuple[int, ...] = eqx.field(static=True)
    cells: tuple[int, ...] = eqx.field(static=True)
    needs_data: ClassVar[bool] = True

    def __init__(
        self,
        key: Array,
        sizes: Sequence[int],
        presence: Sequence[int],
        context_dim: int = 0,
        *,
        cells: Mapping[int, ArrayLike] | None = None,
        components: int = 16,
        width: int = 128,
        blocks: int = 2,
        activation: str = "silu",
        dtype: DTypeLike | None = None,
    ) -> None:
        check_count("components", components, 1)
        cells = {} if cells is None else cells
        self.sizes, self.presence = tuple(map(int, sizes)), tuple(map(int, presence))
        self.cells = tuple(len(np.asarray(cells[v])) if v in cells else 0 for v in range(len(self.sizes)))
        layout, dtype = self.layout, float_dtype(dtype)
        self.dim, self.context_dim, self.scalar = layout.width, context_dim, MixtureCDF(components)
        self.grids = Fixed(jnp.asarray(_gridded({v: cells[v] for v in layout.values if v in cells}), dtype))
        values = layout.values
        reads = [*layout.variable_of, *values, *np.repeat(values, len(CENTRES))]
        gives = [*layout.variable_of, *np.repeat(values, self.scalar.parameters)]
        self.network = UnevenMaskedMLP(
            key, reads, gives, context_dim, width=width, blocks=blocks, activation=activation, dtype=dtype
        )

    @property
    def layout(self) -> Layout:
        """Where the variables stand."""
        return Layout(self.sizes, self.presence, self.cells)

    @property
    def support(self) -> Space:
        """Levels from 0 on, cells that samples can fall into, and any number: no standardising may move the former."""
        layout = self.layout
        if not any((*self.sizes, *self.cells)):
            return REAL
        sizes, cells = (np.repeat(np.asarray(of), layout.widths) for of in (self.sizes, self.cells))
        end = np.where(sizes > 0, sizes - 0.5, np.where(cells > 0, BEYOND, np.inf))
        start = np.where(sizes > 0, -0.5, -end)
        return Space("mixed", tuple(start.tolist()), tuple(end.tolist()))

    @property
    def is_movable(self) -> bool:
        return False  # what is asked of a variable, not of the row, is asked of the base itself

    def initialise(self, z: ArrayLike, weight: ArrayLike) -> Self:
        """Where the network still says nothing, let each level have its share of the rows."""
        layout, bias = self.layout, np.array(self.network.biases[-1])
        if bias.any() or np.asarray(self.network.weights[-1]).any():
            return self
        levels = np.asarray(z)[:, layout.place[layout.variable_of]] == layout.level_of
        share = np.average(levels, axis=0, weights=np.asarray(weight, np.float64))
        bias[: len(share)] = np.log(share + RAREST)
        return eqx.tree_at(lambda base: base.network.biases[-1], self, jnp.asarray(bias))

    def log_prob(self, z: Array, context: Array | None = None) -> Array:
        return jnp.sum(self.log_probs(z, context))

    def log_probs(self, z: Array, context: Array | None = None) -> Array:
        """(V,): the log probability or log density of each variable given those before it."""
        layout = self.layout
        beyond = jnp.abs(z) > float(np.sqrt(np.finfo(z.dtype).max)) / 1e3  # whose squares are infinite
        inside = jnp.where(beyond, 0, z)
        parameters = self._parameters(inside, context)
        out = jnp.zeros(layout.count, z.dtype)
        if len(layout.states):
            out = out.at[layout.states].set(jax.vmap(_log_probability)(parameters.states, self._levels(inside)))
        if len(layout.values):
            nats = self._value_log_probs(parameters.values, inside)
            out = out.at[layout.values].set(jnp.where(self._there(inside), nats, 0))
        return jnp.where(beyond[layout.place], -jnp.inf, out)

    def tails(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """(V,) each: the probability of less, and of more, than each variable given those before it.

        States count in order, and a number that may be absent as part of the state that says it is there: its
        tails hold those of the state too. Each tail is right to rounding of itself, however small.
        """
        parameters, layout = self._parameters(z, context), self.layout
        lower, upper = jnp.zeros(layout.count, z.dtype), jnp.zeros(layout.count, z.dtype)
        chances = jnp.exp(parameters.states)
        if len(layout.states):
            place, level = jnp.arange(chances.shape[1]), self._levels(z)[:, None]
            lower = lower.at[layout.states].set(jnp.sum(jnp.where(place < level, chances, 0), axis=1))
            upper = upper.at[layout.states].set(jnp.sum(jnp.where(place > level, chances, 0), axis=1))
        if len(layout.values):
            low, high = self._value_tails(parameters.values, z)
            share, rest = self._chance_there(chances)
            lower = lower.at[layout.values].set(share * low)
            upper = upper.at[layout.values].set(rest + share * high)
        return lower, upper

    def sample(self, key: Array, context: Array | None = None) -> Array:
        unknown, none = jnp.zeros(self.layout.count, bool), jnp.full(self.layout.count, -1)
        return self.draw(key, jnp.zeros(self.dim, dtype_of(self.network)), unknown, none, context)[0]

    def draw(
        self, key: Array, z: Array, known: Array, barred: Array, context: Array | None = None
    ) -> tuple[Array, Array]:
        """Draw what is not known (V,), one variable after the other, each given those before it.

        ``barred`` (V,) is the level that a state may not take when it is drawn, -1 for none. Returns the row (dim,) and
        the log probability of its known variables, each given those before it: the row's importance weight, whose mean
        over draws is the probability of what is known.
        """

        def step(v: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            z, log_weight = carry
            drawn, nats = self._one(v, self._parameters(z, context), jax.random.fold_in(key, v), z, barred[v])
            return jnp.where(known[v], z, self._put(z, v, drawn)), log_weight + jnp.where(known[v], nats, 0)

        known_numbers = jnp.repeat(known, self.layout.widths, total_repeat_length=self.dim)
        start = jnp.where(known_numbers, z, 0), jnp.zeros((), z.dtype)
        return lax.fori_loop(0, self.layout.count, step, start)

    def quantile(self, normal: Array, context: Array | None = None) -> Array:
        """The row (dim,) whose variables, given those before them, stand at these standard normal quantiles (V,).

        A number that may be absent and its state are given the same one. The middles of the intervals that `tails`
        leaves lead back to the row they came from.
        """
        normal = normal.astype(dtype_of(self.network))

        def step(v: Array, z: Array) -> Array:
            return self._put(z, v, self._at(v, self._parameters(z, context), normal[v], z))

        return lax.fori_loop(0, self.layout.count, step, jnp.zeros(self.dim, normal.dtype))

    # the network

    def _parameters(self, z: Array, context: Array | None) -> Parameters:
        layout, dtype = self.layout, z.dtype
        out = self.network(self._seen(z), context)
        levels = len(layout.variable_of)
        logits = jnp.append(out[:levels], NOWHERE)[layout.table]
        start = jnp.asarray(self.scalar.training_start(), dtype)
        values = out[levels:].reshape(len(layout.values), self.scalar.parameters) + start
        return Parameters(jax.nn.log_softmax(logits.astype(dtype), axis=1), values)

    def _seen(self, z: Array) -> Array:
        """What the network reads: a 1 for the level of each state, each number that is there, and steps of it."""
        layout = self.layout
        levels = (z[layout.place[layout.variable_of]] == layout.level_of).astype(z.dtype)
        there = self._there(z)
        y = jnp.where(there, jnp.clip(z[layout.place[layout.values]], -FARTHEST, FARTHEST), 0)
        steps = jnp.tanh(STEEPNESS * (y[:, None] - jnp.asarray(CENTRES, z.dtype))) * there[:, None]
        return jnp.concatenate([levels, y, steps.ravel()])

    def _levels(self, z: Array) -> Array:
        """(states,) numbers."""
        return z[self.layout.place[self.layout.states]]

    def _there(self, z: Array) -> Array:
        """(values,) booleans."""
        presence = np.asarray(self.presence, np.int32)[self.layout.values]
        return jnp.asarray(presence < 0) | (z[self.layout.place[presence]] == 0)

    def _chance_there(self, chances: Array) -> tuple[Array, Array]:
        """(values,) each: the probability that the value is there, and the rest."""
        stated = self.layout.stated
        if not (stated >= 0).any():
            return jnp.ones(len(stated), chances.dtype), jnp.zeros(len(stated), chances.dtype)
        share = jnp.where(stated < 0, 1.0, chances[stated, 0])
        return share, jnp.where(stated < 0, 0.0, jnp.sum(chances[stated, 1:], axis=1))

    # values

    def _value_log_probs(self, theta: Array, z: Array) -> Array:
        """(values,) log densities, or log masses of cells."""
        layout = self.layout
        log_w, mean, log_s = self.scalar.mixture(theta)
        by_scale, y = jnp.exp(-log_s), z[layout.place[layout.values], None]
        density = gaussian.log_density((y - mean) * by_scale) - log_s
        if not (layout.grid >= 0).any():
            return logsumexp(log_w + density, axis=1)
        edges = [z[edge, None] for edge in layout.edges]
        in_cell = self._there(z)[:, None] & (edges[0] < edges[1])
        low, high = (jnp.where(in_cell, edge, y + side) for edge, side in zip(edges, (-1.0, 1.0), strict=True))
        mass = gaussian.log_mass((low - mean) * by_scale, (high - mean) * by_scale)
        return logsumexp(log_w + jnp.where(in_cell, mass, density), axis=1)

    def _value_tails(self, theta: Array, z: Array) -> tuple[Array, Array]:
        log_w, mean, log_s = self.scalar.mixture(theta)
        below, above = ((z[edge, None] - mean) * jnp.exp(-log_s) for edge in self.layout.edges)
        lower = jnp.exp(logsumexp(log_w + gaussian.log_cdf(below), axis=1))
        return lower, jnp.exp(logsumexp(log_w + gaussian.log_cdf(-above), axis=1))

    # one variable: what a row holds of it are three numbers, of which the last two count for one in cells

    def _one(self, v: Array, parameters: Parameters, key: Array, z: Array, barred: Array) -> tuple[Array, Array]:
        """A draw (3,) of variable v but not of the barred level, and the log probability of what the row holds now."""
        layout = self.layout
        slot = jnp.asarray(layout.slot)[v]
        nothing = jnp.zeros(3, z.dtype), jnp.zeros((), z.dtype)
        state, value = nothing, nothing
        if len(layout.states):
            log_p = parameters.states[slot]
            allowed = jnp.where(jnp.arange(len(log_p)) == barred, NOWHERE, log_p)
            level = jax.random.categorical(key, allowed).astype(z.dtype)
            state = jnp.full(3, level), _log_probability(log_p, z[jnp.asarray(layout.place)[v]])
        if len(layout.values):
            log_w, mean, log_s = self.scalar.mixture(parameters.values[slot])
            component_key, normal_key = jax.random.split(key)
            ends = [(end - mean) * jnp.exp(-log_s) for end in self._ends(slot)]
            k = jax.random.categorical(component_key, log_w + gaussian.log_mass(*ends))
            y = mean[k] + jnp.exp(log_s[k]) * _normal_between(normal_key, ends[0][k], ends[1][k])
            there = self._there(z)[slot]
            nats = self._value_log_probs(parameters.values, z)[slot]
            value = jnp.where(there, self._cell(slot, y), 0), jnp.where(there, nats, 0)
        is_state = jnp.asarray(self.sizes)[v] > 0
        return jnp.where(is_state, state[0], value[0]), jnp.where(is_state, state[1], value[1])

    def _at(self, v: Array, parameters: Parameters, normal: Array, z: Array) -> Array:
        """What (3,) variable v is at a standard normal quantile."""
        layout = self.layout
        slot = jnp.asarray(layout.slot)[v]
        state = value = jnp.zeros(3, z.dtype)
        chances = jnp.exp(parameters.states)
        if len(layout.states):
            below = jnp.cumsum(chances[slot])
            most = jnp.asarray(np.asarray(self.sizes) - 1)[v]
            state = jnp.full(3, jnp.clip(jnp.sum(below <= ndtr(normal)), 0, most).astype(z.dtype))
        if len(layout.values):
            share, rest = (part[slot] for part in self._chance_there(chances))
            lower, upper = ndtr(normal) / share, (ndtr(-normal) - rest) / share
            smaller = jnp.log(jnp.clip(jnp.minimum(lower, upper), np.finfo(z.dtype).tiny, 0.5))
            inner = jnp.where(lower < upper, 1, -1) * gaussian.quantile_of_log(smaller)
            y = self.scalar.to_data(jnp.where(rest == 0, normal, inner), parameters.values[slot])[0]
            value = jnp.where(self._there(z)[slot], self._cell(slot, y), 0)
        return jnp.where(jnp.asarray(self.sizes)[v] > 0, state, value)

    def _ends(self, slot: Array) -> tuple[Array, Array]:
        """Between which numbers the value at this place is drawn: the edges of its outermost cells."""
        dtype, layout = self.grids.value.dtype, self.layout
        if not (layout.grid >= 0).any():
            return jnp.asarray(-BEYOND, dtype), jnp.asarray(BEYOND, dtype)
        grid, cells = jnp.asarray(layout.grid)[slot], jnp.asarray(self.cells)[layout.values][slot]
        bottom, top = self.grids.value[grid, 0, 1], self.grids.value[grid, cells - 1, 2]
        return jnp.where(grid < 0, -BEYOND, bottom), jnp.where(grid < 0, BEYOND, top)

    def _cell(self, slot: Array, y: Array) -> Array:
        """(3,): the cell that a number of the value at this place falls into; the number itself for a density."""
        layout = self.layout
        if not (layout.grid >= 0).any():
            return jnp.full(3, y)
        grid, cells = jnp.asarray(layout.grid)[slot], jnp.asarray(self.cells)[layout.values][slot]
        table = self.grids.value[grid]  # (most cells, 3)
        cell = table[jnp.clip(jnp.searchsorted(table[:, 1], y, side="right") - 1, 0, jnp.maximum(cells - 1, 0))]
        stays = jnp.where(grid < 0, y, jnp.clip(y, cell[1], cell[2]))
        return jnp.where((grid < 0) | (cell[0] == cell[1]), stays, cell)

    def _put(self, z: Array, v: Array, numbers: Array) -> Array:
        """The row with the numbers (3,) of variable v."""
        place = jnp.asarray(self.layout.place)[v]
        is_cell = jnp.asarray(self.cells)[v] > 0
        z = z.at[place].set(numbers[0])
        for k in (1, 2):
            z = z.at[jnp.where(is_cell, place + k, self.dim)].set(numbers[k], mode="drop")
        return z

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {
            "one number": cls(key, (0,), (-1,), components=2, width=4, blocks=1),
            "numbers, context": cls(key, (0, 0), (-1, -1), 1, components=2, width=6, blocks=1, activation="tanh"),
        }


def _log_probability(log_p: Array, level: Array) -> Array:
    """Of one level of a state, given those of all (most levels,); -inf for one it does not have."""
    place = jnp.clip(level, 0, log_p.shape[0] - 1).astype(jnp.int32)
    found = log_p[place]
    return jnp.where((place == level) & (found > 0.5 * NOWHERE), found, -jnp.inf)


def _normal_between(key: Array, low: Array, high: Array) -> Array:
    """A standard normal number given that it lies between two."""
    least = np.nextafter(np.array(-1, low.dtype), np.array(0, low.dtype))
    bottom, top = (lax.erf(end / np.sqrt(2).astype(low.dtype)) for end in (low, high))
    # so far out that both round to one number the end nearer to 0 is the likeliest
    within = jax.random.uniform(key, (), low.dtype, jnp.maximum(bottom, least), jnp.maximum(top, least))
    drawn = np.sqrt(2).astype(low.dtype) * lax.erf_inv(within)
    return jnp.clip(jnp.where(bottom < top, drawn, 0), low, high)


def _gridded(cells: Mapping[int, ArrayLike]) -> np.ndarray:
    """The cells of some variables as one array (variables, most cells, 3), filled up with unreachable ones."""
    tables = {v: np.asarray(table, np.float64) for v, table in cells.items()}
    filled = np.full((len(tables), max(map(len, tables.values()), default=0), 3), BEYOND)
    for row, (v, table) in enumerate(tables.items()):
        rising = table.ndim == 2 and table.shape[1] == 3 and (np.diff(table, axis=0) > 0).all()
        if not rising or not ((table[:, 1] <= table[:, 0]) & (table[:, 0] < table[:, 2])).all():
            raise ArgumentError(f"the cells of variable {v} must be rising rows of a middle between two edges")
        filled[row, : len(table)] = table
    return filled
