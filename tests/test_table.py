"""A table <-> a real matrix: what is refused and in which words, round trips, files, the kind "real"."""

import datetime
import decimal
import json
import math
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from densiflow.errors import (
    ArgumentError,
    DensiflowError,
    MissingFileError,
    OutputPathError,
    TableError,
    UnregisteredClassError,
)
from densiflow.table import Encoder, Schema, build, build_named, check_fit, matching, read
from densiflow.table.columns import Real
from densiflow.table.files import check_ending, read_file, select, write_file

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
sparse = pytest.importorskip("scipy.sparse")

NUMBERS = np.array([[0.0, 1.0], [3.0, 5.0], [7.0, 2.0]])
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def message_of(error_class, call, *args, **kwargs):
    with pytest.raises(error_class) as caught:
        call(*args, **kwargs)
    text = str(caught.value)
    assert isinstance(caught.value, DensiflowError)
    assert "\n" not in text
    return text


def objects(*cells):
    return np.array([[cell] for cell in cells], dtype=object)


def unnamed_twice():
    return pd.DataFrame(NUMBERS, columns=["a", "a"])


BAD = {
    "one dimension": (lambda: np.ones(3), ["(3, 1)", "Reshape your data"]),
    "three dimensions": (lambda: np.ones((2, 2, 2)), ["(rows, columns)", "(2, 2, 2)"]),
    "a scalar": (lambda: np.float64(3), ["(rows, columns)"]),
    "a pandas series": (lambda: pd.Series([1.0, 2.0]), ["(2, 1)"]),
    "a polars series": (lambda: pl.Series([1.0, 2.0]), ["(2, 1)"]),
    "a mapping": (lambda: {"a": [1.0]}, ["data frame", "array", "dict"]),
    "nothing": (lambda: None, ["data frame", "NoneType"]),
    "a lazy frame": (lambda: pl.LazyFrame({"a": [1]}), ["LazyFrame", "collect"]),
    "an arrow batch": (lambda: pa.RecordBatch.from_pydict({"a": [1.0]}), ["arrow table", "RecordBatch"]),
    "a ragged list": (lambda: [[1.0, 2.0], [3.0]], ["equal length"]),
    "sparse": (lambda: sparse.csr_array(NUMBERS), ["sparse", "toarray"]),
    "sparse columns": (lambda: pd.DataFrame({"a": pd.Series([0.0, 1.0]).astype("Sparse[float64]")}), ["Sparse", "'a'"]),
    "no rows": (lambda: np.empty((0, 3)), ["no rows", "0 sample(s)"]),
    "no columns": (lambda: np.empty((12, 0)), ["0 feature(s) (shape=(12, 0)) while a minimum of 1 is required."]),
    "an empty frame": (lambda: pd.DataFrame({"a": []}), ["no rows"]),
    "an empty arrow table": (lambda: pa.table({"a": pa.array([], pa.float64())}), ["no rows"]),
    "one name twice": (unnamed_twice, ["2 columns named 'a'"]),
    "one name twice, arrow": (lambda: pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), ["named 'a'"]),
    "labels of two types": (lambda: pd.DataFrame(NUMBERS, columns=["a", 1]), ["all text or all integers", "int, str"]),
    "labels of pairs": (lambda: pd.DataFrame(NUMBERS, columns=[("a", 1), ("a", 2)]), ["tuple"]),
    "text": (lambda: pd.DataFrame({"a": [1, 2], "b": ["7", "foo"]}), ["column 'b'", "row 1", "'foo'", "text"]),
    "text, polars": (lambda: pl.DataFrame({"b": ["7", "foo"]}), ["column 'b'", "row 1", "'foo'"]),
    "text, arrow": (lambda: pa.table({"b": ["7", None, "foo"]}), ["column 'b'", "row 2", "'foo'"]),
    "text of digits": (lambda: pa.table({"b": ["7", "8"]}), ["column 'b'", "row 0", "'7'"]),
    "text, array": (lambda: np.array([["foo"], ["bar"]]), ["column 0", "row 0", "'foo'"]),
    "text, list": (lambda: [[1, "foo"], [2, "bar"]], ["column 1", "row 0", "'foo'"]),
    "text, bytes": (lambda: objects(1.0, b"foo"), ["column 0", "row 1", "foo"]),
    "booleans": (lambda: NUMBERS > 1, ["column 0", "bool"]),
    "booleans, pandas": (lambda: pd.DataFrame({"a": [True, False]}), ["column 'a'", "bool"]),
    "booleans, nullable": (lambda: pd.DataFrame({"a": pd.array([True, None], dtype="boolean")}), ["'a'", "boolean"]),
    "booleans, polars": (lambda: pl.DataFrame({"a": [True, False]}), ["column 'a'", "Boolean"]),
    "booleans, arrow": (lambda: pa.table({"a": [True, False]}), ["column 'a'", "bool"]),
    "a boolean cell": (lambda: objects(1.0, True), ["column 0", "row 1", "True", "bool"]),
    "dates, array": (lambda: np.array([["2020-01-01"]], "datetime64[D]"), ["column 0", "datetime64"]),
    "dates, pandas": (lambda: pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), ["'a'", "datetime64"]),
    "dates, polars": (lambda: pl.DataFrame({"a": [datetime.date(2020, 1, 1)]}), ["column 'a'", "Date"]),
    "durations": (lambda: pl.DataFrame({"a": [datetime.timedelta(1)]}), ["column 'a'", "Duration"]),
    "categories": (lambda: pd.DataFrame({"a": pd.Categorical([1, 2])}), ["column 'a'", "category"]),
    "categories, polars": (lambda: pl.DataFrame({"a": pl.Series(["u"], dtype=pl.Categorical)}), ["'a'", "Categorical"]),
    "decimals": (lambda: pa.table({"a": [decimal.Decimal("1.5")]}), ["column 'a'", "decimal"]),
    "a decimal cell": (lambda: objects(decimal.Decimal("1.5")), ["column 0", "row 0", "Decimal"]),
    "nested": (lambda: pa.table({"a": [[1, 2], [3, 4]]}), ["column 'a'", "list"]),
    "binary": (lambda: pa.table({"a": [b"x"]}), ["column 'a'", "binary"]),
    "complex": (lambda: NUMBERS + 1j, ["Complex data not supported", "column 0"]),
    "complex, pandas": (lambda: pd.DataFrame({"a": [1 + 1j]}), ["Complex data not supported", "'a'"]),
    "NaN": (
        lambda: np.array([[1.0, 2.0], [3.0, np.nan], [np.nan, 1.0]]),
        ["column 1", "row 1", "NaN", "such cells: 2"],
    ),
    "infinite": (lambda: np.array([[1.0, -np.inf]]), ["column 1", "row 0", "-inf", "such cells: 1"]),
    "null, pandas": (lambda: pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}), ["'a'", "row 1", "null"]),
    "null, pandas objects": (lambda: pd.DataFrame({"a": pd.Series([1, None], dtype=object)}), ["'a'", "row 1", "null"]),
    "null, polars": (lambda: pl.DataFrame({"a": [1, None]}), ["'a'", "row 1", "null"]),
    "null, arrow": (lambda: pa.table({"a": [1, None]}), ["'a'", "row 1", "null"]),
    "nulls only": (lambda: pa.table({"a": [None, None]}), ["'a'", "row 0", "null", "such cells: 2"]),
    "None in an array": (lambda: objects(1.0, None), ["column 0", "row 1", "null"]),
    "a masked cell": (lambda: np.ma.MaskedArray(NUMBERS, mask=NUMBERS == 5), ["column 1", "row 1"]),
    "an integer beyond float64": (lambda: objects(10**400), ["column 0", "row 0", "inf"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_refused_in_words(name):
    make, words = BAD[name]
    text = message_of(TableError, read, make(), "X")
    assert "X" in text
    for word in words:
        assert word in text


def test_a_cell_of_another_type_is_a_type_error_in_the_words_scikit_learn_expects():
    text = message_of(TypeError, read, objects(1.0, {"foo": "bar"}))
    assert "row 1" in text
    assert "argument must be a string or a real number" in text


@pytest.mark.parametrize(
    ("schema", "table", "words"),
    [
        (pd.DataFrame(NUMBERS, columns=["a", "b"]), pd.DataFrame({"a": [1.0]}), ["lacks", "'b'"]),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame(NUMBERS, columns=["a", "b"]), ["not fitted", "'b'", "leave"]),
        (pd.DataFrame({"a": [1.0]}), pa.table({"a": [1.0], "b": ["text"]}), ["not fitted", "'b'"]),
        (pa.table({"a": [1.0], "b": [2.0]}), pl.DataFrame({"b": [1.0], "a": [1.0]}), ["order", "'a', 'b'", "got 'b'"]),
        (pd.DataFrame(NUMBERS), pd.DataFrame(NUMBERS)[[1, 0]], ["order", "0, 1"]),
        (pd.DataFrame(NUMBERS), pd.DataFrame(NUMBERS)[[1]], ["lacks", "0"]),
        (np.ones((2, 4)), np.ones((2, 1)), ["X has 1 features, but densiflow is expecting 4 features as input"]),
        (pa.table({"a": [1.0]}), NUMBERS, ["X has 2 features", "expecting 1", "'a'"]),
        (NUMBERS, pa.table({"a": [1.0]}), ["X has 1 features", "expecting 2"]),
        (NUMBERS, NUMBERS[0], ["Reshape your data"]),
        (NUMBERS, NUMBERS[:0], ["no rows"]),
        (NUMBERS, NUMBERS * np.nan, ["NaN"]),
    ],
)
def test_tables_that_do_not_match_are_refused_in_words(schema, table, words):
    text = message_of(TableError, matching, read(schema)[0], table, "X")
    for word in words:
        assert word in text


def test_a_wrong_width_is_told_in_the_words_scikit_learn_expects():
    schema, narrow = read(NUMBERS)[0], NUMBERS[:, :1]
    assert message_of(TableError, matching, schema, narrow).startswith("X has 1 features, but densiflow is expecting 2")
    assert message_of(TableError, matching, schema, narrow, "the context").startswith("the context has 1 features")


@pytest.mark.parametrize("table", [NUMBERS, pl.DataFrame(NUMBERS, ["a", "b"]), pd.DataFrame(NUMBERS)])
def test_tables_that_match_are_read(table):
    for schema in (Schema(("a", "b"), ("double",) * 2, "arrow"), Schema(None, ("float32",) * 2, "numpy")):
        np.testing.assert_array_equal(matching(schema, table), NUMBERS)


@pytest.mark.parametrize(
    ("matrix", "weight", "words"),
    [
        (NUMBERS[:1], None, ["1 sample"]),
        (NUMBERS, np.array([0.0, 2.0, 0.0]), ["1 sample"]),
        (np.array([[1.0, 3.5], [2.0, 3.5]]), None, ["column 'b'", "constant", "3.5"]),
        (np.array([[1.0, 3.5], [2.0, 3.5], [3.0, 4.0]]), np.array([1.0, 1.0, 0.0]), ["column 'b'", "constant", "3.5"]),
    ],
)
def test_what_can_be_scored_but_not_fitted(matrix, weight, words):
    schema = Schema(("a", "b"), ("double", "double"), "arrow")
    text = message_of(TableError, check_fit, schema, matrix, weight, "X")
    for word in ["X", *words]:
        assert word in text


def test_ordinary_rows_can_be_fitted():
    check_fit(read(NUMBERS)[0], NUMBERS)
    check_fit(read(NUMBERS)[0], NUMBERS, np.array([1.0, 1.0, 0.0]))


def pandas_of(dtype):
    return pd.DataFrame({"a": pd.Series([0, 3, 7]), "b": pd.Series([1, 5, 2])}).astype(dtype)


SAME = {
    "array": lambda: [NUMBERS.astype(dtype) for dtype in [*INTEGERS, "float16", "float32", "float64", "object"]],
    "pandas": lambda: [pandas_of(dtype) for dtype in [*INTEGERS, "float16", "float32", "float64"]],
    "pandas, nullable": lambda: [pandas_of(dtype) for dtype in ("Int8", "Int64", "UInt64", "Float32", "Float64")],
    "pandas on arrow": lambda: [pandas_of(f"{dtype}[pyarrow]") for dtype in ("int8", "uint64", "float", "double")],
    "pandas, objects": lambda: [pandas_of("float64").astype(object)],
    "pandas, mixed": lambda: [pandas_of({"a": "Int16", "b": "float32"})],
    "pandas, other names": lambda: [pandas_of("int64").set_axis(names, axis=1) for names in (["x y", ""], ["é", "\n"])],
    "pandas, integer labels": lambda: [pd.DataFrame(NUMBERS), pd.DataFrame(NUMBERS, columns=[10, 3])],
}


@pytest.mark.parametrize("name", SAME)
def test_round_trip_keeps_names_and_types(name):
    for table in SAME[name]():
        schema, matrix = read(table)
        assert matrix.dtype == np.float64
        np.testing.assert_array_equal(matrix, NUMBERS)
        again = build(Schema.from_state(json.loads(json.dumps(schema.to_state()))), matrix)
        if isinstance(table, pd.DataFrame):
            pd.testing.assert_frame_equal(again, table)
        else:
            np.testing.assert_array_equal(again, table, strict=True)


POLARS_TYPES = [
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Int128",
    "Float32",
    "Float64",
]


@pytest.mark.parametrize("dtype", POLARS_TYPES)
def test_round_trip_of_polars(dtype):
    table = pl.DataFrame(NUMBERS, ["a", "b"]).cast(getattr(pl, dtype))
    schema, matrix = read(table)
    np.testing.assert_array_equal(matrix, NUMBERS)
    again = build(schema, matrix)
    assert again.equals(table)
    assert again.schema == table.schema


@pytest.mark.parametrize("dtype", [*INTEGERS, "halffloat", "float", "double"])
def test_round_trip_of_arrow(dtype):
    whole = pa.table({"a": [0, 3, 7], "b": [1, 5, 2]})
    kind = pa.type_for_alias(dtype)
    table = pa.table({name: pa.chunked_array([whole[name].to_numpy().astype(kind.to_pandas_dtype())]) for name in "ab"})
    schema, matrix = read(table)
    np.testing.assert_array_equal(matrix, NUMBERS)
    assert build(schema, matrix).equals(table)


def test_lists_and_whatever_turns_into_an_array_are_arrays():
    class Holder:
        def __array__(self, dtype=None, copy=None):
            return NUMBERS

    for table in (NUMBERS.tolist(), Holder(), np.ma.MaskedArray(NUMBERS), np.asfortranarray(NUMBERS)):
        schema, matrix = read(table)
        assert schema.container == "numpy"
        assert schema.names is None
        np.testing.assert_array_equal(matrix, NUMBERS)


def test_integer_labels_are_no_names():
    schema, _ = read(pd.DataFrame(NUMBERS, columns=[10, 3]))
    assert schema.names is None
    assert schema.spoken == ("column 10", "column 3")
    assert "column 3, row 1" in message_of(TableError, read, pd.DataFrame([[1, 2], [3, np.nan]], columns=[10, 3]))


def test_a_narwhals_frame_is_what_it_holds():
    import narwhals as nw

    assert read(nw.from_native(pl.DataFrame({"a": [1.0]})))[0] == Schema(("a",), ("Float64",), "polars")


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_rounded_and_clipped(dtype):
    bounds = np.iinfo(dtype)
    matrix = np.array([[1.4], [2.6], [-1e30], [1e30], [float(bounds.max)], [float(bounds.min)]])
    built = build(Schema(None, (dtype,), "numpy"), matrix)[:, 0]
    assert built.tolist() == [1, 3, bounds.min, bounds.max, bounds.max, bounds.min]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_stay_finite(dtype):
    built = build(Schema(None, (dtype,), "numpy"), np.array([[1e308], [-1e308]]))
    assert np.isfinite(built).all()
    assert built.dtype == dtype


@pytest.mark.parametrize(
    ("library", "table"), [("pandas", pandas_of("Int16")), ("polars", pl.DataFrame({"a": [1, 2]}))]
)
def test_a_library_that_is_missing_gives_an_arrow_table(monkeypatch, library, table):
    schema, matrix = read(table)
    monkeypatch.setitem(sys.modules, library, None)
    built = build(schema, matrix)
    assert isinstance(built, pa.Table)
    assert built.column_names == list(schema.names)
    assert {str(kind) for kind in built.schema.types} == {"int16" if library == "pandas" else "int64"}
    assert isinstance(build_named(["z0"], matrix[:, :1], library), pa.Table)


def test_columns_of_other_names_come_in_every_container():
    matrix = np.array([[0.1], [-2.5]])
    built = {container: build_named(["z0"], matrix, container) for container in ("numpy", "pandas", "polars", "arrow")}
    np.testing.assert_array_equal(built["numpy"], matrix)
    assert built["pandas"].equals(pd.DataFrame({"z0": [0.1, -2.5]}))
    assert built["polars"].equals(pl.DataFrame({"z0": [0.1, -2.5]}))
    assert built["arrow"].equals(pa.table({"z0": [0.1, -2.5]}))


def test_importing_loads_no_data_frame_library_and_no_jax():
    loads = "import sys, densiflow.table, densiflow.table.files; print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    heavy = ["pandas", "polars", "pyarrow", "narwhals", "jax", "scipy", "sklearn"]
    out = subprocess.run([sys.executable, "-c", loads, *heavy], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# the kind "real"

COLUMNS = Real.examples()
FAR = np.array([0.0, 0.5, 2.999999, 3.0, 3.000001, 4.0, 40.0, 1e4, 1e9, 1e100, 1e290])


def cells_of(column):
    u = np.concatenate([-FAR[::-1], FAR[1:]])
    with np.errstate(over="ignore"):
        values = column.shift + u * column.scale
    return values[np.isfinite(values)]


@pytest.mark.parametrize("name", COLUMNS)
def test_real_round_trip(name):
    column = COLUMNS[name]
    values = cells_of(column)
    y, _ = column.encode(values)
    np.testing.assert_allclose(column.decode(y), values, rtol=1e-12, atol=1e-15 * column.scale)
    grid = np.linspace(-600, 600, 4001)
    decoded = column.decode(grid)
    inside = np.abs(decoded) < np.finfo(float).max
    near = np.spacing(abs(column.shift)) / column.scale  # the cell's own rounding
    np.testing.assert_allclose(column.encode(decoded[inside])[0], grid[inside], rtol=1e-13, atol=1e-13 + near)


@pytest.mark.parametrize("name", COLUMNS)
def test_real_log_volume_is_the_slope(name):
    column = COLUMNS[name]
    u = np.array([-50.0, -3.5, -2.0, -0.1, 0.0, 0.2, 1.0, 2.9, 3.1, 20.0, 1000.0])
    h = 1e-4 * (1 + np.abs(u))
    above, below = (column.shift + (u + sign * h) * column.scale for sign in (1, -1))
    slope = (column.encode(above)[0] - column.encode(below)[0]) / (above / column.scale - below / column.scale)
    log_volume = column.encode(column.shift + u * column.scale)[1]
    np.testing.assert_allclose(log_volume, np.log(slope) - np.log(column.scale), atol=1e-3)


@pytest.mark.parametrize("name", COLUMNS)
def test_real_is_monotone_and_smooth(name):
    column = COLUMNS[name]
    y, log_volume = column.encode(cells_of(column))
    assert (np.diff(y) > 0).all()
    assert (np.diff(column.decode(np.linspace(-50, 50, 1001))) > 0).all()
    assert np.isfinite(log_volume).all()
    u = np.linspace(-9.0, 9.0, 1801)  # far steps of log_volume would be kinks or jumps of the density
    assert np.abs(np.diff(column.encode(column.shift + column.scale * u)[1], 2)).max() < 1e-4 / column.bend**2


@pytest.mark.parametrize("name", COLUMNS)
def test_real_keeps_the_mass_of_a_normal(name):
    column = COLUMNS[name]
    values = column.decode(np.linspace(-12, 12, 200_001))
    y, log_volume = column.encode(values)
    # per standard deviation, so that a tiny unit does not overflow the density
    density = np.exp(-0.5 * y**2 - 0.5 * np.log(2 * np.pi) + log_volume + np.log(column.scale))
    u = (values - column.shift) / column.scale
    assert np.trapezoid(density, u) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("unit", [1e-300, 1e-3, 1.0, 1e12, 1e300])
def test_real_cancels_units(unit):
    values = np.random.default_rng(0).normal(size=500)
    weight = np.random.default_rng(1).exponential(size=500)
    column = Real.fit(values * unit, weight)
    mean = np.average(values, weights=weight)
    np.testing.assert_allclose(column.shift, mean * unit, rtol=1e-12)
    np.testing.assert_allclose(column.scale, np.sqrt(np.average((values - mean) ** 2, weights=weight)) * unit)
    y, log_volume = column.encode(values * unit)
    plain, plain_volume = Real.fit(values, weight).encode(values)
    np.testing.assert_allclose(y, plain, rtol=1e-11)
    np.testing.assert_allclose(log_volume, plain_volume - np.log(unit))


def test_real_is_finite_for_the_largest_numbers():
    largest = np.finfo(float).max
    for column in [*COLUMNS.values(), Real(0.0, 5e-324), Real(-largest, largest)]:
        y, log_volume = column.encode(np.array([-largest, largest]))
        assert np.isfinite(y).all()
        assert np.isfinite(log_volume).all()
        assert (np.abs(y) < 10_000).all()
        assert np.isfinite(column.decode(np.array([-1e6, -700.0, 700.0, 1e6]))).all()
    column = Real.fit(np.array([-largest, 0.0, 1.0, largest]), np.ones(4))
    assert np.isfinite([column.shift, column.scale]).all()


def test_real_measures_what_no_float64_ratio_holds():
    column = Real(0.0, 1e-300)
    y, log_volume = column.encode(np.array([1e12, -1e300]))  # 10**312 and 10**600 standard deviations
    np.testing.assert_allclose(y, [6 * (np.log(2 / 6) + 312 * np.log(10)), -6 * (np.log(2 / 6) + 600 * np.log(10))])
    np.testing.assert_allclose(log_volume, 300 * np.log(10) + np.log(6) - np.array([312, 600]) * np.log(10))
    np.testing.assert_allclose(column.decode(y), [1e12, -1e300], rtol=1e-11)


def test_real_without_spread_or_beside_rows_of_no_weight():
    assert Real.fit(np.full(3, 4.0), np.ones(3)) == Real(4.0, 4.0)
    assert Real.fit(np.zeros(3), np.ones(3)) == Real(0.0, 1.0)
    weight = np.array([1.0, 1.0, 0.0])
    assert Real.fit(np.array([1.0, 3.0, 1e300]), weight) == Real(2.0, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_real_far_from_zero_keeps_its_digits(seed):
    rng = np.random.default_rng(seed)
    values, weight = 1.7e9 + 1e-3 * rng.normal(size=1000), rng.exponential(size=1000)
    column = Real.fit(values, weight)
    beyond = values - 1.7e9  # exact
    mean = math.fsum(weight * beyond) / math.fsum(weight)
    assert abs(column.shift - 1.7e9 - mean) <= 0.5 * np.spacing(1.7e9)  # half a unit in the last place
    spread = math.fsum(weight * (beyond - mean) ** 2) / math.fsum(weight)
    assert column.scale == pytest.approx(math.sqrt(spread), rel=1e-6)


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_survive_their_state(name):
    column = COLUMNS[name]
    assert type(column).from_state(json.loads(json.dumps(column.to_state()))) == column


# columns joined


def encoder_of(kinds=None):
    schema, matrix = read(pd.DataFrame(NUMBERS, columns=["a", "b"]))
    return Encoder.fit(schema, matrix, np.ones(3), kinds), matrix


def test_encoder_adds_the_volumes_of_its_columns():
    encoder, matrix = encoder_of({"b": "real"})
    x, log_volume = encoder.encode(matrix)
    u = (matrix - matrix.mean(0)) / matrix.std(0)
    np.testing.assert_allclose(x, 6 * np.arcsinh(u / 6))
    np.testing.assert_allclose(log_volume, -np.log(matrix.std(0)).sum() - 0.5 * np.log1p((u / 6) ** 2).sum(axis=1))
    np.testing.assert_allclose(encoder.decode(x), matrix, atol=1e-14)
    np.testing.assert_array_equal(matrix, NUMBERS)


def test_encoder_survives_its_state():
    encoder, _ = encoder_of()
    state = json.loads(json.dumps(encoder.to_state()))
    assert Encoder.from_state(state) == encoder
    state["columns"][0]["kind"] = "later"
    assert "'later'" in message_of(UnregisteredClassError, Encoder.from_state, state)


@pytest.mark.parametrize("name", ["shift", "scale", "bend"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_real_column_has_finite_constants(name, value):
    state = {"shift": 0.0, "scale": 1.0, "bend": 6.0, name: value}
    assert "finite" in message_of(ArgumentError, Real.from_state, state)


def test_a_real_column_has_a_positive_scale_and_bend():
    for name in ("scale", "bend"):
        for value in (0.0, -1.0):
            assert "positive" in message_of(ArgumentError, Real.from_state, {**Real(0.0, 1.0).to_state(), name: value})
    largest = np.finfo(float).max
    column = Real.fit(np.array([largest, np.nextafter(largest, 0), largest]), np.array([1.0, 1.7, 2.0]))
    assert np.isfinite(column.shift)


@pytest.mark.parametrize(
    "change",
    [
        {"container": "excel"},
        {"dtypes": ["int64"]},
        {"dtypes": ["int64", "text"]},
        {"dtypes": ["int64", "f4,f4"]},
        {"dtypes": ["int64", 3]},
        {"names": ["a"]},
        {"names": ["a", "a"]},
        {"names": ["a", 3]},
        {"names": None, "labels": [0]},
        {"names": None, "labels": [0, "b"]},
        {"names": None, "dtypes": []},
    ],
)
def test_a_schema_that_no_table_has_is_refused(change):
    state = Schema(("a", "b"), ("int64", "Float32"), "pandas").to_state()
    message_of(ArgumentError, Schema.from_state, state | change)


def test_an_encoder_has_a_column_for_each_of_its_schema():
    encoder, _ = encoder_of()
    state = encoder.to_state()
    del state["columns"][1]
    assert "2, got 1" in message_of(ArgumentError, Encoder.from_state, state)


def test_kinds_that_do_not_exist_are_refused_in_words():
    text = message_of(ArgumentError, encoder_of, {"c": "real"})
    assert "'c'" in text
    assert "'a', 'b'" in text
    assert "mapping" in message_of(ArgumentError, encoder_of, ["real"])
    text = message_of(ArgumentError, encoder_of, {"a": "unreal"})
    assert "'unreal'" in text
    assert "'real'" in text


# files

ROWS = pa.table({"a b": [1.5, 0.1, -1e300], "c,d": [1, 2, 3]})


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".CSV", ".Parquet"])
def test_files_give_back_every_container(tmp_path, ending):
    for table in (ROWS, ROWS.to_pandas(), pl.from_arrow(ROWS)):
        write_file(table, tmp_path / f"rows{ending}")
        assert read_file(tmp_path / f"rows{ending}").cast(ROWS.schema).equals(ROWS)
    write_file(NUMBERS, tmp_path / f"rows{ending}")
    assert read_file(tmp_path / f"rows{ending}").to_pydict() == {"x0": [0.0, 3.0, 7.0], "x1": [1.0, 5.0, 2.0]}
    write_file(pd.DataFrame(NUMBERS, index=["u", "v", "w"]), tmp_path / f"rows{ending}")
    assert read_file(tmp_path / f"rows{ending}").column_names == ["0", "1"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_files_keep_every_bit_of_float64(tmp_path, ending):
    bits = np.random.default_rng(0).integers(0, 2**64, size=5000, dtype=np.uint64)
    values = bits.view(np.float64)
    values = values[np.isfinite(values)]
    write_file(pa.table({"a": values}), tmp_path / f"rows{ending}")
    np.testing.assert_array_equal(read_file(tmp_path / f"rows{ending}")["a"].to_numpy(), values)


def test_a_csv_of_integers_may_turn_to_fractions_far_down(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a\n" + "1234567\n" * 400_000 + "0.5\n")
    assert read_file(path)["a"][-1].as_py() == 0.5


def test_a_csv_header_is_plain(tmp_path):
    write_file(ROWS, tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text().splitlines()[0] == 'a b,"c,d"'


def test_an_index_that_pandas_stored_is_no_column(tmp_path):
    pd.DataFrame({"a": [1.0, 2.0]}, index=[7, 3]).to_parquet(tmp_path / "rows.parquet")
    assert read_file(tmp_path / "rows.parquet").column_names == ["a"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["CSV", "Empty"]),
        ("a,b\n1,2\n1,2,3\n", ["Expected 2 columns, got 3", "line 3", "'1,2,3'"]),
        ("a,b,a\n1,2,3\n", ["2 columns named 'a'"]),
        ("é,b\n1,2\n".encode("latin1"), ["utf-8"]),
    ],
)
def test_bad_csv_is_refused_in_words(tmp_path, content, words):
    path = tmp_path / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    text = message_of(TableError, read_file, path)
    for word in ["rows.csv", *words]:
        assert word in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n", ["no rows"]),
        ("a,b\n1,2\n1,\n", ["column 'b'", "row 1", "null"]),
        ("a,b\n1,2\n1,NaN\n", ["column 'b'", "row 1"]),
        ("a,b\n1,2\n1,inf\n", ["column 'b'", "row 1", "inf"]),
        ("a,b\n1,2\n1,x\n", ["column 'b'", "row 1", "'x'"]),
        ("a,b\n1,true\n1,false\n", ["column 'b'", "bool"]),
    ],
)
def test_csv_that_holds_no_numbers_is_refused_in_words(tmp_path, content, words):
    path = tmp_path / "rows.csv"
    path.write_text(content)
    text = message_of(TableError, read, read_file(path), str(path))
    for word in ["rows.csv", *words]:
        assert word in text


def test_bad_paths_to_read_are_refused_in_words(tmp_path):
    assert "rows.csv" in message_of(MissingFileError, read_file, tmp_path / "rows.csv")
    for path in ("rows.xlsx", "rows", "csv", "rows.csv.gz"):
        text = message_of(ArgumentError, read_file, tmp_path / path)
        assert ".csv, .tsv, .txt, .data or .parquet" in text
        assert path in text
    assert check_ending("rows.PARQUET") == ".parquet"
    (tmp_path / "bad.parquet").write_text("a,b\n1,2\n")
    assert "Parquet" in message_of(TableError, read_file, tmp_path / "bad.parquet")
    for ending in ("csv", "parquet"):
        (tmp_path / f"folder.{ending}").mkdir()
        assert "folder" in message_of(TableError, read_file, tmp_path / f"folder.{ending}")
    parquet.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), tmp_path / "twice.parquet")
    assert "'a'" in message_of(TableError, read_file, tmp_path / "twice.parquet")


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    assert ".csv or .parquet" in message_of(ArgumentError, write_file, NUMBERS, tmp_path / "rows.txt")
    message_of(OutputPathError, write_file, NUMBERS, tmp_path / "nowhere" / "rows.csv")
    message_of(TableError, write_file, pa.table({"a": [[1, 2]]}), tmp_path / "rows.csv")
    message_of(TableError, write_file, NUMBERS * np.nan, tmp_path / "rows.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_earlier_file(tmp_path):
    write_file(ROWS, tmp_path / "rows.csv")
    message_of(TableError, write_file, pa.table({"a": [[1, 2]]}), tmp_path / "rows.csv")
    assert read_file(tmp_path / "rows.csv").equals(ROWS)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_select_takes_columns_in_the_order_asked_for():
    assert select(ROWS, ["c,d", "a b"]).column_names == ["c,d", "a b"]
    text = message_of(TableError, select, ROWS, ["a b", "e"])
    assert "'e'" in text
    assert "'a b', 'c,d'" in text
