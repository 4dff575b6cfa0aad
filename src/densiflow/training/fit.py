"""Maximum likelihood: the loop around the compiled steps."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from densiflow import precision
from densiflow.errors import ArgumentError, TrainingError, TrainingWarning
from densiflow.fixed import combine, partition
from densiflow.flow import Flow
from densiflow.rows import check_key
from densiflow.training import program
from densiflow.training.history import History
from densiflow.training.progress import Progress
from densiflow.training.rows import Rows, batches, checked, split
from densiflow.training.schedule import Schedule

MAX_ROLLBACKS = 4

Validation = float | tuple[Any, ...]


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

    Returns:
        The fitted flow and its `History`.

    Raises `ShapeError`, `ContextError`, `WeightError` or `TableError` for rows that can't be used, `ArgumentError`
    for options that can't, `TrainingError` if no finite log-likelihood was found.

    Source: Kingma & Ba 2015, "Adam"; early stopping as in Papamakarios et al. 2017, section 4.1.

    >>> from densiflow import recipes
    >>> x = np.random.default_rng(0).normal(3.0, 2.0, (500, 1))
    >>> flow, history = fit(recipes.made(jax.random.key(0), dim=1), jax.random.key(1), x, max_epochs=2)
    >>> len(history.train), history.stopped
    (2, 'max_epochs reached')
    """
    check_key(key)
    precision.require(flow.dtype)
    _check_options(validation, max_epochs, patience, batch_size, learning_rate, weight_decay)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    train, held = _training_and_held(flow, x, context, sample_weight, validation, rng)
    flow = flow.standardised(train.x, train.context, train.weight)
    if flow.bijection.needs_data:
        flow = _initialised(flow, train)
    run = _Run(flow, train.astype(flow.dtype), held, rng, max_epochs, patience, batch_size, learning_rate, weight_decay)
    with Progress(verbose, max_epochs, patience if held is not None else None) as progress:
        try:
            run.train(progress)
        except KeyboardInterrupt:
            run.interrupted()
    return run.result()


def _check_options(
    validation: Validation,
    max_epochs: int | None,
    patience: int | None,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
) -> None:
    if max_epochs is None and patience is None:
        raise ArgumentError("max_epochs and patience are both None: training would never end; give one of them")
    if max_epochs is None and not isinstance(validation, tuple) and validation == 0:
        raise ArgumentError("validation=0 leaves nothing to stop early by: give max_epochs")
    if max_epochs is not None and max_epochs < 1:
        raise ArgumentError(f"max_epochs must be at least 1, or None, got {max_epochs}")
    if patience is not None and patience < 1:
        raise ArgumentError(f"patience must be at least 1, or None, got {patience}")
    if batch_size < 1:
        raise ArgumentError(f"batch_size must be at least 1, got {batch_size}")
    if not (learning_rate > 0 and np.isfinite(learning_rate)):
        raise ArgumentError(f"learning_rate must be positive and finite, got {learning_rate}")
    if not 0 <= weight_decay < 1 / learning_rate:
        raise ArgumentError(f"weight_decay must be at least 0 and below 1 / learning_rate, got {weight_decay}")


def _training_and_held(
    flow: Flow, x: Any, context: Any, sample_weight: Any, validation: Validation, rng: np.random.Generator
) -> tuple[Rows, Rows | None]:
    rows = checked(x, context, sample_weight, flow.dim, flow.context_dim)
    if isinstance(validation, tuple):
        held_x, held_context, held_weight = (*validation, None, None)[:3]
        held = checked(held_x, held_context, held_weight, flow.dim, flow.context_dim)
        return split(rows, 0.0, rng)[0], held
    return split(rows, validation, rng)


def _initialised(flow: Flow, train: Rows) -> Flow:
    """The flow with its bijections set from (at most 4096 of) the training rows, as scaled."""
    x = jnp.asarray(train.x[:4096], flow.dtype)
    context = None if train.context is None else jnp.asarray(train.context[:4096], flow.dtype)
    x, _ = flow.scaling.value.to_base_rows(x)
    bijection = flow.bijection.initialise(x, flow._scale_context(context) if flow.bijection.context_dim else None)
    return eqx.tree_at(lambda flow: flow.bijection, flow, bijection)


