"""The chance of each arm to win when arms draw from Beta distributions, by closed forms, integrals and draws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from dumpgym.agents.bandits.beta_selection import probability_of_largest_beta, probability_of_nearest_beta

parameter = st.floats(-1, 4).map(lambda exponent: 10**exponent)
arms_of_beta = st.lists(st.tuples(parameter, parameter), min_size=1, max_size=5)


def columns(arms):
    return (np.array(values) for values in zip(*arms, strict=True))


@given(st.lists(st.floats(-1, 5), min_size=1, max_size=8))
def test_the_largest_of_powers_of_uniform_numbers_is_known_in_closed_form(exponents):
    """Beta(a, 1) is the largest with a chance in proportion to a; of two Beta(1, b), the one with b_2 / (b_1 + b_2)."""
    shape = 10 ** np.array(exponents)
    p = probability_of_largest_beta(shape, np.ones_like(shape))
    np.testing.assert_allclose(p, shape / shape.sum(), rtol=0, atol=1e-9)
    two = shape[:2]
    p = probability_of_largest_beta(np.ones_like(two), two)
    np.testing.assert_allclose(p, two[::-1] / two.sum(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_chance_to_be_the_largest_is_the_integral(seed):
    """By the quantiles u of one arm: the mean of prod F_e(Q(u))."""
    a, b = 10 ** np.random.default_rng(seed).uniform(-0.5, 1.5, size=(2, 2 + seed % 3))

    def others_are_smaller(u, arm):
        x = beta.ppf(u, a[arm], b[arm])
        return math.prod(beta.cdf(x, a[other], b[other]) for other in range(len(a)) if other != arm)

    expected = [quad(others_are_smaller, 0, 1, args=(arm,), epsabs=1e-9, limit=200)[0] for arm in range(len(a))]
    np.testing.assert_allclose(probability_of_largest_beta(a, b), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("target", [0.5, 0.2, 0.9])
def test_the_chance_to_be_the_nearest_is_the_integral(target):
    a, b = np.array([2.5, 7.0, 1.0]), np.array([4.0, 3.0, 1.5])

    def others_are_farther(x, arm):
        others = [other for other in range(3) if other != arm]
        low, high = target - abs(x - target), target + abs(x - target)
        farther = beta.cdf(low, a[others], b[others]) + beta.sf(high, a[others], b[others])
        return beta.pdf(x, a[arm], b[arm]) * farther.prod()

    kinks = [x for x in (target, 2 * target, 2 * target - 1) if 0 < x < 1]
    expected = [quad(others_are_farther, 0, 1, args=(arm,), points=kinks, epsabs=1e-12)[0] for arm in range(3)]
    np.testing.assert_allclose(probability_of_nearest_beta(a, b, target), expected, rtol=0, atol=1e-9)


@given(arms_of_beta, st.floats(0.001, 0.999))
@settings(max_examples=40)
def test_the_chances_sum_to_one_and_agree_with_draws(arms, target):
    """Of 40,000 draws, a share is off by 0.02 with a chance below 1e-13 (Hoeffding)."""
    a, b = columns(arms)
    x = np.random.default_rng(0).beta(a, b, (40_000, len(a)))
    for p, best in (
        (probability_of_largest_beta(a, b), x.argmax(axis=1)),
        (probability_of_nearest_beta(a, b, target), np.abs(x - target).argmin(axis=1)),
    ):
        assert p.sum() == pytest.approx(1)
        np.testing.assert_allclose(p, np.bincount(best, minlength=len(a)) / 40_000, rtol=0, atol=0.02)


@given(arms_of_beta, st.sampled_from([0.001, 0.3, 0.5]))
@settings(max_examples=40)
def test_the_nearest_to_a_target_is_the_nearest_in_the_mirror(arms, target):
    a, b = columns(arms)
    p, mirrored = probability_of_nearest_beta(a, b, target), probability_of_nearest_beta(b, a, 1 - target)
    np.testing.assert_allclose(p, mirrored, rtol=0, atol=1e-6)


def test_the_chances_are_those_of_every_run():
    a, b = np.array([[0.1, 2, 3], [5, 6, 70]]), np.array([[0.4, 8, 1], [2, 2e6, 2]])
    largest, nearest = probability_of_largest_beta(a, b), probability_of_nearest_beta(a, b, 0.4)
    for row in range(2):
        assert largest[row].tolist() == probability_of_largest_beta(a[row], b[row]).tolist()
        assert nearest[row].tolist() == probability_of_nearest_beta(a[row], b[row], 0.4).tolist()


def test_beliefs_of_few_rollouts_beside_those_of_millions_are_compared():
    """Beta(0.1, 0.1) is above x with the chance that its distribution function says."""
    a, b = np.array([3e6, 0.1]), np.array([1e6, 0.1])
    above = beta.sf(0.75, 0.1, 0.1)
    np.testing.assert_allclose(probability_of_largest_beta(a, b), [1 - above, above], rtol=0, atol=1e-4)
    np.testing.assert_allclose(probability_of_nearest_beta(a, b, 0.75), [1, 0], rtol=0, atol=1e-3)
