"""A law that has never failed is a guess: each notices a planted fault, and each fault is noticed."""

import jax
import planted
import planted_columns
import planted_layers
import pytest

from densiflow import laws, recipes
from densiflow.bases import Normal
from densiflow.flow import Flow
from densiflow.laws import base, bijection, column, flow
from densiflow.table.columns import Column

BIJECTIONS = {
    "SignWrongBothWays": (planted.SignWrongBothWays(), {"log_det_is_the_jacobian", "log_det_is_the_finite_difference"}),
    "SignWrongOneWay": (planted.SignWrongOneWay(), {"log_dets_cancel", "log_det_is_the_jacobian"}),
    "LogDetForgotten": (planted.LogDetForgotten(), {"log_det_is_the_jacobian", "density_sums_to_one"}),
    "InverseSlightlyOff": (planted.InverseSlightlyOff(), {"round_trip"}),
    "LogDetOfOneColumn": (planted.LogDetOfOneColumn(), {"shapes_follow_the_batch"}),
    "LogDetPerColumn": (planted.LogDetPerColumn(), {"shapes_follow_the_batch"}),
    "ReturnsFloat32": (planted.ReturnsFloat32(), {"shapes_follow_the_batch"}),
    "NarrowedInside": (planted.NarrowedInside(), {"round_trip"}),
    "MixedByBatchMean": (planted.MixedByBatchMean(), {"rows_do_not_mix", "rows_equal_one_row"}),
    "RowsDiffer": (planted.RowsDiffer(), {"rows_equal_one_row"}),
    "DependsTooMuch": (planted.DependsTooMuch(), {"depends_exactly_as_declared"}),
    "DependsTooLittle": (planted.DependsTooLittle(), {"depends_exactly_as_declared"}),
    "ContextCutForTheFirstColumn": (planted.ContextCutForTheFirstColumn(2, 2), {"every_output_sees_the_context"}),
    "ContextIgnored": (planted.ContextIgnored(1, 1), {"every_output_sees_the_context"}),
    "CoversHalfTheLine": (planted.CoversHalfTheLine(), {"density_sums_to_one"}),
    "LandsOutside": (planted.LandsOutside(), {"lands_in_the_declared_space"}),
    "DerivativeRuleWrong": (planted.DerivativeRuleWrong(), {"log_det_is_the_finite_difference"}),
    "NaNGradientFarOut": (planted.NaNGradientFarOut(), {"gradients_are_finite"}),
    "FunctionInAField": (planted.FunctionInAField(), {"survives_save_and_load"}),
    "NumbersAsNames": (planted.NumbersAsNames(), {"survives_save_and_load"}),
    "ListInAStaticField": (planted.ListInAStaticField(), {"survives_save_and_load"}),
    "CouplingLeavesOutItsLastColumn": (
        planted_layers.CouplingLeavesOutItsLastColumn(3),
        {"log_det_is_the_jacobian", "log_det_is_the_finite_difference"},
    ),
    "CouplingReadsWhatItMoves": (planted_layers.CouplingReadsWhatItMoves(3), {"round_trip", "log_dets_cancel"}),
    "CouplingForgetsItsContext": (planted_layers.CouplingForgetsItsContext(3, 1), {"every_output_sees_the_context"}),
    "ReversesAndForgetsItsContext": (
        planted_layers.ReversesAndForgetsItsContext(2, 1),
        {"every_output_sees_the_context"},
    ),
    "PermutationNotUndone": (planted_layers.PermutationNotUndone(), {"round_trip"}),
    "PlanarFolds": (planted_layers.PlanarFolds(), {"round_trip", "density_sums_to_one"}),
    "SplineTailsJump": (planted_layers.SplineTailsJump(), {"round_trip", "density_sums_to_one"}),
    "NumberInAnArrayField": (planted.NumberInAnArrayField(), {"fields_are_arrays_or_static"}),
}

