"""Conditioners: networks that give scalar maps their parameters. An import line registers one."""

from densiflow.networks.grouped_masked_mlp import GroupedMaskedMLP as GroupedMaskedMLP
from densiflow.networks.masked_mlp import MaskedMLP as MaskedMLP
from densiflow.networks.mlp import MLP as MLP
from densiflow.networks.residual_masked_mlp import ResidualMaskedMLP as ResidualMaskedMLP

__all__ = ["MLP", "GroupedMaskedMLP", "MaskedMLP", "ResidualMaskedMLP"]
