"""Mixed tables of every container: cells to float64, and the same table built again, types and missing marks too."""

import datetime
import json

import numpy as np
import pyarrow as pa
import pytest

from densiflow.errors import CellTypeError, TableError
from densiflow.table import Schema, build, matching, read

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

DAY = datetime.date(2020, 2, 29)
NOON = datetime.datetime(2020, 2, 29, 12, 30, 1, 250_000)

PANDAS = {
    "category": lambda: pd.Categorical(["b", "a", None], categories=["b", "unseen", "a"]),
    "ordered": lambda: pd.Categorical(["low", None, "high"], categories=["low", "mid", "high"], ordered=True),
    "categories of integers": lambda: pd.Categorical([3, 1, None]),
    "str": lambda: ["x", None, "y"],
    "string": lambda: pd.array(["x", None, "y"], dtype="string"),
    "string on arrow": lambda: pd.array(["x", None, "y"], dtype=pd.ArrowDtype(pa.string())),
    "objects": lambda: pd.Series(["x", None, "y"], dtype=object),
    "objects with NaN": lambda: pd.Series(["x", np.nan, "y"], dtype=object),
    "objects with NA": lambda: pd.Series(["x", pd.NA, "y"], dtype=object),
    "objects of two types": lambda: pd.Series(["x", 1.5, True], dtype=object),
    "integers among objects": lambda: pd.Series([3, None, 7], dtype=object),
    "dates among objects": lambda: pd.Series([DAY, None, datetime.date(1969, 1, 1)], dtype=object),
    "bool": lambda: [True, False, True],
    "boolean": lambda: pd.array([True, None, False], dtype="boolean"),
    "bool on arrow": lambda: pd.array([True, None, False], dtype=pd.ArrowDtype(pa.bool_())),
    "Int64": lambda: pd.array([1, None, 3], dtype="Int64"),
    "Float32": lambda: pd.array([1.5, None, 3.0], dtype="Float32"),
    "int on arrow": lambda: pd.array([1, None, 3], dtype=pd.ArrowDtype(pa.int32())),
    "float64": lambda: [1.5, np.nan, 3.0],
    "datetime": lambda: pd.to_datetime([NOON, None, datetime.datetime(1960, 1, 1)]),
    "datetime in ns": lambda: pd.Series(["2020-02-29", None, "1960-01-01"]).astype("datetime64[ns]"),
    "datetime in a zone": lambda: pd.to_datetime(["2020-07-01 12:00", None, "2020-12-01 00:00"]).tz_localize(
        "Europe/Berlin"
    ),
    "timedelta": lambda: pd.to_timedelta([1, None, 10], unit="s"),
    "date on arrow": lambda: pd.array([DAY, None, DAY], dtype=pd.ArrowDtype(pa.date32())),
    "timestamp on arrow": lambda: pd.array([NOON, None, NOON], dtype=pd.ArrowDtype(pa.timestamp("ms", "UTC"))),
    "text of dates": lambda: pd.Series(["16/12/2006", None, "01/01/2007"], dtype=object),
    "text of times": lambda: ["17:24:00", None, "00:00:01"],
    "nothing": lambda: pd.Series([None, None, None], dtype=object),
}

POLARS = {
    "Enum": lambda: pl.Series(["b", None, "a"], dtype=pl.Enum(["b", "unseen", "a"])),
    "Categorical": lambda: pl.Series(["b", None, "a"], dtype=pl.Categorical),
    "String": lambda: pl.Series(["b", None, "a"]),
    "Boolean": lambda: pl.Series([True, None, False]),
    "Int16": lambda: pl.Series([1, None, 3], dtype=pl.Int16),
    "Float64 with null": lambda: pl.Series([1.5, None, 3.0]),
    "Float64 with NaN": lambda: pl.Series([1.5, float("nan"), 3.0]),
    "Date": lambda: pl.Series([DAY, None, datetime.date(1960, 1, 1)]),
    "Time": lambda: pl.Series([datetime.time(12, 30, 1, 250_000), None, datetime.time()]),
    "Datetime": lambda: pl.Series([NOON, None, NOON]),
    "Datetime in a zone": lambda: pl.Series([NOON, None, NOON]).cast(pl.Datetime("ms", "Europe/Berlin")),
    "Duration": lambda: pl.Series([datetime.timedelta(1), None, datetime.timedelta(-1)]),
    "text of dates": lambda: pl.Series(["2006-12-16", None, "2007-01-31"]),
    "nothing": lambda: pl.Series([None, None, None], dtype=pl.String),
}

