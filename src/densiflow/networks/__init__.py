"""Conditioners: networks that give scalar maps their parameters. An import line registers one."""

from densiflow.networks.masked_mlp import MaskedMLP as MaskedMLP

__all__ = ["MaskedMLP"]
