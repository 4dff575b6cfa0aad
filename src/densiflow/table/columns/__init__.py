"""Kinds of columns: how the cells of one column become real numbers. An entry in `KINDS` registers one."""

from densiflow.table.columns.base import Column as Column
from densiflow.table.columns.real import Real as Real

KINDS: dict[str, type[Column]] = {"real": Real}

__all__ = ["KINDS", "Column", "Real"]
