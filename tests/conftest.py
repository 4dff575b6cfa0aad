"""Compiled programs are kept in the ignored folder `.cache/jax`; JAX reads these variables when it is imported."""

import os
from pathlib import Path

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

collect_ignore = ["oracles"]  # they run in environments of their own
