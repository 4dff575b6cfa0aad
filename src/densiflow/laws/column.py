"""The laws of a column of a table."""

import json

import numpy as np
from scipy.special import ndtr

from densiflow.laws.column_case import FAR, ODD, ColumnCase
from densiflow.laws.points import Flags
from densiflow.laws.trial import EXACT, Broken, Law, Numbers, report, seen_by
from densiflow.table.columns import Column
from densiflow.table.columns.cells import Cells
from densiflow.table.columns.scales import also_known

STEP = float(np.cbrt(np.finfo(np.float64).eps))  # of a central difference, in y
DIGITS = 64  # roundings of the number that its step is at least, for a slope to be seen
TRUNCATION = 1e-4  # its error, which is larger near the knots of a spline
NODES = np.linspace(-9.0, 9.0, 20_001)
SUM = 2e-3  # how far from one the rounding to a fine grid may carry a sum
FIRST = 64  # cells that are tried one by one


def check_column(column: Column) -> None:
    """Raise `AssertionError` for the first law that a column of a table breaks.

    Every law is tried on cells that the column's parts make possible, seen or not, and on cells that they do not. Its
    scale need not be registered. The fitted columns of a table are those of ``FlowDensity(...).encoder_.columns``.

    >>> from densiflow.table.columns import Real
    >>> check_column(Column("real", points=(0.0,), is_missing=True, scale=Real(5.0, 2.0)))
    """
    report(column, broken_by(column))


def broken_by(column: Column) -> list[Broken]:
    """Every law that a column breaks; a broken first one, which is about shapes, ends the trial."""
    case = ColumnCase(column)
    broken: list[Broken] = []
    with np.errstate(all="ignore"):
        for law in LAWS:
            seen = seen_by(law, case)
            if seen is not None:
                broken.append(Broken(law.__name__, seen))
            if seen is not None and law is LAWS[0]:
                break
    return broken


def shapes_follow_the_cells(case: ColumnCase) -> str | None:
    """Cells (n,) give x (n, width) and log_volume (n,), and x gives cells (n,); all float64, none for none."""
    for cells in (case.cells, case.impossible, case.cells[:0]):
        x, log_volume = case.thing.encode(cells)
        n = len(cells)
        for name, seen, shape in (
            ("encode's x", x, (n, case.thing.width)),
            ("log_volume", log_volume, (n,)),
            ("decode", case.thing.decode(x), (n,)),
        ):
            if seen.shape != shape or seen.dtype.name != "float64":
                return f"{name} gives {seen.shape} {seen.dtype}, wanted {shape} float64"
    return None


def cells_come_back(case: ColumnCase) -> str | None:
    """`decode` undoes `encode`: exactly for points, missing marks and numbers of a grid, to rounding for others.

    Rounding is that of the number and what the map's slope makes of that of y.
    """
    back = case.thing.decode(case.encoded[0])
    allowed = np.zeros(len(back))
    if case.thing.scale is not None and case.thing.grid is None:
        y, n = case.values[:, 0], len(case.line)
        allowed[:n] = EXACT * (np.abs(case.numbers) + (1 + np.abs(y)) * np.exp(-case.volumes))
    same = (back == case.cells) | (np.isnan(back) & np.isnan(case.cells))
    wrong = ~(same | (np.abs(back - case.cells) <= allowed))
    return f"{_first(case.cells, wrong)} comes back as {_first(back, wrong)}" if wrong.any() else None


def states_are_what_they_say(case: ColumnCase) -> str | None:
    """State 0 is a value where there is a scale; then come the points in order; last, the missing mark."""
    column = case.thing
    if not column.has_state:
        return None
    first = int(column.scale is not None)
    wanted = np.concatenate([np.zeros(len(case.line)), np.arange(first, column.states)])
    seen = case.encoded[0][:, 0]
    wrong = seen != wanted
    if wrong.any():
        return f"{_first(case.cells, wrong)} has the state {_first(seen, wrong)}, wanted {_first(wanted, wrong)}"
    return None


