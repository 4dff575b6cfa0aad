"""Tables as people have them: what a text does not say of itself, several files as one, stdin."""

import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from densiflow.errors import ArgumentError, DensiflowWarning, MissingFileError, TableError
from densiflow.table import frames
from densiflow.table.batches import read_batches
from densiflow.table.files import read_file, read_table, write_file
from densiflow.table.numerals import MISSING
from densiflow.table.schema import Schema

TABLES = Path(__file__).parents[2] / "shared" / "data" / "tables"
COLUMNS = {"a": [1.5, None, -3.0], "b": ["x, y", "z", "NA"], "c": [4, 5, None]}
LINES = ["a{0}b{0}c", '1.5{0}"x, y"{0}4', "?{0}z{0}5", "-3{0}NA{0}NA"]


def reads(tmp_path, text, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_file(path).to_pydict()


# text


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt", ".data", ".TXT"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_separator_is_recognised(tmp_path, ending, separator, end):
    text = "".join(line.format(separator) + end for line in LINES)
    assert reads(tmp_path, text, f"rows{ending}") == COLUMNS


@pytest.mark.parametrize("text", ["\ufeffa;b\n1;2\n", "a;b\r\n1;2", "a;b\n\n1;2\n\n"])
def test_a_mark_of_byte_order_windows_and_blank_lines_are_nothing(tmp_path, text):
    assert reads(tmp_path, text) == {"a": [1], "b": [2]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text\n1\n2\n", {"text": [1, 2]}),
        ('text\n"one, two"\n"three; four, five"\n', {"text": ["one, two", "three; four, five"]}),
        ("word\nalpha\nbeta\nalpha\n", {"word": ["alpha", "beta", "alpha"]}),
        ("a;b\none, two;x, y\nthree, four;z, w\n", {"a": ["one, two", "three, four"], "b": ["x, y", "z, w"]}),
        ("a|b\n1,2;3|4\n5,6;7|8\n", {"a": ["1,2;3", "5,6;7"], "b": [4, 8]}),
        ('a,b\n1,"x\ny"\n2,"""q"", z"\n', {"a": [1, 2], "b": ["x\ny", '"q", z']}),
        ("a, b\n1, ?\n2, 3\n", {"a": [1, 2], " b": [None, 3]}),
    ],
)
def test_text_with_other_separators_in_it_is_not_misread(tmp_path, text, expected):
    assert reads(tmp_path, text) == expected


def test_decimals_may_follow_a_comma(tmp_path):
    assert reads(tmp_path, "a;b\n1,5;3\n-2,25;x\n") == {"a": [1.5, -2.25], "b": ["3", "x"]}
    assert reads(tmp_path, "a;b\n1.5;3,5\n") == {"a": [1.5], "b": ["3,5"]}  # thousands, perhaps
    with pytest.warns(DensiflowWarning, match="x0 to x1"):
        assert reads(tmp_path, "1,5;2,5\n3,5;4,5\n") == {"x0": [1.5, 3.5], "x1": [2.5, 4.5]}


SPACED = {"x": [1.5, -10.25, None], "mass": [300, 4, 5], "name": ["a", "b", "c"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "   \n"])
@pytest.mark.parametrize("indent", ["", "  "])
def test_runs_of_spaces_part_columns_of_numbers(tmp_path, indent, end):
    lines = ["x       mass  name", "  1.5   300  a", "-10.25    4 \tb", "", "nan        5    c"]
    text = "".join(indent + line + end for line in lines)
    assert reads(tmp_path, text, "rows.txt") == SPACED
    with pytest.warns(DensiflowWarning, match=r"rows\.txt names no columns.*x0 to x2"):
        found = reads(tmp_path, text.partition("name")[2].strip("\r\n"), "rows.txt")
    assert list(found.values()) == list(SPACED.values())


