"""Estimates and intervals beside those of rliable, whose authors proposed them (arXiv 2108.13264)."""

import numpy as np
import pytest
from rliable import library, metrics

from dumpgym.statistics.intervals import interquartile_mean_interval, performance_profile, probability_of_improvement

pytestmark = pytest.mark.filterwarnings("ignore:random_state is deprecated:FutureWarning")  # of arch, to rliable
SEEDS, ARMS = 8, 6
MONTE_CARLO = 0.12  # of an interval's width: both are of a thousand draws or two


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(3)
    level = np.linspace(0.9, 0.3, ARMS)
    return {
        "uniform": np.clip(rng.normal(level, 0.08, size=(SEEDS, ARMS)), 0, 1),
        "dump": np.clip(rng.normal(level + 0.05, 0.05, size=(SEEDS, ARMS)), 0, 1),
    }


def theirs(scores, function):
    random_state = np.random.RandomState(0)
    points, intervals = library.get_interval_estimates(scores, function, reps=1000, random_state=random_state)
    return {name: (points[name], *intervals[name]) for name in scores}


def near(found, expected):
    value, low, high = found
    their_value, (their_low,), (their_high,) = (np.ravel(part) for part in expected)
    assert value == pytest.approx(float(their_value[0]))
    assert [low, high] == pytest.approx([their_low, their_high], abs=MONTE_CARLO * (their_high - their_low))
    assert low < value < high


def test_the_interquartile_mean_and_its_stratified_interval(scores):
    expected = theirs(scores, lambda values: np.array([metrics.aggregate_iqm(values)]))
    for name, values in scores.items():
        near(interquartile_mean_interval(values), expected[name])


def test_the_probability_of_improvement(scores):
    pair = {"pair": (scores["dump"], scores["uniform"])}
    expected = theirs(pair, lambda one, other: np.array([metrics.probability_of_improvement(one, other)]))
    near(probability_of_improvement(scores["dump"], scores["uniform"]), expected["pair"])


def test_the_performance_profile(scores):
    thresholds = np.linspace(0.2, 0.9, 8)
    points, bands = library.create_performance_profile(scores, thresholds, reps=1000)
    for name, values in scores.items():
        share, low, high = performance_profile(values, thresholds)
        np.testing.assert_allclose(share, points[name])
        np.testing.assert_allclose([low, high], bands[name], atol=1.01 / (SEEDS * ARMS))  # by at most one run and arm
