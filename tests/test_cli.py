"""The command line: what each command writes, and one line for each mistake."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from densiflow import FlowDensity, load, recipes
from densiflow.cli import main
from densiflow.table.files import read_file, write_file
from densiflow.training import History


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table as CSV and Parquet, a model of it, and a conditional model."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    a = rng.normal(10.0, 2.0, 300)
    table = pa.table({"a": a, "b": a + rng.normal(size=300), "c": rng.gamma(2.0, 1.0, 300), "w": rng.uniform(size=300)})
    write_file(table, folder / "rows.parquet")
    write_file(table, folder / "rows.csv")
    common = ["--max-epochs", "2", "--seed", "1"]
    rows = str(folder / "rows.csv")
    assert main(["fit", rows, "--model", str(folder / "plain"), "--weights", "w", *common]) == 0
    given = ["--columns", "a,b", "--context", "c"]
    assert main(["fit", rows, "--model", str(folder / "conditional"), *given, *common]) == 0
    nameless = FlowDensity(max_epochs=1, random_state=1).fit(
        table.select(["a", "b"]), context=table["c"].to_numpy()[:, None]
    )
    nameless.save(folder / "nameless")
    return folder


def test_fit_models_every_column_but_weights_and_context(folder):
    plain, conditional = load(folder / "plain"), load(folder / "conditional")
    assert list(plain.feature_names_in_) == ["a", "b", "c"]
    assert list(conditional.feature_names_in_) == ["a", "b"]
    assert conditional.context_encoder_.schema.names == ("c",)
    assert len(plain.history_.train) == 2


def test_fit_is_the_estimator(folder):
    table = read_file(folder / "rows.csv")
    by_hand = FlowDensity(max_epochs=2, random_state=1).fit(table.select(["a", "b", "c"]), sample_weight=table["w"])
    assert by_hand.score(table.select(["a", "b", "c"])) == load(folder / "plain").score(table.select(["a", "b", "c"]))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("model", ["plain", "conditional"])
def test_score_writes_the_rows_with_their_log_density(folder, model, ending, capsys):
    out = folder / f"scored_{model}.{ending}"
    assert main(["score", str(folder / model), str(folder / f"rows.{ending}"), "--out", str(out)]) == 0
    scored = read_file(out)
    assert scored.column_names == ["a", "b", "c", "w", "log_density"]
    fitted = load(folder / model)
    columns = list(fitted.feature_names_in_)
    context = scored.select(["c"]) if model == "conditional" else None
    expected = fitted.score_samples(scored.select(columns), context=context)
    np.testing.assert_allclose(scored["log_density"].to_numpy(), expected)
    captured = capsys.readouterr()
    assert "300 rows" in captured.out
    assert captured.err == ""


def test_a_model_of_unnamed_columns_scores_those_that_are_not_context(folder, tmp_path):
    table = read_file(folder / "rows.csv").select(["a", "b", "c"])
    matrix = np.column_stack([table["a"], table["b"]])
    FlowDensity(layers=1, max_epochs=1, random_state=0).fit(matrix, context=table.select(["c"])).save(
        tmp_path / "model"
    )
    write_file(table, tmp_path / "rows.csv")
    assert main(["score", str(tmp_path / "model"), str(tmp_path / "rows.csv"), "--out", str(tmp_path / "out.csv")]) == 0
    assert read_file(tmp_path / "out.csv").column_names == ["a", "b", "c", "log_density"]


def test_sample_writes_rows(folder):
    out = folder / "drawn.parquet"
    assert main(["sample", str(folder / "plain"), "--rows", "20", "--out", str(out), "--seed", "3"]) == 0
    assert pq.read_table(out).equals(load(folder / "plain").sample(20, random_state=3))
    given = ["--given", "c=2.5", "--rows", "5", "--out", str(folder / "drawn.csv")]
    assert main(["sample", str(folder / "conditional"), *given]) == 0
    assert read_file(folder / "drawn.csv").column_names == ["a", "b"]


def test_info_says_what_the_file_holds(folder, capsys):
    assert main(["info", str(folder / "conditional")]) == 0
    printed = capsys.readouterr().out
    for words in ("FlowDensity", "a (double): real", "context", "c (double)", "10 x Chain", "epochs", "trained"):
        assert words in printed
    recipes.made(__import__("jax").random.key(0), dim=2, hidden=(4,)).save(folder / "flow")
    assert main(["info", str(folder / "flow")]) == 0
    assert "Flow" in capsys.readouterr().out


MISTAKES = {
    "no such command": (["forecast"], ["forecast"]),
    "option missing": (["fit", "ROWS"], ["--model"]),
    "checkpoint over the schema": (["fit", "ROWS", "--model", "OUT", "--schema", "OUT.checkpoint"], ["the schema"]),
    "no file": (["fit", "nowhere.csv", "--model", "OUT"], ["no file", "nowhere.csv"]),
    "no model": (["info", "nowhere"], ["no file", "nowhere"]),
    "ending": (["fit", "rows.xlsx", "--model", "OUT"], [".csv", ".parquet"]),
    "unknown column": (["fit", "ROWS", "--model", "OUT", "--columns", "a,zz"], ["'zz'", "a, b, c, w"]),
    "two roles": (["fit", "ROWS", "--model", "OUT", "--columns", "a", "--context", "a"], ["'a'", "two roles"]),
    "named twice": (["fit", "ROWS", "--model", "OUT", "--columns", "a,a"], ["'a'", "twice"]),
    "empty name": (["fit", "ROWS", "--model", "OUT", "--columns", "a,,b"], ["empty"]),
    "nothing left": (["fit", "ROWS", "--model", "OUT", "--context", "a,b,c,w"], ["no column is left"]),
    "text column": (["fit", "TEXT", "--model", "OUT", "--flow", "maf"], ["'t'", "text"]),
    "missing cell": (["fit", "HOLES", "--model", "OUT", "--flow", "maf"], ["row 1", "'a'"]),
    "constant": (["fit", "CONSTANT", "--model", "OUT", "--flow", "maf"], ["'k'", "constant"]),
    "negative weights": (["fit", "NEGATIVE", "--model", "OUT", "--weights", "w"], ["negative", "row 1"]),
    "one row": (["fit", "ONE", "--model", "OUT"], ["one row"]),
    "unknown flow": (["fit", "ROWS", "--model", "OUT", "--flow", "gan"], ["'gan'", "maf"]),
    "model can't be written": (["fit", "ROWS", "--model", "/nowhere/m"], ["/nowhere", "does not exist"]),
    "out can't be written": (["score", "PLAIN", "ROWS", "--out", "/nowhere/s.csv"], ["/nowhere"]),
    "out is a folder": (["demo", "--out", "ROWS"], ["folder"]),
    "not a model": (["score", "ROWS", "ROWS", "--out", "OUT.csv"], ["not a densiflow model"]),
    "scored already": (["score", "PLAIN", "SCORED", "--out", "OUT.csv"], ["'log_density'"]),
    "columns missing": (["score", "PLAIN", "ONE", "--out", "OUT.csv"], ["'b'"]),
    "context missing": (["sample", "CONDITIONAL", "--rows", "3", "--out", "OUT.csv"], ["missing: c", "--given c="]),
    "context superfluous": (["sample", "PLAIN", "--rows", "3", "--out", "OUT.csv", "--given", "q=1"], ["no context"]),
    "context unknown": (["sample", "CONDITIONAL", "--rows", "3", "--out", "OUT.csv", "--given", "q=1"], ["'q'", "c"]),
    "given without value": (
        ["sample", "CONDITIONAL", "--rows", "3", "--out", "OUT.csv", "--given", "c"],
        ["NAME=VALUE"],
    ),
    "given text": (["sample", "CONDITIONAL", "--rows", "3", "--out", "OUT.csv", "--given", "c=x"], ["number", "'x'"]),
    "given twice": (
        ["sample", "CONDITIONAL", "--rows", "3", "--out", "OUT.csv", "--given", "c=1", "--given", " c=2"],
        ["'c'", "twice"],
    ),
    "context without names": (
        ["sample", "NAMELESS", "--rows", "3", "--out", "OUT.csv"],
        ["context columns have no names"],
    ),
    "scored without names": (["score", "NAMELESS", "ROWS", "--out", "OUT.csv"], ["context columns have no names"]),
    "model over the table": (["fit", "ROWS", "--model", "ROWS"], ["would overwrite the table"]),
    "model over a link's table": (["fit", "ROWS", "--model", "LINK"], ["would overwrite the table"]),
    "scores over the table": (["score", "PLAIN", "ROWS", "--out", "ROWS"], ["would overwrite the table"]),
    "scores over the model": (["score", "PLAIN", "ROWS", "--out", "PLAIN"], ["would overwrite the model"]),
    "rows over the model": (["sample", "PLAIN", "--rows", "3", "--out", "PLAIN"], ["would overwrite the model"]),
    "no rows": (["sample", "PLAIN", "--rows", "0", "--out", "OUT.csv"], ["--rows", "at least 1", "got 0"]),
    "rows in words": (["sample", "PLAIN", "--rows", "few", "--out", "OUT.csv"], ["whole number", "'few'"]),
    "seed": (["fit", "ROWS", "--model", "OUT", "--seed", "-1"], ["--seed", "at least 0", "got -1"]),
    "empty weights": (["fit", "ROWS", "--model", "OUT", "--weights", ""], ["--weights names ''"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line_and_exit_2(folder, tmp_path, mistake, capsys):
    tables = {
        "TEXT": pa.table({"a": [1.0, 2.0], "t": ["x", "y"]}),
        "HOLES": pa.table({"a": [1.0, None, 3.0]}),
        "CONSTANT": pa.table({"a": [1.0, 2.0, 3.0], "k": [4.0, 4.0, 4.0]}),
        "NEGATIVE": pa.table({"a": [1.0, 2.0, 3.0], "w": [1.0, -1.0, 1.0]}),
        "ONE": pa.table({"a": [1.0], "c": [2.0]}),
        "SCORED": pa.table({"a": [1.0], "b": [1.0], "c": [2.0], "log_density": [0.0]}),
    }
    arguments, words = MISTAKES[mistake]
    paths = {"ROWS": folder / "rows.csv", "PLAIN": folder / "plain", "CONDITIONAL": folder / "conditional"}
    paths |= {"OUT": tmp_path / "out", "OUT.csv": tmp_path / "out.csv", "OUT.checkpoint": tmp_path / "out.checkpoint"}
    paths |= {"NAMELESS": folder / "nameless", "LINK": tmp_path / "link"}
    paths["LINK"].symlink_to(paths["ROWS"])
    for name in set(arguments) & set(tables):
        paths[name] = tmp_path / f"{name}.parquet"
        write_file(tables[name], paths[name])
    before, rows = {path.name for path in tmp_path.iterdir()}, paths["ROWS"].read_bytes()
    assert main([str(paths.get(argument, argument)) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("densiflow: ")
    assert captured.err.count("\n") == 1
    assert all(word in captured.err for word in words), captured.err
    assert captured.out == ""
    assert {path.name for path in tmp_path.iterdir()} == before  # nothing half-written
    assert paths["ROWS"].read_bytes() == rows


def test_columns_of_any_name_can_be_given(tmp_path):
    rng = np.random.default_rng(0)
    named = ["a,b", " c ", "d=e", "w"]
    write_file(pa.table({name: rng.uniform(1.0, 2.0, 40) for name in named}), tmp_path / "rows.parquet")
    model, out = str(tmp_path / "model"), tmp_path / "out.parquet"
    columns = ["--columns", "a,b", "--columns", " w", "--context", " c ,d=e", "--max-epochs", "1"]
    assert main(["fit", str(tmp_path / "rows.parquet"), "--model", model, *columns]) == 0
    assert load(model).encoder_.schema.names == ("a,b", "w")
    assert load(model).context_encoder_.schema.names == (" c ", "d=e")
    given = ["--given", " c =1.5", "--given", " d=e =1.25"]
    assert main(["sample", model, "--rows", "4", "--out", str(out), *given]) == 0
    assert read_file(out).column_names == ["a,b", "w"]


@pytest.mark.parametrize("loading", [False, True])
def test_ctrl_c_outside_training_is_one_line_and_exit_130(folder, tmp_path, monkeypatch, capsys, loading):
    def interrupted(path):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            if loading:  # as compiled modules do while they are imported
                raise ImportError("a module failed to load") from interrupt
            raise

    monkeypatch.setattr("densiflow.table.files.read_table", interrupted)
    assert main(["fit", str(folder / "rows.csv"), "--model", str(tmp_path / "model")]) == 130
    assert capsys.readouterr() == ("", "densiflow: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("train", "reached"), [([], "the first step"), ([1.0], "the held-out log-likelihood was finite")]
)
def test_an_untrained_model_is_not_saved(folder, tmp_path, monkeypatch, capsys, train, reached):
    def stopped_at_once(flows, *arguments, **options):
        return flows[0], [History(train=train, validation=train, stopped="interrupted")]

    monkeypatch.setattr("densiflow.estimators.density.fit_one_or_several", stopped_at_once)
    assert main(["fit", str(folder / "rows.csv"), "--model", str(tmp_path / "model")]) == 130
    assert capsys.readouterr() == ("", f"densiflow: interrupted before {reached}; nothing was saved\n")
    assert list(tmp_path.iterdir()) == []
    density = FlowDensity(random_state=0).fit(read_file(folder / "rows.csv"))
    density.save(tmp_path / "untrained")
    assert main(["info", str(tmp_path / "untrained")]) == 0
    assert "best epoch   none" in capsys.readouterr().out


def test_no_arguments_is_help(capsys):
    assert main([]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Usage:")
    assert captured.out.count("\n") > 10
    assert captured.err == ""


def test_the_command_is_light_and_its_exit_code_is_the_process():
    script = (
        "import sys; from densiflow.cli import main; code = main(['--help']); "
        "heavy = {'jax', 'sklearn', 'pyarrow', 'numpy', 'matplotlib'} & set(sys.modules); "
        "sys.exit(f'{heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fit" in done.stdout
    wrong = subprocess.run(
        [sys.executable, "-m", "densiflow.cli", "nothing"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
