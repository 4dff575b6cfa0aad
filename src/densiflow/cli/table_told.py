"""What the columns of a table would be read as: kinds, missing cells, ranges, levels."""

from collections.abc import Sequence
from typing import Any

from densiflow.cli.shown import show_json, show_table
from densiflow.cli.tables import name_of, read

LABELLED = ("category", "boolean")
HEADER = ("column", "type", "kind", "missing", "least", "greatest", "different")


def show(tables: Sequence[str], as_json: bool) -> None:
    """Print the kinds that the columns of tables would be read as."""
    table = read(tables)
    kinds, found = _read_kinds(table)
    if as_json:
        show_json({"table": name_of(tables), "rows": table.num_rows, "columns": kinds, "found": found})
        return
    print(f"{name_of(tables)}: {table.num_rows} rows, {table.num_columns} columns")
    show_table(HEADER, [_line(name, column) for name, column in found.items()])


def _line(name: str, column: dict[str, Any]) -> list[str]:
    ends = [column[end] for end in ("least", "greatest")]
    told = ["" if end is None else f"{end:.12g}" if isinstance(end, float) else str(end) for end in ends]
    missing = f"{100 * column['missing']:.3g}%" if column["missing"] else ""
    return [name, column["type"], column["described"], missing, *told, str(column["different"])]


def _read_kinds(table: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """For each column its kind as a schema says it, and what its cells are."""
    import numpy as np

    from densiflow.table import Encoder, frames
    from densiflow.table.detect import kind_of
    from densiflow.table.kinds import fit_column
    from densiflow.table.sample import sample_of

    schema, matrix = frames.read(table, mixed=True)
    weight = np.ones(len(matrix))
    samples = [sample_of(schema, i, cells, weight, True) for i, cells in enumerate(matrix.T)]
    kinds = [kind_of(sample) if len(sample.values) else {"kind": "constant"} for sample in samples]
    columns = tuple(fit_column(schema, i, cells, weight, kinds[i], True) for i, cells in enumerate(matrix.T))
    encoder = Encoder(schema, columns)
    told = [_found(sample, len(matrix), schema.dtypes[i], encoder.described[i]) for i, sample in enumerate(samples)]
    names = table.column_names
    return dict(zip(names, kinds, strict=True)), dict(zip(names, told, strict=True))


def _found(sample: Any, rows: int, dtype: str, described: str) -> dict[str, Any]:
    """The cells of one column; ends are text for instants, and labels have none."""
    values = sample.distinct[0]
    has_ends = sample.levels is None and len(values) > 0
    levels = sample.levels if described.startswith(LABELLED) else None
    return {
        "type": dtype,
        "described": described,
        "missing": (rows - len(sample.values)) / rows,
        "least": _end(sample, values[0]) if has_ends else None,
        "greatest": _end(sample, values[-1]) if has_ends else None,
        "different": len(values),
        **({} if levels is None else {"levels": levels}),
    }


def _end(sample: Any, value: float) -> Any:
    """A number as it is, an instant as a person reads it."""
    from densiflow.table import spelled

    if sample.family not in ("number", "boolean"):
        return spelled.told(value, sample.family)
    return int(value) if sample.is_exact else float(value)