XY = {"x": [1.5, 2.5], "y": [3, 4]}
ABOVE = {
    "savetxt": "# x y\n",
    "commas": "# x, y\n",
    "commas alone": "#x,y\n",
    "indented": "  #  x    y  \n",
    "comments": "# made in May 2020\n#\n## of 2 stars\n\n# x y\n# ---\n",
    "names below": "# 2 stars\n x    y\n",
    "both": "# a b\nx  y\n",
    "byte order": "\ufeff# x y\n",
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("above", ABOVE)
def test_marked_lines_above_numbers_are_comments_and_names(tmp_path, above, end):
    text = ABOVE[above] + " 1.5   3\n 2.5   4\n"
    assert reads(tmp_path, text.replace("\n", end), "rows.txt") == XY


def test_savetxt_is_read_back(tmp_path):
    rows = np.random.default_rng(0).normal(size=(5, 3))
    for delimiter in (" ", ",", ", ", "\t", ";"):
        np.savetxt(tmp_path / "rows.txt", rows, header=f"by me\n{delimiter.join('abc')}", delimiter=delimiter)
        found = read_file(tmp_path / "rows.txt")
        assert [name.strip() for name in found.column_names] == ["a", "b", "c"]
        np.testing.assert_array_equal(np.column_stack([column.to_numpy() for column in found.columns]), rows)
    np.savetxt(tmp_path / "one.txt", rows[:1], header="a b c")
    assert read_file(tmp_path / "one.txt").to_pydict() == {name: [x] for name, x in zip("abc", rows[0], strict=True)}


@pytest.mark.parametrize("comment", ["# a b c", "# 1 2", "#1.5 7", "# 1 of the 2", "#"])
def test_comments_that_are_no_names_are_left_out(tmp_path, comment):
    with pytest.warns(DensiflowWarning, match="x0 to x1"):
        assert list(reads(tmp_path, f"{comment}\n1.5  3\n2.5  4\n").values()) == [[1.5, 2.5], [3, 4]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#,name,n\n1,a,3\n2,b,4\n", {"#": [1, 2], "name": ["a", "b"], "n": [3, 4]}),
        ("# x y\n1 2.5 3\n2 3.5 4\n", {"#": [1, 2], "x": [2.5, 3.5], "y": [3, 4]}),
        ("# x\n1 2.5\n2 3.5\n", {"#": [1, 2], "x": [2.5, 3.5]}),
        ("#rooms,price\n1,2.5\n2,3.5\n", {"#rooms": [1, 2], "price": [2.5, 3.5]}),
        ("tag,n\n#one,1\n#two,2\n", {"tag": ["#one", "#two"], "n": [1, 2]}),
        ("#one,a\n#two,b\n", {"#one": ["#two"], "a": ["b"]}),
        ("#one two\nthree four\nfive six\n", {"#one two": ["three four", "five six"]}),
        ("# text\nthe 3 of us\nall 4 of us\n", {"# text": ["the 3 of us", "all 4 of us"]}),
        ("x y\n1 2\n#N/A 4\n", {"x": [1, None], "y": [2, 4]}),
    ],
)
def test_a_mark_that_is_no_comment_stays(tmp_path, text, expected):
    assert reads(tmp_path, text) == expected


def test_a_missing_first_cell_is_no_comment(tmp_path):
    with pytest.warns(DensiflowWarning, match="x0 to x1"):
        assert reads(tmp_path, "#N/A 1.5\n2.5 3.5\n") == {"x0": [None, 2.5], "x1": [1.5, 3.5]}


def test_decimals_may_follow_a_comma_between_spaces(tmp_path):
    assert reads(tmp_path, "a   b\n1,5 3\n-2,25 4\n") == {"a": [1.5, -2.25], "b": [3, 4]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text\nthe 3 of us\nall 4 of us\n", {"text": ["the 3 of us", "all 4 of us"]}),
        ("one word\ntwo words\n10 words\n", {"one word": ["two words", "10 words"]}),
        ("sum paid\n1 000\n12 345\n999\n", {"sum paid": ["1 000", "12 345", "999"]}),
        ("at\n2020-01-31 10:00:00\n2020-02-29 11:30:00\n", None),
        ("a b,c\n1 2,3\n", {"a b": ["1 2"], "c": [3]}),
        ("a, b\n1, 2\n3, 4\n", {"a": [1, 3], " b": [2, 4]}),
        ("sum;of\n1 000;2 000\n3 000;4 000\n", {"sum": ["1 000", "3 000"], "of": ["2 000", "4 000"]}),
        ("x\n1.5 \n 2.5\n", None),
    ],
)
def test_spaces_in_text_do_not_part_it(tmp_path, text, expected):
    found = reads(tmp_path, text)
    assert len(found) == len(expected or ["one"])
    assert expected is None or found == expected