def log_volume_is_the_slope(case: ColumnCase) -> str | None:
    """Where a number has a density, log_volume is the logarithm of y's slope, by central differences.

    A number in ten may differ: beside a knot, an end or the cut of a circle there is no slope on both sides.
    """
    if case.thing.scale is None or case.thing.is_cell or not len(case.numbers):
        return None
    step = STEP * (1 + np.abs(case.values[:, 0])) * np.exp(-case.volumes)
    fine = step > DIGITS * np.spacing(np.abs(case.numbers))
    above, below = case.numbers + step, case.numbers - step
    rise = case.thing.encode(above)[0][:, -1] - case.thing.encode(below)[0][:, -1]
    difference = np.where(fine, np.abs(np.log(rise / (above - below)) - case.volumes), 0.0)
    if np.quantile(difference, 0.9) <= TRUNCATION:
        return None
    wrong = ~(difference <= TRUNCATION)
    return f"log_volume at {_first(case.numbers, wrong)} differs from the slope's by {_first(difference, wrong)}"


def masses_have_no_volume(case: ColumnCase) -> str | None:
    """What has mass (a point, the missing mark, a number that stands for a cell) has log_volume 0, unless narrow."""
    is_mass = np.ones(len(case.cells), bool)
    is_mass[: len(case.line)] = case.thing.is_cell
    if case.thing.is_cell:
        is_mass[: len(case.line)] = ~_is_narrow(case)
    wrong = is_mass & (case.encoded[1] != 0)
    if wrong.any():
        return f"{_first(case.cells, wrong)} has mass, but log_volume {_first(case.encoded[1], wrong)}"
    return None


def volume_of_a_narrow_cell_is_its_width(case: ColumnCase) -> str | None:
    """Where a cell is so narrow that its edges are its number, log_volume is the logarithm of its width in y.

    By central differences of the scale; a number in ten may differ, as in `log_volume_is_the_slope`.
    """
    column = case.thing
    if not column.is_cell or column.scale is None or column.grid is None:
        return None
    beside = np.concatenate([[np.inf], np.diff(column.grid.nearest(case.line)), [np.inf]])
    tried = _is_narrow(case) & (np.maximum(beside[1:], beside[:-1]) == 1)  # and none is beside a point
    line, y, volume = case.line[tried], case.values[tried, 0], case.volumes[tried]
    if not len(line):
        return None
    step = np.maximum(STEP * (1 + np.abs(y)) * np.exp(-volume), 0.5) * column.grid.width
    rise = column.scale.encode(line + step)[0] - column.scale.encode(line - step)[0]
    fine = step > DIGITS * np.spacing(np.abs(line))
    difference = np.where(fine, np.abs(np.log(rise / (2 * step) * column.grid.width) - volume), 0.0)
    if np.quantile(difference, 0.9) <= TRUNCATION:
        return None
    wrong = ~(difference <= TRUNCATION)
    return f"log_volume at {_first(line, wrong)} differs from its cell's width by {_first(difference, wrong)}"


def order_is_kept(case: ColumnCase) -> str | None:
    """Of two numbers the larger has the larger y, and of two y the larger leads to no smaller number."""
    if case.thing.scale is None:
        return None
    falls = ~(np.diff(case.values[:, 0]) > 0)
    if falls.any():
        return f"y does not rise at {_first(case.numbers[:-1], falls)}"
    numbers = _opened(case, case.thing.decode(case.x_of(NODES[:, None])))
    falls = ~(np.diff(numbers) >= 0)
    return f"the numbers fall as y rises, at {_first(numbers[:-1], falls)}" if falls.any() else None


def cells_tile_the_line(case: ColumnCase) -> str | None:
    """Each cell ends where the next begins, half way between their numbers; the outermost reach to infinity.

    Float32 keeps its edges apart from its number, unless the cell is narrow.
    """
    column = case.thing
    if not column.is_cell or column.scale is None:
        return None
    _, lower, upper = case.values.T
    wide = ~_is_narrow(case)
    number, below, above = case.values.astype(np.float32).T
    wrong = wide & ~((below < number) & (number < above))
    if wrong.any():
        return f"{_first(case.numbers, wrong)} does not lie within its cell"
    half_way = column.scale.encode((case.line[1:] + case.line[:-1]) / 2)[0]
    wrong = wide[1:] & wide[:-1] & (upper[:-1] != lower[1:])
    wrong |= wide[:-1] & ~(np.abs(upper[:-1] - half_way) <= EXACT * (1 + np.abs(half_way)))
    wrong &= case.steps == 1
    if wrong.any():
        return f"the cell of {_first(case.numbers[:-1], wrong)} does not end half way to the next"
    for place, edge in ((0, lower[0]), (-1, -upper[-1])):
        if case.is_outermost(place) and not edge <= -Cells.INFINITE:
            return f"the outermost cell, of {case.numbers[place]:.12g}, does not reach to infinity"
    return None


