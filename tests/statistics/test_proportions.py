"""Intervals and tests of how often problems are solved, against published values and by simulation."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.statistics.proportions import (
    mcnemar_p_value,
    mean_of_arms,
    paired_difference_by_arm,
    paired_success_interval,
    pass_at_k,
    success_interval,
)


def outcomes(right, wrong):
    return np.repeat([1.0, 0.0], [right, wrong])


@pytest.mark.parametrize(("right", "wrong"), [(0, 7), (1, 9), (81, 182), (15, 133), (20, 0)])
def test_one_completion_per_problem_has_wilsons_interval(right, wrong):
    mean, low, high = success_interval(outcomes(right, wrong))
    expected = stats.binomtest(right, right + wrong).proportion_ci(method="wilson")
    assert mean == right / (right + wrong)
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_completions_of_one_problem_are_a_cluster():
    alike = success_interval(outcomes(6, 4), 8)  # each problem is always or never solved: 8 completions say no more
    assert alike == pytest.approx(success_interval(outcomes(6, 4)))
    independent = success_interval(np.full(10, 0.5), 8)
    assert independent == pytest.approx(success_interval(outcomes(40, 40)))
    assert success_interval(np.ones(10), 8) == pytest.approx(success_interval(np.ones(10)))


def test_the_interval_covers_the_mean_of_clustered_completions():
    rng = np.random.default_rng(0)
    chances = rng.beta(0.6, 0.9, size=(2000, 50))  # of every problem; the mean chance is 0.4
    shares = rng.binomial(4, chances) / 4
    covered = [low <= 0.4 <= high for _, low, high in (success_interval(row, 4) for row in shares)]
    assert 0.93 < np.mean(covered) < 0.97


def test_the_interval_of_the_mean_over_arms_covers_it():
    rng = np.random.default_rng(0)
    chances = np.array([0.97, 0.6, 0.05])
    samples = rng.random((2000, 3, 40)) < chances[:, None]
    found = [mean_of_arms([success_interval(arm.astype(float)) for arm in sample]) for sample in samples]
    assert 0.93 < np.mean([low <= chances.mean() <= high for _, low, high in found]) < 0.98
    assert mean_of_arms([(0.5, 0.4, 0.7)]) == pytest.approx((0.5, 0.4, 0.7))


@pytest.mark.parametrize("shares", [[], [0.5, 1.1], [[0.5]], [math.nan]])
def test_shares_that_are_none_are_named(shares):
    with pytest.raises(InvalidValueError, match="one number from 0 to 1 for each problem"):
        success_interval(np.array(shares))


@pytest.mark.parametrize(("right", "size", "k"), [(0, 5, 3), (2, 5, 1), (2, 5, 3), (3, 5, 3), (5, 5, 5)])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_completion(right, size, k):
    subsets = list(combinations(range(size), k))
    expected = np.mean([min(subset) < right for subset in subsets])
    assert pass_at_k(np.array([right]), size, k) == pytest.approx([expected])


def test_pass_at_k_is_unbiased_and_does_not_overflow():
    chance, size, k = 0.15, 10, 4
    ways = stats.binom.pmf(np.arange(size + 1), size, chance)
    assert ways @ pass_at_k(np.arange(size + 1), size, k) == pytest.approx(1 - (1 - chance) ** k)
    large = pass_at_k(np.array([0, 1, 5000]), 10_000, 2000)
    assert large[:2] == pytest.approx([0, 0.2])
    assert large[2] == pytest.approx(1)


@pytest.mark.parametrize(("right", "k", "message"), [(2, 6, "k is 6"), (2, 0, "k is 0"), (6, 1, "from 0 to 5")])
def test_numbers_that_pass_at_k_cannot_have_are_named(right, k, message):
    with pytest.raises(InvalidValueError, match=message):
        pass_at_k(np.array([right]), 5, k)


def pairs(both, gained, lost, neither):
    mine = np.repeat([True, True, False, False], [both, gained, lost, neither])
    other = np.repeat([True, False, True, False], [both, gained, lost, neither])
    return mine, other


def newcombes(both, gained, lost, neither):
    """Method 10 of Newcombe 1998, written out in its own notation for the table [[e, f], [g, h]]."""
    e, f, g, h = both, gained, lost, neither
    n = e + f + g + h
    one, two = (stats.binomtest(k, n).proportion_ci(method="wilson") for k in (e + f, e + g))
    product = (e + f) * (g + h) * (e + g) * (f + h)
    corrected = e * h - f * g if e * h < f * g else max(e * h - f * g - n / 2, 0)
    phi = corrected / math.sqrt(product) if product else 0
    dl2, du2 = (e + f) / n - one.low, one.high - (e + f) / n
    dl3, du3 = (e + g) / n - two.low, two.high - (e + g) / n
    delta = math.sqrt(dl2**2 - 2 * phi * dl2 * du3 + du3**2)
    epsilon = math.sqrt(du2**2 - 2 * phi * du2 * dl3 + dl3**2)
    return (f - g) / n, (f - g) / n - delta, (f - g) / n + epsilon


@pytest.mark.parametrize(
    "table", [(14, 5, 0, 22), (1, 1, 7, 12), (59, 6, 16, 80), (2, 9, 8, 1), (0, 1, 0, 49), (0, 5, 0, 0)]
)
def test_the_paired_interval_is_newcombes(table):
    assert paired_success_interval(*pairs(*table)) == pytest.approx(newcombes(*table))


def test_where_nothing_flips_the_interval_has_a_width():
    for table in ((10, 0, 0, 10), (20, 0, 0, 0)):
        difference, low, high = paired_success_interval(*pairs(*table))
        assert difference == 0
        assert low < 0 < high


def test_the_paired_interval_covers_the_difference():
    rng = np.random.default_rng(0)
    chances = (0.45, 0.15, 0.05, 0.35)
    found = [paired_success_interval(*pairs(*rng.multinomial(60, chances))) for _ in range(2000)]
    assert 0.93 < np.mean([low <= 0.1 <= high for _, low, high in found]) < 0.98


def test_models_of_different_problems_are_not_paired():
    with pytest.raises(InvalidValueError, match="as many as the other model has, 3"):
        paired_success_interval(np.ones(2, dtype=bool), np.ones(3, dtype=bool))


@pytest.mark.parametrize(("gained", "lost", "p"), [(0, 0, 1.0), (5, 5, 1.0), (8, 0, 2 / 2**8), (9, 1, 22 / 2**10)])
def test_mcnemars_test_is_exact(gained, lost, p):
    assert mcnemar_p_value(gained, lost) == pytest.approx(p)


def test_one_arm_has_students_paired_test():
    differences = np.array([0.25, 0.5, -0.25, 0.0, 0.5])
    (mean, low, high), p = paired_difference_by_arm([differences])
    expected = stats.ttest_1samp(differences, 0)
    assert (mean, p) == pytest.approx((differences.mean(), expected.pvalue))
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval()))


def test_arms_count_equally_whatever_their_spread():
    (mean, low, high), p = paired_difference_by_arm([np.array([0.0, 0.0, 0.0]), np.array([0.2, 0.4, 0.6])])
    assert mean == pytest.approx(0.2)
    error = 0.2 / math.sqrt(3) / 2  # of the second arm alone, with its 2 degrees of freedom
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 2) * error)
    assert p == pytest.approx(2 * stats.t.sf(0.2 / error, 2))


def test_differences_without_spread_have_no_interval():
    for differences in ([np.zeros(4)], [np.full(3, 0.5), np.full(3, 0.5)], [np.array([0.5])]):
        (mean, *limits), p = paired_difference_by_arm(differences)
        assert mean == differences[0][0]
        assert np.isnan([*limits, p]).all()