def test_a_line_of_more_cells_between_spaces_is_named_where_it_is_far_down(tmp_path):
    text = "a  b\n" + "1   2\n" * 600 + "3  4  5\n"
    with pytest.raises(TableError, match=r"rows\.csv.*Expected 2 columns, got 3 .* line 602,.*'3 4 5'"):
        reads(tmp_path, text)
    with pytest.warns(DensiflowWarning, match=r"rows\.csv .* 1 of 2 cells .*'3'"):
        assert len(reads(tmp_path, "a  b\n" + "1   2\n" * 600 + "  3")["a"]) == 600


@pytest.mark.parametrize("text", ["1.5,2,g\n3.5,?,h\n", "4,7\n5,8\n", "p,x\ne,x\np,y\n", "-1e3,nan\n2,3\n"])
def test_a_file_without_names_gets_them_and_says_so(tmp_path, text):
    rows = [line.split(",") for line in text.splitlines()]
    with pytest.warns(DensiflowWarning, match=rf"rows\.data names no columns.*x0 to x{len(rows[0]) - 1}"):
        found = reads(tmp_path, text, "rows.data")
    assert list(found) == [f"x{i}" for i in range(len(rows[0]))]
    assert {len(column) for column in found.values()} == {len(rows)}


@pytest.mark.parametrize("text", ["1990,2000\n0.5,0.25\n", "year,1990\n1,2\n", "0,1\n5,6\n", "a,b\nx,a\n", "a,1\n"])
def test_names_that_look_like_numbers_are_names(tmp_path, text):
    assert list(reads(tmp_path, text)) == text.splitlines()[0].split(",")


@pytest.mark.parametrize("mark", MISSING)
def test_marks_are_missing_among_numbers_and_words_among_text(tmp_path, mark):
    found = reads(tmp_path, f"a,b,c\n1.5,x,2020-01-31\n{mark},{mark},{mark}\n2,y,2020-02-29\n")
    assert found["a"] == [1.5, None, 2.0]
    assert found["b"] == ["x", mark or None, "y"]
    assert found["c"][1] is None
    assert str(found["c"][0]) == "2020-01-31"


def test_text_that_is_empty_in_quotes_is_not_missing(tmp_path):
    table = pa.table({"a": ["", None, "x"], "b": [1, 2, 3]})
    write_file(table, tmp_path / "rows.csv")
    assert read_file(tmp_path / "rows.csv").equals(table)


def test_a_line_that_was_cut_off_is_left_out_and_named(tmp_path):
    with pytest.warns(DensiflowWarning, match=r"rows\.csv .* 2 of 3 cells .*'7,8'"):
        assert reads(tmp_path, "a,b,c\n1,2,3\n7,8") == {"a": [1], "b": [2], "c": [3]}
    assert reads(tmp_path, "a,b,c\n1,2,3\n7,8,9")["c"] == [3, 9]
    assert reads(tmp_path, 'a,b,c\n1,2,"x\ny"')["c"] == ["x\ny"]


@pytest.mark.parametrize(("text", "line"), [("a,b\n1,2\n3\n4,5\n", 3), ("a;b\n1;2\n1;2\n3;4;5\n", 4)])
def test_a_line_that_is_not_as_the_others_is_named(tmp_path, text, line):
    bad = text.splitlines()[line - 1]
    with pytest.raises(TableError, match=rf"rows\.csv.*Expected 2 columns, got .* line {line},.*'{bad}'"):
        reads(tmp_path, text)


