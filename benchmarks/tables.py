"""Two real tables with no preparation: what a model keeps of their cells, and whether its rows can be told apart.

    python benchmarks/tables.py [--data FOLDER] [--only housing power] [--rows 20000] [--max-epochs 60] [--record]

California housing has missing cells, a category and numbers that pile up at a cap; it is read by pandas, and all of
its rows but 2,000 are fitted. Household power has semicolons, dates and times as text and "?" for missing; densiflow
reads it, and ``--rows`` of its rows, drawn at random, are fitted. Then as many rows are sampled as were held out.

A classifier (gradient-boosted trees of scikit-learn by their defaults, five folds) tries to tell the held-out rows from
the sampled ones, and, as what to compare with, from as many of the rows fitted: 0.5 is chance, and at most 0.65 is
wanted. Cells lead back if ``inverse_transform(transform(rows))`` gives them again; held-out rows with a cell beyond the
range of the rows fitted are counted apart, since the model has no cells there to lead back to.

FOLDER holds ``california_housing.csv`` and ``household_power_first_3MiB.txt``; what is not there is said and left out.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from report import machine, record, said, table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score

from densiflow import FlowDensity
from densiflow.table import frames
from densiflow.table.files import read_file

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "tables"
FILES = {"housing": "california_housing.csv", "power": "household_power_first_3MiB.txt"}
NAMES = {"housing": "California housing", "power": "Household power"}
HELD_OUT = 2000
HIGHEST = 0.65  # accuracy of the classifier
PILED_UP = 0.005  # the share of the rows at a column's least or greatest number that is worth a line


def told_apart(matrix, other):
    """The share of rows of two tables of cells that a classifier puts in the right one."""
    X, y = np.concatenate([matrix, other]), np.repeat([0, 1], [len(matrix), len(other)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_score(HistGradientBoostingClassifier(random_state=0), X, y, cv=folds).mean()


def fitted(whole, rows, max_epochs):
    """A model, the rows it was fitted on, those held out and those sampled, and seconds of fitting."""
    places = np.random.default_rng(0).permutation(len(whole))
    held, train = (frames.rows_at(whole, part) for part in (places[:HELD_OUT], places[HELD_OUT:][:rows]))
    started = time.perf_counter()
    density = FlowDensity(max_epochs=max_epochs, random_state=0).fit(train)
    return density, train, held, density.sample(HELD_OUT, random_state=1), time.perf_counter() - started


def types(some):
    """Of the columns of a pandas or an arrow table."""
    return list(some.dtypes) if isinstance(some, pd.DataFrame) else some.schema.types


def judged(density, train, held, drawn, seconds):
    """What is measured of a model, as plain numbers, each cell as the model reads it."""
    schema = density.encoder_.schema
    real, fresh, made = (frames.matching(schema, some, mixed=True) for some in (train, held, drawn))
    columns = {}
    kinds = density.encoder_.described
    for i, (name, levels, a, b) in enumerate(zip(schema.names, schema.levels, real.T, made.T, strict=True)):
        least, greatest = np.nanmin(a), np.nanmax(a)
        is_circle = density.encoder_.columns[i].turn is not None  # all of which may be drawn
        columns[name] = {
            "kind": kinds[i],
            "missing": [np.isnan(a).mean(), np.isnan(b).mean()],
            "at least": [(a == least).mean(), (b == least).mean()],
            "at greatest": [(a == greatest).mean(), (b == greatest).mean()],
            "outside": 0 if is_circle else int(((b < least) | (b > greatest)).sum()),
            "levels": None if levels is None else [len(np.unique(a)), len(np.unique(b)), len(np.setdiff1d(b, a))],
        }
    back = frames.matching(schema, density.inverse_transform(density.transform(held)), mixed=True)
    seen = ~((fresh < np.nanmin(real, axis=0)) | (fresh > np.nanmax(real, axis=0))).any(axis=1)
    nats = density.score_samples(held)
    alike = (back == fresh) | (np.isnan(back) & np.isnan(fresh))
    return {
        "rows": len(real),
        "seconds": seconds,
        "types equal": types(drawn) == types(train),
        "told apart": told_apart(fresh, made),
        "real told apart": told_apart(fresh, real[:HELD_OUT]),
        "lead back": alike[seen].mean(),
        "rows beyond": int((~seen).sum()),
        "log density": nats[np.isfinite(nats)].mean(),
        "impossible": int(np.isneginf(nats).sum()),
        "columns": columns,
    }


def words_of(name, found):
    """The tables of one model, as Markdown."""
    columns = found["columns"]
    labels = [column["levels"] for column in columns.values() if column["levels"] is not None]
    whole = [
        ["rows fitted", f"{found['rows']}"],
        ["seconds", f"{found['seconds']:.0f}"],
        ["column types of the samples are those of the table", "yes" if found["types equal"] else "NO"],
        ["categories in the table, in the samples, new ones", "; ".join(", ".join(map(str, part)) for part in labels)],
        ["sampled cells outside their column's range", f"{sum(column['outside'] for column in columns.values())}"],
        ["held-out rows beyond the range of the rows fitted", f"{found['rows beyond']}"],
        ["cells of the others that lead back from base space", f"{found['lead back']:.4%}"],
        ["mean log density of held-out rows, nats", f"{found['log density']:.3f}"],
        ["held-out rows that the model takes for impossible", f"{found['impossible']}"],
        [f"held-out rows told from samples (at most {HIGHEST} wanted)", f"{found['told apart']:.3f}"],
        ["held-out rows told from rows fitted", f"{found['real told apart']:.3f}"],
    ]
    shares = [
        [f"{column}, {what}", *(f"{share:.2%}" for share in part[key])]
        for column, part in columns.items()
        for key, what, least in (
            ("missing", "missing", 0),
            ("at least", "at its least", PILED_UP),
            ("at greatest", "at its greatest", PILED_UP),
        )
        if part["levels"] is None and max(part[key]) > least
    ]
    return "\n\n".join(
        [
            table([NAMES[name], ""], whole),
            table(["Share of the rows", "table", "samples"], shares),
            table(["Column", "read as"], [[column, part["kind"]] for column, part in columns.items()]),
        ]
    )


def main():
    """Fit, sample, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--only", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--rows", type=int, default=20_000, help="of household power to fit")
    parser.add_argument("--max-epochs", type=int, default=60)
    parser.add_argument("--record", action="store_true", help="write the results to benchmarks/results")
    options = parser.parse_args()
    parts, measured = [], {}
    for name in options.only:
        path = options.data / FILES[name]
        if not path.exists():
            print(f"there is no {path}: {name} is left out; --data names the folder that has it")
            continue
        whole = pd.read_csv(path) if name == "housing" else read_file(path)
        measured[name] = judged(*fitted(whole, options.rows if name == "power" else None, options.max_epochs))
        parts.append(words_of(name, measured[name]))
        print(f"\n{parts[-1]}", flush=True)
    if not parts:
        return
    print(f"\n{said(machine())}")
    if options.record:
        record("tables", "\n\n".join(["# Tables", *parts]), measured)


if __name__ == "__main__":
    main()
