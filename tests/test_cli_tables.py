"""The command line on tables as people have them: mixed columns, missing cells, several files, stdin, machines."""

import datetime
import io
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from densiflow import FlowDensity, judge, load
from densiflow.cli import main
from densiflow.cli.shown import show_table
from densiflow.judge.seen import columns_seen
from densiflow.table.files import read_file, write_file
from densiflow.training import History

ROWS = 160
LACKING = 16  # rows with a missing cell; as many given cells need the same compiled program
MODELLED = ["price", "beds", "town", "area", "sold"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Homes as CSV and Parquet, whole and in two parts; their schema, and a model fitted by it, given the agent."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    price = np.exp(rng.normal(3.0, 0.8, ROWS))
    homes = pa.table(
        {
            "id": [f"H{i:04d}" for i in range(ROWS)],
            "price": price.round(2),
            "beds": rng.poisson(2.0, ROWS),
            "town": rng.choice(["Ulm", "Bonn", "Kiel"], ROWS, p=[0.5, 0.3, 0.2]),
            "area": pa.array(20 + 1.5 * price + rng.normal(0.0, 5.0, ROWS), mask=np.arange(ROWS) % 10 == 1),
            "sold": np.array("2024-01-01", "datetime64[D]") + rng.integers(0, 300, ROWS),
            "agent": rng.choice(["Kim", "Lee"], ROWS),
        }
    )
    write_file(homes, folder / "homes.csv")
    write_file(homes, folder / "homes.parquet")
    (folder / "parts").mkdir()
    write_file(homes.slice(0, 50), folder / "parts" / "a.parquet")
    write_file(homes.slice(50), folder / "parts" / "b.parquet")
    (folder / "schema.json").write_text(printed(["info", folder / "homes.csv", "--json"]))
    fitted = ["--schema", folder / "schema.json", "--context", "agent", "--max-epochs", "1", "--seed", "1", "--json"]
    written = printed(["fit", folder / "homes.csv", "--model", folder / "homes", *fitted])
    (folder / "fit.json").write_text(written)
    return folder


def printed(arguments):
    """What a command that succeeds prints, run where nothing else is captured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out := io.StringIO())
        assert main([str(argument) for argument in arguments]) == 0
    return out.getvalue()


def objects(text):
    """The one JSON object that was printed, strictly."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not strict JSON"))


@pytest.fixture
def untrained(monkeypatch):
    """Fits that end at once."""

    def stopped(flows, *arguments, **options):
        return flows[0], [History([-2.0], [-1.5], best_epoch=0, stopped="max_epochs reached")]

    monkeypatch.setattr("densiflow.estimators.density.fit_one_or_several", stopped)


