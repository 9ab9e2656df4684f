"""Interval estimates against hand-made cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.statistics import interval_over_runs, success_change


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
