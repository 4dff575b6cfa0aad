"""What happened while a flow was trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class History:
    """The course of one fit.

    ``train`` and ``validation`` hold the mean log-likelihood of each epoch in nats (``validation`` is empty when
    nothing was held out), ``learning_rate`` the rate each epoch ended with. ``best_epoch`` counts from 0 and names
    the epoch whose weights were returned; None if no epoch was finished. ``stopped`` says in words why training
    ended, ``rollbacks`` how often a non-finite loss sent it back.

    For `fit_target` an epoch is a block of steps, and its log-likelihood the ELBO: in ``train`` of the draws that the
    block met, in ``validation`` of draws that stay the same.
    """

    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    stopped: str = ""
    rollbacks: int = 0

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """The history of those fields; a model file gives its lists back as tuples."""
        given: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
        return cls(**given)