def test_info_tells_what_a_table_would_be_read_as(folder, capsys):
    told = objects((folder / "schema.json").read_text())
    kinds = {name: spec["kind"] for name, spec in told["columns"].items()}
    expected = {"id": "identifier", "price": "rounded", "beds": "count", "town": "category", "area": "real"}
    assert kinds == expected | {"sold": "date", "agent": "category"}
    homes, found = read_file(folder / "homes.csv"), told["found"]
    assert told["rows"] == ROWS
    assert found["area"]["missing"] == LACKING / ROWS
    assert found["area"]["least"] == pc.min(homes["area"]).as_py()
    assert found["sold"]["greatest"] == str(pc.max(homes["sold"]).as_py())
    assert found["town"]["levels"] == ["Bonn", "Kiel", "Ulm"]
    assert found["id"]["different"] == ROWS
    assert main(["info", str(folder / "homes.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"homes.csv: {ROWS} rows, 7 columns"
    assert lines[1].split() == ["column", "type", "kind", "missing", "least", "greatest", "different"]
    place = lines[1].index("kind")
    assert [line[place:].startswith(kind) for line, kind in zip(lines[2:], kinds.values(), strict=True)] == [True] * 7


def test_a_schema_as_info_prints_it_changes_nothing(folder, untrained):
    homes = read_file(folder / "homes.csv")
    with pytest.warns(match="identifiers of rows: 'id'"):
        read = FlowDensity(random_state=1).fit(homes.drop_columns("agent"), context=homes.select(["agent"]))
    assert load(folder / "homes").encoder_ == read.encoder_
    assert load(folder / "homes").context_encoder_ == read.context_encoder_


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_schema_that_was_edited_counts(folder, tmp_path, untrained, wrapped):
    kinds = {"area": {"kind": "bounded", "low": 0, "high": 1000, "atoms": [0]}, "town": "real"}
    (tmp_path / "schema.json").write_text(json.dumps({"columns": kinds} if wrapped else kinds))
    arguments = ["fit", folder / "homes.csv", "--model", tmp_path / "model", "--schema", tmp_path / "schema.json"]
    printed([*arguments, "--columns", "price,area", "--context", "agent"])
    encoder = load(tmp_path / "model").encoder_
    area = encoder.columns[encoder.schema.names.index("area")]
    assert (area.kind, area.low, area.high, area.points) == ("bounded", 0.0, 1000.0, (0.0,))
    assert "town" not in encoder.schema.names  # a schema may tell of columns that have no part in the model


def test_a_schema_gives_kinds_to_the_context_too(folder, tmp_path, untrained):
    (tmp_path / "schema.json").write_text(json.dumps({"beds": "real", "price": {"kind": "positive", "atoms": [9.5]}}))
    arguments = ["fit", folder / "homes.csv", "--model", tmp_path / "model", "--columns", "area,price"]
    told = objects(printed([*arguments, "--context", "beds,town", "--schema", tmp_path / "schema.json", "--json"]))
    assert {name: column["kind"] for name, column in told["context"].items()} == {"beds": "real", "town": "category"}
    assert load(tmp_path / "model").context_encoder_.columns[0].kind == "real"
    assert told["columns"]["price"]["kind"] == "positive"  # beside those of columns to model


def test_fit_tells_machines_what_came_of_it(folder):
    told = objects((folder / "fit.json").read_text())
    model = load(folder / "homes")
    assert list(told["columns"]) == ["id", *MODELLED]
    assert told["context"]["agent"]["kind"] == "category"
    assert told["columns"]["beds"]["meaning"] == "mass of a cell of width 1"
    assert told["choices"]["flow"] == "mixed"
    assert told["held_out_log_likelihood"] == model.history_.validation[0]
    assert (told["epochs"], told["best_epoch"], told["stopped"]) == (1, 1, model.history_.stopped)
    assert objects(printed(["info", folder / "homes", "--json"]))["columns"] == told["columns"]


def test_fit_tells_people_the_choices_and_kinds(folder, tmp_path, untrained, capsys):
    arguments = ["fit", str(folder / "homes.csv"), "--model", str(tmp_path / "model"), "--context", "sold,agent"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    first, chosen, header, *columns = captured.out.splitlines()
    assert first.endswith("5 columns; best epoch 1 of 1, held out -1.5000 nats a row; max_epochs reached")
    assert chosen.startswith("chosen: mixed, 2 residual blocks of 64 silu")
    assert header.split() == ["column", "type", "kind", "number"]
    assert [line.split()[0] for line in columns] == ["id", *MODELLED[:-1]]
    assert captured.err.startswith("densiflow: note: left out, as identifiers of rows: 'id'")
    assert captured.err.count("\n") == 1
    assert main([*arguments, "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_table_on_a_terminal_keeps_brackets(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show_table(["column"], [["[red] flux"]])
    assert "[red] flux" in capsys.readouterr().out


SOURCES = {
    "stdin": ["-"],
    "folder": ["parts"],
    "several": ["parts/a.parquet", "parts/b.parquet"],
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("command", ["score", "impute", "outliers", "info"])
def test_tables_come_from_several_files_folders_and_stdin(folder, tmp_path, monkeypatch, command, source):
    def result(tables):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "homes.parquet").read_bytes())))
        if command == "info":
            return objects(printed(["info", *tables, "--json"]))["found"]
        options = ["--seed", "3"] if command == "impute" else []
        printed([command, folder / "homes", *tables, "--out", tmp_path / "out.parquet", *options])
        return read_file(tmp_path / "out.parquet")

    monkeypatch.chdir(folder)
    assert result(SOURCES[source]) == result(["homes.parquet"])


def test_score_tells_machines_the_mean_and_its_error(folder, tmp_path):
    told = objects(printed(["score", folder / "homes", folder / "homes.csv", "--out", tmp_path / "s.csv", "--json"]))
    nats = read_file(tmp_path / "s.csv")["log_density"].to_numpy()
    assert (told["rows"], told["impossible"]) == (ROWS, 0)
    np.testing.assert_allclose(told["mean"], nats.mean())
    np.testing.assert_allclose(told["standard_error"], nats.std(ddof=1) / np.sqrt(ROWS))
    homes = read_file(folder / "homes.csv")
    half = homes.set_column(2, "beds", pa.array(np.where(np.arange(ROWS) == 7, 0.5, homes["beds"].to_numpy())))
    write_file(half, tmp_path / "half.csv")
    told = objects(printed(["score", folder / "homes", tmp_path / "half.csv", "--out", tmp_path / "h.csv", "--json"]))
    assert (told["impossible"], told["mean"], told["standard_error"]) == (1, None, None)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_impute_fills_what_is_missing_and_nothing_else(folder, tmp_path, ending):
    homes = read_file(folder / f"homes.{ending}")
    homes = homes.append_column("note", pa.array([None, "x"] * (ROWS // 2)))
    write_file(homes, tmp_path / f"homes.{ending}")
    out = tmp_path / f"full.{ending}"
    arguments = ["impute", folder / "homes", tmp_path / f"homes.{ending}", "--out", out, "--seed", "4"]
    assert objects(printed([*arguments, "--json"]))["filled"] == {"area": LACKING}
    full = read_file(out)
    by_hand = load(folder / "homes").impute(homes.select(MODELLED), context=homes.select(["agent"]), random_state=4)
    assert full["area"].equals(by_hand["area"])
    assert full["area"].null_count == 0
    assert full.drop_columns("area").equals(read_file(tmp_path / f"homes.{ending}").drop_columns("area"))
    assert full.column_names == homes.column_names


def test_cells_are_filled_where_the_table_has_other_types_than_the_models(folder, tmp_path):
    homes = read_file(folder / "homes.parquet")
    lacks = pc.is_null(homes["area"]).combine_chunks()
    area = pc.if_else(lacks, None, pc.round(homes["area"])).cast(pa.int64())
    town = pc.if_else(lacks, None, homes["town"]).dictionary_encode()
    others = homes.set_column(4, "area", area).set_column(3, "town", town)
    write_file(others, tmp_path / "others.parquet")
    printed(
        ["impute", folder / "homes", tmp_path / "others.parquet", "--out", tmp_path / "full.parquet", "--seed", "0"]
    )
    full, there = read_file(tmp_path / "full.parquet"), pc.invert(lacks)
    assert full["area"].type == pa.float64()
    assert full["area"].filter(there).to_pylist() == area.filter(there).to_pylist()
    assert any(cell.as_py() % 1 for cell in full["area"].filter(lacks))
    assert pa.types.is_dictionary(full["town"].type)
    assert set(full["town"].filter(lacks).to_pylist()) <= {"Ulm", "Bonn", "Kiel"}
    assert full["town"].filter(there).to_pylist() == homes["town"].filter(there).to_pylist()


def sample(folder, out, *options):
    """What the command draws for one agent."""
    printed(["sample", folder / "homes", "--out", out, "--seed", "2", "--given", "agent=Lee", *options])
    return read_file(out)


def test_sample_takes_a_context_and_cells_of_columns_that_are_modelled(folder, tmp_path):
    model, lee = load(folder / "homes"), pa.table({"agent": ["Lee"]})
    plain = sample(folder, tmp_path / "s.parquet", "--rows", "60")
    assert plain.equals(model.sample(60, context=lee, random_state=2))
    assert plain.column_names == MODELLED
    assert plain["area"].null_count > 0
    given = ["--given", "town=Kiel", "--given", "sold=2024-03-01", "--given", "beds=2"]
    drawn = sample(folder, tmp_path / "s.parquet", "--rows", str(LACKING), "--complete", *given)
    fixed = {"town": "Kiel", "sold": datetime.datetime(2024, 3, 1), "beds": 2.0}
    expected = model.conditional(fixed).sample(LACKING, context=lee, complete=True, random_state=2)
    assert drawn.equals(expected)
    held = {name: set(drawn[name].to_pylist()) for name in fixed}
    assert held == {"town": {"Kiel"}, "sold": {datetime.date(2024, 3, 1)}, "beds": {2}}
    assert drawn["area"].null_count == 0
    assert len(set(drawn["price"].to_pylist())) > 1


def test_sample_asks_for_complete_rows(folder, tmp_path, monkeypatch):
    asked = []

    def draw(density, rows, **options):
        asked.append((rows, options))
        return pa.table({"price": [1.0] * rows})

    monkeypatch.setattr(FlowDensity, "sample", draw)
    assert sample(folder, tmp_path / "s.parquet", "--rows", "3", "--complete").num_rows == 3
    lee = pa.table({"agent": ["Lee"]})
    assert asked == [(3, {"complete": True, "context": lee, "random_state": 2})]


@pytest.mark.parametrize("dropped", [[], ["id"]])
def test_judging_names_the_columns_wherever_an_identifier_stands(folder, dropped):
    homes = read_file(folder / "homes.parquet").drop_columns(["agent", *dropped])
    assert [cells.name for cells in columns_seen(load(folder / "homes"), homes)] == MODELLED


def test_a_report_needs_no_identifier(folder):
    homes = read_file(folder / "homes.parquet")
    model, agent, whole = load(folder / "homes"), homes.select(["agent"]), homes.drop_columns(["agent"])
    found = judge.likelihood(model, whole.drop_columns(["id"]), context=agent)
    assert str(found) == str(judge.likelihood(model, whole, context=agent))
    assert len(found.baselines) == 3


def test_outliers_are_the_worst_rows_and_say_why(folder, tmp_path, capsys):
    homes = read_file(folder / "homes.csv")
    price = homes["price"].to_numpy().copy()
    price[11] = 9999.0
    write_file(homes.set_column(1, "price", pa.array(price)), tmp_path / "odd.csv")
    arguments = ["outliers", str(folder / "homes"), str(tmp_path / "odd.csv"), "--rows", "3"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["row", "log_density", "because"]
    assert lines[1].startswith("11 ")
    assert "price = 9999 (-" in lines[1]
    assert len(lines) == 4
    odd = read_file(tmp_path / "odd.csv")
    nats = load(folder / "homes").score_samples(odd.select(MODELLED), context=odd.select(["agent"]))
    told = objects(printed([*arguments, "--json", "--out", tmp_path / "worst.parquet"]))
    assert told["rows"] == ROWS
    assert [row["row"] for row in told["outliers"]] == np.argsort(nats)[:3].tolist()
    for row in told["outliers"]:
        np.testing.assert_allclose(row["log_density"], nats[row["row"]], rtol=1e-5)
        np.testing.assert_allclose(sum(row["columns"].values()), row["log_density"], rtol=1e-5)
    assert next(iter(told["outliers"][0]["because"])) == "price"
    assert told["outliers"][0]["cells"]["id"] == "H0011"
    worst = read_file(tmp_path / "worst.parquet")
    assert worst["row"].to_pylist() == [row["row"] for row in told["outliers"]]
    parts = [f"log_density_{name}" for name in MODELLED]
    assert worst.column_names == ["row", *homes.column_names, "log_density", "because", *parts]


OUT = ["--out", "OUT.csv", "--given", "agent=Kim"]
MISTAKES = {
    "no schema": (["fit", "HOMES", "--model", "OUT", "--schema", "nowhere.json"], ["no file", "nowhere.json"]),
    "schema no JSON": (["fit", "HOMES", "--model", "OUT", "--schema", "HOMES"], ["as JSON"]),
    "schema of NaN": (["fit", "HOMES", "--model", "OUT", "--schema", '{"area": {"kind": NaN}}'], ["NaN", "strict"]),
    "schema twice": (["fit", "HOMES", "--model", "OUT", "--schema", '{"area": 1, "area": 2}'], ["'area'", "twice"]),
    "schema a list": (["fit", "HOMES", "--model", "OUT", "--schema", "[1]"], ["mapping from column to kind"]),
    "unknown column": (["fit", "HOMES", "--model", "OUT", "--schema", '{"zz": "real"}'], ["'zz'", "'price'"]),
    "unknown kind": (["fit", "HOMES", "--model", "OUT", "--schema", '{"area": "round"}'], ["'area'", "'round'"]),
    "unknown option": (
        ["fit", "HOMES", "--model", "OUT", "--schema", '{"columns": {"area": {"kind": "real", "hi": 1}}}'],
        ["'area'", "'hi'"],
    ),
    "impossible kind": (["fit", "HOMES", "--model", "OUT", "--schema", '{"town": "count"}'], ["'town'", "'count'"]),
    "model over the schema": (["fit", "HOMES", "--model", "SCHEMA", "--schema", "SCHEMA"], ["overwrite the schema"]),
    "files that differ": (["fit", "HOMES", "OTHER", "--model", "OUT"], ["'id'", "other.csv"]),
    "empty folder": (["fit", "EMPTY", "--model", "OUT"], ["no .parquet files"]),
    "out in the folder": (["score", "MODEL", "PARTS", "--out", "PARTS/c.parquet"], ["folder", "another folder"]),
    "not a file of tables": (["score", "MODEL", "HOMES", "HOMES.png", "--out", "OUT.csv"], [".parquet", ".png"]),
    "label unknown": (
        ["sample", "MODEL", "--rows", "3", *OUT, "--given", "town=Rom"],
        ["'Ulm'", "'Rom'"],
    ),
    "no date": (["sample", "MODEL", "--rows", "3", *OUT, "--given", "sold=May"], ["2006-12-16", "'May'"]),
    "no number": (
        ["sample", "MODEL", "--rows", "3", *OUT, "--given", "beds=x"],
        ["beds", "number", "'x'"],
    ),
    "impossible": (
        ["sample", "MODEL", "--rows", "3", *OUT, "--given", "beds=2.5"],
        ["beds=2.5", "impossible", "count"],
    ),
    "an identifier": (
        ["sample", "MODEL", "--rows", "3", *OUT, "--given", "id=H1"],
        ["'id'", "price, beds"],
    ),
    "rows to be found": (["outliers", "MODEL", "HOMES", "--rows", "0"], ["--rows", "at least 1"]),
    "columns missing to fill": (["impute", "MODEL", "OTHER", "--out", "OUT.csv"], ["'price'"]),
    "out over the table": (["impute", "MODEL", "HOMES", "--out", "HOMES"], ["overwrite the table"]),
    "out is no table": (["outliers", "MODEL", "HOMES", "--out", "OUT"], [".csv", ".parquet"]),
    "found already": (["outliers", "MODEL", "SCORED"], ["'log_density'", "rename or drop"]),
    "two models": (["info", "MODEL", "MODEL"], ["one file", "got 2"]),
    "no table": (["info", "nowhere.csv"], ["no file", "nowhere.csv"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line_and_exit_2(folder, tmp_path, mistake, capsys):
    arguments, words = MISTAKES[mistake]
    paths = {"HOMES": folder / "homes.csv", "MODEL": folder / "homes", "OUT": tmp_path / "m"}
    paths |= {"OUT.csv": tmp_path / "out.csv", "PARTS": folder / "parts", "PARTS/c.parquet": folder / "parts/c.parquet"}
    paths |= {"SCHEMA": tmp_path / "schema.json", "EMPTY": tmp_path / "empty", "OTHER": tmp_path / "other.csv"}
    paths |= {"SCORED": tmp_path / "scored.csv"}
    paths["EMPTY"].mkdir()
    paths["SCHEMA"].write_text("{}")
    write_file(pa.table({"a": [1.0, 2.0]}), paths["OTHER"])
    write_file(pa.table({"a": [1.0, 2.0], "log_density": [0.0, 1.0]}), paths["SCORED"])
    if "--schema" in arguments and arguments[-1][0] in "{[":
        paths[arguments[-1]] = paths["SCHEMA"]
        paths["SCHEMA"].write_text(arguments[-1])
    before = {path for place in (tmp_path, folder) for path in place.rglob("*")}
    assert main([str(paths.get(argument, argument)) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("densiflow: ")
    assert captured.err.count("\n") == 1, captured.err
    assert all(word in captured.err for word in words), captured.err
    assert captured.out == ""
    assert {path for place in (tmp_path, folder) for path in place.rglob("*")} == before


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell):
    script = "import sys; from densiflow.cli import main; sys.argv[0] = 'densiflow'; sys.exit(main([]))"

    def completed(instruction, words=""):
        asked = {"_DENSIFLOW_COMPLETE": f"{instruction}_{shell}", "COMP_WORDS": words, "COMP_CWORD": "1"}
        asked |= {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        done = subprocess.run(
            [sys.executable, "-c", script], env=os.environ | asked, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert "_DENSIFLOW_COMPLETE" in completed("source")
    offered = completed("complete", "densiflow s")
    assert "score" in offered
    assert "sample" in offered
    assert "impute" not in offered
