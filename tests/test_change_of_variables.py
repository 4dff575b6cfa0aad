"""The worked examples of docs/change_of_variables.md run, and hold what the mission's notes say."""

import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "change_of_variables.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def names():
    """What the page's code leaves behind, run from top to bottom as a reader would."""
    names = {}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"change_of_variables.md, block {number}", "exec"), names)
    return names


def test_every_example_runs_and_asserts(names):
    assert len(BLOCKS) == 12
    assert all("assert" in block for block in BLOCKS[1:])


def test_the_first_two_numbers(names):
    stretched, bent = names["stretched"], names["bent"]
    assert float(np.exp(stretched.log_prob(np.array([4.0])))) == pytest.approx(1 / 8, abs=1e-6)
    for x in (1.01, 2.0, np.e, 7.3):
        assert float(np.exp(bent.log_prob(np.array([x])))) == pytest.approx(1 / (2 * x), abs=1e-6)


def test_pictures_are_there():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", PAGE)
    assert len(pictures) == 2
    assert all((DOCS / picture).exists() for picture in pictures)
