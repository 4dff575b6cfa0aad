"""Tables of several files as one: columns of the same names, each of a type that holds all of its cells."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from densiflow.errors import TableError
from densiflow.table.refusals import listed

if TYPE_CHECKING:
    import pyarrow


def common_schema(names: Sequence[str], schemas: "Sequence[pyarrow.Schema]") -> "pyarrow.Schema":
    """One schema for files of these names: the columns of the first, integers and nulls as what other files have there.

    Raises `TableError` for a file that lacks a column or has one more, and for columns of types that do not go
    together, such as text and numbers.

    >>> import pyarrow as pa
    >>> one, two = pa.schema({"a": pa.int64(), "b": pa.null()}), pa.schema({"b": pa.string(), "a": pa.float64()})
    >>> common_schema(["one.csv", "two.csv"], [one, two]).types
    [DataType(double), DataType(string)]
    """
    first = schemas[0]
    for name, schema in zip(names[1:], schemas[1:], strict=True):
        _check_same_columns(names[0], first.names, name, schema.names)
        for field in schema:
            place = first.get_field_index(field.name)
            first = first.set(place, _wider(first.field(place), field, names[0], name))
    return first


def in_schema(table: "pyarrow.Table", schema: "pyarrow.Schema") -> "pyarrow.Table":
    """The table with the columns of a common schema, in its order and types."""
    if table.schema.equals(schema, check_metadata=True):
        return table
    return table.select(schema.names).cast(schema, safe=False)


def _check_same_columns(expected: str, columns: Sequence[str], name: str, found: Sequence[str]) -> None:
    missing = [column for column in columns if column not in found]
    extra = [column for column in found if column not in columns]
    if missing:
        raise TableError(f"{name} lacks columns that {expected} has: {listed(missing)}; give files of the same columns")
    if extra:
        raise TableError(
            f"{name} has columns that {expected} does not have: {listed(extra)}; give files of the same columns"
        )


def _wider(expected: "pyarrow.Field", found: "pyarrow.Field", first: str, name: str) -> "pyarrow.Field":
    import pyarrow

    try:
        both = [pyarrow.schema([expected]), pyarrow.schema([found])]
        return pyarrow.unify_schemas(both, promote_options="permissive").field(0)
    except pyarrow.ArrowTypeError:
        raise TableError(
            f"column {found.name!r} of {name} holds {found.type}, but that of {first} holds {expected.type}; give "
            f"both the same type"
        ) from None