def masses_sum_to_one(case: ColumnCase) -> str | None:
    """The probabilities of all cells that there can be sum to one.

    On x lies a distribution for that: state k has k + 1 shares, and y is normal. Densities are integrated.
    """
    column = case.thing
    if not column.states:
        return None
    share = np.arange(1.0, column.states + 1)
    share /= share.sum()
    x, log_volume = (part[len(case.line) :] for part in case.encoded)  # of the points and the missing mark
    state = x[:, 0].astype(np.int64) if column.has_state else np.zeros(len(x), np.int64)
    total = float(np.sum(share[state] * np.exp(log_volume)))
    if column.scale is not None:
        total += float(share[0]) * (_mass_of_cells(case) if column.is_cell else _integral(case))
    return None if abs(total - 1) <= SUM else f"its masses sum to {total:.4g}"


def impossible_cells_have_no_mass(case: ColumnCase) -> str | None:
    """Beyond the ends, beside a strict grid or the points, and at infinity log_volume is -inf."""
    log_volume = case.thing.encode(case.impossible)[1]
    wrong = log_volume != -np.inf
    if wrong.any():
        return f"{_first(case.impossible, wrong)} is impossible, but has log_volume {_first(log_volume, wrong)}"
    return None


def open_ends_have_mass(case: ColumnCase) -> str | None:
    """Where neither the column nor its scale ends, numbers far out are possible, as far as the grid reaches."""
    column = case.thing
    if column.scale is None or column.turn is not None or not len(case.line):
        return None
    far, (bottom, top) = case.numbers_at(FAR), column.scale.support()
    is_beyond = np.isinf(max(column.low, bottom)) & (far < case.line[0])
    is_beyond |= np.isinf(min(column.high, top)) & (far > case.line[-1])
    if column.grid is not None:
        is_beyond &= np.abs(column.grid.nearest(far)) <= column.grid.last
    log_volume = column.encode(far)[1]
    wrong = is_beyond & ~np.isfinite(log_volume)
    return f"{_first(far, wrong)} is impossible, but the column has no end there" if wrong.any() else None


def what_lies_beside_counts_as_the_nearest(case: ColumnCase) -> str | None:
    """Where numbers stand for cells, one beside a grid that is not strict is the nearest on it, be that a point."""
    column = case.thing
    if not column.is_cell or column.is_strict or column.grid is None:
        return None
    nearest = np.concatenate([case.line, _opened(case, np.asarray(column.points, np.float64))])
    nearest = nearest[column.grid.holds(nearest)]
    for away in (-0.3, 0.3):
        beside = nearest + away * column.grid.width
        kept = (beside > column.low) & (beside < column.high) & ~np.isin(case.closed(beside), column.points)
        seen, wanted = (column.encode(case.closed(line[kept])) for line in (beside, nearest))
        wrong = (seen[0] != wanted[0]).any(axis=1) | (seen[1] != wanted[1])
        if wrong.any():
            return f"{_first(case.closed(beside[kept]), wrong)} is not what the nearest on the grid is"
    return None


def never_nan(case: ColumnCase) -> str | None:
    """X is finite and log_volume finite or -inf, whatever the cell, far out too; and nothing is warned of."""
    far = case.closed(case.numbers_at(FAR))
    cells = np.concatenate([case.cells, case.impossible, far, ODD])
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        x, log_volume = case.thing.encode(cells)
        case.thing.decode(x)
        case.thing.decode(case.drawn, drawn=True)
    wrong = ~(np.isfinite(x).all(axis=1) & (log_volume < np.inf))
    return f"{_first(cells, wrong)} has an x or a log_volume that is no number" if wrong.any() else None


def draws_lie_in_the_range(case: ColumnCase) -> str | None:
    """Any y leads to a number on the grid and between the ends; a draw's also between the numbers seen."""
    column = case.thing
    if column.scale is None:
        return None
    for x, drawn, (low, high) in (
        (case.x_of(FAR[:, None]), False, (column.low, column.high)),
        (case.drawn, True, case.seen),
    ):
        numbers = column.decode(x, drawn=drawn)
        opened = _opened(case, numbers)
        wrong = ~(np.isfinite(numbers) & (opened >= low) & (opened <= high))
        if column.grid is not None:
            wrong |= ~column.grid.holds(numbers)
        if wrong.any():
            wanted = f"a number{' of the grid' if column.grid is not None else ''} from {low:.12g} to {high:.12g}"
            return f"y = {_first(x[:, -1], wrong)} leads to {_first(numbers, wrong)}, wanted {wanted}"
    return None


