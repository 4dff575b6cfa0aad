"""Compiled programs are kept in the ignored folder `.cache/jax`, in a folder for each worker.

JAX reads these variables when it is imported. It writes programs in place, where another worker would read half of one.
"""

import gc
import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".cache" / "jax"))
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(os.environ["JAX_COMPILATION_CACHE_DIR"]) / worker)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

collect_ignore = ["oracles"]  # they run in environments of their own


MAPS = Path("/proc/self/maps")
MANY_MAPS = 20_000


@pytest.fixture(autouse=True)
def forget_programs():
    """Linux lets a process have 65,530 memory maps; each program that JAX keeps holds some, then it crashes."""
    yield
    if "jax" in sys.modules and MAPS.exists() and MAPS.read_bytes().count(b"\n") > MANY_MAPS:
        sys.modules["jax"].clear_caches()
        gc.collect()


@pytest.fixture(scope="module")
def optimised():
    """Programs are optimised from here to the module's end: those that run for long earn what compiling them costs."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def kernels():
    """The kernels of `densiflow.native`, compiled where that can be done."""
    from densiflow import native
    from densiflow.errors import NativeBuildError
    from densiflow.native import build, library

    try:
        build.build()
    except NativeBuildError as error:
        pytest.skip(f"the kernels can't be compiled here: {error}")
    library._loaded.cache_clear()
    assert native.available(), "the kernels were compiled and can't be loaded"


def pytest_addoption(parser):
    offered = {"choices": ("part", "full"), "default": "part"}
    parser.addoption("--matrix", **offered, help="how much of the matrix of laws is tried: see tests/test_laws.py")


def pytest_configure(config):
    """Most programs run once or twice, and optimising them would take more than half the time of all tests.

    The whole matrix of laws is tried on programs as users get them. A flag or variable that is set already wins.
    """
    if config.getoption("--matrix") != "full":
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        os.environ["XLA_FLAGS"] = f"--xla_cpu_use_fusion_emitters=false {os.environ.get('XLA_FLAGS', '')}".strip()


def pytest_terminal_summary(terminalreporter, config):
    """Say what `make laws` has tried."""
    if config.getoption("--matrix") != "full":
        return
    tried = {
        outcome: Counter(re.sub(r".*::test_(\w+).*", r"\1", report.nodeid) for report in reports if in_matrix(report))
        for outcome, reports in terminalreporter.stats.items()
        if outcome in ("passed", "failed")
    }
    for outcome, counts in tried.items():
        if counts:
            terminalreporter.write_line(f"{outcome}: {', '.join(f'{n} x {name}' for name, n in counts.items())}")
    terminalreporter.write_line(
        "tried in float32 and float64; recipes with 1, 2, 5 and 21 columns, with and without context"
    )


def in_matrix(report):
    return getattr(report, "when", None) == "call" and "test_laws.py" in report.nodeid
