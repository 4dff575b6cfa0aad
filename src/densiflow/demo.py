"""The main job on the table shipped with the package: galaxies and quasars of the Sloan Digital Sky Survey.

Fits the joint density of colours, brightness and redshift, judges it on held-out rows beside a Gaussian and a
mixture of Gaussians, fits the density of the redshift given the rest, saves models, samples and pictures. Every
number printed is recomputed from the saved model file.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow import judge
from densiflow.data import load_sdss
from densiflow.errors import OutputPathError
from densiflow.estimators import FlowDensity
from densiflow.files import load
from densiflow.table import files

Floats = NDArray[np.float64]

PHOTOMETRY = ["u-g", "g-r", "r-i", "i-z", "r"]
COLUMNS = [*PHOTOMETRY, "redshift"]
UNITS = {name: f"{name} (mag)" for name in PHOTOMETRY} | {"redshift": "redshift"}
TEST_SHARE = 0.15
SEED = 0


def run(out: str | os.PathLike[str], max_epochs: int | None = None) -> None:
    """Do the whole job and write everything into the folder `out`, which is made if it is not there.

    ``max_epochs`` limits each fit, for a quick look.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputPathError(f"can't make the folder {out}: {error.strerror}") from None
    rows, test = _split(galaxies_and_quasars())
    print(f"SDSS DR14, galaxies and quasars: {rows.num_rows} rows to fit, {test.num_rows} held out for judging")

    def fitted(what: str, name: str, columns: list[str], context: list[str] | None = None) -> FlowDensity:
        """Fit, save, and give back the model as loaded from its file: what is judged is what was saved."""
        print(f"fitting {what} ...", file=sys.stderr, flush=True)
        started = time.monotonic()
        given = None if context is None else rows.select(context)
        density = FlowDensity(max_epochs=max_epochs, random_state=SEED).fit(rows.select(columns), context=given)
        density.save(folder / name)
        model: FlowDensity = load(folder / name)
        epochs, seconds = len(model.history_.train), time.monotonic() - started
        print(f"fitted {what}: {epochs} epochs, {seconds:.0f} s, saved as {folder / name}", flush=True)
        return model

    joint = fitted("the joint density", "joint.densiflow", COLUMNS)
    _compare(joint, rows, test)
    colours = fitted("the density of two colours", "colours.densiflow", PHOTOMETRY[:2])
    redshift = fitted("the density of the redshift given the rest", "redshift.densiflow", ["redshift"], PHOTOMETRY)
    score = redshift.score(test.select(["redshift"]), context=test.select(PHOTOMETRY))
    print(f"  held-out log p(redshift | colours, r): {score:.3f} nats a row")

    samples = joint.sample(test.num_rows * 5, random_state=SEED)
    files.write_file(samples, folder / "samples.parquet")
    _draw(folder, test, samples, joint, colours, redshift)
    print(f"written to {folder}{os.sep}: " + ", ".join(sorted(path.name for path in folder.iterdir())))


def galaxies_and_quasars() -> Any:
    """The shipped table's galaxies and quasars as an arrow table: four colours, r and the redshift."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = load_sdss()
    table = table.filter(pc.not_equal(table["class"], "STAR"))
    colours = {f"{a}-{b}": pc.subtract(table[a], table[b]) for a, b in ("ug", "gr", "ri", "iz")}
    return pa.table({**colours, "r": table["r"], "redshift": table["redshift"]})


def _split(table: Any) -> tuple[Any, Any]:
    order = np.random.default_rng(SEED).permutation(table.num_rows)
    held = round(TEST_SHARE * table.num_rows)
    return table.take(np.sort(order[held:])), table.take(np.sort(order[:held]))


def _compare(joint: FlowDensity, rows: Any, test: Any) -> None:
    """Print the held-out log-likelihood of the flow, a Gaussian and a mixture, on the same rows."""
    matrix, held = _matrix(rows), _matrix(test)
    order = np.random.default_rng(SEED).permutation(len(matrix))
    validation, training = matrix[order[: len(order) // 10]], matrix[order[len(order) // 10 :]]
    mixture = judge.gaussian_mixture(training, validation)
    scores = {
        "flow": joint.score_samples(test),
        f"mixture of {mixture.components} Gaussians": mixture.score_samples(held),
        "Gaussian": judge.gaussian(matrix).score_samples(held),
    }
    print(f"  held-out log-likelihood, nats a row ({len(held)} rows; +- standard error):")
    for name, nats in scores.items():
        behind = "" if name == "flow" else f"   flow ahead by {_mean(scores['flow'] - nats)}"
        print(f"    {name:<26} {_mean(nats)}{behind}")


def _mean(nats: Floats) -> str:
    return f"{nats.mean():8.3f} +- {nats.std() / np.sqrt(len(nats)):.3f}"


def _matrix(table: Any) -> Floats:
    return np.column_stack([table[name].to_numpy() for name in table.column_names])


def _draw(
    folder: Path, test: Any, samples: Any, joint: FlowDensity, colours: FlowDensity, redshift: FlowDensity
) -> None:
    """Four pictures of what was fitted."""
    data, drawn = _matrix(test), _matrix(samples)
    corner = judge.corner(data, drawn, [UNITS[name] for name in COLUMNS], labels=("held-out rows", "samples"))
    judge.save_figure(corner, folder / "corner.png")

    low, high = np.quantile(data[:, :2], [0.005, 0.995], axis=0)
    margin = 0.1 * (high - low)
    limits = ((low[0] - margin[0], high[0] + margin[0]), (low[1] - margin[1], high[1] + margin[1]))
    contours = judge.density_contours(
        colours.score_samples,
        limits,
        [UNITS[name] for name in PHOTOMETRY[:2]],
        data=data[:, :2],
        samples=_matrix(colours.sample(test.num_rows, random_state=SEED)),
        title="u-g and g-r",
    )
    judge.save_figure(contours, folder / "contours.png")
    judge.save_figure(_conditional(redshift, test), folder / "redshift.png")
    judge.save_figure(judge.training_curve(joint.history_), folder / "training.png")


def _conditional(redshift: FlowDensity, test: Any, objects: int = 8) -> Any:
    """p(redshift | colours, r) for objects spread over the redshifts of the held-out rows."""
    truths = test["redshift"].to_numpy()
    places = (np.linspace(0.02, 0.98, objects) * len(truths)).astype(int)
    chosen = np.argsort(truths)[places]
    grids, densities = [], []
    for row in chosen:
        context = test.select(PHOTOMETRY).take([row])
        drawn = _matrix(redshift.sample(2000, context=context, random_state=SEED))[:, 0]
        low, high = np.quantile(drawn, [0.002, 0.998])
        low, high = min(low, truths[row]), max(high, truths[row])
        grid = np.linspace(low - 0.1 * (high - low), high + 0.1 * (high - low), 400)
        grids.append(grid)
        densities.append(np.exp(redshift.score_samples(grid[:, None], context=context)))
    labels = [f"r = {test['r'][int(row)].as_py():.2f} mag" for row in chosen]
    return judge.conditional_density(np.array(grids), np.array(densities), truths[chosen], labels, "redshift")
