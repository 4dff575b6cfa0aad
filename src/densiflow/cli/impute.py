"""``densiflow impute``: the missing cells of a table filled in."""

from typing import Annotated, Any

import typer

from densiflow.cli.judged import steps_shown
from densiflow.cli.kept import NoCache, programs_kept
from densiflow.cli.options import AsJson, Quiet, check_not_read, check_table_output, fitted_table, whole_number
from densiflow.cli.shown import show_json
from densiflow.cli.tables import Tables, as_arrow, modelled_names, parts_of, read
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
    rows, context = parts_of(density, table)
    names = modelled_names(density, table)
    missing = {name: pc.is_null(table[name], nan_is_null=True) for name in names}
    with programs_kept(no_cache), steps_shown("filling", quiet):
        drawn = as_arrow(density.impute(rows, context=context, random_state=seed), names)
    counts = {name: count for name, cells in missing.items() if (count := pc.sum(cells).as_py())}
    for name in counts:
        place = table.column_names.index(name)
        table = table.set_column(place, name, _replaced(name, table[name], missing[name], drawn[name]))
    write_file(table, out)
    if as_json:
        show_json({"out": out, "rows": table.num_rows, "filled": counts})
    elif not quiet:
        print(f"{out}: {table.num_rows} rows, {sum(counts.values())} cells filled")


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
    filled = pc.if_else(where.combine_chunks(), cells, column)
    return filled.dictionary_encode() if had_codes else filled


def _without_codes(column: Any) -> Any:
    """A column of labels as these, not as codes."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