ARROW = {
    "string": lambda: pa.array(["b", None, "a"]),
    "large string": lambda: pa.array(["b", None, "a"], pa.large_string()),
    "dictionary": lambda: pa.array(["b", None, "a"]).dictionary_encode(),
    "bool": lambda: pa.array([True, None, False]),
    "int64": lambda: pa.array([1, None, 3]),
    "float with null": lambda: pa.array([1.5, None, 3.0], pa.float32()),
    "float with NaN": lambda: pa.array([1.5, float("nan"), 3.0]),
    "date32": lambda: pa.array([DAY, None, DAY]),
    "date64": lambda: pa.array([DAY, None, DAY], pa.date64()),
    "time32": lambda: pa.array([1, None, 86399], pa.time32("s")),
    "time64": lambda: pa.array([1, None, 86_399_999_999], pa.time64("us")),
    "timestamp": lambda: pa.array([NOON, None, NOON]),
    "timestamp in seconds": lambda: pa.array([1, None, -5], pa.timestamp("s")),
    "timestamp in a zone": lambda: pa.array([NOON, None, NOON], pa.timestamp("ns", "America/New_York")),
    "duration": lambda: pa.array([1, None, 5], pa.duration("ms")),
}


def again(table):
    schema, matrix = read(table, mixed=True)
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matching(schema, table, mixed=True), matrix)
    kept = Schema.from_state(json.loads(json.dumps(schema.to_state())))
    assert kept == schema
    return build(kept, matrix)


@pytest.mark.parametrize("name", PANDAS)
def test_pandas_comes_back(name):
    table = pd.DataFrame({"a": PANDAS[name](), "b": [1.0, 2.0, 4.0]})
    built = again(table)
    pd.testing.assert_frame_equal(built, table)
    cells = zip(built["a"].array, table["a"].array, strict=True)
    assert [type(cell) for cell, _ in cells] == [type(cell) for cell in table["a"].array]


@pytest.mark.parametrize("name", POLARS)
def test_polars_comes_back(name):
    table = pl.DataFrame({"a": POLARS[name](), "b": [1.0, 2.0, 4.0]})
    built = again(table)
    assert built.schema == table.schema
    assert built.equals(table)
    assert built["a"].null_count() == table["a"].null_count()


@pytest.mark.parametrize("name", ARROW)
def test_arrow_comes_back(name):
    table = pa.table({"a": ARROW[name](), "b": [1.0, 2.0, 4.0]})
    built = again(table)
    assert built.schema == table.schema
    assert built["a"].null_count == table["a"].null_count
    assert str(built.to_pydict()) == str(table.to_pydict())  # NaN is not equal to itself


@pytest.mark.parametrize(
    "array",
    [
        np.array([["x", 1.5], ["y", 2.5]], dtype=object),
        np.array([["x", None], [None, 2.5]], dtype=object),
        np.array([["x", "long"], ["y", ""]]),
        np.array([[True, False], [False, False]]),
        np.array([[1.5, np.nan], [np.nan, 2.0]]),
        np.array([[1, True], [2, False]], dtype=object),
        np.array([["2020-01-01"], ["NaT"]], "datetime64[D]"),
    ],
    ids=str,
)
def test_arrays_come_back(array):
    built = again(array)
    np.testing.assert_array_equal(built, array)
    assert built.dtype.kind == array.dtype.kind
    if array.dtype == object:
        assert [type(cell) for cell in built.ravel()] == [type(cell) for cell in array.ravel()]


