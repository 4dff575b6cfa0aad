"""What a table looks like apart from its rows, and whether another table looks the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from densiflow.errors import ArgumentError, TableError
from densiflow.table.dtypes import holds_cells
from densiflow.table.refusals import listed

Container = Literal["numpy", "pandas", "polars", "arrow"]
Label = str | int | float | bool


@dataclass(frozen=True)
class Schema:
    """What a table looks like apart from its rows: enough to build such a table again.

    ``names`` are the column names, None for an array. A pandas table may label its columns by integers instead:
    as in scikit-learn such columns have no names, but their ``labels`` are kept, compared and given back.
    ``dtypes`` are the container's own names of the column types.

    What only columns that are not plain numbers have, None for the others: ``levels``, the labels of a column of text
    or categories, whose cells are positions among them; ``formats``, how cells are spelled, such as "%d/%m/%Y" for
    dates and "%.3f" for numbers that are text; ``marks``, what stands for a missing cell ("null", "nan", "None", "NA",
    or a text such as "text:?").

    >>> Schema(("a", "b"), ("int64", "float32"), "pandas").spoken
    ("column 'a'", "column 'b'")
    """

    names: tuple[str, ...] | None
    dtypes: tuple[str, ...]
    container: Container
    labels: tuple[int, ...] | None = None
    levels: tuple[tuple[Label, ...] | None, ...] = field(default=(), repr=False)
    formats: tuple[str | None, ...] = field(default=(), repr=False)
    marks: tuple[str | None, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in ("levels", "formats", "marks"):
            if not getattr(self, name):
                object.__setattr__(self, name, (None,) * len(self.dtypes))

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

    def only(self, positions: Sequence[int]) -> Self:
        """The schema of some of the columns, in that order."""

        def chosen(parts: tuple[Any, ...] | None) -> Any:
            return None if parts is None else tuple(parts[i] for i in positions)

        labels = self.labels if self.names is None else None
        if self.names is None and labels is None and self.container != "numpy":
            labels = tuple(range(self.width))
        return type(self)(
            chosen(self.names),
            chosen(self.dtypes),
            self.container,
            chosen(labels),
            chosen(self.levels),
            chosen(self.formats),
            chosen(self.marks),
        )

    def to_state(self) -> dict[str, Any]:
        """The schema as plain values that JSON can hold."""
        return {
            "names": None if self.names is None else list(self.names),
            "dtypes": list(self.dtypes),
            "container": self.container,
            "labels": None if self.labels is None else list(self.labels),
            "levels": [None if levels is None else list(levels) for levels in self.levels],
            "formats": list(self.formats),
            "marks": list(self.marks),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Undo `to_state`; `ArgumentError` for what no table's schema says."""
        names, labels = (None if state[key] is None else tuple(state[key]) for key in ("names", "labels"))
        # files of earlier versions hold numbers alone
        levels = tuple(None if part is None else tuple(part) for part in state.get("levels", ()))
        formats, marks = (tuple(state.get(key, ())) for key in ("formats", "marks"))
        schema = cls(names, tuple(state["dtypes"]), state["container"], labels, levels, formats, marks)
        _check_schema(schema)
        return schema


def _check_schema(schema: Schema) -> None:
    """Raise `ArgumentError` unless a table could look like this."""
    if schema.container not in get_args(Container):
        raise ArgumentError(f"a container must be one of {listed(get_args(Container))}, got {schema.container!r}")
    for dtype, levels in zip(schema.dtypes, schema.levels, strict=False):
        if not isinstance(dtype, str) or not (holds_cells(dtype) or levels is not None):
            raise ArgumentError(f"a column type must be the name of one whose cells can be read, got {dtype!r}")
    for name in ("levels", "formats", "marks"):
        if len(getattr(schema, name)) != len(schema.dtypes):
            raise ArgumentError(f"a schema of {schema.width} columns needs as many {name}, got {getattr(schema, name)}")
    for keys, kind in ((schema.names, str), (schema.labels, int)):
        if keys is not None and not all(isinstance(key, kind) for key in keys):
            raise ArgumentError(f"column names or labels must all be {kind.__name__}, got {listed(keys)}")
    if not schema.width or len(set(schema.keys)) != schema.width or len(schema.keys) != schema.width:
        raise ArgumentError(f"{schema.width} columns must have as many names, each its own, got {listed(schema.keys)}")


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
