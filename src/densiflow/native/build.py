"""The kernels, compiled by the machine's own C++ compiler, for its own processor, when somebody asks for it.

The library is kept in the user's cache folder under a name that tells everything it was made of: other sources, another
processor or another jaxlib need another one.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from densiflow import user_cache
from densiflow.errors import NativeBuildError

HERE = Path(__file__).parent
ANY = "made-*.so"  # libraries, of whatever they were made
SOURCES = ("adam.cc", "made.cc", "normal.cc", "training.cc")
HEADERS = ("affine.h", "network.h", "products.h", "schedule.h", "shift.h", "spline.h", "threads.h", "vectors.h")
_THIS_PROCESSOR = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
FLAGS = ("-std=c++17", "-O3", _THIS_PROCESSOR, "-fno-math-errno", "-fPIC", "-shared", "-w")  # -w: XLA's headers warn


def library() -> Path:
    """Where the library for these sources, this processor and this jaxlib is, or would be."""
    import jaxlib.version

    made_of = hashlib.sha256(repr((FLAGS, _processor(), jaxlib.version.__version__)).encode())
    for name in (*SOURCES, *HEADERS):
        made_of.update((HERE / name).read_bytes())
    return user_cache.folder("native") / ANY.replace("*", made_of.hexdigest()[:24])


def build() -> Path:
    """Compile the library unless it is there. Raises `NativeBuildError` where that can't be done."""
    import jax

    target = library()
    if target.exists():
        return target
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)
    if compiler is None or sys.platform == "win32":
        raise NativeBuildError("expected a C++ compiler (GCC 12 or Clang 14) and found none: install one or set CXX")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            made = Path(scratch) / target.name
            sources = [HERE / name for name in SOURCES]
            command: list[str | Path] = [*compiler.split(), *FLAGS, "-I", jax.ffi.include_dir(), *sources, "-o", made]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = next((line for line in done.stderr.splitlines() if "error" in line), "it said nothing")
                raise NativeBuildError(f"{compiler} could not compile the kernels: {said}; set CXX to a newer compiler")
            made.replace(target)  # whole or not at all
    except OSError as error:
        raise NativeBuildError(f"the kernels could not be kept in {target.parent}: {error}") from error
    return target


def _processor() -> str:
    """The processor and what it can do, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    told = ("model name", "flags", "CPU part", "Features")
    return repr([next((line for line in lines if line.startswith(name)), "") for name in told])
