"""Conditioners: networks that give scalar maps their parameters. An import line registers one."""

from densiflow.networks.masked_mlp import MaskedMLP as MaskedMLP
from densiflow.networks.mlp import MLP as MLP
from densiflow.networks.residual_masked_mlp import ResidualMaskedMLP as ResidualMaskedMLP
from densiflow.networks.uneven_masked_mlp import UnevenMaskedMLP as UnevenMaskedMLP

__all__ = ["MLP", "MaskedMLP", "ResidualMaskedMLP", "UnevenMaskedMLP"]