def test_the_first_lines_are_read_of_a_long_file(tmp_path):
    text = "a;b\n" + "1,5;x\n" * 300_000 + "2"
    with pytest.warns(DensiflowWarning, match="1 of 2 cells"):
        found = reads(tmp_path, text)
    assert len(found["a"]) == 300_000
    assert set(found["a"]) == {1.5}


# tables that people have


def of_real_tables(name):
    if not (TABLES / name).exists():
        pytest.skip(f"there is no {TABLES / name}: the rows are the user's to bring")
    return read_file(TABLES / name)


def test_household_power_is_read_as_it_is():
    table = of_real_tables("household_power_first_3MiB.txt")
    schema, matrix = frames.read(table, mixed=True)
    numbers = table.column_names[2:]
    assert len(numbers) == 7
    assert {str(table.schema.field(name).type) for name in numbers} == {"double"}
    assert {table[name].null_count for name in numbers} == {5}
    assert schema.formats[0] == "%-d/%-m/%Y"  # 16/12/2006, 1/1/2007
    assert str(table.schema.field("Time").type) == "time32[s]"
    assert table.num_rows == 48_424
    assert np.isnan(matrix).sum() == 35


def test_magic_is_read_as_it_is():
    with pytest.warns(DensiflowWarning, match=r"magic04\.data names no columns"):
        table = of_real_tables("magic04.data")
    assert table.num_rows == 19_020
    assert table.column_names == [f"x{i}" for i in range(11)]
    assert set(table["x10"].to_pylist()) == {"g", "h"}


# several files


@pytest.fixture
def parts(tmp_path):
    """Two files of the same columns, in other orders and types, and what they are together."""
    write_file(pa.table({"a": [1, 2], "b": ["x", "y"], "c": pa.nulls(2)}), tmp_path / "one.csv")
    write_file(pa.table({"c": [0.5], "a": [2.5], "b": ["z"]}), tmp_path / "two.csv")
    together = pa.table({"a": [1.0, 2.0, 2.5], "b": ["x", "y", "z"], "c": [None, None, 0.5]})
    return [tmp_path / "one.csv", tmp_path / "two.csv"], together


