"""Layers of flows and the optimiser through kernels compiled for this machine's processor; never needed.

``python -m densiflow.native`` compiles them. Where they are, layers in float32 with the network and the scalar map that
they know run through them on the CPU; everything else, and every machine without them, runs in JAX alone and gives the
same numbers to rounding. ``DENSIFLOW_NATIVE=0`` leaves them alone.
"""

from densiflow.native.draws import normal
from densiflow.native.layer import Layers, Pure, all_to_base, all_to_data, to_base, to_data
from densiflow.native.library import available, derivatives, gradients_only
from densiflow.native.optimiser import Columns, adam
from densiflow.native.scalars import kernels_of

__all__ = [
    "Columns",
    "Layers",
    "Pure",
    "adam",
    "all_to_base",
    "all_to_data",
    "available",
    "derivatives",
    "gradients_only",
    "kernels_of",
    "normal",
    "to_base",
    "to_data",
]