@dataclass
class _Run:
    """One fit under way."""

    flow: Flow
    rows: Rows
    held: Rows | None
    rng: np.random.Generator
    max_epochs: int | None
    patience: int | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        trained, self.rest = partition(self.flow)
        self.state = program.start(trained)
        self.best = self.good = trained  # `good` is the end of the last sound epoch
        self.best_score = -np.inf
        # a table smaller than a batch makes batches of the next power of two: few shapes, little waste
        self.batch_size = min(self.batch_size, 1 << (len(self.rows) - 1).bit_length())
        per_epoch = -(-len(self.rows) // self.batch_size)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(trained))
        self.steps = program.steps_per_run(parameters, self.batch_size)
        self.schedule = Schedule(self.learning_rate, None if self.max_epochs is None else self.max_epochs * per_epoch)
        self.decay = np.asarray(self.weight_decay, self.rows.x.dtype)
        self.waiting = 0  # epochs since the last improvement or cut

    def train(self, progress: Progress) -> None:
        """Run epochs until something says stop."""
        while not self.history.stopped:
            if self._epoch(progress):
                self._judge()
            elif self.history.rollbacks > MAX_ROLLBACKS:
                self.history.stopped = "the loss was not finite too often"

    def _epoch(self, progress: Progress) -> bool:
        """One pass over the rows; False if it met a loss that is not finite and went back."""
        nats = 0.0
        rows_done = 0
        for x, context, weight, count in batches(self.rows, self.batch_size, self.steps, self.rng):
            rates = np.zeros(self.steps, self.rows.x.dtype)
            rates[:count] = self.schedule.next(count)
            state, losses, broken = program.run(
                self.state, self.rest, x, context, weight, rates, self.decay, np.asarray(count, np.int32)
            )
            if int(broken):
                self._roll_back(int(broken))
                return False
            self.state = state
            in_batch = np.count_nonzero(weight, axis=1)
            nats -= float(np.asarray(losses, np.float64) @ in_batch)
            rows_done += int(in_batch.sum())
            progress.update(self.history, len(self.history.train) + rows_done / len(self.rows))
        self.history.train.append(nats / len(self.rows))
        self.history.learning_rate.append(float(rates[count - 1]))
        return True

    def _roll_back(self, broken: int) -> None:
        self.history.rollbacks += 1
        warnings.warn(
            f"the loss was not finite in {broken} steps of epoch {len(self.history.train)}; "
            f"going back to the best weights with half the learning rate",
            TrainingWarning,
            stacklevel=5,
        )
        self.state = program.start(self.best if self.held is not None else self.good)
        self.schedule.cut(0.5)

    def _judge(self) -> None:
        """Score the held-out rows after an epoch, keep the best, and decide whether to stop."""
        epoch = len(self.history.train) - 1
        self.good = self.state.average
        if self.held is None:
            self.best, self.history.best_epoch = self.good, epoch
        else:
            score = self._held_out()
            self.history.validation.append(score)
            self._compare(score, epoch)
        if self.max_epochs is not None and epoch + 1 >= self.max_epochs:
            self.history.stopped = "max_epochs reached"
        elif self.held is not None and self.patience is not None:
            since = epoch - (self.history.best_epoch if self.history.best_epoch is not None else -1)
            if since >= self.patience:
                self.history.stopped = f"no better held-out log-likelihood for {self.patience} epochs"

    def _compare(self, score: float, epoch: int) -> None:
        if score > self.best_score:
            self.best, self.best_score, self.history.best_epoch = self.state.average, score, epoch
            self.waiting = 0
            return
        self.waiting += 1
        if self.patience is not None and self.waiting >= max(1, self.patience // 3):
            self.schedule.cut()
            self.waiting = 0

    def _held_out(self) -> float:
        """Mean log-likelihood of the held-out rows, nats; -inf where it is not a number."""
        if self.held is None:
            return -np.inf
        flow = combine(self.state.average, self.rest)
        nats = np.asarray(flow.log_prob(self.held.x, self.held.context), np.float64)
        score = float(np.average(nats, weights=self.held.weight))
        return score if np.isfinite(score) else -np.inf

    def interrupted(self) -> None:
        """Ctrl-C: the epoch under way counts if it is already better than the best."""
        self.history.stopped = "interrupted"
        if self.held is None:
            self.best = self.state.average
            return
        score = self._held_out()
        if score > self.best_score:
            self.best, self.best_score = self.state.average, score
            self.history.best_epoch = len(self.history.train)

    def result(self) -> tuple[Flow, History]:
        """The flow with its best weights, or `TrainingError` if there are none worth returning."""
        finite = all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(self.best))
        interrupted = self.history.stopped == "interrupted"
        if not finite or (self.history.best_epoch is None and not interrupted):
            raise TrainingError(
                f"no finite log-likelihood was found ({self.history.rollbacks} restarts with smaller learning "
                f"rates): do the rows lie in the flow's domain ({self.flow.bijection.domain.name}) and its base's "
                f"support ({self.flow.base.support.name})?"
            )
        return combine(self.best, self.rest), self.history
