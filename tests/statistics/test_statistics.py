"""Interval estimates against hand-made cases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.statistics.curves import (
    area_under_curve,
    forgetting,
    median_time,
    speedup_of_area,
    tokens_at_crossing,
    tokens_to_threshold,
)
from dumpgym.statistics.intervals import (
    interquartile_mean,
    interquartile_mean_interval,
    interval_over_runs,
    median_interval,
    paired_difference,
    performance_profile,
    probability_of_improvement,
    restricted_mean,
    success_change,
    variance_removed,
)
from dumpgym.statistics.significance import (
    detectable_difference,
    difference_p_value,
    equivalence_p_value,
    holm,
    pairs_for_equivalence,
    pairs_needed,
    power_of_equivalence,
    power_of_pairs,
    verdict,
)
from dumpgym.statistics.skew import is_skewed, skewness, studentised_interval
from tests.fakes.cases import case


def test_arms_weigh_the_same_however_many_problems_they_have():
    change = success_change({"a": [0, 0], "b": [1] * 8}, {"a": [1, 1], "b": [1] * 8})
    assert (change["success_before"], change["success_after"]) == (0.5, 1.0)
    assert change["success_difference"] == 0.5


def test_where_no_outcome_changed_a_change_is_still_possible():
    """The rule of three: 95 % of samples of 200 have a change of .015 or more in them."""
    outcomes = {"a": [1, 0] * 100}
    low, high = success_change(outcomes, outcomes)["success_difference_interval"]
    assert (low, high) == pytest.approx((-0.0137, 0.0137), abs=1e-4)
    by_arm = {name: [1, 0] * 50 for name in "abcdef"}
    assert success_change(by_arm, by_arm)["success_difference_interval"][1] == pytest.approx(3 / 600, rel=0.1)
    solved = success_change({"a": [0] * 200}, {"a": [1] * 200})["success_difference_interval"]
    assert solved[0] == pytest.approx(0.97, abs=0.003)
    assert solved[1] == 1


def test_the_interval_is_that_of_the_paired_mean():
    """400 pairs with differences of mean .3 and deviation .6403: a normal interval of .3 +- 1.96 * .0320."""
    after = [1] * 160 + [0] * 240
    before = [0] * 160 + [1] * 40 + [0] * 200
    low, high = success_change({"a": before}, {"a": after})["success_difference_interval"]
    assert (low, high) == pytest.approx((0.3 - 0.0627, 0.3 + 0.0627), abs=0.006)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=12))
def test_the_interval_holds_the_difference_and_is_the_same_on_every_call(pairs):
    before, after = ({"a": list(column)} for column in zip(*pairs, strict=True))
    change = success_change(before, after)
    low, high = change["success_difference_interval"]
    assert low - 1e-9 <= change["success_difference"] <= high + 1e-9
    assert change == success_change(before, after)
    assert change["success_difference"] == pytest.approx(np.mean([a - b for b, a in pairs], dtype=float))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12))
def test_the_interval_over_runs_is_students_and_agrees_with_the_p_value(values):
    values = np.round(np.array(values), 3)
    mean, low, high = interval_over_runs(values)
    if np.ptp(values) == 0:
        assert (mean, low, high) == (values[0],) * 3
        return
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert (low <= 0 <= high) == (difference_p_value(values) >= 0.05)


@pytest.mark.parametrize("values", case("numbers", "s01")["values"])
def test_equal_and_nearly_equal_values_have_an_interval_without_a_warning(values):
    estimate, low, high = interval_over_runs(np.array(values))
    assert estimate == pytest.approx(values[0])
    assert (low <= estimate <= high) if len(values) > 1 else (math.isnan(low) and math.isnan(high))


def test_an_interval_ends_where_its_values_must():
    assert interval_over_runs(np.array([0.0, 0.0, 0.3]), (0.0, 1.0))[1] == 0
    assert interval_over_runs(np.array([1.0, 1.0, 0.7]), (0.0, 1.0))[2] == 1
    assert np.isnan(interval_over_runs(np.array([0.5]))[1:]).all()


def test_the_interval_of_a_median_lies_between_order_statistics():
    """Of 8 values the smallest and the largest (99.2 %), of 200 those of rank 86 and 115 (95.2 %), of 5 none."""
    assert median_interval(np.arange(8.0)[::-1]) == (3.5, 0, 7)
    assert median_interval(np.arange(1.0, 201)) == (100.5, 86, 115)
    assert np.isnan(median_interval(np.arange(5.0))[1:]).all()
    rng = np.random.default_rng(0)
    found = [median_interval(rng.exponential(size=20)) for _ in range(1000)]
    assert np.mean([low <= np.log(2) <= high for _, low, high in found]) >= 0.94


def test_a_studentised_interval_reaches_further_to_the_side_of_the_tail():
    values = np.array([0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.4, 3.0])
    mean, low, high = studentised_interval(values)
    assert is_skewed(values)
    assert skewness(values) > 2
    assert mean == pytest.approx(values.mean())
    assert high - mean > 3 * (mean - low)
    mirrored = studentised_interval(-values)
    assert mirrored == pytest.approx((-mean, -high, -low))
    assert not is_skewed(np.arange(8.0))
    assert np.isnan(studentised_interval(np.array([1.0, 1.0, 2.0]))[1:]).all()
    assert np.isnan(skewness(np.ones(5)))


def test_the_interquartile_mean_leaves_out_the_outer_quarters():
    assert interquartile_mean(np.array([100.0, 1, 2, 3, 4, 5, 6, -100])) == (2 + 3 + 4 + 5) / 4


def test_its_interval_is_over_whole_runs():
    """Arms that differ only from each other: whatever runs are left out, the values are the same."""
    assert interquartile_mean_interval(np.tile([0.1, 0.2, 0.6, 0.9], (5, 1))) == pytest.approx((0.4, 0.4, 0.4))
    values = np.random.default_rng(0).normal(size=(40, 3))
    value, low, high = interquartile_mean_interval(values)
    assert value == pytest.approx(np.sort(values.ravel())[30:90].mean())
    assert low < value < high
    assert (high - low) / 2 == pytest.approx(1.96 * 1.2 / math.sqrt(120), rel=0.2)  # its efficiency is about 84 %


def test_paired_differences_do_not_see_what_the_seeds_share():
    control = np.random.default_rng(0).normal(size=8)
    assert paired_difference(control + 0.25, control) == pytest.approx((0.25, 0.25, 0.25), abs=1e-12)
    value, low, high = paired_difference(np.array([1.0, 2, 4]), np.array([1.0, 1, 1]))
    expected = stats.ttest_1samp([0.0, 1, 3], 0).confidence_interval()
    assert (value, low, high) == pytest.approx((4 / 3, expected.low, expected.high))


@pytest.mark.parametrize(
    ("values", "control", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], "number of seeds is 2; accepted: as many as the control has, 3"),
        ([1.0], [1.0], "shape of values is .1,.; accepted: 1 dimensions, and at least 2 runs"),
        ([1.0, math.nan], [1.0, 2.0], "values is .1.0, nan.; accepted: finite numbers"),
    ],
)
def test_what_cannot_be_paired_is_refused(values, control, message):
    with pytest.raises(InvalidValueError, match=message):
        paired_difference(np.array(values), np.array(control))


def test_the_probability_of_improvement_counts_pairs_of_runs_in_the_mean_over_arms():
    """On the first arm 3 of 4 pairs, on the second one tie and one win of 4."""
    values, other = np.array([[3.0, 1.0], [1.0, 0.0]]), np.array([[2.0, 1.0], [0.0, 2.0]])
    assert probability_of_improvement(values, other)[0] == pytest.approx((3 / 4 + 0.5 / 4) / 2)


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 6), st.integers(1, 3))
def test_one_of_two_policies_is_better_with_the_rest_of_the_chance(seed, runs, other_runs, arms):
    rng = np.random.default_rng(seed)
    values, other = (rng.integers(4, size=(n, arms)).astype(float) for n in (runs, other_runs))
    chance, low, high = probability_of_improvement(values, other)
    assert chance + probability_of_improvement(other, values)[0] == pytest.approx(1)
    assert 0 <= low <= high <= 1
    u = [stats.mannwhitneyu(values[:, arm], other[:, arm]).statistic for arm in range(arms)]
    assert chance == pytest.approx(np.mean(u) / (runs * other_runs))


def test_a_performance_profile_is_the_share_above_each_threshold():
    values = np.array([[0.1, 0.5], [0.3, 0.9]])
    shares, low, high = performance_profile(values, np.array([0.0, 0.1, 0.4, 0.95]))
    assert shares.tolist() == [1.0, 0.75, 0.5, 0.0]
    assert ((low <= shares) & (shares <= high)).all()
    assert (low[0], high[0], low[3], high[3]) == (1, 1, 0, 0)
    with pytest.raises(InvalidValueError, match="at least 2 runs"):
        performance_profile(values[:1], np.array([0.5]))


def test_the_area_is_the_mean_height_up_to_the_budget():
    """A line from .2 to .6 over 100 tokens, level for 100 more, cut at 150: (.4 * 100 + .6 * 50) / 150."""
    tokens, values = np.array([0.0, 100, 200]), np.array([0.2, 0.6, 0.6])
    assert area_under_curve(tokens, values, 150) == pytest.approx(70 / 150)
    assert area_under_curve(tokens, values, 50) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("tokens", "budget", "message"),
    [
        ([0, 100, 90], 50, "increasing tokens"),
        ([0, 100, 100], 50, "increasing tokens"),
        ([0, 100, 200], 0, "a budget above 0"),
        ([0, 100, 200], 201, "one from 0 to the budget, 201"),
        ([10, 100, 200], 150, "one from 0 to the budget, 150"),
    ],
)
def test_a_curve_that_does_not_reach_the_budget_has_no_area(tokens, budget, message):
    with pytest.raises(InvalidValueError, match=message):
        area_under_curve(np.array(tokens, float), np.zeros(3), budget)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.6, 0.4, 0.5, 0.7], 30),  # the first time was not held
        ([0.5, 0.5, 0.1, 0.1, 0.1], 0),
        ([0.1, 0.2, 0.3, 0.4, 0.9], math.nan),  # once at the end is not held
        ([0.1] * 5, math.nan),
    ],
)
def test_a_threshold_is_reached_where_it_is_held_twice(values, expected):
    tokens = np.array([0.0, 10, 20, 30, 40])
    assert tokens_to_threshold(tokens, np.array(values), 0.5) == pytest.approx(expected, nan_ok=True)


def test_runs_that_never_reached_the_threshold_are_not_dropped():
    times = np.array([10.0, 20.0, math.nan, 40.0])
    assert restricted_mean(times, 100)[0] == (10 + 20 + 100 + 40) / 4
    assert median_time(times) == 30
    assert math.isnan(median_time(np.array([10.0, math.nan, math.nan])))
    assert math.isnan(median_time(np.array([10.0, math.nan])))  # between 10 and never


def test_forgetting_is_the_way_down_from_the_best():
    success = np.array([[0.2, 0.5], [0.9, 0.6], [0.7, 0.8]])
    assert forgetting(success) == pytest.approx([0.2, 0.0])


DIFFERENCES = np.array([0.1, 0.3, 0.2, 0.4])  # mean .25, deviation sqrt(.05 / 3), t = .25 / (deviation / 2)


def test_p_values_are_those_of_students_test_on_the_differences():
    error = math.sqrt(0.05 / 3) / 2
    assert difference_p_value(DIFFERENCES) == pytest.approx(2 * stats.t.sf(0.25 / error, 3))
    assert equivalence_p_value(DIFFERENCES, 0.5) == pytest.approx(stats.t.sf(0.25 / error, 3))
    assert equivalence_p_value(-DIFFERENCES, 0.5) == pytest.approx(equivalence_p_value(DIFFERENCES, 0.5))
    assert equivalence_p_value(DIFFERENCES, 0.2) > 0.5  # the mean is outside
    assert math.isnan(difference_p_value(DIFFERENCES[:1]))
    assert math.isnan(equivalence_p_value(DIFFERENCES[:1], 1.0))


def test_differences_that_are_all_alike_leave_nothing_to_chance():
    same = np.full(3, 0.25)
    assert (difference_p_value(same), difference_p_value(np.zeros(3))) == (0.0, 1.0)
    assert (equivalence_p_value(same, 0.3), equivalence_p_value(same, 0.2)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("difference_p", "equivalence_p", "expected"),
    [
        (0.01, 0.5, "different"),
        (0.01, 0.01, "different, within the margin"),
        (0.5, 0.01, "equivalent"),
        (0.5, 0.5, "undecided"),
        (math.nan, math.nan, "undecided"),
    ],
)
def test_a_verdict_needs_a_test_that_allows_it(difference_p, equivalence_p, expected):
    assert verdict(difference_p, equivalence_p) == expected


def test_holm_steps_down():
    """.01 * 4; then .02 * 3; then .03 * 2, but not below the one before; the largest as it is, likewise."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    with pytest.raises(InvalidValueError, match="accepted: numbers from 0 to 1"):
        holm([0.5, math.nan])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_adjustment_and_bonferronis(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-12).all()
    assert (adjusted <= np.minimum(1, len(p) * np.array(p)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_power_is_that_of_simulated_tests():
    """Cohen's table: an effect of .8 needs 15 pairs for a power of .8, one of .5 needs 34."""
    assert power_of_pairs(0.8, 15) >= 0.8 > power_of_pairs(0.8, 14)
    assert power_of_pairs(0.5, 34) >= 0.8 > power_of_pairs(0.5, 33)
    rng = np.random.default_rng(0)
    samples = rng.normal(0.6, 1, size=(4000, 12))
    seen = (stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean()
    assert power_of_pairs(0.6, 12) == pytest.approx(seen, abs=0.02)


def test_the_seeds_that_a_margin_needs_grow_with_the_spread_and_not_with_the_mean():
    unit = np.array([-1.0, 1.0])
    noise = np.concatenate([unit, unit, unit, unit]) * math.sqrt(7 / 8)  # mean 0, deviation 1
    assert pairs_needed(noise, 0.8) == pairs_needed(noise + 3, 0.8) == 15
    assert pairs_needed(noise * 10, 8) == 15
    assert pairs_needed(noise, 0.001) == math.inf
    assert pairs_needed(np.full(4, 0.3), 0.1) == pairs_for_equivalence(np.full(4, 0.3), 0.1) == 2
    with pytest.raises(InvalidValueError, match="size of the difference is 0"):
        pairs_needed(noise, 0)
    smallest = detectable_difference(noise)
    assert power_of_pairs(smallest, 8) == pytest.approx(0.8)
    assert detectable_difference(np.full(4, 0.3)) == 0


def test_the_power_of_equivalence_is_that_of_simulated_tests():
    samples = np.random.default_rng(0).normal(0, 1, size=(4000, 10))
    sides = [stats.ttest_1samp(samples, mean, axis=1, alternative=side).pvalue for mean, side in
             ((-1.1, "greater"), (1.1, "less"))]  # fmt: skip
    assert power_of_equivalence(1.1, 10) == pytest.approx((np.max(sides, axis=0) < 0.05).mean(), abs=0.02)
    differences = np.array([-1.0, 1.0] * 4) * math.sqrt(7 / 8)
    needed = pairs_for_equivalence(differences, 0.5)
    assert power_of_equivalence(0.5, needed) >= 0.8 > power_of_equivalence(0.5, needed - 1)
    assert needed > pairs_for_equivalence(differences, 1.0)


def test_pairing_removes_what_the_seeds_share():
    rng = np.random.default_rng(0)
    shared, mine, its = rng.normal(size=(3, 4000))
    assert variance_removed(2 * shared + mine, 2 * shared + its) == pytest.approx(4 / 5, abs=0.02)
    assert variance_removed(mine, its) == pytest.approx(0, abs=0.05)
    assert variance_removed(shared, -shared) == pytest.approx(-1)
    assert variance_removed(shared, shared + 1) == 1
    assert math.isnan(variance_removed(np.ones(3), np.ones(3)))
    assert math.isnan(variance_removed(np.ones(1), np.zeros(1)))


def test_a_curve_is_crossed_between_two_evaluations():
    tokens, values = np.array([0.0, 100, 200, 300]), np.array([0.2, 0.6, 0.9, 0.9])
    assert tokens_at_crossing(tokens, values, 0.7) == pytest.approx(100 + 100 / 3)
    assert tokens_at_crossing(tokens, values, 0.6) == 100
    assert tokens_at_crossing(tokens, values, 0.1) == 0
    assert math.isnan(tokens_at_crossing(tokens, values, 0.95))
    once = np.array([0.2, 0.8, 0.3, 0.8])
    assert math.isnan(tokens_at_crossing(tokens, once, 0.7))


def test_the_speed_up_that_gains_an_area():
    """A line from 0 to 1 over 100 tokens has area .5; s times as fast it has 1 - .5 / s, which is .6 for s = 1.25."""
    line = (np.array([0.0, 100.0]), np.array([0.0, 1.0]))
    assert speedup_of_area([line], 0.1, 100) == pytest.approx(1.25)
    assert speedup_of_area([line, line], 0.1, 100) == pytest.approx(1.25)
    assert speedup_of_area([line], 0.6, 100) == math.inf
    beyond = (np.array([0.0, 100.0, 200.0]), np.array([0.0, 1.0, 2.0]))  # it goes on after the budget: area .5 s
    assert speedup_of_area([beyond], 0.1, 100) == pytest.approx(1.2)


RUNS, ARMS, REPEATS = 8, 6, 400


@pytest.fixture(scope="module")
def correlated():
    """Runs of two policies, (repeats, runs, arms) each: arms of a run correlate by .5, and so do runs of one seed."""
    rng = np.random.default_rng(5)
    seed, one, other = rng.normal(size=(3, REPEATS, RUNS, 1))
    own = rng.normal(size=(2, REPEATS, RUNS, ARMS))
    level = np.linspace(3, -3, ARMS)
    return level + 0.5 * seed + 0.5 * one + own[0] / 2**0.5, level + 0.5 * seed + 0.5 * other + own[1] / 2**0.5


def coverage(intervals, truth):
    return np.mean([low <= truth <= high for _, low, high in intervals])


def test_intervals_over_runs_cover_the_mean_as_often_as_they_say(correlated):
    assert 0.93 <= coverage([interval_over_runs(values[:, 0]) for values in correlated[0]], 3) <= 0.97


def test_intervals_over_runs_and_arms_cover_although_the_arms_of_a_run_are_alike(correlated):
    """Resampling arms apart covers with .75. By symmetry the interquartile mean is 0, and a share or a chance .5."""
    one, other = correlated
    assert 0.92 <= coverage(map(interquartile_mean_interval, one), 0) <= 0.98
    assert 0.92 <= coverage(map(probability_of_improvement, one, other), 0.5) <= 0.98
    profiles = np.array([performance_profile(values, np.zeros(1)) for values in one])[..., 0]
    assert 0.92 <= coverage(profiles, 0.5) <= 0.98


def test_pairing_narrows_the_interval_of_the_probability_of_improvement(correlated):
    one, other = (values[0] for values in correlated)
    shared = 3 * np.random.default_rng(0).normal(size=(RUNS, 1))
    widths = [high - low for _, low, high in (
        probability_of_improvement(one + shared, other + shared),
        probability_of_improvement(one + shared, (other + shared)[::-1]),
    )]  # fmt: skip
    assert widths[0] < 0.7 * widths[1]


def test_runs_that_all_agree_leave_room_for_one_that_does_not():
    values = np.random.default_rng(0).uniform(size=(8, 3))
    assert probability_of_improvement(values + 2, values) == pytest.approx((1, 0.05 ** (1 / 8), 1))
    assert probability_of_improvement(values - 2, values) == pytest.approx((0, 0, 1 - 0.05 ** (1 / 8)))