def test_codes_are_places_among_the_levels():
    schema, matrix = read(pd.DataFrame({"a": ["y", None, "x", "y"]}), mixed=True)
    assert schema.levels == (("x", "y"),)
    np.testing.assert_array_equal(matrix[:, 0], [1.0, np.nan, 0.0, 1.0])
    schema, matrix = read(pd.DataFrame({"a": pd.Categorical(["y", "x"], categories=["y", "u", "x"])}), mixed=True)
    assert schema.levels == (("y", "u", "x"),)
    np.testing.assert_array_equal(matrix[:, 0], [0.0, 2.0])


def test_instants_are_microseconds():
    expected = [1_582_979_401_250_000.0, np.nan]
    for table in (
        pa.table({"a": [NOON, None]}),
        pd.DataFrame({"a": [NOON, pd.NaT]}),
        pl.DataFrame({"a": [NOON, None]}),
    ):
        np.testing.assert_array_equal(read(table, mixed=True)[1][:, 0], expected)
    dates = read(pa.table({"a": ["16/12/2006", "01/01/1970"]}), mixed=True)[1][:, 0]
    np.testing.assert_array_equal(dates, [(datetime.date(2006, 12, 16) - datetime.date(1970, 1, 1)).days * 86400e6, 0])
    times = read(pa.table({"a": ["17:24:00", "00:00:01"]}), mixed=True)[1][:, 0]
    np.testing.assert_array_equal(times, [(17 * 60 + 24) * 60e6, 1e6])


def test_a_label_that_was_not_there_has_the_place_after_the_last():
    schema, _ = read(pl.DataFrame({"a": ["x", "y"]}), mixed=True)
    for table in (pa.table({"a": ["new", "y", None]}), pd.DataFrame({"a": pd.Categorical(["new", "y", None])})):
        np.testing.assert_array_equal(matching(schema, table, mixed=True)[:, 0], [2.0, 1.0, np.nan])


def test_any_container_is_read_as_the_fitted_one():
    fitted = pd.DataFrame({"a": pd.Categorical([1, 2]), "b": ["16/12/2006", "17/12/2006"], "c": [True, False]})
    schema, matrix = read(fitted, mixed=True)
    table = pa.table({"a": [1.0, 2.0], "b": [datetime.date(2006, 12, 16), datetime.date(2006, 12, 17)], "c": [1, 0]})
    np.testing.assert_array_equal(matching(schema, table, mixed=True), matrix)


@pytest.mark.parametrize(
    ("fitted", "table", "words"),
    [
        ([1.0, 2.0], ["x", "2"], ["column 'a'", "row 0", "'x'", "text"]),
        ([1.0, 2.0], [DAY, DAY], ["column 'a'", "numbers", "instants"]),
        ([DAY, DAY], [1.0, 2.0], ["column 'a'", "instants", "numbers"]),
        ([True, False], ["yes", "no"], ["column 'a'", "text"]),
    ],
)
def test_cells_of_another_kind_than_fitted_are_refused(fitted, table, words):
    schema, _ = read(pl.DataFrame({"a": fitted}), mixed=True)
    with pytest.raises(TableError) as caught:
        matching(schema, pl.DataFrame({"a": table}), "X", mixed=True)
    for word in ["X", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pa.table({"a": [1.0, float("inf")]}), ["column 'a'", "row 1", "inf"]),
        (pa.table({"a": [[1, 2], [3]]}), ["column 'a'", "list"]),
        (
            pd.DataFrame({"a": pd.Categorical(pd.to_datetime(["2020-01-01", "2020-01-02"]))}),
            ["column 'a'", "categories"],
        ),
    ],
)
def test_what_no_mixed_table_may_hold(table, words):
    with pytest.raises(TableError) as caught:
        read(table, mixed=True)
    for word in words:
        assert word in str(caught.value)
    with pytest.raises(CellTypeError):
        read(np.array([["x"], [{}]], dtype=object), mixed=True)
