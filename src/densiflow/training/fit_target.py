"""Variational inference: a flow fitted to a density that is known but for its integral."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike, NDArray

from densiflow import precision
from densiflow.arguments import check_count
from densiflow.bijections.base import context_for
from densiflow.errors import ArgumentError, ShapeError
from densiflow.flow import Flow
from densiflow.rows import check_context, check_key
from densiflow.table.refusals import shown
from densiflow.training import elbo
from densiflow.training.elbo import LogTarget
from densiflow.training.history import History
from densiflow.training.keeper import Keeper
from densiflow.training.options import check_rate
from densiflow.training.progress import Progress, Words
from densiflow.training.rows import check_finite
from densiflow.training.run import Run

BLOCK = 256  # steps between two looks at the fixed draws
JUDGING = 4096  # how many of these there are, at least
WORDS = Words("step", 0, "ELBO", "on fixed draws")


def fit_target(
    flow: Flow,
    key: Array,
    log_target: LogTarget,
    context: ArrayLike | None = None,
    *,
    samples: int = 256,
    steps: int = 5000,
    learning_rate: float = 1e-3,
    verbose: bool | None = None,
) -> tuple[Flow, History]:
    r"""Fit a flow q to an unnormalised density, with Adam: make the ELBO as large as it gets.

    .. math:: \log Z - \mathrm{KL}(q \,\|\, p)
              = \mathbb E_{x \sim q}\left[\log \tilde p(x) - \log q(x)\right], \qquad
              p = \tilde p / Z, \quad Z = \int \tilde p(x)\, dx

    Each step draws fresh rows from the flow and follows the gradient through them, so sampling should be the flow's
    fast direction, as it is for `recipes.iaf`, `recipes.real_nvp` and `recipes.planar`; what is trained in the base
    must shape its draws smoothly. No data is used. The KL divergence of this direction punishes draws where the
    target is small and not a mode that no draw ever finds.

    The rate warms up over a hundred steps and falls by a cosine to zero. Every 256 steps the running average of the
    weights is judged by its ELBO on draws that stay the same; the best is returned, and the flow passed in is not
    changed. Ctrl-C ends training and returns the best so far. A loss that is not finite changes no weights: training
    goes back to the best so far with half the rate. Bijections that are set from data (`bijections.ActNorm`) are set
    from the flow's own draws.

    Args:
        flow: what to fit. Its support must not reach beyond the target's: where a draw has log density minus
            infinity the ELBO is minus infinity.
        key: a JAX random key, for the draws. One key on one machine gives one result.
        log_target: the log of the density but for a constant, a function in `jax.numpy` of rows x (n, dim), and of
            their contexts (n, c) for a conditional flow; to (n,), in nats. It is compiled into the training step:
            a second call with the same function compiles nothing, so write it once, at the top of a module; a lambda
            written anew for each call is compiled anew. Whatever else it reads is read once, as by `jax.jit`.
        context: for a conditional flow, one context (c,), or many (m, c) to be right for on average.
        samples: draws a step.
        steps: how many steps to take.
        learning_rate: the peak of the schedule.
        verbose: show progress on stderr; None shows it on a terminal.

    Returns:
        The fitted flow and its `History`: ``train`` has the mean ELBO of each block of 256 steps in nats,
        ``validation`` that of the fixed draws, ``best_epoch`` the block whose weights were returned.

    Raises `ArgumentError` or `ShapeError` for a target that does not give one real number a row, `ArgumentError` for
    options that can't be, `ContextError` or `TableError` for a context that can't, `TrainingError` if no finite ELBO
    was found.

    Source: Rezende & Mohamed 2015, "Variational inference with normalizing flows", eq. 3 and 15.

    >>> from densiflow import bases, bijections
    >>> def log_target(x):
    ...     return -0.5 * jnp.sum((x - 3.0) ** 2, axis=-1)  # log Z = log(2 pi) / 2 = 0.919
    >>> flow = Flow(bijections.Elementwise([0.0], [1.0]), bases.Normal(1))
    >>> flow, history = fit_target(flow, jax.random.key(0), log_target, steps=1000, learning_rate=0.05)
    >>> round(max(history.validation), 2)
    0.92
    """
    check_key(key)
    check_count("samples", samples, 1)
    check_count("steps", steps, 1)
    check_rate(learning_rate)
    precision.require(flow.dtype)
    contexts = _checked_context(context, flow)
    _check_target(log_target, flow, samples)
    flow = _prepared(flow, key, contexts)
    run = TargetRun(flow, key, log_target, contexts, samples, steps, learning_rate)
    run.train(Progress(verbose, steps, words=WORDS), Keeper())
    return run.result()


class TargetRun(Run):
    """The state of one variational fit; an epoch of it is a block of steps."""

    epoch = "block"

    def __init__(
        self,
        flow: Flow,
        key: Array,
        log_target: LogTarget,
        context: NDArray[Any] | None,
        samples: int,
        last_step: int,
        learning_rate: float,
    ) -> None:
        super().__init__(flow, samples, learning_rate, last_step)
        self.last_step = last_step
        key, judging = jax.random.split(key)
        # the steps' keys are folded from one key, so that the count of steps taken is all there is to remember
        self.draws = {"context": context, "log_target": log_target, "samples": samples}
        self.key, self.judging = key, jax.random.split(judging, -(-JUDGING // samples))

    def _epoch(self, progress: Progress) -> bool:
        while self.course.done < BLOCK and self.schedule.step < self.last_step:
            count = min(self.steps, BLOCK - self.course.done, self.last_step - self.schedule.step)
            first = np.asarray(self.schedule.step, np.int32)
            run = partial(elbo.run, rest=self.rest, key=self.key, first=first, **self.draws)
            losses = self._end(self._begin(run, count))
            if losses is None:
                self._stop_after_the_last()
                return False
            self.course.count(-float(losses.sum()), count)
            progress.update(self.history, self.schedule.step)
        return True

    def _judge(self) -> None:
        """Score the averaged weights by the fixed draws."""
        nats = np.asarray(elbo.judge(self.state.average, self.rest, self.judging, **self.draws), np.float64)
        score = float(nats.mean()) if np.isfinite(nats).all() else -np.inf
        if self.course.is_best(score):
            self._keep()
        self._stop_after_the_last()

    def _stop_after_the_last(self) -> None:
        if self.schedule.step >= self.last_step and not self.history.stopped:
            self.history.stopped = "all steps taken"

    @property
    def _nothing_found(self) -> str:
        return (
            f"no finite ELBO was found ({self.history.rollbacks} restarts with smaller learning rates): is log_target "
            f"finite, and its gradient, wherever the flow draws (its domain is {self.flow.bijection.domain.name})?"
        )


def _checked_context(context: ArrayLike | None, flow: Flow) -> NDArray[Any] | None:
    """The contexts as (m, c), in the flow's floating type."""
    check_context(context, flow.context_dim)
    if context is None:
        return None
    given = np.asarray(context)
    if given.ndim > 2 or given.size == 0:
        raise ShapeError(f"context must be one row (c,) or rows (m, c), got {given.shape}")
    rows = given.reshape(-1, flow.context_dim).astype(flow.dtype)
    check_finite(rows, "context")
    return rows


