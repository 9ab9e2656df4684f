"""Interval estimates against hand-made cases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.statistics.curves import area_under_curve, forgetting, median_time, tokens_to_threshold
from dumpgym.statistics.intervals import (
    interquartile_mean,
    interquartile_mean_interval,
    interval_over_runs,
    paired_difference,
    performance_profile,
    probability_of_improvement,
    restricted_mean,
    success_change,
)
from dumpgym.statistics.significance import (
    detectable_difference,
    difference_p_value,
    equivalence_p_value,
    holm,
    pairs_needed,
    power_of_pairs,
    verdict,
)


def test_arms_weigh_the_same_however_many_problems_they_have():
    change = success_change({"a": [0, 0], "b": [1] * 8}, {"a": [1, 1], "b": [1] * 8})
    assert (change["success_before"], change["success_after"]) == (0.5, 1.0)
    assert change["success_difference"] == 0.5


def test_pairs_that_never_differ_have_an_interval_of_no_width():
    outcomes = {"a": [1, 0, 1], "b": [0, 0, 0]}
    assert success_change(outcomes, outcomes)["success_difference_interval"] == [0.0, 0.0]


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


def test_the_interval_over_runs_covers_the_mean_and_the_median():
    values = np.random.default_rng(1).exponential(size=400)
    mean, low, high = interval_over_runs(values)
    assert mean == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert (mean - low, high - mean) == pytest.approx((half, half), rel=0.15)
    median, low, high = interval_over_runs(values, np.median)
    assert median == pytest.approx(np.median(values))
    assert low < np.log(2) < high
    assert interval_over_runs(np.full(5, 0.25)) == (0.25, 0.25, 0.25)


def test_the_interquartile_mean_leaves_out_the_outer_quarters():
    assert interquartile_mean(np.array([100.0, 1, 2, 3, 4, 5, 6, -100])) == (2 + 3 + 4 + 5) / 4


def test_its_interval_resamples_runs_within_each_arm():
    """Arms that differ only from each other: whatever runs are drawn, the values are the same."""
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
    assert (value, low, high) == pytest.approx((4 / 3, 0.0, 3.0))


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


def test_the_seeds_that_a_difference_needs_grow_with_its_noise():
    unit = np.array([-1.0, 1.0])
    noise = np.concatenate([unit, unit, unit, unit]) * math.sqrt(7 / 8)  # mean 0, deviation 1
    assert pairs_needed(noise + 0.8) == 15
    assert pairs_needed(noise * 10 + 8) == 15
    assert pairs_needed(noise) == math.inf
    assert pairs_needed(noise + 0.001) == math.inf
    assert pairs_needed(np.full(4, 0.3)) == 2
    smallest = detectable_difference(noise)
    assert power_of_pairs(smallest, 8) == pytest.approx(0.8)
    assert detectable_difference(np.full(4, 0.3)) == 0


def test_the_bootstrap_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = sum(low <= 0.0 <= high for _, low, high in (interval_over_runs(rng.normal(size=20)) for _ in range(200)))
    assert 0.88 <= hits / 200 <= 0.98