BASES = {
    "SamplesIgnoreTheScale": (planted.SamplesIgnoreTheScale(), {"samples_follow_the_density"}),
    "NormalisationForgotten": (planted.NormalisationForgotten(), {"density_sums_to_one"}),
    "LogProbPerColumn": (planted.LogProbPerColumn(), {"shapes_follow_the_batch"}),
    "KeyIgnored": (planted.KeyIgnored(), {"samples_follow_the_key"}),
    "BaseIgnoresItsContext": (planted.BaseIgnoresItsContext(2, 1), {"density_sees_the_context"}),
    "BaseHoldsAFunction": (planted.BaseHoldsAFunction(), {"survives_save_and_load"}),
    "NaNGradientOfTheDensity": (planted.NaNGradientOfTheDensity(), {"gradients_are_finite"}),
    "NaNOutside": (planted.NaNOutside(), {"minus_infinity_outside", "density_sums_to_one"}),
    "SamplesLeaveTheSupport": (planted.SamplesLeaveTheSupport(), {"samples_lie_in_the_support"}),
    "VolumeForgotten": (planted_layers.VolumeForgotten(), {"density_sums_to_one"}),
    "FlatNaNOutside": (planted_layers.FlatNaNOutside(), {"minus_infinity_outside"}),
    "FlatEverywhere": (planted_layers.FlatEverywhere(), {"minus_infinity_outside", "density_sums_to_one"}),
    "FlatSamplesOfOneAxis": (
        planted_layers.FlatSamplesOfOneAxis(),
        {"samples_lie_in_the_support", "samples_follow_the_density"},
    ),
}


def standing_on(wrong):
    """A plain flow on a wrong bijection."""
    return Flow(wrong, Normal(wrong.dim))


def resting_on(wrong):
    """A plain flow on a wrong base."""
    return Flow(planted.ShiftAndScale(wrong.dim), wrong)


def altered(cls, context_dim=0, dim=2):
    """A right flow in a wrong class."""
    right = recipes.made(jax.random.key(0), dim=dim, context_dim=context_dim, hidden=(6,), start="random")
    return cls(right.bijection, right.base)


FLOWS = {
    "ScalingLeftOut": (altered(planted.ScalingLeftOut), {"density_sums_to_one", "samples_agree_with_their_log_prob"}),
    "LogDetLeftOut": (altered(planted.LogDetLeftOut), {"log_prob_is_base_plus_log_det"}),
    "DensityInAColumn": (altered(planted.DensityInAColumn), {"shapes_follow_the_batch"}),
    "SignWrongInSampling": (altered(planted.SignWrongInSampling), {"samples_agree_with_their_log_prob"}),
    "SamplesDependOnTheirNumber": (altered(planted.SamplesDependOnTheirNumber), {"samples_follow_the_key"}),
    "SamplesTooNarrow": (altered(planted.SamplesTooNarrow), {"samples_follow_the_density"}),
    "FirstContextForAll": (altered(planted.FirstContextForAll, context_dim=1), {"contexts_broadcast"}),
    "AnyContextAccepted": (altered(planted.AnyContextAccepted), {"wrong_contexts_are_refused"}),
    "NaNAtInfinity": (altered(planted.NaNAtInfinity), {"never_nan"}),
    "HostOnly": (altered(planted.HostOnly), {"compiled_equals_eager"}),
    "ContextCut": (standing_on(planted.ContextCutForTheFirstColumn(2, 2)), {"every_column_sees_the_context"}),
    "FunctionInAField": (standing_on(planted.FunctionInAField()), {"survives_save_and_load"}),
    "NaNGradientFarOut": (standing_on(planted.NaNGradientFarOut()), {"gradients_are_finite"}),
    "LogDetForgotten": (standing_on(planted.LogDetForgotten()), {"density_sums_to_one"}),
    "LogDetForgotten, many columns": (standing_on(planted.LogDetForgotten(6)), {"log_det_is_the_jacobian"}),
    "InverseSlightlyOff, many columns": (standing_on(planted.InverseSlightlyOff(6)), {"round_trip"}),
    "SamplesTooNarrow, many columns": (altered(planted.SamplesTooNarrow, dim=6), {"samples_follow_the_density"}),
    "PermutationNotUndone": (standing_on(planted_layers.PermutationNotUndone()), {"round_trip"}),
    "VolumeForgotten": (resting_on(planted_layers.VolumeForgotten()), {"density_sums_to_one"}),
    "FlatNaNOutside": (resting_on(planted_layers.FlatNaNOutside()), {"never_nan"}),
    "FlatEverywhere": (resting_on(planted_layers.FlatEverywhere()), {"never_nan", "density_sums_to_one"}),
}

