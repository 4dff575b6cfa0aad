"""Bijections, data side <-> base side. An import line here registers one: saved by name, tried by every law."""

from densiflow.bijections.act_norm import ActNorm as ActNorm
from densiflow.bijections.autoregressive import Autoregressive as Autoregressive
from densiflow.bijections.base import Bijection as Bijection
from densiflow.bijections.chain import Chain as Chain
from densiflow.bijections.coupling import Coupling as Coupling
from densiflow.bijections.elementwise import Elementwise as Elementwise
from densiflow.bijections.exp import Exp as Exp
from densiflow.bijections.inverse import Inverse as Inverse
from densiflow.bijections.linear import Linear as Linear
from densiflow.bijections.permute import Permute as Permute
from densiflow.bijections.planar import Planar as Planar
from densiflow.bijections.stack import Stack as Stack
from densiflow.bijections.ways import inversion as inversion
from densiflow.bijections.ways import jacobi as jacobi

__all__ = [  # what is registered
    "ActNorm",
    "Autoregressive",
    "Bijection",
    "Chain",
    "Coupling",
    "Elementwise",
    "Exp",
    "Inverse",
    "Linear",
    "Permute",
    "Planar",
    "Stack",
]
