"""What the columns of a table are to a flow: a row of states and values, one after the other."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """One step of a row's path: a state, drawn from a few, or a value, a real number.

    ``column`` is the column of the table it belongs to. A state is one of ``size`` (at least 2); a value has size 0.
    A value is present where the variable ``state`` (a place among all variables) is 0, always where that is None.
    With ``cell`` a value stands for a cell of the real line, whose mass is what counts, not the density in it.

    >>> [Variable(0, size=3).width, Variable(0, state=0).width, Variable(0, state=0, cell=True).width]
    [1, 1, 3]
    """

    column: int
    size: int = 0
    state: int | None = None
    cell: bool = False

    @property
    def width(self) -> int:
        """Columns of x: the state's index; y; or y in a cell, and the cell's lower and upper edge."""
        return 3 if self.cell else 1
