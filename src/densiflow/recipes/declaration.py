"""What a recipe declares about itself: the docs' table of flows is made from this, and tests go through it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from densiflow.flow import Flow

Recipe = Callable[..., Flow]


@dataclass(frozen=True)
class Declaration:
    """What a recipe is, in the words of a reader who must choose.

    ``formula`` is one line of LaTeX, data in terms of base. Costs count passes through a layer's network, T layers
    and D columns. ``universal`` says whether enough layers and units come as near as wanted to any density.
    ``least_dim`` is the fewest columns it takes.
    """

    formula: str
    to_base: str
    to_data: str
    choose: str
    universal: bool
    least_dim: int = 1


DECLARATIONS: dict[str, Declaration] = {}
RECIPES: dict[str, Recipe] = {}


def declared(**what: Any) -> Callable[[Recipe], Recipe]:
    """Register a recipe under its name with its declaration."""

    def register(recipe: Recipe) -> Recipe:
        DECLARATIONS[recipe.__name__] = Declaration(**what)
        RECIPES[recipe.__name__] = recipe
        return recipe

    return register
