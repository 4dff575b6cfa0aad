"""Maximum likelihood for several flows at once: what a user calls."""

from collections.abc import Sequence

import jax
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from densiflow.ensemble import Ensemble, check_alike
from densiflow.flow import Flow
from densiflow.rows import check_key
from densiflow.training.ensemble_run import EnsembleRun
from densiflow.training.fit import Checkpointed, Validation, divided, fit_rows, generator, keeper_of, prepared, told
from densiflow.training.history import History
from densiflow.training.keeper import Keeper
from densiflow.training.options import Options
from densiflow.training.progress import Progress
from densiflow.training.rows import Rows


def fit_ensemble(
    flows: Sequence[Flow],
    key: Array,
    x: ArrayLike,
    context: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    validation: Validation = 0.1,
    max_epochs: int | None = None,
    patience: int | None = 30,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    verbose: bool | None = None,
    checkpoint: Checkpointed = None,
) -> tuple[Ensemble, list[History]]:
    r"""Fit several flows of one structure to rows, each as `fit` would, in one compiled program.

    Member m is, but for rounding, what ``fit(flows[m], jax.random.split(key, len(flows))[m], x, ...)`` gives: it holds
    out its own random rows (or the ones given), sees the others in its own order, is standardised by them, keeps the
    weights of its own best epoch and stops by itself. Training ends when all have stopped; Ctrl-C keeps the best of
    each. A member whose loss is not finite goes back to its best by itself.

    Args:
        flows: what to fit, such as one recipe's flows with different keys; they are not changed.
        key: a JAX random key. One key on one machine gives one result.
        x: (n, dim) rows; all members see the same table.
        context: (n, c), for conditional flows.
        sample_weight: (n,), not negative.
        validation: the fraction of rows that each member holds out for itself; or as in `fit`.
        max_epochs: passes over the training rows; None for no limit.
        patience: epochs without a better held-out log-likelihood before a member stops; None for no limit.
        batch_size: rows a step, of each member.
        learning_rate: the peak of the schedule.
        weight_decay: what each weight loses in a step, as a share of the learning rate.
        verbose: show progress on stderr, means over the members; None shows it on a terminal.
        checkpoint: as in `fit`; members that have stopped stay as they are.

    Returns:
        The `Ensemble` of the fitted flows, and the `History` of each.

    Raises what `fit` raises, and `ArgumentError` for flows that differ in structure; `TrainingError` names the member
    that found no finite log-likelihood.

    Source: Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep
    ensembles".

    >>> from densiflow import recipes
    >>> rows = np.random.default_rng(0).normal(3.0, 2.0, (500, 1))
    >>> flows = [recipes.made(key, dim=1) for key in jax.random.split(jax.random.key(0), 3)]
    >>> ensemble, histories = fit_ensemble(flows, jax.random.key(1), rows, max_epochs=2)
    >>> ensemble.members, [len(history.train) for history in histories]
    (3, [2, 2, 2])
    """
    check_key(key)
    check_alike(flows)
    options = Options(max_epochs, patience, batch_size, learning_rate, weight_decay, verbose)
    rngs = [generator(member_key) for member_key in jax.random.split(key, len(flows))]
    parts = [divided(flows[0], rng, x, context, sample_weight, validation) for rng in rngs]
    trains = [train for train, _ in parts]
    helds = [held for _, held in parts if held is not None]
    keeper = keeper_of(checkpoint, lambda: told(flows, key, x, context, sample_weight, validation, options))
    return fit_members(flows, rngs, trains, helds or None, options, keeper)


def fit_members(
    flows: Sequence[Flow],
    rngs: Sequence[np.random.Generator],
    trains: Sequence[Rows],
    helds: Sequence[Rows] | None,
    options: Options,
    keeper: Keeper,
) -> tuple[Ensemble, list[History]]:
    """Fit to rows that are checked and split already, those of each member as many."""
    held = None if helds is None else helds[0]
    flows = [prepared(flow, rng, train, held, options) for flow, rng, train in zip(flows, rngs, trains, strict=True)]
    run = EnsembleRun(flows, trains, helds, rngs, options)
    progress = Progress(options.verbose, options.max_epochs, None if helds is None else options.patience)
    keeper.restore(run, options, progress)
    run.train(progress, keeper)
    return run.result()


def fit_one_or_several(
    flows: Sequence[Flow],
    rng: np.random.Generator,
    train: Rows,
    held: Rows | None,
    options: Options,
    keeper: Keeper,
    *,
    bootstrap: bool = False,
) -> tuple[Flow | Ensemble, list[History]]:
    """Fit one flow, or an ensemble of several, each to the same rows in an order of its own.

    With ``bootstrap`` each member of an ensemble has a resample of the rows.
    """
    if len(flows) == 1:
        flow, history = fit_rows(flows[0], rng, train, held, options, keeper)
        return flow, [history]
    rngs = rng.spawn(len(flows))
    trains = [_resampled(train, member) if bootstrap else train for member in rngs]
    return fit_members(flows, rngs, trains, None if held is None else [held] * len(flows), options, keeper)


def _resampled(rows: Rows, rng: np.random.Generator) -> Rows:
    """As many rows, drawn with replacement."""
    return rows.take(np.sort(rng.integers(len(rows), size=len(rows))))