def test_several_files_are_one_table(parts, tmp_path):
    paths, together = parts
    assert read_table(paths).equals(together)
    assert read_table(paths[:1]).equals(read_file(paths[0]))
    assert read_table(str(paths[0])).equals(read_file(paths[0]))
    for path in paths:
        write_file(read_file(path), path.with_suffix(".parquet"))
    assert read_table([path.with_suffix(".parquet") for path in paths]).equals(together)
    assert read_table([paths[0], paths[1].with_suffix(".parquet")]).equals(together)
    with pytest.raises(ArgumentError, match="at least one file"):
        read_table([])
    with pytest.raises(MissingFileError, match=r"three\.csv"):
        read_table([*paths, tmp_path / "three.csv"])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"a": [1]}, r"two\.\w+ lacks columns that .*one\.\w+ has: 'b'"),
        ({"a": [1], "b": [2], "c": [3]}, r"two\.\w+ has columns that .*one\.\w+ does not have: 'c'"),
        ({"a": ["x"], "b": [2]}, r"column 'a' of .*two\.\w+ holds string, but that of .*one\.\w+ holds int64"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files_that_do_not_agree_are_named_with_the_column(tmp_path, ending, other, words):
    paths = [tmp_path / f"{name}.{ending}" for name in ("one", "two")]
    for path, columns in zip(paths, ({"a": [1], "b": [2]}, other), strict=True):
        write_file(pa.table(columns), path)
    with pytest.raises(TableError, match=words):
        read_table(paths)
    with pytest.raises(TableError, match=words), read_batches(paths, 10):
        pass


def folder_of(path, counts):
    path.mkdir()
    numbers = iter(range(sum(counts)))
    for i, count in enumerate(counts):
        rows = [next(numbers) for _ in range(count)]
        table = pa.table({"a": pa.array(rows, pa.int64() if i else pa.float64()), "b": [f"{row}" for row in rows]})
        pq.write_table(table, path / f"part-{i:03}.parquet", row_group_size=4)
    return path


def test_a_folder_of_parquet_files_is_one_table_by_name(tmp_path):
    folder = folder_of(tmp_path / "rows.parquet", [5, 0, 9, 3])
    for name in ("_SUCCESS", ".part-000.parquet.crc", "_common.parquet", "notes.txt"):
        (folder / name).write_text("something else")
    assert read_table(folder)["a"].to_pylist() == list(range(17))
    assert read_table([folder / "part-002.parquet", folder])["a"].to_pylist() == [*range(5, 14), *range(17)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match=r"folder .*empty holds no \.parquet files"):
        read_table(tmp_path / "empty")


@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_batches_of_several_files_are_those_of_the_whole(tmp_path, parts, size):
    folder = folder_of(tmp_path / "rows", [5, 0, 9, 3])
    for source in (folder, parts[0], sorted(folder.iterdir())):
        whole = read_table(source)
        with read_batches(source, size) as batches:
            found = list(batches.tables)
        assert (batches.names, batches.count) == (whole.column_names, whole.num_rows)
        assert pa.concat_tables(found).equals(whole)
        assert all(part.num_rows == size for part in found[:-1])


def test_an_index_of_pandas_is_no_column_of_several_files(tmp_path):
    pd.DataFrame({"a": [1.0, 2.0]}, index=[7, 3]).to_parquet(tmp_path / "one.parquet")
    pd.DataFrame({"a": [3.0]}).to_parquet(tmp_path / "two.parquet")
    with read_batches([tmp_path / "one.parquet", tmp_path / "two.parquet"], 1) as batches:
        assert pa.concat_tables(batches.tables).to_pydict() == {"a": [1.0, 2.0, 3.0]}


# stdin


def comes(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_stdin_is_text_or_parquet_by_its_first_bytes(monkeypatch, tmp_path):
    write_file(pa.table({"a": [1.5, 2.5], "b": ["x", "y"]}), tmp_path / "rows.parquet")
    whole = read_file(tmp_path / "rows.parquet")
    for data in ((tmp_path / "rows.parquet").read_bytes(), b"a;b\r\n1,5;x\r\n2,5;y\r\n"):
        comes(monkeypatch, data)
        assert read_table("-").equals(whole)
        comes(monkeypatch, data)
        with read_batches("-", 1) as batches:
            assert pa.concat_tables(batches.tables).equals(whole)


def test_what_is_wrong_on_stdin_is_said_of_it(monkeypatch):
    for data, words in (
        (b"", "stdin as CSV: Empty"),
        (b"PAR1x", "stdin as Parquet"),
        (b"a,b\n1\n2,3\n", "stdin.*line 2"),
    ):
        comes(monkeypatch, data)
        with pytest.raises(TableError, match=words):
            read_table("-")
    comes(monkeypatch, b"1.5,2\n2.5,3\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read_table("-").column_names == ["x0", "x1"]
    assert [str(one.message)[:24] for one in caught] == ["stdin names no columns, "]


# text in frames that spells numbers


def spelled_frames(columns):
    """A frame of each library, and an arrow table, of columns of text."""
    return [pd.DataFrame(columns), pd.DataFrame(columns, dtype=object), pl.DataFrame(columns), pa.table(columns)]


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(
    ("texts", "spelling"),
    [
        (["4.216", "?", "-0.080", "17.000"], "%.3f"),
        (["4", "NA", "-17", "0"], "%.0f"),
        (["4.5", "", "17", "0.125"], "%.15g"),
        (["4.5", "nan", "17.0", "0.125"], "%r"),
    ],
)
def test_text_that_spells_numbers_is_read_as_such_and_given_back_as_it_was(place, texts, spelling):
    table = spelled_frames({"a": texts, "b": ["x", "y", "?", "x"]})[place]
    schema, matrix = frames.read(table, mixed=True)
    numbers = [np.nan if text == texts[1] else float(text) for text in texts]
    np.testing.assert_array_equal(matrix[:, 0], numbers)
    assert (schema.formats[0], schema.marks[0]) == (spelling, f"text:{texts[1]}")
    assert schema.levels[1] == ("?", "x", "y")  # among words it may be one
    again = frames.build(Schema.from_state(json.loads(json.dumps(schema.to_state()))), matrix)
    assert again.equals(table)
    assert list(again.dtypes if hasattr(again, "dtypes") else again.schema.types) == list(
        table.dtypes if hasattr(table, "dtypes") else table.schema.types
    )
    np.testing.assert_array_equal(frames.matching(schema, table, mixed=True), matrix)


@pytest.mark.parametrize(
    "texts",
    [
        ["01234", "94110", "?"],  # codes
        ["1.50", "1.5", "?"],
        ["3", "?", "?"],
        ["1", "2", "3"],
        ["1.0", "1.1", "2.0"],  # versions
        ["1.5", "x", "?"],
        ["1_000", "2", "?"],
    ],
)
def test_text_that_may_be_labels_is_labels(texts):
    for table in spelled_frames({"a": texts}):
        schema, _ = frames.read(table, mixed=True)
        assert schema.levels == (tuple(sorted(set(texts))),)


def test_many_fractions_are_numbers_without_a_mark_too():
    texts = [f"{number / 8:.3f}" for number in range(100)]
    for table in spelled_frames({"a": texts}):
        schema, matrix = frames.read(table, mixed=True)
        assert schema.formats == ("%.3f",)
        np.testing.assert_array_equal(matrix[:, 0], np.arange(100) / 8)
        assert frames.build(schema, matrix).equals(table)
    labels = pd.DataFrame({"a": pd.Categorical(texts)})  # who says that they are categories is believed
    assert frames.read(labels, mixed=True)[0].levels == (tuple(sorted(texts)),)


def test_numbers_among_text_are_given_back_as_numbers():
    table = pd.DataFrame({"a": [1.5, "2.5", "?", None], "b": [1, "2", "?", 3]}, dtype=object)
    schema, matrix = frames.read(table, mixed=True)
    np.testing.assert_array_equal(matrix, [[1.5, 1], [2.5, 2], [np.nan, np.nan], [np.nan, 3]])
    assert frames.build(schema, matrix).to_dict("list") == {"a": [1.5, 2.5, "?", "?"], "b": [1, 2, "?", 3]}


def test_dates_of_which_some_are_missing_are_dates():
    texts = ["16/12/2006", "?", "02/01/2007"]
    for table in spelled_frames({"a": texts}):
        schema, matrix = frames.read(table, mixed=True)
        assert schema.formats == ("%d/%m/%Y",)
        assert np.isnan(matrix[:, 0]).tolist() == [False, True, False]
        assert frames.build(schema, matrix).equals(table)


def test_where_numbers_were_fitted_text_must_spell_numbers():
    fitted, _ = frames.read(pa.table({"a": [1.5, None]}), mixed=True)
    found = frames.matching(fitted, pd.DataFrame({"a": ["?", "2.50", "-3"]}), mixed=True)
    np.testing.assert_array_equal(found[:, 0], [np.nan, 2.5, -3.0])
    for cells, words in ((["?", "2.5", "x"], "row 2 holds 'x'"), ([True, 2.5], "row 0 holds True")):
        with pytest.raises(TableError, match=words):
            frames.matching(fitted, pd.DataFrame({"a": cells}, dtype=object), mixed=True)
    spelled, _ = frames.read(pd.DataFrame({"a": ["1.5", "?", "2.5"]}), mixed=True)
    np.testing.assert_array_equal(frames.matching(spelled, pa.table({"a": [7.0]}), mixed=True), [[7.0]])


@pytest.mark.parametrize("read_csv", [pd.read_csv, pl.read_csv])
def test_household_power_is_numbers_in_frames_too(read_csv):
    of_real_tables("household_power_first_3MiB.txt")
    options = {"sep": ";"} if read_csv is pd.read_csv else {"separator": ";", "infer_schema_length": None}
    table = read_csv(TABLES / "household_power_first_3MiB.txt", **options)
    schema, matrix = frames.read(table, mixed=True)
    assert schema.levels == (None,) * 9
    assert np.isnan(matrix).sum(axis=0).tolist() == [0, 0, *[5] * 7]
    assert frames.build(schema, matrix).equals(table)
