"""Degrees: which columns each unit of a masked network may read.

A unit of degree k reads columns 1 .. k (and the context, which every unit may read). Degrees are kept sorted,
so every masked product is block lower-triangular. They follow from the widths alone and are never stored.

Source: Germain et al. 2015, "MADE: masked autoencoder for distribution estimation", section 3.
"""

import numpy as np
from numpy.typing import NDArray

Degrees = NDArray[np.int32]


def input_degrees(dim: int) -> Degrees:
    """Column i (counted from 1) has degree i.

    >>> input_degrees(3).tolist()
    [1, 2, 3]
    """
    return np.arange(1, dim + 1, dtype=np.int32)


def hidden_degrees(dim: int, context_dim: int, width: int) -> Degrees:
    """Sorted degrees of a hidden layer, spread evenly over what the outputs can use.

    With a context they start at 0: units that read the context alone, without which the first column could not
    see it. A layer too narrow to hold every degree takes evenly spaced ones, both ends included.

    >>> hidden_degrees(dim=4, context_dim=0, width=6).tolist()
    [1, 1, 2, 2, 3, 3]
    >>> hidden_degrees(dim=4, context_dim=1, width=4).tolist()
    [0, 1, 2, 3]
    >>> hidden_degrees(dim=9, context_dim=0, width=3).tolist()
    [1, 4, 8]
    >>> hidden_degrees(dim=1, context_dim=1, width=2).tolist()
    [0, 0]
    """
    lowest = 0 if context_dim or dim == 1 else 1
    kinds = max(dim - lowest, 1)  # degrees lowest .. dim - 1
    if width >= kinds:
        return (lowest + np.arange(width) * kinds // width).astype(np.int32)
    return (lowest + np.linspace(0, kinds - 1, width)).astype(np.int32)


def counted_degrees(counts: tuple[int, ...]) -> Degrees:
    """Sorted degrees of a hidden layer with that many units of degree 0, 1, ... dim.

    Units of degree dim read every column, so no output may read them; other libraries' networks hold some.

    >>> counted_degrees((1, 0, 2, 0)).tolist()
    [0, 2, 2]
    """
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def output_degrees(dim: int, parameters: int) -> Degrees:
    """What the parameters of each column may read: those of column i, columns 1 .. i - 1.

    >>> output_degrees(3, parameters=2).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    return np.repeat(np.arange(dim, dtype=np.int32), parameters)


def mask(reader: Degrees, read: Degrees) -> NDArray[np.bool_]:
    """(readers, read): whether each unit may read each unit of the layer before.

    >>> mask(output_degrees(3, 1), input_degrees(3)).astype(int).tolist()
    [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    """
    return reader[:, None] >= read[None, :]
