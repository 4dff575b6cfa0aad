"""``densiflow fit --resume``: an interrupted fit gone on with gives the model file of one in one go, to the byte."""

import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from densiflow import load
from densiflow.cli import main
from densiflow.table.files import write_file
from densiflow.training.progress import Progress

OPTIONS = ["--flow", "made", "--max-epochs", "6", "--seed", "1"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The path of a table of numbers."""
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    write_file(pa.table(dict(zip("abc", np.random.default_rng(0).normal(size=(3, 300)), strict=True))), path)
    return path


@pytest.fixture(scope="module")
def whole(table):
    """The bytes of the model of a fit that nothing interrupted."""
    model = table.with_name("whole")
    assert main(["fit", str(table), "--model", str(model), *OPTIONS]) == 0
    assert sorted(path.name for path in table.parent.iterdir()) == ["rows.csv", "whole"]
    return model.read_bytes()


@pytest.fixture
def fit(table, tmp_path, monkeypatch, capsys):
    """Runs the command on the table, with Ctrl-C after so many epochs; gives its exit code and its line on stderr."""

    def run(*options, interrupted_after=None, rows=table):
        def update(self, history, done):
            if interrupted_after is not None and done > interrupted_after:
                raise KeyboardInterrupt

        monkeypatch.setattr(Progress, "update", update)
        code = main(["fit", str(rows), "--model", str(tmp_path / "model"), *OPTIONS, *options])
        return code, capsys.readouterr().err

    return run


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_interrupted_and_gone_on_with_is_the_model_of_one_go(fit, whole, tmp_path):
    code, said = fit(interrupted_after=2)
    assert code == 0
    assert said == (
        f"densiflow: note: interrupted; the same command with --resume goes on from {tmp_path / 'model'}.checkpoint\n"
    )
    assert len(load(tmp_path / "model").history_.train) == 3  # with the part of an epoch that was reached
    assert sorted(held(tmp_path)) == ["model", "model.checkpoint"]
    code, said = fit("--resume")
    assert (code, said) == (0, f"densiflow: going on from {tmp_path / 'model'}.checkpoint, after epoch 2\n")
    assert held(tmp_path) == {"model": whole}


def test_without_resume_a_fit_starts_afresh_and_says_so(fit, whole, tmp_path):
    fit(interrupted_after=2)
    code, said = fit()
    assert code == 0
    assert "is overwritten" in said
    assert held(tmp_path) == {"model": whole}


def test_resume_with_nothing_to_go_on_from_starts_afresh_and_says_so(fit, whole, tmp_path):
    code, said = fit("--resume")
    assert code == 0
    assert "model.checkpoint to go on from: training starts from the beginning" in said
    assert said.count("\n") == 1
    assert held(tmp_path) == {"model": whole}


def test_mistakes_are_one_line_and_change_nothing(fit, table, tmp_path):
    fit(interrupted_after=2)
    before = held(tmp_path)
    other = table.with_name("other.csv")
    other.write_bytes(table.read_bytes().replace(b"0.1", b"0.2"))
    for options, words in {
        ("--resume", "--seed", "2"): "random_state is 1 there and 2 here",
        ("--resume", "--flow", "nice"): "flow is 'made' there and 'nice' here",
        ("--resume", "--columns", "a,b"): "table differs",
        ("--resume", "--max-epochs", "2"): "2 epochs already",
    }.items():
        code, said = fit(*options)
        assert (code, said.count("\n")) == (2, 1)
        assert words in said
    code, said = fit("--resume", rows=other)
    assert (code, said.count("\n")) == (2, 1)
    assert "table differs" in said
    assert held(tmp_path) == before
    (tmp_path / "model.checkpoint").write_bytes(before["model.checkpoint"][:-1])
    code, said = fit("--resume")
    assert (code, said.count("\n")) == (2, 1)
    assert "truncated or damaged" in said
    assert "delete the file to start afresh" in said
    assert held(tmp_path)["model"] == before["model"]


KILLED = """
import os, signal, sys
from densiflow.cli import main
from densiflow.training.keeper import FileKeeper

def epoch_ended(self, run, whole=FileKeeper.epoch_ended):
    whole(self, run)
    if len(run.history.train) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

FileKeeper.epoch_ended = epoch_ended
main(sys.argv[1:])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_fit_is_gone_on_with(fit, table, whole, tmp_path):
    command = [sys.executable, "-c", KILLED, "fit", str(table), "--model", str(tmp_path / "model"), *OPTIONS]
    assert subprocess.run(command, env=dict(os.environ), check=False).returncode == -signal.SIGKILL
    assert list(held(tmp_path)) == ["model.checkpoint"]
    code, said = fit("--resume")
    assert (code, said) == (0, f"densiflow: going on from {tmp_path / 'model'}.checkpoint, after epoch 1\n")
    assert held(tmp_path) == {"model": whole}
