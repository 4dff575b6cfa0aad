"""The user's folder for what can be made again: compiled programs and kernels."""

import os
import sys
from pathlib import Path


def folder(name: str) -> Path:
    """The platform's place for `name` among what densiflow keeps; it may be emptied at any time."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "densiflow" / name
