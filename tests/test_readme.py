"""What the README and the examples say is run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.split("\n")[0] for block in BLOCKS])
def test_python_in_the_readme_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    assert len(BLOCKS) == 2
    if "density" in names:
        assert names["rows"].column_names == names["table"].column_names
        assert len(names["surprising"]) == 5


def test_python_in_the_page_on_tables_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tables.md").read_text(), flags=re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, "tables.md", "exec"), names)
    assert names["whole"]["calls"].null_count == 0 < names["drawn"]["calls"].null_count
    assert "calls: count" in capsys.readouterr().out


def test_what_the_readme_points_to_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_commands_of_the_readme_exist():
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in re.findall(r"make (\w+) ", text))
    for command in sorted(set(re.findall(r"^densiflow (\w+)", text, flags=re.MULTILINE))):
        done = subprocess.run(
            [sys.executable, "-m", "densiflow.cli", command, "--help"], capture_output=True, check=False
        )
        assert done.returncode == 0, command


def test_the_repository_names_no_registry_and_pickles_nothing():
    sources = [*ROOT.glob("src/**/*.py"), *ROOT.glob("*.toml"), *ROOT.glob("*.txt"), ROOT / "Makefile"]
    for path in sources:
        text = path.read_text()
        assert "pypi" not in text.lower(), path
        assert not re.search(r"\bimport pickle|pickle\.|allow_pickle=True", text), path
