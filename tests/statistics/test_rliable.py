"""Estimates beside those of rliable, whose authors proposed them (arXiv 2108.13264).

The intervals differ by design: rliable resamples the runs of every arm apart, which is too narrow where the arms of a
run share a model. ``test_statistics`` measures how often ours cover.
"""

import numpy as np
import pytest
from rliable import library, metrics

from dumpgym.statistics.intervals import interquartile_mean_interval, performance_profile, probability_of_improvement

pytestmark = pytest.mark.filterwarnings("ignore:random_state is deprecated:FutureWarning")  # of arch, to rliable
SEEDS, ARMS = 8, 6


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(3)
    level = np.linspace(0.9, 0.3, ARMS)
    return {
        "uniform": np.clip(rng.normal(level, 0.08, size=(SEEDS, ARMS)), 0, 1),
        "dump": np.clip(rng.normal(level + 0.05, 0.05, size=(SEEDS, ARMS)), 0, 1),
    }


def test_the_interquartile_mean(scores):
    for values in scores.values():
        assert interquartile_mean_interval(values)[0] == pytest.approx(metrics.aggregate_iqm(values))


def test_the_probability_of_improvement(scores):
    expected = metrics.probability_of_improvement(scores["dump"], scores["uniform"])
    assert probability_of_improvement(scores["dump"], scores["uniform"])[0] == pytest.approx(expected)


def test_intervals_of_correlated_arms_are_wider_than_theirs(scores):
    """A run whose arms rise and fall together tells as much as one arm does."""
    together = np.random.default_rng(1).normal(0, 0.2, size=(SEEDS, 1))
    values = scores["uniform"] + together
    random_state = np.random.RandomState(0)
    _, intervals = library.get_interval_estimates(
        {"uniform": values}, lambda runs: np.array([metrics.aggregate_iqm(runs)]), reps=200, random_state=random_state
    )
    (their_low,), (their_high,) = intervals["uniform"]
    _, low, high = interquartile_mean_interval(values)
    assert high - low > 1.5 * (their_high - their_low)


def test_the_performance_profile(scores):
    thresholds = np.linspace(0.2, 0.9, 8)
    points, _ = library.create_performance_profile(scores, thresholds, reps=2)
    for name, values in scores.items():
        np.testing.assert_allclose(performance_profile(values, thresholds)[0], points[name])
