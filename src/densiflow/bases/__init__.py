"""Bases: the simple distributions of z. An import line registers one: saved by name, tried by every law."""

from densiflow.bases.autoregressive_mixture import AutoregressiveMixture as AutoregressiveMixture
from densiflow.bases.base import Base as Base
from densiflow.bases.mixed import Mixed as Mixed
from densiflow.bases.mixture import Mixture as Mixture
from densiflow.bases.multivariate_normal import MultivariateNormal as MultivariateNormal
from densiflow.bases.normal import Normal as Normal
from densiflow.bases.student_t import StudentT as StudentT
from densiflow.bases.uniform import Uniform as Uniform

__all__ = [
    "AutoregressiveMixture",
    "Base",
    "Mixed",
    "Mixture",
    "MultivariateNormal",
    "Normal",
    "StudentT",
    "Uniform",
]
