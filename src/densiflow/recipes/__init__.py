"""Named flows, each a line or two over the grid {autoregressive, coupling} x {scalar map} x {conditioner}.

Every recipe takes ``(key, dim, context_dim=0)`` and its options by name, and returns a `Flow`. What each is, what it
costs and when to choose it stands beside it in a declaration, of which `docs/flows.md` is made.
"""

from densiflow.recipes.coupling import nice as nice
from densiflow.recipes.coupling import real_nvp as real_nvp
from densiflow.recipes.declaration import DECLARATIONS as DECLARATIONS
from densiflow.recipes.declaration import RECIPES as RECIPES
from densiflow.recipes.declaration import Recipe as Recipe
from densiflow.recipes.maf import iaf as iaf
from densiflow.recipes.maf import made as made
from densiflow.recipes.maf import maf as maf
from densiflow.recipes.mixture import made_mog as made_mog
from densiflow.recipes.mixture import maf_mog as maf_mog
from densiflow.recipes.neural_spline import coupling_spline as coupling_spline
from densiflow.recipes.neural_spline import neural_spline as neural_spline
from densiflow.recipes.planar import planar as planar

__all__ = [
    "DECLARATIONS",
    "RECIPES",
    "Recipe",
    "coupling_spline",
    "iaf",
    "made",
    "made_mog",
    "maf",
    "maf_mog",
    "neural_spline",
    "nice",
    "planar",
    "real_nvp",
]
