"""Maximum likelihood: what a user calls."""

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from densiflow import precision
from densiflow.bijections.base import context_for
from densiflow.errors import ArgumentError, TrainingWarning
from densiflow.flow import Flow
from densiflow.rows import check_key
from densiflow.training.checkpoint import Checkpoint
from densiflow.training.fingerprint import Told, digest
from densiflow.training.history import History
from densiflow.training.keeper import FileKeeper, Keeper
from densiflow.training.likelihood import LikelihoodRun
from densiflow.training.options import Options
from densiflow.training.progress import Progress
from densiflow.training.rows import Rows, checked, checked_fraction, split

Validation = float | tuple[Any, ...]
Checkpointed = str | os.PathLike[str] | Checkpoint | None
INITIALISING = 4096  # rows that set what is set from data


def fit(
    flow: Flow,
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
) -> tuple[Flow, History]:
    r"""Fit a flow to rows by maximum likelihood, with Adam.

    .. math:: \max_\phi \; \frac{\sum_n w_n \log p_\phi(x_n \mid c_n)}{\sum_n w_n}

    Data and context are standardised inside the flow first, from the training rows alone. The weights returned
    are those of the epoch with the best held-out log-likelihood, each a running average over about the last
    hundred steps; the flow passed in is not changed. The rate warms up, falls by a cosine to zero where
    ``max_epochs`` is given, and is cut whenever the held-out log-likelihood has not improved for a third of the
    patience. Ctrl-C ends training and returns the best so far. A loss that is not finite changes no weights:
    training goes back to the best so far with half the rate.

    Args:
        flow: what to fit.
        key: a JAX random key, for the split and the order of rows. One key on one machine gives one result.
        x: (n, dim) rows.
        context: (n, c), for a conditional flow.
        sample_weight: (n,), not negative.
        validation: the fraction of rows to hold out; 0 holds out nothing, does not stop early and returns the
            last weights; or held-out rows, as ``(x, context, sample_weight)``.
        max_epochs: passes over the training rows; None for no limit.
        patience: epochs without a better held-out log-likelihood before training stops; None for no limit.
        batch_size: rows a step; the last short batch is used too.
        learning_rate: the peak of the schedule.
        weight_decay: what each weight loses in a step, as a share of the learning rate.
        verbose: show progress on stderr; None shows it on a terminal.
        checkpoint: a path, or a `Checkpoint`: a file to keep the training in while it is under way, and to go on from
            where a training was interrupted, with the result of one that was not, to the bit.

    Returns:
        The fitted flow and its `History`.

    Raises `ShapeError`, `ContextError`, `WeightError` or `TableError` for rows that can't be used, `ArgumentError`
    for options that can't, `TrainingError` if no finite log-likelihood was found, `CheckpointError` for a checkpoint of
    another fit.

    Source: Kingma & Ba 2015, "Adam"; early stopping as in Papamakarios et al. 2017, section 4.1.

    >>> from densiflow import recipes
    >>> x = np.random.default_rng(0).normal(3.0, 2.0, (500, 1))
    >>> flow, history = fit(recipes.made(jax.random.key(0), dim=1), jax.random.key(1), x, max_epochs=2)
    >>> len(history.train), history.stopped
    (2, 'max_epochs reached')
    """
    check_key(key)
    options = Options(max_epochs, patience, batch_size, learning_rate, weight_decay, verbose)
    rng = generator(key)
    train, held = divided(flow, rng, x, context, sample_weight, validation)
    keeper = keeper_of(checkpoint, lambda: told(flow, key, x, context, sample_weight, validation, options))
    return fit_rows(flow, rng, train, held, options, keeper)


def keeper_of(checkpoint: Checkpointed, told: Callable[[], Told]) -> Keeper:
    """What keeps a training that is told this, which is asked only where there is a checkpoint."""
    if checkpoint is None:
        return Keeper()
    keeper = FileKeeper(Checkpoint.of(checkpoint))
    keeper.tell(told())
    return keeper


def told(
    flows: Flow | Sequence[Flow],
    key: Array,
    x: ArrayLike,
    context: ArrayLike | None,
    sample_weight: ArrayLike | None,
    validation: Validation,
    options: Options,
) -> Told:
    """What makes a fit the fit that it is; where it ends does not."""
    rows = {"x": x, "context": context, "sample_weight": sample_weight}
    return {
        "flow": digest(flows),
        "key": digest(jax.random.key_data(key)),
        **{name: digest(_array(part)) for name, part in rows.items()},
        "validation": digest(*map(_array, validation)) if isinstance(validation, tuple) else float(validation),
        **options.of_steps,
    }


