"""Kinds of columns: read from cells or said, through an `Encoder` of every container and through a fitted density."""

import datetime
import json

import jax
import numpy as np
import pyarrow as pa
import pytest

from densiflow import FlowDensity
from densiflow.errors import ArgumentError, DensiflowWarning, TableError
from densiflow.estimators import companion
from densiflow.table import Encoder, matching, read

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

N = 1200
CAP = 50.0
NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


def holes(cells, every=9):
    """The same cells, some of them missing."""
    return [None if row % every == 4 else cell for row, cell in enumerate(cells)]


def arrow():
    """A table with a column of every kind."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=N)
    start = datetime.datetime(2020, 1, 1)
    return pa.table(
        {
            "plain": normal,
            "holes": holes(5 + 2 * normal),
            "price": np.round(np.minimum(35 + 12 * rng.normal(size=N), CAP), 2),
            "rain": holes(np.where(rng.random(N) < 0.4, 0.0, rng.gamma(0.8, 3.0, N))),
            "salary": holes([int(100 * cell) for cell in np.rint(300 * np.exp(0.4 * rng.normal(size=N)))]),
            "big": 2**52 + rng.integers(0, 10**9, N),
            "share": rng.beta(0.4, 0.4, N),
            "children": rng.poisson(1.0, N),
            "visits": holes([int(cell) for cell in rng.negative_binomial(2, 0.05, N)]),
            "hour": rng.binomial(23, 0.8, N),
            "at": [datetime.time(int(h), int(m)) for h, m in rng.integers((6, 0), (23, 60), (N, 2))],
            "day": holes([start.date() + datetime.timedelta(int(days)) for days in rng.integers(0, 900, N)]),
            "when": holes([start + datetime.timedelta(seconds=int(s)) for s in rng.integers(0, 9 * 10**7, N)]),
            "colour": holes(rng.choice(["red", "green", "blue"], N).tolist()),
            "flag": holes((rng.random(N) < 0.3).tolist()),
            "same": np.full(N, 2.5),
            "row": np.arange(N),
            "code": [f"c{i:05d}" for i in rng.permutation(N)],
            "objid": 10**18 + rng.integers(0, 10**12, N),
        }
    )


LEFT_OUT = ["row", "code", "objid"]
SAID = {"hour": {"kind": "periodic", "period": 24}}
MISSING = ["holes", "rain", "salary", "visits", "day", "when", "colour", "flag"]
CONTAINERS = {
    "arrow": arrow,
    "polars": lambda: pl.from_arrow(arrow()),
    "pandas": lambda: arrow().to_pandas(types_mapper=NULLABLE.get),
    "pandas of numpy": lambda: arrow().to_pandas(),
    "pandas on arrow": lambda: arrow().to_pandas(types_mapper=pd.ArrowDtype),
}


def encoder_of(table, kinds=None):
    schema, matrix = read(table, mixed=True)
    return Encoder.fit(schema, matrix, np.ones(len(matrix)), kinds, detect=True), matrix


@pytest.fixture(scope="module")
def encoder():
    with pytest.warns(DensiflowWarning, match="'row', 'code', 'objid'"):
        return encoder_of(arrow(), SAID)[0]


def column_of(encoder, name):
    return encoder.columns[encoder.schema.keys.index(name)]


def cells_of(encoder, name, cells):
    """Log_volume of cells of one column, the others as in the first rows, and what comes back."""
    place = encoder.schema.keys.index(name)
    matrix = np.repeat(matching(encoder.schema, arrow(), mixed=True)[:1], len(cells), axis=0)
    matrix[:, place] = cells
    x, log_volumes = encoder.encode_columns(matrix)
    return log_volumes[:, place], encoder.decode(x)[:, place]


def test_what_is_read_from_the_cells(encoder):
    kinds = dict(zip(encoder.schema.keys, [column.kind for column in encoder.columns], strict=True))
    assert kinds == {
        "plain": "real",
        "holes": "real",
        "price": "rounded",
        "rain": "positive",
        "salary": "positive",
        "big": "count",
        "share": "bounded",
        "children": "count",
        "visits": "count",
        "hour": "periodic",
        "at": "periodic",
        "day": "date",
        "when": "date",
        "colour": "category",
        "flag": "boolean",
        "same": "constant",
        "row": "identifier",
        "code": "identifier",
        "objid": "identifier",
    }
    assert [name for name in kinds if column_of(encoder, name).is_missing] == MISSING
    assert encoder.left_out == tuple(LEFT_OUT)


def test_what_each_number_is(encoder):
    meanings = dict(zip(encoder.schema.keys, encoder.meanings, strict=True))
    assert meanings["plain"] == "density"
    assert meanings["price"] == "mass at points, density, rounded to steps of 0.01 elsewhere"
    assert meanings["when"] == "mass of missing, density, rounded to steps of 1 second elsewhere"
    assert meanings["rain"] == "mass at points, mass of missing, density elsewhere"
    assert meanings["salary"] == "mass of missing, mass of a cell of width 100 elsewhere"
    assert meanings["hour"] == "mass of a cell of width 1"
    assert meanings["day"] == "mass of missing, mass of a cell of width 1 day elsewhere"
    assert meanings["colour"] == "mass"
    assert meanings["objid"] == "none, left out"


@pytest.mark.filterwarnings("ignore:left out")
@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_comes_back_through_the_encoder(name):
    """Cells on a grid, labels, instants and missing marks to the last bit; densities to rounding."""
    table = CONTAINERS[name]()
    encoder, matrix = encoder_of(table, SAID)
    x, log_volume = encoder.encode(matrix)
    assert np.isfinite(log_volume).all()
    built = encoder.build(Encoder.from_state(json.loads(json.dumps(encoder.to_state()))).decode(x))
    wanted = table.drop(columns=LEFT_OUT) if "pandas" in name else table.drop(LEFT_OUT)
    if "pandas" in name:
        pd.testing.assert_frame_equal(built, wanted, rtol=1e-13)
        exact = [key for key in wanted.columns if key not in ("plain", "holes", "rain", "share")]
        pd.testing.assert_frame_equal(built[exact], wanted[exact], check_exact=True)
    else:
        built, wanted = pl.DataFrame(built), pl.DataFrame(wanted)
        assert built.schema == wanted.schema
        exact = [key for key in wanted.columns if key not in ("plain", "holes", "rain", "share")]
        assert built.select(exact).equals(wanted.select(exact), null_equal=True)
        for key in MISSING:
            assert built[key].is_null().equals(wanted[key].is_null())


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("price", [12.34, 0.0, -3.0, CAP], [CAP + 0.01, np.nan]),
        ("rain", [0.0, 0.1, 500.0, np.nan], [-0.1, np.inf]),
        ("salary", [100.0, 30_000.0, 1e6], [-100.0]),
        ("share", [1e-9, 0.5, 1 - 1e-9], [-1e-9, 1 + 1e-9, np.nan]),
        ("children", [0.0, 3.0, 9.0], [-1.0, 0.5, np.nan]),
        ("visits", [0.0, 1.0, 2000.0], [-1.0, 1.5]),
        ("hour", [0.0, 1.0, 23.0], [24.0, -1.0, np.nan]),
        ("at", [0.0, 60e6, 86_340e6], [86_400e6, -60e6]),
        ("day", [-86_400e6, 0.0, 1e5 * 86_400e6], [np.inf]),
        ("colour", [0.0, 1.0, 2.0, np.nan], [3.0]),
        ("flag", [0.0, 1.0, np.nan], [2.0]),
        ("same", [2.5], [2.4, np.nan]),
    ],
)
def test_cells_never_seen_are_possible_inside_and_impossible_outside(encoder, name, inside, outside):
    log_volume, back = cells_of(encoder, name, inside)
    assert np.isfinite(log_volume).all()
    np.testing.assert_allclose(back, inside, rtol=1e-13)
    assert (cells_of(encoder, name, outside)[0] == -np.inf).all()


def scattered(n=N, seed=0):
    """Columns of whole numbers, of numbers on a grid and of dates, none of which has an end above."""
    rng = np.random.default_rng(seed)
    start = datetime.date(2020, 1, 1)
    return pd.DataFrame(
        {
            "stars": rng.integers(1, 6, n),
            "calls": rng.poisson(30.0, n),
            "tenths": np.round(rng.normal(size=n), 1),
            "day": [start + datetime.timedelta(int(days)) for days in rng.integers(0, 30, n)],
            "flag": rng.integers(0, 2, n),
        }
    )


def test_numbers_beyond_what_was_seen_are_possible_where_a_column_is_open():
    """Also where one lies so far out that float32 does not tell the edges of its cell apart."""
    table = scattered()
    density = FlowDensity(layers=1, hidden=(16,), max_epochs=20, validation=0, random_state=0, verbose=False).fit(table)
    kinds = [column.kind for column in density.encoder_.columns]
    assert kinds == ["count", "count", "rounded", "date", "boolean"]
    day = table["day"].max()
    beyond = {"stars": [0, 6, 7, 10**6], "calls": [70, 10**4, 10**9], "tenths": [4.2, -9.0, 1e6]}
    beyond["day"] = [day + datetime.timedelta(days) for days in (1, 400, 10**6)]
    for name, cells in beyond.items():
        rows = pd.concat([table.iloc[:1]] * len(cells), ignore_index=True)
        rows[name] = cells
        nats = density.score_samples(rows)
        assert np.isfinite(nats).all(), name
        assert (nats < density.score_samples(table.iloc[:1])).all(), name
    # what is certain stays impossible
    assert density.score_samples(table.iloc[:2].assign(flag=2)).tolist() == [-np.inf] * 2
    assert density.score_samples(table.iloc[:2].assign(calls=-1)).tolist() == [-np.inf] * 2
    # and draws stay within the dates seen, none of which they favour
    drawn = density.sample(6000, random_state=1)
    assert drawn["calls"].between(table["calls"].min(), table["calls"].max()).all()
    shares = [(of["day"] == end).mean() for end in (table["day"].min(), day) for of in (table, drawn)]
    assert shares[1] < shares[0] + 5 * np.sqrt(shares[0] / 6000)
    assert shares[3] < shares[2] + 5 * np.sqrt(shares[2] / 6000)
    assert drawn["day"].between(table["day"].min(), day).all()


@pytest.mark.parametrize(
    ("stars", "low", "high"),
    [(np.arange(1, 6), 0, np.inf), (np.r_[np.arange(1, 6), [5] * 20], 0, 5), (np.r_[[2] * 20, 2:7], 2, np.inf)],
)
def test_a_list_of_counts_ends_in_a_heap_alone(stars, low, high):
    column = encoder_of(pd.DataFrame({"a": np.tile(stars, 100)}))[0].columns[0]
    assert (column.low, column.high) == (low, high)
    assert (np.isfinite(column.encode(np.array([7.0, 1e6]))[1]) == (high > 5)).all()


def test_a_list_of_counts_between_ends_that_are_said_is_all_there_is():
    table = pd.DataFrame({"a": np.tile(np.arange(1, 6), 100)})
    column = encoder_of(table, {"a": {"kind": "count", "low": 1, "high": 5}})[0].columns[0]
    assert column.scale is None
    assert column.encode(np.array([0.0, 6.0]))[1].tolist() == [-np.inf] * 2


def test_caps_and_zeros_are_points_of_mass(encoder):
    price, rain = (column_of(encoder, name) for name in ("price", "rain"))
    assert price.high == CAP
    assert price.points == (CAP,)
    assert rain.points == (0.0,)
    assert price.scale.support()[1] <= CAP + 0.01  # no density lies beyond the cap


def test_a_circle_is_cut_where_the_hours_are_few(encoder):
    turn = column_of(encoder, "hour").turn
    assert (turn.start, turn.period) == (0.0, 24.0)
    assert turn.cut < 12
    angles = pd.DataFrame({"angle": np.random.default_rng(0).normal(0, 40, N) % 360})
    column, _ = encoder_of(angles, {"angle": {"kind": "periodic", "period": 360}})
    y = column.encode(np.array([[350.0], [359.5], [0.5], [10.0]]))[0][:, 0]
    assert (np.diff(y) > 0).all()  # what is near on the circle is near on the line
    assert y[2] - y[1] < 0.1 * np.ptp(y)


def test_few_rows_with_zeros_get_no_numbers_below():
    rng = np.random.default_rng(0)
    rain = np.where(rng.random(300) < 0.4, 0.0, rng.normal(3.0, 1.0, 300).clip(0.01))
    encoder, _ = encoder_of(pd.DataFrame({"rain": rain}))
    assert encoder.described == ("real, point: 0, at least 0",)
    assert encoder.encode(np.array([[-0.01]]))[1] == -np.inf
    assert (encoder.decode(np.array([[0.0, -9.0], [0.0, -1e6]])) >= 0).all()


def test_zero_is_no_end_unless_it_is_said():
    values = np.r_[0.0, np.random.default_rng(0).uniform(-1, 1, N)]
    encoder, _ = encoder_of(pd.DataFrame({"a": values}), {"a": "bounded"})
    assert encoder.columns[0].points == ()
    encoder, _ = encoder_of(pd.DataFrame({"a": np.abs(values)}), {"a": {"kind": "bounded", "low": 0}})
    assert encoder.columns[0].points == (0.0,)  # a density has none at its ends


OVERRULED = {
    "real": ("children", "real", "density"),
    "rounded": ("salary", {"kind": "rounded", "step": 50}, "mass of missing, mass of a cell of width 50 elsewhere"),
    "positive": ("share", "positive", "density"),
    "bounded": ("plain", {"kind": "bounded", "low": -10, "high": 10}, "density"),
    "skewed": ("rain", {"kind": "skewed", "atoms": []}, "mass of missing, density elsewhere"),
    "count": ("row", "count", "mass of a cell of width 1"),
    "category": ("hour", "category", "mass"),
    "boolean": ("flag", "boolean", "mass"),
    "periodic": ("hour", {"kind": "periodic", "period": 24}, "mass of a cell of width 1"),
    "date": ("day", "date", "mass of missing, mass of a cell of width 1 day elsewhere"),
    "constant": ("same", "constant", "mass"),
    "identifier": ("plain", "identifier", "none, left out"),
}


@pytest.mark.filterwarnings("ignore:left out")
@pytest.mark.parametrize("kind", OVERRULED)
def test_what_is_said_overrules_what_is_read(kind):
    name, spec, meaning = OVERRULED[kind]
    encoder, matrix = encoder_of(arrow().select([name, "code", "holes"]), {name: spec})
    assert (encoder.columns[0].kind, encoder.meanings[0]) == (kind, meaning)
    assert np.isfinite(encoder.encode(matrix)[1]).all()


def test_kinds_of_context_columns_are_taken_too():
    table, context = (arrow().select(names).to_pandas() for names in (["plain"], ["hour", "big"]))
    kinds = {"hour": {"kind": "periodic", "period": 24}, "plain": "skewed"}
    quick = {"layers": 1, "hidden": (4,), "max_epochs": 1, "validation": 0, "random_state": 0, "verbose": False}
    density = FlowDensity(columns=kinds, **quick).fit(table, context=context)
    assert [column.kind for column in density.encoder_.columns] == ["skewed"]
    assert [column.kind for column in density.context_encoder_.columns] == ["periodic", "count"]
    with pytest.raises(ArgumentError, match="no column 'hours' to give a kind to"):
        FlowDensity(columns={"hours": "count"}, **quick).fit(table, context=context)


@pytest.mark.parametrize(
    ("name", "spec", "words"),
    [
        ("plain", "positive", ["'plain'", "at least 0", "another kind"]),
        ("plain", {"kind": "bounded", "low": -1, "high": 1}, ["at least -1 and at most 1"]),
        ("plain", "count", ["'plain'", "whole numbers"]),
        ("plain", "constant", ["'plain'", "constant", "another kind"]),
        ("hour", "boolean", ["'hour'", "0 and 1"]),
        ("hour", {"kind": "periodic", "period": 12}, ["from 0.0 to below 12.0"]),
        ("colour", "real", ["'colour'", "labels", "'category'"]),
    ],
)
def test_kinds_that_cells_can_not_be_are_refused(name, spec, words):
    with pytest.raises(TableError) as caught:
        encoder_of(arrow().select([name]), {name: spec})
    for word in words:
        assert word in str(caught.value)


def test_a_table_of_identifiers_alone_is_refused():
    with pytest.raises(TableError, match="every column looks like an identifier: 'row', 'code'"):
        encoder_of(arrow().select(["row", "code"]))


# through a density

PARTS = ["holes", "price", "rain", "salary", "hour", "day", "colour", "flag", "same", "code"]


@pytest.fixture(scope="module")
def fitted():
    table = arrow().select(PARTS).to_pandas(types_mapper=NULLABLE.get)
    with pytest.warns(DensiflowWarning, match="left out, as identifiers of rows: 'code'"):
        return FlowDensity(
            columns=SAID, layers=1, hidden=(16,), max_epochs=15, validation=0, random_state=0, verbose=False
        ).fit(table), table.drop(columns="code")


@pytest.fixture(scope="module")
def drawn(fitted):
    return fitted[0].sample(N, random_state=1)


def test_draws_have_the_types_and_marks_of_the_table(fitted, drawn):
    _, table = fitted
    assert drawn.dtypes.equals(table.dtypes)
    missing = drawn.isna().mean()
    assert (missing[["holes", "rain", "salary", "day", "colour", "flag"]].between(0.03, 0.25)).all()
    assert (missing[["price", "hour", "same"]] == 0).all()
    for name in table:
        marks = {type(cell) for cell in table.loc[table[name].isna(), name].array}
        assert {type(cell) for cell in drawn.loc[drawn[name].isna(), name].array} <= marks


def test_draws_keep_points_and_grids(fitted, drawn):
    _, table = fitted
    assert (drawn["price"] <= CAP).all()
    assert (drawn["price"] == drawn["price"].round(2)).all()
    for name, point in (("price", CAP), ("rain", 0.0)):
        shares = [(of[name] == point).mean() for of in (table, drawn)]
        assert abs(shares[0] - shares[1]) < 5 * np.sqrt(shares[0] / N), name
    assert (drawn["salary"].dropna() % 100 == 0).all()
    assert set(drawn["hour"]) <= set(range(24))
    assert set(drawn["colour"].dropna()) <= {"red", "green", "blue"}
    assert (drawn["same"] == 2.5).all()
    assert drawn["day"].dropna().between(table["day"].min(), table["day"].max()).all()


@pytest.fixture(scope="module", params=["auto", "mixed"])
def instants(request):
    """Instants end abruptly, where a density does not."""
    rng = np.random.default_rng(0)
    seconds = rng.integers(0, 10**6, 600)
    table = pd.DataFrame({"b": rng.normal(size=600), "at": np.datetime64("2020-01-01", "s") + seconds})
    density = FlowDensity(
        request.param, layers=1, hidden=(8,), max_epochs=3, validation=0, random_state=0, verbose=False
    ).fit(table)
    assert density.encoder_.meanings == ("density", "density, rounded to steps of 1 second")
    x = density.flow_.sample(jax.random.key(0), 3000)
    assert density.encoder_.is_beyond_seen(np.asarray(x, np.float64)).mean() > 0.01  # or nothing is tried
    return density, table


def at_ends(drawn, table):
    """How many instants lie at the first and the last that were seen, beyond which there are none."""
    ends = table["at"].min(), table["at"].max()
    assert drawn["at"].between(*ends).all()
    return drawn["at"].isin(ends).sum()


def test_draws_that_leave_what_was_seen_are_drawn_anew(instants):
    density, table = instants
    drawn = density.sample(3000, random_state=1)
    assert at_ends(drawn, table) < 4
    assert drawn.iloc[:700].equals(density.sample(700, random_state=1))


def test_cells_drawn_given_others_are_not_heaped_at_the_ends_either(instants, monkeypatch):
    monkeypatch.setattr(companion, "ROWS", 4_000)
    monkeypatch.setattr(companion, "EPOCHS", 5)
    density, table = instants
    lacking = pd.concat([table, table], ignore_index=True)
    lacking.loc[600:, "at"] = pd.NaT
    filled = density.impute(lacking, draws=64, random_state=1)
    assert filled[:600].equals(table)
    assert at_ends(filled[600:], table) < 2
    drawn = density.conditional({"b": 0.5}).sample(600, draws=64, random_state=2)
    assert at_ends(drawn, table) < 2


def test_what_is_given_may_lie_beyond_what_was_seen(instants):
    density, table = instants
    late = table["at"].max() + datetime.timedelta(days=1)
    assert set(density.conditional({"at": late}).sample(20, draws=64, random_state=3)["at"]) == {late}
    encoder = density.encoder_
    x, _ = encoder.encode(matching(encoder.schema, pd.DataFrame({"b": [0.0], "at": [late]}), mixed=True))
    told = [encoder.is_beyond_seen(x, np.array([known])).tolist() for known in ([False, False], [False, True])]
    assert told == [[True], [False]]


def test_a_number_beyond_those_seen_is_told(encoder):
    visits, day = column_of(encoder, "visits"), column_of(encoder, "day")
    for column in (visits, day):
        least, greatest = column.seen
        cells = np.array([least, greatest, greatest + column.grid.width, np.nan])
        assert column.is_beyond_seen(column.encode(cells)[0]).tolist() == [False, False, True, False]
    assert not column_of(encoder, "plain").is_beyond_seen(np.array([[1e9]])).any()
    assert not column_of(encoder, "colour").is_beyond_seen(np.array([[1.0]])).any()


def test_cells_outside_score_minus_infinity(fitted):
    density, table = fitted
    rows = table.iloc[:6].copy()
    rows["code"] = "new"
    assert np.isfinite(density.score_samples(rows)).all()
    rows.loc[0, "price"] = CAP + 1
    rows.loc[1, "rain"] = -1.0
    rows.loc[2, "hour"] = 24
    rows.loc[3, "colour"] = "violet"
    rows.loc[5, "same"] = 2.0
    assert (density.score_samples(rows) == -np.inf).tolist() == [True, True, True, True, False, True]