COLUMNS = {
    "VolumeForgotten": (planted_columns.VolumeForgotten(), {"log_volume_is_the_slope", "masses_sum_to_one"}),
    "VolumeOfTheInnerScale": (
        planted_columns.VolumeOfTheInnerScale(),
        {"log_volume_is_the_slope", "masses_sum_to_one"},
    ),
    "VolumeSignWrong": (planted_columns.VolumeSignWrong(), {"log_volume_is_the_slope", "masses_sum_to_one"}),
    "VolumeOfAMass": (planted_columns.VolumeOfAMass(), {"masses_have_no_volume", "masses_sum_to_one"}),
    "WidthForgotten": (
        planted_columns.WidthForgotten(),
        {"volume_of_a_narrow_cell_is_its_width", "masses_sum_to_one"},
    ),
    "WidthOfTheNextCell": (planted_columns.WidthOfTheNextCell(), {"volume_of_a_narrow_cell_is_its_width"}),
    "NarrowCellsInFloat32": (planted_columns.NarrowCellsInFloat32(), {"cells_tile_the_line"}),
    "NothingFarOut": (planted_columns.NothingFarOut(), {"open_ends_have_mass"}),
    "VolumeInAColumn": (planted_columns.VolumeInAColumn(), {"shapes_follow_the_cells"}),
    "NarrowedInside": (planted_columns.NarrowedInside(), {"cells_come_back"}),
    "SlightlyOff": (planted_columns.SlightlyOff(), {"cells_come_back", "draws_lie_in_the_range"}),
    "MissingComesBackAsZero": (planted_columns.MissingComesBackAsZero(), {"cells_come_back"}),
    "MissingIsAPoint": (planted_columns.MissingIsAPoint(), {"cells_come_back", "masses_sum_to_one"}),
    "PointsInAnotherOrder": (planted_columns.PointsInAnotherOrder(), {"states_are_what_they_say"}),
    "FoldsFarOut": (planted_columns.FoldsFarOut(), {"cells_come_back", "order_is_kept"}),
    "CellsWithGaps": (planted_columns.CellsWithGaps(), {"cells_tile_the_line", "masses_sum_to_one", "draws_have_mass"}),
    "CellsThatEndAtTheEnds": (
        planted_columns.CellsThatEndAtTheEnds(),
        {"cells_tile_the_line", "masses_sum_to_one"},
    ),
    "EndsForgotten": (planted_columns.EndsForgotten(), {"impossible_cells_have_no_mass"}),
    "StrictnessForgotten": (planted_columns.StrictnessForgotten(), {"impossible_cells_have_no_mass"}),
    "BesideAPointNothing": (planted_columns.BesideAPointNothing(), {"what_lies_beside_counts_as_the_nearest"}),
    "MissingWithoutAMark": (planted_columns.MissingWithoutAMark(), {"impossible_cells_have_no_mass"}),
    "NaNAtInfinity": (planted_columns.NaNAtInfinity(), {"never_nan"}),
    "DrawsLeaveTheRange": (planted_columns.DrawsLeaveTheRange(), {"draws_lie_in_the_range"}),
    "DrawsLieBesideTheGrid": (planted_columns.DrawsLieBesideTheGrid(), {"draws_lie_in_the_range", "draws_have_mass"}),
    "DrawsAPoint": (planted_columns.DrawsAPoint(), {"draws_have_mass"}),
    "MixedByTheBatchMean": (planted_columns.MixedByTheBatchMean(), {"rows_do_not_mix"}),
    "StateLeftOut": (planted_columns.StateLeftOut(), {"survives_its_state"}),
    "NumpyInTheState": (planted_columns.NumpyInTheState(), {"survives_its_state"}),
}

