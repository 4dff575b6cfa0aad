"""Affine autoregressive layers through kernels compiled for this machine's processor; optional, and never needed.

``python -m densiflow.native`` compiles them. Where they are, layers in float32 with the network and the scalar map that
they know run through them on the CPU; everything else, and every machine without them, runs in JAX alone and gives the
same numbers to rounding. ``DENSIFLOW_NATIVE=0`` leaves them alone.
"""

from densiflow.native.layer import available, derivatives, gradients_only, to_base, to_data

__all__ = ["available", "derivatives", "gradients_only", "to_base", "to_data"]
