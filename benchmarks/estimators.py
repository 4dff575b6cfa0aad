"""The regressor and the classifier on two real tables, beside what people take there.

    python benchmarks/estimators.py [--data FOLDER] [--folds 5] [--only magic sdss] [--record]

MAGIC: FlowClassifier beside scikit-learn's HistGradientBoostingClassifier, GaussianNB and
QuadraticDiscriminantAnalysis, all by their defaults, on the same folds. SDSS: the density of a redshift given four
colours and a magnitude, galaxies and quasars, all rows held out once: FlowRegressor beside 19 boosted quantiles made
into a density (straight lines between, exponential tails) and a normal with a boosted mean and a boosted variance.
Both baselines are given what helps them: the least gap of two quantiles that scores best on the held-out rows, and
residuals of rows that the mean was not fitted to.

FOLDER holds ``magic04.data`` and ``sdss_dr14_10k.csv``; what is not there is said and left out.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from report import machine, record, said, table
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB

from densiflow import FlowClassifier, FlowRegressor

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "tables"
COVERAGES = (0.5, 0.68, 0.9, 0.95)
LEVELS = np.arange(1, 20) / 20
LEAST_GAPS = (1e-4, 3e-4, 1e-3, 3e-3)  # of two quantiles, in the units of the redshift


# MAGIC


def magic(path):
    """Rows, and whether each is a gamma ray."""
    whole = pd.read_csv(path, header=None)
    return whole.iloc[:, :10].to_numpy(), (whole[10] == "g").to_numpy()


def classified(path, folds):
    """AUROC and log-loss of each classifier, fold by fold."""
    X, y = magic(path)
    makers = {
        "FlowClassifier": lambda: FlowClassifier(random_state=0),
        "FlowClassifier, calibration=0": lambda: FlowClassifier(calibration=0, random_state=0),
        "HistGradientBoostingClassifier": lambda: HistGradientBoostingClassifier(random_state=0),
        "GaussianNB": GaussianNB,
        "QuadraticDiscriminantAnalysis": QuadraticDiscriminantAnalysis,
    }
    found = {name: [] for name in makers}
    for train, held in list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))[:folds]:
        for name, make in makers.items():
            started = time.perf_counter()
            p = make().fit(X[train], y[train]).predict_proba(X[held])[:, 1]
            found[name].append((roc_auc_score(y[held], p), log_loss(y[held], p), time.perf_counter() - started))
            print(f"{name}: AUROC {found[name][-1][0]:.4f}, log-loss {found[name][-1][1]:.4f}", flush=True)
    return found


def of_folds(numbers):
    """Mean and standard error."""
    return f"{np.mean(numbers):.4f} +- {np.std(numbers, ddof=1) / np.sqrt(len(numbers)):.4f}"


# SDSS


def sdss(path):
    """Colours and a magnitude, and redshifts."""
    whole = pd.read_csv(path)
    whole = whole[whole["class"] != "STAR"]
    bands = whole[["u", "g", "r", "i", "z"]].to_numpy()
    return np.column_stack([bands[:, :-1] - bands[:, 1:], bands[:, 2]]), whole["redshift"].to_numpy()


def quantile_density(quantiles, y, least_gap):
    """Log densities of y (n,): a twentieth of the mass between neighbours of quantiles (n, 19), and beyond the ends."""
    ordered = np.sort(quantiles, axis=1)
    gaps = np.maximum(np.diff(ordered, axis=1), least_gap)
    edges = np.concatenate([ordered[:, :1], ordered[:, :1] + np.cumsum(gaps, axis=1)], axis=1)
    place = np.sum(y[:, None] > edges, axis=1)
    gap = np.take_along_axis(gaps, np.clip(place - 1, 0, 17)[:, None], axis=1)[:, 0]
    beyond = np.where(place == 0, edges[:, 0] - y, np.where(place == 19, y - edges[:, -1], 0.0))
    return np.log(0.05 / gap) - beyond / gap


def boosted_quantiles(X, y, X_held):
    """(held, 19) quantiles, each boosted by itself."""
    fitted = (HistGradientBoostingRegressor(loss="quantile", quantile=q, random_state=0).fit(X, y) for q in LEVELS)
    return np.stack([one.predict(X_held) for one in fitted], axis=1)


def boosted_normal(X, y, X_held):
    """Means and variances of the held rows: the variance of residuals on rows that the mean was not fitted to."""
    booster = HistGradientBoostingRegressor(random_state=0)
    squared = (y - cross_val_predict(booster, X, y, cv=5)) ** 2
    logs = np.log(squared + 1e-8)
    spread = np.exp(cross_val_predict(booster, X, logs, cv=5))
    unit = np.mean(squared / spread)  # the mean of a logarithm is not the logarithm of the mean
    variance = unit * np.exp(HistGradientBoostingRegressor(random_state=0).fit(X, logs).predict(X_held))
    return booster.fit(X, y).predict(X_held), variance


def regressed(path, folds):
    """Log-likelihoods of held-out rows by each way, and which of the regressor's intervals held them."""
    X, y = sdss(path)
    nats = {"FlowRegressor": [], "boosted quantiles": [], "boosted normal": []}
    inside, residuals, centre = [], [], []
    for train, held in list(KFold(5, shuffle=True, random_state=0).split(X))[:folds]:
        regressor = FlowRegressor(random_state=0).fit(X[train], y[train])
        nats["FlowRegressor"].append(regressor.log_prob(X[held], y[held]))
        intervals = np.stack([regressor.predict_interval(X[held], coverage) for coverage in COVERAGES])
        inside.append((intervals[..., 0] <= y[held]) & (y[held] <= intervals[..., 1]))
        residuals.append(y[held] - regressor.predict(X[held]))
        quantiles = boosted_quantiles(X[train], y[train], X[held])
        nats["boosted quantiles"].append([quantile_density(quantiles, y[held], gap) for gap in LEAST_GAPS])
        mean, variance = boosted_normal(X[train], y[train], X[held])
        squares = (y[held] - mean) ** 2
        nats["boosted normal"].append(-0.5 * (np.log(2 * np.pi * variance) + squares / variance))
        centre.append(squares)
        print({name: round(float(np.mean(found[-1], axis=-1).max()), 3) for name, found in nats.items()}, flush=True)
    pooled = {name: np.concatenate(found, axis=-1) for name, found in nats.items()}
    pooled["boosted quantiles"] = max(pooled["boosted quantiles"], key=np.mean)
    errors = {
        "FlowRegressor": np.sqrt(np.mean(np.concatenate(residuals) ** 2)),
        "boosted normal": np.sqrt(np.mean(np.concatenate(centre))),
    }
    return pooled, np.concatenate(inside, axis=1).mean(axis=1), errors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--folds", type=int, default=5, help="of five, how many to try")
    parser.add_argument("--only", nargs="+", choices=["magic", "sdss"], default=["magic", "sdss"])
    parser.add_argument("--record", action="store_true", help="write the results to benchmarks/results")
    options = parser.parse_args()
    parts, measured = [], {}
    paths = {"magic": options.data / "magic04.data", "sdss": options.data / "sdss_dr14_10k.csv"}
    for name in options.only:
        if not paths[name].exists():
            print(f"there is no {paths[name]}: {name} is left out; --data names the folder that has it")
            continue
        if name == "magic":
            found = classified(paths[name], options.folds)
            rows = [[n, *(of_folds([fold[k] for fold in folds]) for k in (0, 1))] for n, folds in found.items()]
            parts.append(table(["MAGIC, mean of folds", "AUROC", "log-loss"], rows))
            measured[name] = found
            continue
        nats, covered, errors = regressed(paths[name], options.folds)
        rows = [
            [n, f"{own.mean():.3f} +- {own.std() / np.sqrt(len(own)):.3f}", f"{errors[n]:.4f}" if n in errors else ""]
            for n, own in nats.items()
        ]
        parts.append(table(["SDSS, held-out rows of all folds", "nats a row", "root mean square error"], rows))
        parts.append(
            table(
                ["Intervals of FlowRegressor", *(f"{coverage:.0%}" for coverage in COVERAGES)],
                [["held-out rows inside", *(f"{share:.1%}" for share in covered)]],
            )
        )
        measured[name] = {"nats": {n: own.mean() for n, own in nats.items()}, "covered": covered.tolist()}
    if not parts:
        return
    words = "\n\n".join(parts)
    print(f"\n{words}\n\n{said(machine())}")
    if options.record:
        record("estimators", f"# Estimators\n\n{words}", measured)


if __name__ == "__main__":
    main()
