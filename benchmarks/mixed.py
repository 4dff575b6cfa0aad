"""A mixed table from a known generator: what the fitted model scores beside the generator, and its marginals.

    python benchmarks/mixed.py [--rows 20000] [--ensemble 1] [--bootstrap] [--draws 1024]

Columns: a category, a real number, a count and another real number, each depending on those before it; the count and
the last number are missing at random, by what the first two say. Scores are nats a row, missing marks included; the
marginals are those of the two real numbers alone, everything else summed out.
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy.special import expit, logsumexp
from scipy.stats import norm, poisson

from densiflow import FlowDensity

LEVELS = np.array(["calm", "rain", "storm"])
SHARES = np.array([0.5, 0.3, 0.2])
COUNTS = np.arange(80)


def wind(level):
    """Mean and deviation of the wind, given the category."""
    return np.array([0.0, 1.5, 4.0])[level], np.array([1.0, 0.7, 1.8])[level]


def rate(level, x):
    """Of the count."""
    return np.exp(np.array([0.3, 1.0, 0.5])[level] + 0.3 * np.tanh(x))


def damage(level, count):
    """Mean and deviation of the last number."""
    return 0.8 * np.sqrt(count) + np.array([0.0, -2.0, 3.0])[level], np.array([0.5, 1.0, 0.8])[level]


def missing_count(level, x):
    """How likely the count is missing."""
    return expit(-2.0 + 0.8 * x / 2 - 0.5 * level)


def missing_damage(level, x):
    """How likely the last number is missing."""
    return expit(-1.0 - 0.5 * x)


def generate(n, seed):
    """A table of n rows."""
    rng = np.random.default_rng(seed)
    level = rng.choice(3, n, p=SHARES)
    x = rng.normal(*wind(level))
    count = rng.poisson(rate(level, x)).astype(float)
    y = rng.normal(*damage(level, count))
    count[rng.random(n) < missing_count(level, x)] = np.nan
    y[rng.random(n) < missing_damage(level, x)] = np.nan
    counts = pd.array(np.where(np.isnan(count), 0, count).astype(int), dtype="Int64")
    counts[np.isnan(count)] = pd.NA
    return pd.DataFrame({"weather": pd.Categorical(LEVELS[level], LEVELS), "wind": x, "calls": counts, "damage": y})


def truth(table):
    """(n,): the generator's own log density of rows, a missing cell integrated out and its mark counted."""
    level = table["weather"].cat.codes.to_numpy()
    x, y = table["wind"].to_numpy(float), table["damage"].to_numpy(float)
    count = table["calls"].to_numpy(float, na_value=np.nan)
    nats = np.log(SHARES[level]) + norm.logpdf(x, *wind(level))
    chance = missing_count(level, x)
    nats += np.where(np.isnan(count), np.log(chance), np.log1p(-chance))
    chance = missing_damage(level, x)
    nats += np.where(np.isnan(y), np.log(chance), np.log1p(-chance))
    of_count = poisson.logpmf(COUNTS[:, None], rate(level, x))  # (counts, n)
    of_damage = norm.logpdf(y, *damage(level, COUNTS[:, None]))
    of_damage = np.where(np.isnan(y), 0.0, of_damage)
    of_both = of_count + of_damage
    known = of_both[np.where(np.isnan(count), 0, count).astype(int), np.arange(len(x))]
    return nats + np.where(np.isnan(count), logsumexp(of_both, axis=0), known)


def marginal_truth(x, y):
    """(n,): the log density of the two real numbers, both there."""
    total = []
    for level in range(3):
        nats = np.log(SHARES[level]) + norm.logpdf(x, *wind(np.full(len(x), level)))
        of_count = poisson.logpmf(COUNTS[:, None], rate(np.full(len(x), level), x))
        of_damage = norm.logpdf(y, *damage(np.full(len(x), level), COUNTS[:, None]))
        there = np.log1p(-missing_damage(level, x))
        total.append(nats + there + logsumexp(of_count + of_damage, axis=0))
    return logsumexp(total, axis=0)


def main():
    """Fit, score and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--ensemble", type=int, default=1)
    parser.add_argument("--bootstrap", action="store_true", help="each member on a resample of the rows")
    parser.add_argument("--draws", type=int, default=1024, help="of each row's marginal")
    options = parser.parse_args()
    table, fresh = generate(options.rows, seed=0), generate(20_000, seed=1)
    start = time.perf_counter()
    density = FlowDensity(ensemble=options.ensemble, bootstrap=options.bootstrap, random_state=0).fit(table)
    print(f"fitted in {time.perf_counter() - start:.0f} s: {density.choices_}")
    for name, words in zip(table.columns, density.encoder_.described, strict=True):
        print(f"  {name}: {words}")
    own, found = truth(fresh), density.score_samples(fresh)
    gap = own - found
    print(f"generator's own score {own.mean():.4f}, the model's {found.mean():.4f} nats a row")
    print(f"gap {gap.mean():.4f} +- {gap.std() / np.sqrt(len(gap)):.4f}")
    pairs = fresh.loc[fresh["damage"].notna(), ["wind", "damage"]][:500]
    marginal = density.marginal(["wind", "damage"])
    estimate, error = marginal.score_samples(pairs, return_std=True, draws=options.draws)
    difference = estimate - marginal_truth(pairs["wind"].to_numpy(), pairs["damage"].to_numpy())
    of_mean = difference.std() / np.sqrt(len(difference))
    print(f"marginals of wind and damage: mean difference {difference.mean():.4f} +- {of_mean:.4f},")
    print(f"  {abs(difference.mean()) / of_mean:.1f} standard errors from 0; stated error of a row {error.mean():.4f},")
    print(
        f"  within 2 stated errors {np.mean(np.abs(difference) < 2 * error):.1%}, 3: "
        f"{np.mean(np.abs(difference) < 3 * error):.1%}; median |difference| {np.median(np.abs(difference)):.4f}"
    )


if __name__ == "__main__":
    main()
