"""Write docs/flows.md, one row a recipe, from what the recipes declare. Run with ``python docs/flows.py``."""

import inspect
from pathlib import Path

from densiflow import recipes

PAGE = Path(__file__).with_suffix(".md")

HEAD = """# The flows

Made by `python docs/flows.py` from the recipes' declarations; change those, not this page.

Every recipe is `recipes.NAME(key, dim, context_dim=0, ...)` and gives a `Flow`. T is its number of layers, D the
number of columns. Costs count passes through a layer's network, for one row or for many at once. Formulas leave the
context out: wherever a network reads columns, it reads the context too. *Universal* flows come as near as wanted to any
density, with layers and units enough.

"""

FOOT = """
## One column

With one column (`dim=1`) an affine layer can only shift and stretch, so `made`, `maf` and `iaf` stay a bell given their
context, at any depth, on a normal base. `neural_spline`, `made_mog` and `maf_mog` do not: they give one column as
many modes as it has, and let them move with the context ([picture](gallery/conditional.png)). Coupling flows need a
column to pass and a column to map, and refuse `dim=1` by name.

## Bases and mixers

Every recipe but `maf_mog` takes `base=`: `bases.Normal` (diagonal), `bases.MultivariateNormal` (full covariance),
`bases.Uniform` (any box), `bases.StudentT` (tails that are trained), `bases.Mixture` and `bases.AutoregressiveMixture`.
Between layers, `permutation=` is "reverse" (coupling: "alternate"), "random", or "lu", a learned linear mixing
(`bijections.Linear.mixing`). `act_norm=True` starts each layer with a shift and scale set from the data.
`embedding=(64, 16)` lets a network of those widths read the context first, for all layers at once.
"""


def page() -> str:
    """The whole page."""
    rows = [
        "| recipe | in each layer | `log_prob` costs | `sample` costs | universal | choose it for | source |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, what in sorted(recipes.DECLARATIONS.items(), key=lambda item: list(recipes.__all__).index(item[0])):
        cells = [
            f"`{name}`",
            f"${what.formula}$".replace("|", r"\|"),
            what.to_base,
            what.to_data,
            "yes" if what.universal else "no",
            what.choose + ("" if what.least_dim == 1 else f" (at least {what.least_dim} columns)"),
            source(name),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return HEAD + "\n".join(rows) + "\n" + FOOT


def source(name: str) -> str:
    """The source that a recipe's docstring names."""
    text = inspect.getdoc(recipes.RECIPES[name]) or ""
    paragraph = text.partition("Source: ")[2].partition("\n\n")[0]
    return " ".join(paragraph.split()).rstrip(".")


if __name__ == "__main__":
    PAGE.write_text(page())