def _check_target(log_target: Any, flow: Flow, samples: int) -> None:
    """Trace the target once, and say what came where it is not one real number a row."""
    if not callable(log_target):
        raise ArgumentError(f"log_target must be a function of rows, got {shown(log_target)}")
    try:
        hash(log_target)
    except TypeError:
        raise ArgumentError(
            f"log_target must be hashable, as functions are, since it is compiled into the training step; "
            f"wrap the {type(log_target).__name__} in a function"
        ) from None
    widths = (flow.dim, flow.context_dim) if flow.context_dim else (flow.dim,)
    arrays = [jax.ShapeDtypeStruct((samples, width), flow.dtype) for width in widths]
    try:
        came = jax.eval_shape(log_target, *arrays)
    except jax.errors.JAXTypeError as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ArgumentError(
            f"log_target must be traceable by JAX: jax.numpy in place of numpy, and no Python branch on a row's "
            f"values; it raised {type(error).__name__}: {first_line}"
        ) from error
    is_array = isinstance(came, jax.ShapeDtypeStruct)
    if not is_array or came.shape != (samples,):
        what = f"an array of shape {came.shape}" if is_array else f"a {type(came).__name__}"
        raise ShapeError(f"log_target must give (n,) for rows (n, {flow.dim}); for n = {samples} it gave {what}")
    if not jnp.issubdtype(came.dtype, jnp.floating):
        raise ArgumentError(f"log_target must give floating numbers, got the type {came.dtype}")


def _prepared(flow: Flow, key: Array, contexts: NDArray[Any] | None) -> Flow:
    """The flow with many contexts standardised, and with what is set from data set from its own draws."""
    if contexts is not None and len(contexts) > 1:
        scaled = flow.standardised(np.zeros((len(contexts), flow.dim)), contexts)
        flow = eqx.tree_at(lambda flow: flow.context_scaling, flow, scaled.context_scaling)
    if not flow.bijection.needs_data:
        return flow
    each = 1024 if contexts is None else -(-1024 // len(contexts))
    x = flow.sample(key, each, contexts).reshape(-1, flow.dim)
    x, _ = flow.scaling.value.to_base_rows(x)
    given = None if contexts is None else flow.context_as_seen(jnp.tile(contexts, (each, 1)))
    bijection = flow.bijection.initialise(x, context_for(flow.bijection, given))
    return eqx.tree_at(lambda flow: flow.bijection, flow, bijection)
