"""What the command line keeps between commands: compiled programs, in the user's cache folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from densiflow import FlowDensity
from densiflow.cli import kept, main
from densiflow.errors import ArgumentError
from densiflow.table.files import write_file

SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")

COUNTING = """
import collections, json, sys
import jax
counts = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **said: counts.update([event.rsplit("/", 1)[-1]]))
"""
FIT = """
from densiflow.cli import main
counts["code"] = main(["fit", "rows.csv", "--model", "model", "--max-epochs", "1", "--seed", "0"])
"""
SMALL = """
from densiflow.cli.kept import programs_kept
with programs_kept():
    jax.numpy.arange(3.0) + 1.0
"""
TELLING = """
print(json.dumps({**counts, "left": jax.config.values["jax_compilation_cache_dir"]}))
"""


def run(script, home, **environment):
    """Run a script in a process whose cache folder is under `home`: what JAX counted, and what was said on stderr."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "DENSIFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-c", COUNTING + script + TELLING],
        cwd=home,
        env={**inherited, "XDG_CACHE_HOME": str(home / "cache"), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def entries(home):
    return list((home / "cache").rglob("*-cache"))


def test_a_second_command_compiles_nothing(tmp_path):
    np.savetxt(tmp_path / "rows.csv", np.random.default_rng(0).normal(size=(60, 2)), delimiter=",", header="a,b")
    first, _ = run(FIT, tmp_path)
    assert first["code"] == 0
    assert len(entries(tmp_path)) == first["cache_misses"] > 5
    model = (tmp_path / "model").read_bytes()
    second, said = run(FIT, tmp_path)
    assert second["cache_hits"] == first["cache_misses"] + first.get("cache_hits", 0)
    assert "cache_misses" not in second
    assert said == ""
    assert len(entries(tmp_path)) == first["cache_misses"]
    assert (tmp_path / "model").read_bytes() == model  # a program that was kept computes what a new one does
    assert first["left"] is None
    assert second["left"] is None


COMMANDS = {
    "fit": ["fit", "rows.csv", "--model", "new"],
    "score": ["score", "model", "rows.csv", "--out", "out.csv"],
    "sample": ["sample", "model", "--rows", "3", "--out", "out.csv"],
    "demo": ["demo", "--out", "folder"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_compiles_can_be_told_to_keep_nothing(tmp_path, monkeypatch, capsys, command):
    def told(no_cache):
        raise ArgumentError(f"told {no_cache}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"densiflow.cli.{command}.programs_kept", told)
    rows = np.random.default_rng(0).normal(size=(20, 2))
    FlowDensity(layers=1, hidden=(4,), max_epochs=1).fit(rows).save("model")
    write_file(rows, "rows.csv")
    for arguments, environment, expected in [([], "0", False), (["--no-cache"], "0", True), ([], "1", True)]:
        monkeypatch.setenv("DENSIFLOW_NO_CACHE", environment)
        assert main([*COMMANDS[command], *arguments]) == 2
        assert capsys.readouterr().err == f"densiflow: told {expected}\n"


def test_nothing_is_kept_if_so_asked(tmp_path):
    counts, _ = run(SMALL.replace("()", "(no_cache=True)", 1), tmp_path)
    assert not {"cache_hits", "cache_misses"} & set(counts)
    assert not (tmp_path / "cache").exists()


def test_a_folder_given_to_jax_is_the_one_used(tmp_path):
    given = {"JAX_COMPILATION_CACHE_DIR": "theirs", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    counts, _ = run(SMALL, tmp_path, **given)
    assert counts["left"] == "theirs"
    assert len(list((tmp_path / "theirs").glob("*-cache"))) == counts["cache_misses"] > 0
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_made_breaks_nothing(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    counts, said = run(SMALL, tmp_path)
    assert said == ""
    assert not {"cache_hits", "cache_misses"} & set(counts)


def test_a_broken_entry_is_compiled_again_without_a_word(tmp_path):
    run(SMALL, tmp_path)
    assert entries(tmp_path)
    for path in entries(tmp_path):
        path.write_bytes(b"half an entry")
    counts, said = run(SMALL, tmp_path)
    assert "cache_hits" not in counts
    assert said == ""


def test_settings_are_as_before_afterwards(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    before = [jax.config.values[name] for name in SETTINGS]
    with kept.programs_kept():  # the tests' own folder was given to JAX
        assert [jax.config.values[name] for name in SETTINGS] == before
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        with kept.programs_kept():
            assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "densiflow" / "programs")
        with pytest.raises(KeyboardInterrupt), kept.programs_kept():
            raise KeyboardInterrupt
        assert jax.config.values["jax_compilation_cache_dir"] is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before[0])
    assert [jax.config.values[name] for name in SETTINGS] == before


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "~/.cache"),
        ("linux", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere"),
        ("darwin", {}, "~/Library/Caches"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
    ],
)
def test_the_folder_is_the_platforms_own(monkeypatch, platform, environment, expected):
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert kept.folder() == Path(expected).expanduser() / "densiflow" / "programs"


def test_what_was_used_longest_ago_goes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "LARGEST", 25)
    for age, name in enumerate(["newest", "older", "oldest"]):
        (tmp_path / name).write_bytes(b"x" * 10)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    kept._thin_out(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "older"}
