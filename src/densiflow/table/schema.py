"""What a table looks like apart from its rows, and whether another table looks the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from densiflow.errors import ArgumentError, TableError
from densiflow.table.dtypes import numpy_dtype
from densiflow.table.refusals import listed

Container = Literal["numpy", "pandas", "polars", "arrow"]


@dataclass(frozen=True)
class Schema:
    """What a table looks like apart from its rows: enough to build such a table again.

    ``names`` are the column names, None for an array. A pandas table may label its columns by integers instead:
    as in scikit-learn such columns have no names, but their ``labels`` are kept, compared and given back.
    ``dtypes`` are the container's own names of the column types.

    >>> Schema(("a", "b"), ("int64", "float32"), "pandas").spoken
    ("column 'a'", "column 'b'")
    """

    names: tuple[str, ...] | None
    dtypes: tuple[str, ...]
    container: Container
    labels: tuple[int, ...] | None = None

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.dtypes)

    @property
    def keys(self) -> tuple[str, ...] | tuple[int, ...]:
        """What tells the columns apart: names, or labels, or positions."""
        return self.names or self.labels or tuple(range(self.width))

    @property
    def spoken(self) -> tuple[str, ...]:
        """The columns as messages name them: ``column 'a'``, or ``column 3``."""
        return tuple(f"column {key!r}" for key in self.keys)

    def to_state(self) -> dict[str, Any]:
        """The schema as plain values that JSON can hold."""
        return {
            "names": None if self.names is None else list(self.names),
            "dtypes": list(self.dtypes),
            "container": self.container,
            "labels": None if self.labels is None else list(self.labels),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Undo `to_state`; `ArgumentError` for what no table's schema says."""
        names, labels = (None if state[key] is None else tuple(state[key]) for key in ("names", "labels"))
        schema = cls(names, tuple(state["dtypes"]), state["container"], labels)
        _check_schema(schema)
        return schema


def _check_schema(schema: Schema) -> None:
    """Raise `ArgumentError` unless a table could look like this."""
    if schema.container not in get_args(Container):
        raise ArgumentError(f"a container must be one of {listed(get_args(Container))}, got {schema.container!r}")
    for dtype in schema.dtypes:
        if not isinstance(dtype, str) or not _holds_numbers(dtype):
            raise ArgumentError(f"a column type must be the name of a number's, got {dtype!r}")
    for keys, kind in ((schema.names, str), (schema.labels, int)):
        if keys is not None and not all(isinstance(key, kind) for key in keys):
            raise ArgumentError(f"column names or labels must all be {kind.__name__}, got {listed(keys)}")
    if not schema.width or len(set(schema.keys)) != schema.width or len(schema.keys) != schema.width:
        raise ArgumentError(f"{schema.width} columns must have as many names, each its own, got {listed(schema.keys)}")


def _holds_numbers(dtype: str) -> bool:
    """Whether a table of this column type can be read: numbers, or Python objects that are numbers."""
    try:
        return numpy_dtype(dtype).kind in "iufO"
    except (TypeError, ValueError):
        return False


def check_columns(schema: Schema, found: Schema, what: str) -> None:
    """Raise `TableError` unless the columns found are the fitted ones."""
    both_named = schema.names is not None and found.names is not None
    both_labelled = schema.labels is not None and found.labels is not None
    if not (both_named or both_labelled):
        if found.width != schema.width:
            subject = "X" if what == "the table" else what  # scikit-learn's own checks look for "X has ... as input"
            raise TableError(
                f"{subject} has {found.width} features, but densiflow is expecting {schema.width} features as input: "
                f"give the {schema.width} columns it was fitted on, {listed(schema.keys)}"
            )
        return
    missing = [key for key in schema.keys if key not in set(found.keys)]
    if missing:
        raise TableError(f"{what} lacks columns that the model was fitted on: {listed(missing)}")
    extra = [key for key in found.keys if key not in set(schema.keys)]
    if extra:
        raise TableError(f"{what} has columns that the model was not fitted on: {listed(extra)}; leave them out")
    if found.keys != schema.keys:
        place = next(i for i, key in enumerate(schema.keys) if key != found.keys[i])
        raise TableError(
            f"the columns of {what} are in another order than fitted: expected {schema.keys[place]!r} at position "
            f"{place}, got {found.keys[place]!r}; the order is {', '.join(map(repr, schema.keys))}"
        )
