"""``densiflow impute``: the missing cells of a table filled in."""

from typing import Annotated, Any

import typer

from densiflow.cli.batched import ROWS, random_states
from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import AsJson, Quiet, check_not_read, check_table_output, fitted_table, whole_number
from densiflow.cli.shown import show_json
from densiflow.cli.side_by_side import rows_shown
from densiflow.cli.tables import Tables, as_arrow, in_batches, kept_names, parts_of, read
from densiflow.errors import TableError


def impute(
    model: Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")],
    tables: Tables,
    *,
    out: Annotated[str, typer.Option("--out", help="The .csv or .parquet file to write.", metavar="FILE")],
    seed: Annotated[
        int | None, typer.Option("--seed", help="Makes the cells repeatable.", metavar="S", parser=whole_number(0))
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    no_cache: NoCache = False,
) -> None:
    """Write the table with its missing cells drawn given those present; all that is there stays as it is."""
    import pyarrow.compute as pc

    from densiflow.table.files import write_file

    check_not_read("--out", out, model=model, table=tables)
    density = fitted_table(model)
    check_table_output(out)
    table = read(tables)
    _check_cells(density, table)
    missing = {name: pc.is_null(table[name], nan_is_null=True) for name in kept_names(density, table)}
    counts = {name: pc.sum(cells).as_py() for name, cells in missing.items()}
    if any(counts.values()):
        with programs_kept(no_cache):
            table = _filled(density, table, {name: missing[name] for name in missing if counts[name]}, seed, quiet)
    write_file(table, out)
    if as_json:
        show_json({"out": out, "rows": table.num_rows, "filled": {name: n for name, n in counts.items() if n}})
    elif not quiet:
        print(f"{out}: {table.num_rows} rows, {sum(counts.values())} cells filled")


def _check_cells(density: Any, table: Any) -> None:
    """Raise `TableError` for cells that the model can't read, with their rows in the whole table."""
    from densiflow.table import frames

    rows, context = parts_of(density, table)
    frames.matching(density.encoder_.schema, rows, mixed=True)
    if context is not None:
        frames.matching(density.context_encoder_.schema, context, "the context", mixed=True)


def _filled(density: Any, table: Any, missing: dict[str, Any], seed: int | None, quiet: bool) -> Any:
    """The table with cells drawn where `missing` (rows,) is true, by column."""
    from functools import reduce

    import pyarrow.compute as pc

    is_open = reduce(pc.or_, missing.values())  # only such rows need be drawn
    drawn = _drawn(density, table.filter(is_open), seed, quiet)
    for name, cells in missing.items():
        new = drawn[name].filter(cells.filter(is_open))
        place = table.column_names.index(name)
        table = table.set_column(place, name, _replaced(name, table[name], cells, new))
    return table


def _drawn(density: Any, table: Any, seed: int | None, quiet: bool) -> Any:
    """Rows without missing cells, batch after batch."""
    import pyarrow as pa

    names, parts = kept_names(density, table), []
    batches = zip(in_batches(table, ROWS).tables, random_states(seed), strict=False)
    with rows_shown("filled", table.num_rows, quiet) as show:
        for part, state in batches:
            rows, context = parts_of(density, part)
            parts.append(as_arrow(density.impute(rows, context=context, random_state=state), names))
            show(part.num_rows)
    return pa.concat_tables(parts)


def _replaced(name: str, column: Any, where: Any, cells: Any) -> Any:
    """A column with new cells where `where` is true, of a type that holds both."""
    import pyarrow as pa
    import pyarrow.compute as pc

    had_codes = pa.types.is_dictionary(column.type)
    column, cells = _without_codes(column), _without_codes(cells)
    try:
        kinds = [pa.schema([(name, part.type)]) for part in (column, cells)]
        kind = pa.unify_schemas(kinds, promote_options="permissive").field(0).type
        column, cells = (part.cast(kind).combine_chunks() for part in (column, cells))
    except pa.ArrowException:
        raise TableError(
            f"column {name!r} of the table is {column.type}, which can't hold the {cells.type} that the model was "
            f"fitted on; convert it"
        ) from None
    filled = pc.replace_with_mask(column, where.combine_chunks(), cells)
    return filled.dictionary_encode() if had_codes else filled


def _without_codes(column: Any) -> Any:
    """A column of labels as these, not as codes."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
