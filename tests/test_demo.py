"""The demo: it writes what it says, and the numbers it prints are those of the saved files."""

import contextlib
import io
import re

import pyarrow.parquet as pq
import pytest

from densiflow import demo, judge, load


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder that a short demo wrote, and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "made" / "here"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        demo.run(folder, max_epochs=12)
    return folder, printed.getvalue()


def test_everything_is_written(made):
    folder, printed = made
    pictures = {"corner.png", "contours.png", "redshift.png", "training.png"}
    models = {"joint.densiflow", "colours.densiflow", "redshift.densiflow"}
    assert {path.name for path in folder.iterdir()} == pictures | models | {"samples.parquet"}
    assert pq.read_table(folder / "samples.parquet").column_names == demo.COLUMNS
    assert all((folder / name).stat().st_size > 10_000 for name in pictures)
    assert str(folder) in printed.splitlines()[-1]


def test_what_is_printed_is_what_the_saved_model_says(made):
    folder, printed = made
    rows, test = demo._split(demo.galaxies_and_quasars())
    scores = {name: float(nats) for name, nats in re.findall(r"^    (\w+).*?  (-?\d+\.\d+) \+-", printed, flags=re.M)}
    assert set(scores) == {"flow", "mixture", "Gaussian"}
    assert scores["flow"] == pytest.approx(load(folder / "joint.densiflow").score(test), abs=6e-4)
    gaussian = judge.gaussian(demo._matrix(rows)).score_samples(demo._matrix(test))
    assert scores["Gaussian"] == pytest.approx(gaussian.mean(), abs=6e-4)
    assert scores["mixture"] > scores["Gaussian"]


def test_the_conditional_density_beats_the_marginal(made):
    folder, _ = made
    rows, test = demo._split(demo.galaxies_and_quasars())
    redshift = load(folder / "redshift.densiflow")
    conditional = redshift.score(test.select(["redshift"]), context=test.select(demo.PHOTOMETRY))
    marginal = judge.gaussian_mixture(
        demo._matrix(rows.select(["redshift"])), demo._matrix(test.select(["redshift"])), (5, 10)
    )
    assert conditional > marginal.score_samples(demo._matrix(test.select(["redshift"]))).mean() + 0.3
