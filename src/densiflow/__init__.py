"""densiflow: exact densities for tables and simulations, by normalizing flows on JAX.

Importing it loads neither JAX nor scikit-learn and changes no global state: each name below is imported when it is
first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from densiflow import bases, bijections, errors, laws, migrate, recipes, training
    from densiflow.estimators import FlowClassifier, FlowDensity, FlowOutlierDetector, FlowRegressor
    from densiflow.files import load
    from densiflow.flow import Flow

__version__ = "0.1.0"

_ESTIMATORS = ("FlowClassifier", "FlowDensity", "FlowOutlierDetector", "FlowRegressor")
_HOMES = {"Flow": "densiflow.flow", "load": "densiflow.files"} | dict.fromkeys(_ESTIMATORS, "densiflow.estimators")
_FOLDERS = ("bases", "bijections", "errors", "laws", "migrate", "recipes", "training")

__all__ = [
    "Flow",
    "FlowClassifier",
    "FlowDensity",
    "FlowOutlierDetector",
    "FlowRegressor",
    "bases",
    "bijections",
    "errors",
    "laws",
    "load",
    "migrate",
    "recipes",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _FOLDERS:
        return import_module(f"densiflow.{name}")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'densiflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
