"""Numbers that belong to a flow but are not learned: standardisation, the parameters of a base."""

from typing import Any, TypeVar, final

import equinox as eqx
import jax

T = TypeVar("T")


@final
class Fixed(eqx.Module):
    """A node whose leaves the optimiser, weight decay and averaging pass by.

    `value` gives what is inside with its gradient stopped, so that even a training loop that knows nothing of
    this class leaves it alone.
    """

    inside: Any

    @property
    def value(self) -> Any:
        """What is inside, with gradients stopped."""
        return jax.tree.map(jax.lax.stop_gradient, self.inside)


def partition(tree: T) -> tuple[T, T]:
    """Split a flow into what training moves and the rest; `combine` joins them again.

    Floating leaves outside every `Fixed` node are trained; permutations and fixed numbers are not.
    """

    def trained(node: Any) -> Any:
        if isinstance(node, Fixed):
            return jax.tree.map(lambda _: False, node)
        return eqx.is_inexact_array(node)

    where = jax.tree.map(trained, tree, is_leaf=lambda node: isinstance(node, Fixed))
    trained_part, rest = eqx.partition(tree, where)
    return trained_part, rest


def combine(trained: T, rest: T) -> T:
    """Undo `partition`."""
    return eqx.combine(trained, rest)
