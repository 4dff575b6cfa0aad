"""What ``flow="auto"`` chooses, from the numbers of rows and columns."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Choices:
    """The settings of a flow, of its base and of its training.

    ``degrees_of_freedom`` are those that a Student-t base starts with; None is the recipe's own base. ``flow`` is the
    recipe, or "mixed": rows of states and numbers, one after the other; "given" for a `Flow` of the user's.

    >>> print(choose(rows=5000, columns=6))
    maf, 10 layers of 128 x 128 tanh, Student-t base from 10 degrees of freedom, batches of 128, weight decay 0.3
    """

    degrees_of_freedom: float | None
    layers: int
    hidden: tuple[int, ...]
    activation: str
    batch_size: int
    weight_decay: float
    flow: str = "maf"

    def __str__(self) -> str:
        """All of them in one line."""
        parts = [self.flow]
        if self.flow != "given":
            widths = " x ".join(map(str, self.hidden)) or "no hidden layer"
            what = ("residual block" if self.flow == "mixed" else "layer") + "s" * (self.layers != 1)
            parts.append(f"{self.layers} {what} of {widths} {self.activation}")
        if self.degrees_of_freedom is not None:
            parts.append(f"Student-t base from {self.degrees_of_freedom:g} degrees of freedom")
        return ", ".join([*parts, f"batches of {self.batch_size}", f"weight decay {self.weight_decay:g}"])

    def overruled(self, **given: Any) -> "Choices":
        """The same choices, except where something was given (is not None)."""
        return Choices(**(asdict(self) | {name: value for name, value in given.items() if value is not None}))


def choose(rows: int, columns: int) -> Choices:
    """Settings of a MAF that did well on tables of that size.

    A Student-t base, and tanh, since its units are bounded: tables hold rows far from the others, which must not
    count as impossible, nor throw the columns after them farther out still. Small tables get small batches and
    weight decay; more rows carry wider networks.

    >>> choose(rows=5000, columns=6).hidden
    (128, 128)
    """
    width = 64 if rows < 2_000 else 128 if rows < 50_000 else 256
    return Choices(
        degrees_of_freedom=10.0,
        layers=3 if columns == 1 else 10,
        hidden=(max(width, 4 * columns),) * 2,
        activation="tanh",
        batch_size=_batch_size(rows),
        weight_decay=1.0 if rows < 3_000 else 0.3 if rows < 50_000 else 0.03,
    )


def choose_mixed(rows: int, variables: int) -> Choices:
    """Settings of a model of mixed rows: one masked network of residual blocks for all variables.

    >>> choose_mixed(rows=20_000, variables=14).hidden
    (256,)
    """
    width = 64 if rows < 2_000 else 128 if rows < 8_000 else 256
    return Choices(
        degrees_of_freedom=None,
        layers=2,
        hidden=(max(width, 8 * variables),),
        activation="silu",
        batch_size=_batch_size(rows),
        weight_decay=1.0 if rows < 3_000 else 0.3 if rows < 50_000 else 0.03,
        flow="mixed",
    )


def _batch_size(rows: int) -> int:
    return 64 if rows < 2_000 else 128 if rows < 20_000 else 256 if rows < 200_000 else 512
