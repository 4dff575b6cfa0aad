"""The tutorial's ring: one layer fails, four close it. The example is run as a person would run it."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "circles.py"


def test_four_layers_close_the_ring_that_one_cannot(tmp_path):
    command = [sys.executable, "-W", "error", str(EXAMPLE), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    one, four, exact = (float(number) for number in re.findall(r"(-\d+\.\d+)$", done.stdout, flags=re.MULTILINE))
    assert abs(exact + 0.96) < 0.02  # the closed form; no fit can beat it
    assert four >= -1.3
    assert four - one >= 1.2
    assert four <= exact + 0.01
    assert (tmp_path / "circles.png").stat().st_size > 10_000
