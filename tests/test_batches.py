"""Tables that go through in batches: the rows, the numbers and the errors are those of the whole table."""

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from densiflow import FlowDensity, load, rows
from densiflow.cli import main
from densiflow.errors import MissingFileError, TableError
from densiflow.estimators import companion
from densiflow.rows import batch
from densiflow.table.batches import read_batches
from densiflow.table.files import read_file, write_file, written_file


def mixed(count):
    """A table of columns of many types, and nulls in all of them."""
    numbers = np.arange(count)
    return pa.table(
        {
            "float": pa.array(numbers / 7, mask=numbers % 5 == 0),
            "int": pa.array(numbers, pa.int16(), mask=numbers % 3 == 0),
            "text": pa.array([None if i % 4 == 0 else f"line {i}, of\n{i % 3}" for i in numbers]),
            "word": pa.array([f"word {i % 4}" for i in numbers]).dictionary_encode(),
            "list": pa.array([[i] * (i % 3) for i in numbers.tolist()]),
            "when": pa.array(numbers, pa.timestamp("ms")),
        }
    )


@pytest.mark.parametrize("count", [0, 1, 6, 7, 20, 21, 22, 100])
@pytest.mark.parametrize("group", [1, 3, 7, 50, 1000])
def test_parquet_in_batches_is_the_file(tmp_path, count, group):
    table = mixed(count)
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=group)
    whole = read_file(tmp_path / "rows.parquet")
    with read_batches(tmp_path / "rows.parquet", 7) as source:
        assert (source.names, source.count) == (table.column_names, count)
        parts = list(source.tables)
    assert pa.concat_tables(parts).equals(whole)
    assert all(part.schema.equals(whole.schema, check_metadata=True) for part in parts)
    assert [part.num_rows for part in parts[:-1]] == [7] * (max(count // 7, 1) - 1)
    assert count < 7 or 7 <= parts[-1].num_rows < 14


def test_csv_in_batches_is_the_file(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n" + "1,2\n" * 20 + "1.5,2\n")  # only the last row shows that a is real
    with read_batches(tmp_path / "rows.csv", 4) as source:
        parts = list(source.tables)
    assert (source.names, source.count) == (["a", "b"], 21)
    assert [part.num_rows for part in parts] == [4, 4, 4, 4, 5]
    assert {part.schema.field("a").type for part in parts} == {pa.float64()}
    assert pa.concat_tables(parts).equals(read_file(tmp_path / "rows.csv"))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_written_in_batches_is_the_table(tmp_path, ending):
    table = mixed(100).drop_columns(["list"] if ending == "csv" else [])
    write_file(table, tmp_path / f"whole.{ending}")
    with written_file(tmp_path / f"parts.{ending}") as write:
        for start in range(0, 100, 30):
            write(table.slice(start, 30))
        assert not (tmp_path / f"parts.{ending}").exists()
    assert read_file(tmp_path / f"parts.{ending}").equals(read_file(tmp_path / f"whole.{ending}"))
    if ending == "csv":
        assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_that_fails_half_way_is_not_there(tmp_path, ending):
    def write_half():
        with written_file(tmp_path / f"rows.{ending}") as write:
            write(pa.table({"a": [1.0]}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"rows\.parquet"), read_batches(tmp_path / "rows.parquet", 7):
        pass
    (tmp_path / "rows.parquet").write_bytes(b"something else")
    with pytest.raises(TableError, match="as Parquet"), read_batches(tmp_path / "rows.parquet", 7):
        pass
    pq.write_table(pa.table([[1.0], [2.0]], names=["a", "a"]), tmp_path / "twice.parquet")
    with pytest.raises(TableError, match="2 columns named 'a'"), read_batches(tmp_path / "twice.parquet", 7):
        pass
    pq.write_table(mixed(1000), tmp_path / "cut.parquet", row_group_size=100, compression="zstd")
    damaged = bytearray((tmp_path / "cut.parquet").read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 400] = b"\xff" * 400
    (tmp_path / "cut.parquet").write_bytes(damaged)
    with pytest.raises(TableError, match="as Parquet"), read_batches(tmp_path / "cut.parquet", 7) as source:
        list(source.tables)


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A table of several batches, a model of two of its columns and one that is given the third."""
    folder = tmp_path_factory.mktemp("long")
    rng = np.random.default_rng(0)
    count = 2 * 2**17 + 4321
    table = pa.table({"a": rng.normal(3.0, 2.0, count), "b": rng.gamma(2.0, size=count), "c": rng.uniform(size=count)})
    few = table.slice(0, 200)
    options = {"layers": 2, "hidden": (4,), "max_epochs": 2, "random_state": 0}
    FlowDensity(**options).fit(few.select(["a", "b"])).save(folder / "plain")
    FlowDensity(**options).fit(few.select(["a", "b"]), context=few.select(["c"])).save(folder / "conditional")
    write_file(table, folder / "rows.parquet")
    return folder, table


@pytest.mark.parametrize("model", ["plain", "conditional"])
def test_scores_in_batches_are_to_the_bit_those_of_the_whole(long, tmp_path, capsys, model):
    folder, table = long
    density = load(folder / model)
    assert table.num_rows > 2 * rows.batch(density.flow_)  # or nothing is tried
    out = tmp_path / "scored.parquet"
    assert main(["score", str(folder / model), str(folder / "rows.parquet"), "--out", str(out)]) == 0
    expected = density.score_samples(table.select(["a", "b"]), **context_of(model, table))
    scored = read_file(out)
    assert np.array_equal(scored["log_density"].to_numpy(), expected)
    assert scored.drop_columns(["log_density"]).equals(table)
    assert capsys.readouterr().out == f"{out}: {table.num_rows} rows, mean log density {expected.mean():.4f} nats\n"


def lacking(table, column, rows):
    """The table with some cells of a column missing."""
    values = table[column].to_numpy().copy()
    values[rows] = np.nan
    return table.set_column(table.column_names.index(column), column, pa.array(values, from_pandas=True))


@pytest.mark.parametrize("model", ["plain", "conditional"])
def test_what_a_later_batch_is_refused_for_is_said_of_the_whole(long, tmp_path, capsys, model):
    folder, table = long
    write_file(lacking(table, "c", [150_000, 250_000]), tmp_path / "faulty.parquet")
    arguments = ["score", str(folder / model), str(tmp_path / "faulty.parquet"), "--out", str(tmp_path / "out.parquet")]
    if model == "plain":  # which does not look at the context
        assert main(arguments) == 0
        return
    assert main(arguments) == 2
    said = "column 'c', row 150000 holds NaN or null (such cells: 2); drop or fill them"
    assert said in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"faulty.parquet"}


@pytest.mark.parametrize("model", ["plain", "conditional"])
def test_rows_that_lack_cells_score_in_any_batch_as_they_do_alone(long, tmp_path, monkeypatch, model):
    monkeypatch.setattr(companion, "ROWS", 1000)  # what a companion learns makes no score another in other company
    monkeypatch.setattr(companion, "EPOCHS", 1)
    folder, table = long
    density = load(folder / model)
    places = [200_000, 250_000]
    faulty = lacking(table, "b", places)
    write_file(faulty, tmp_path / "faulty.parquet")
    out = tmp_path / "out.parquet"
    assert main(["score", str(folder / model), str(tmp_path / "faulty.parquet"), "--out", str(out)]) == 0
    found = read_file(out)["log_density"].to_numpy()

    def scores(part):
        return density.score_samples(part.select(["a", "b"]), **context_of(model, part))

    alone = np.concatenate([scores(faulty.slice(place, 1)) for place in places])
    np.testing.assert_allclose(found[places], alone, rtol=1e-5)
    whole, others = scores(table), np.delete(np.arange(table.num_rows), places)
    assert np.array_equal(found[others], whole[others])
    assert (np.abs(found[places] - whole[places]) > 0.1).all()  # of one column instead of two


def context_of(model, part):
    return {"context": part.select(["c"])} if model == "conditional" else {}


@pytest.mark.parametrize("model", ["plain", "conditional"])
def test_draws_in_batches_are_to_the_bit_those_of_the_whole(long, tmp_path, model):
    folder, _ = long
    density, out = load(folder / model), tmp_path / "drawn.parquet"
    size = batch(density.flow_)
    count = 2 * size + 99
    given = ["--given", "c=0.25"] if model == "conditional" else []
    options = ["--rows", str(count), "--out", str(out), "--seed", "7", *given]
    assert main(["sample", str(folder / model), *options]) == 0
    context = {"context": pa.table({"c": [0.25]})} if given else {}
    drawn = read_file(out)
    assert drawn.equals(density.sample(count, random_state=7, **context))
    assert [part.num_rows for part in density.sample_batches(count, random_state=7, **context)] == [size, size + 99]


def test_batches_of_draws_for_many_contexts_are_in_order(long):
    density = load(long[0] / "conditional")
    contexts = pa.table({"c": np.linspace(0.0, 1.0, 1000)})
    whole = density.sample(300, context=contexts, random_state=1)
    parts = list(density.sample_batches(300, context=contexts, random_state=1))
    assert len(parts) == 2
    assert pa.concat_tables(parts).equals(whole)
    places = density.flow_.sample(jax.random.key(1), 5, np.zeros((3, 1)))
    later = density.flow_.sample(jax.random.key(1), 2, np.zeros((3, 1)), start=9)
    assert np.array_equal(places[3:], later)


def test_memory_does_not_grow_with_the_file(tmp_path):
    write_file(pa.table({"a": np.random.default_rng(0).normal(size=2_000_000)}), tmp_path / "rows.parquet")
    before = pa.total_allocated_bytes()
    with read_batches(tmp_path / "rows.parquet", 10_000) as source:
        held = [pa.total_allocated_bytes() - before for _ in source.tables]
    assert len(held) == 200
    assert max(held[100:]) <= max(held[:100]) + 2**20
    assert max(held) < 2_000_000 * 8 / 2