def generator(key: Array) -> np.random.Generator:
    """What splits and orders rows on the host, seeded by a JAX key."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


def divided(
    flow: Flow,
    rng: np.random.Generator,
    x: ArrayLike,
    context: ArrayLike | None,
    sample_weight: ArrayLike | None,
    validation: Validation,
) -> tuple[Rows, Rows | None]:
    """The rows to train on and those held out, checked."""
    rows = checked(x, context, sample_weight, flow.dim, flow.context_dim)
    if isinstance(validation, tuple) and 1 <= len(validation) <= 3:
        held_x, held_context, held_weight = (*validation, None, None)[:3]
        held = checked(held_x, held_context, held_weight, flow.dim, flow.context_dim, "held-out ")
        return split(rows, 0.0, rng)[0], held
    alternative = ", or held-out rows as the tuple (x, context, sample_weight)"
    return split(rows, checked_fraction(validation, alternative), rng)


def _array(part: ArrayLike | None) -> np.ndarray | None:
    return None if part is None else np.asarray(part)


def fit_rows(
    flow: Flow, rng: np.random.Generator, train: Rows, held: Rows | None, options: Options, keeper: Keeper
) -> tuple[Flow, History]:
    """Fit to rows that are checked and split already, with the log_volume of their encoding counted in the history."""
    run = LikelihoodRun(prepared(flow, rng, train, held, options), train, held, rng, options)
    progress = Progress(options.verbose, options.max_epochs, None if held is None else options.patience)
    keeper.restore(run, options, progress)
    run.train(progress, keeper)
    return run.result()


def prepared(flow: Flow, rng: np.random.Generator, train: Rows, held: Rows | None, options: Options) -> Flow:
    """The flow with what is set from data set from the training rows."""
    if held is None and options.max_epochs is None:
        raise ArgumentError("with nothing held out there is nothing to stop early by: give max_epochs")
    precision.require(flow.dtype)
    _warn_of_rounding(train.x, flow.dtype)
    flow = flow.standardised(train.x, train.context, train.weight)
    flow = _initialised(flow, train, rng) if flow.bijection.needs_data else flow
    return _started(flow, train) if flow.base.needs_data else flow


def _warn_of_rounding(x: np.ndarray, dtype: np.dtype[Any]) -> None:
    """Warn of columns whose spread the flow's floating type can hardly tell from their size."""
    spread = np.std(x, axis=0, dtype=np.float64)
    coarse = spread < 100 * np.spacing(np.abs(x).max(axis=0).astype(dtype))
    if (coarse & (spread > 0)).any():
        column = int(np.argmax(coarse & (spread > 0)))
        warnings.warn(
            f"column {column} varies by only {spread[column]:.3g} about {np.mean(x[:, column]):.6g}, which {dtype} "
            f"rounds away; subtract its mean first, or use a float64 flow (FlowDensity does this by itself)",
            TrainingWarning,
            stacklevel=5,
        )


def _initialised(flow: Flow, train: Rows, rng: np.random.Generator) -> Flow:
    """The flow with its bijections set from the training rows, as scaled.

    From all of them where they are few and of one weight, else from 4096 drawn in proportion to their weights.
    """
    if len(train) > INITIALISING or np.ptp(train.weight) > 0:
        share = train.weight / train.weight.sum()
        train = train.take(rng.choice(len(train), INITIALISING, p=share))
    train = train.astype(flow.dtype)
    x, _ = flow.scaling.value.to_base_rows(jnp.asarray(train.x))
    context = None if train.context is None else flow.context_as_seen(jnp.asarray(train.context))
    bijection = flow.bijection.initialise(x, context_for(flow.bijection, context))
    return eqx.tree_at(lambda flow: flow.bijection, flow, bijection)


def _started(flow: Flow, train: Rows) -> Flow:
    """The flow with its base set from the training rows."""
    train = train.astype(flow.dtype)
    z, _ = flow.to_base(train.x, train.context)
    return eqx.tree_at(lambda flow: flow.base, flow, flow.base.initialise(z, train.weight))