KINDS = {
    "bijection": (BIJECTIONS, bijection, laws.check_bijection),
    "base": (BASES, base, laws.check_base),
    "flow": (FLOWS, flow, laws.check_flow),
    "column": (COLUMNS, column, laws.check_column),
}
FAULTS = [
    pytest.param(*fault, module, check, id=f"{kind}, {name}")
    for kind, (faults, module, check) in KINDS.items()
    for name, fault in faults.items()
]
TOO_SMALL_FOR_FLOAT32 = {"InverseSlightlyOff", "NarrowedInside", "ReturnsFloat32"}
WITHOUT_NUMBERS = {
    "log_det_is_the_finite_difference",  # tried in float64 alone
    "fields_are_arrays_or_static",
    "shapes_follow_the_batch",
    "survives_save_and_load",
    "wrong_contexts_are_refused",
    "compiled_equals_eager",
}
FAULTS_IN_FLOAT32 = [
    pytest.param(wrong, seen, module, id=f"{kind}, {name}")
    for kind, (faults, module, _) in KINDS.items()
    if kind != "column"  # which is float64 on the host
    for name, (wrong, by) in faults.items()
    if name.partition(",")[0] not in TOO_SMALL_FOR_FLOAT32
    if (seen := by - WITHOUT_NUMBERS)
]


@pytest.mark.parametrize(("wrong", "by", "module", "check"), FAULTS)
def test_a_fault_is_noticed(wrong, by, module, check, monkeypatch):
    broken = module.broken_by(wrong)
    assert by <= {law for law, _ in broken}
    monkeypatch.setattr(module, "broken_by", lambda *_, **__: broken)  # once is slow enough
    with pytest.raises(AssertionError) as noticed:
        check(wrong)
    assert str(noticed.value) == f"{type(wrong).__name__}: {broken[0].seen} (law: {broken[0].law})"


def enough(faults):
    """The first faults that together break, kind by kind, every law that any of them breaks."""
    broken = set()
    for fault in faults:
        laws_of_it = {(fault.values[2], law) for law in fault.values[1]}
        if laws_of_it - broken:
            broken |= laws_of_it
            yield fault


def pytest_generate_tests(metafunc):
    if metafunc.function is test_a_fault_is_noticed_in_float32:
        is_full = metafunc.config.getoption("--matrix") == "full"
        faults = FAULTS_IN_FLOAT32 if is_full else list(enough(FAULTS_IN_FLOAT32))
        metafunc.parametrize(("wrong", "by", "module"), faults)


def test_a_fault_is_noticed_in_float32(wrong, by, module):
    assert by <= {law for law, _ in module.broken_by(wrong, dtype="float32")}


@pytest.mark.parametrize("kind", KINDS)
def test_every_law_notices_a_fault(kind):
    faults, module, _ = KINDS[kind]
    noticing = set.union(*(by for _, by in faults.values()))
    assert {law.__name__ for law in module.LAWS} <= noticing


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_the_faults_differ_from_is_right(dtype):
    laws.check_bijection(planted.ShiftAndScale(), dtype=dtype)
    laws.check_bijection(planted_layers.TanhCoupling(3), dtype=dtype)
    laws.check_bijection(planted_layers.TanhCoupling(3, 1), dtype=dtype)
    laws.check_base(planted.Bell(), dtype=dtype)
    laws.check_base(planted_layers.Flat(), dtype=dtype)
    laws.check_flow(resting_on(planted_layers.Flat()), dtype=dtype)
    laws.check_flow(altered(Flow, context_dim=1), dtype=dtype)
    laws.check_flow(altered(Flow, dim=6), dtype=dtype)


def test_the_columns_that_faults_differ_from_are_right():
    for right in ("Mixed", "Counted", "FinelyCounted", "Hours"):
        laws.check_column(getattr(planted_columns, right)())
    laws.check_column(Column("real", scale=planted_columns.Cubed(3.0, 2.0)))
