"""Make the golden files anew: each peer in an environment of its own, under the ignored folder `.cache/oracles`.

Run it as ``make oracles``, with any Python that densiflow supports. Each case is copied from the live object too, and
the largest differences are printed. The tests need only the files this leaves in `golden/`.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = {"tensorflow": ["tfp"], "torch_and_jax": ["nflows", "zuko", "flowjax"]}


def environment(name):
    """Its Python, with what the requirements file of that name pins."""
    folder = ROOT / ".cache" / "oracles" / name
    wanted = (HERE / f"{name}.txt").read_text()
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if not done.exists() or done.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--requirement", HERE / f"{name}.txt"], check=True)
        done.write_text(wanted)
    return python


def main():
    quiet = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    for name, peers in PEERS.items():
        python = environment(name)
        for peer in peers:
            subprocess.run(
                [python, HERE / f"oracle_{peer}.py"],
                env=os.environ | quiet | {"PYTHONPATH": str(ROOT / "src")},
                check=True,
            )


if __name__ == "__main__":
    sys.exit(main())
