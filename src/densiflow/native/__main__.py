"""``python -m densiflow.native`` compiles the kernels; where that can't be done it says why and all still works."""

from densiflow.errors import NativeBuildError
from densiflow.native.build import build

try:
    print(f"native kernels: {build()}")
except NativeBuildError as error:
    print(f"native kernels: none, the same functions run in JAX alone ({error})")