def draws_have_mass(case: ColumnCase) -> str | None:
    """A drawn number is a possible one; where numbers stand for cells, it has the x that was drawn.

    In a stretch of narrow cells that is the number whose cell y is drawn in.
    """
    column = case.thing
    if column.scale is None:
        return None
    numbers = column.decode(case.drawn, drawn=True)
    again, log_volume = column.encode(numbers)
    wrong = ~(log_volume > -np.inf)
    if column.is_cell:
        away = np.abs(again - case.drawn).max(axis=1)
        wrong |= away > np.where(again[:, -1] == again[:, -2], np.exp(log_volume) + EXACT, 0.0)
    return f"{_first(numbers, wrong)} is drawn, but is impossible or another cell" if wrong.any() else None


def rows_do_not_mix(case: ColumnCase) -> str | None:
    """A cell's x and log_volume, and the cell that x leads to, do not depend on the cells beside it."""
    few = np.concatenate([case.cells[:: max(len(case.cells) // FIRST, 1)], case.cells[-3:], case.impossible[:3]])
    x, log_volume = case.thing.encode(few)
    back = case.thing.decode(x)
    for i in range(len(few)):
        alone, volume = case.thing.encode(few[i : i + 1])
        pairs = ((alone, x[i : i + 1]), (volume, log_volume[i : i + 1]), (case.thing.decode(alone), back[i : i + 1]))
        if not all(np.allclose(one, many, rtol=EXACT, atol=EXACT, equal_nan=True) for one, many in pairs):
            return f"{few[i]:.12g} is another one alone than among others"
    return None


def survives_its_state(case: ColumnCase) -> str | None:
    """What `from_state` makes of `to_state`, sent through JSON, is the same column and gives the same results."""
    column = case.thing
    with also_known(column.scale):
        again = type(column).from_state(column.kind, json.loads(json.dumps(column.to_state(), allow_nan=False)))
    if again != column:
        return "comes back from its state as another column"
    x, log_volume = case.encoded
    pairs = zip(again.encode(case.cells), (x, log_volume), strict=True)
    same = all(np.array_equal(one, other) for one, other in pairs)
    return (
        None
        if same and np.array_equal(again.decode(x), column.decode(x), equal_nan=True)
        else ("gives other results once it comes back from its state")
    )


def _is_narrow(case: ColumnCase) -> Flags:
    """Which numbers (n,) stand for cells whose edges are the number itself."""
    return np.asarray(case.values[:, 1] == case.values[:, 2], bool)


def _mass_of_cells(case: ColumnCase) -> float:
    """The normal mass of the cells of all numbers; between two that are not side by side it changes evenly."""
    y, lower, upper = case.values.T
    density = np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi)
    mass = np.where(_is_narrow(case), density, ndtr(upper) - ndtr(lower)) * np.exp(case.volumes)
    return float(np.sum(case.steps * mass[:-1] + (case.steps - 1) / 2 * np.diff(mass)) + mass[-1])


def _integral(case: ColumnCase) -> float:
    """The integral over all numbers of the density that a normal y gives them."""
    numbers = np.sort(case.closed(case.numbers_at(NODES)))
    numbers = numbers[~np.isin(numbers, case.thing.points)]
    x, log_volume = case.thing.encode(numbers)
    density = np.exp(log_volume - x[:, -1] ** 2 / 2 - np.log(2 * np.pi) / 2)
    return float(np.trapezoid(density, numbers))


def _opened(case: ColumnCase, numbers: Numbers) -> Numbers:
    turn = case.thing.turn
    return numbers if turn is None else turn.opened(numbers, case.thing.grid)


def _first(values: Numbers, wrong: Flags) -> str:
    return f"{values[wrong][0]:.12g}"


LAWS: tuple[Law[ColumnCase], ...] = (
    shapes_follow_the_cells,
    cells_come_back,
    states_are_what_they_say,
    log_volume_is_the_slope,
    masses_have_no_volume,
    volume_of_a_narrow_cell_is_its_width,
    order_is_kept,
    cells_tile_the_line,
    masses_sum_to_one,
    impossible_cells_have_no_mass,
    open_ends_have_mass,
    what_lies_beside_counts_as_the_nearest,
    never_nan,
    draws_lie_in_the_range,
    draws_have_mass,
    rows_do_not_mix,
    survives_its_state,
)
