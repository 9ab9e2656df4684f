"""Tests of paired differences: Student's test, equivalence, Holm's adjustment, and the number of seeds they need.

The tests are Student's and not nonparametric ones, because runs are expensive: with 4 or 5 pairs no Wilcoxon
signed-rank test has a two-sided p-value below .05, whatever the differences.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from dumpgym.contracts.errors import InvalidValueError, require_number

_MOST_PAIRS = 10_000
# Nodes and weights of Gauss and Legendre's rule from 0 to 1.
_QUANTILES, _WEIGHTS = (np.polynomial.legendre.leggauss(100) + np.array([[1.0], [0.0]])) / 2
_CERTAIN = 50.0  # effect, in standard deviations, that even two pairs detect almost certainly


def difference_p_value(differences: NDArray[np.float64]) -> float:
    """Returns the two-sided p-value of Student's test that paired differences have mean 0.

    Args:
        differences: difference of every pair, (seeds,). The p-value is NaN for one seed.
    """
    return _t_test(differences, 0.0, "two-sided")


def equivalence_p_value(differences: NDArray[np.float64], margin: float) -> float:
    """Returns the p-value of two one-sided tests for a mean difference within a margin (Schuirmann 1987).

    Args:
        differences: difference of every pair, (seeds,). The p-value is NaN for one seed.
        margin: largest difference that does not matter, above 0.
    """
    # A large p-value of ``difference_p_value`` does not show that two policies are equal; too few seeds give one too.
    # Here the null hypothesis is that the mean difference reaches the margin on either side, and both sides have to be
    # rejected, so the p-value is the larger of the two.
    require_number("margin", margin, above=0)
    sides = [_t_test(differences, -margin, "greater"), _t_test(differences, margin, "less")]
    return float(np.max(sides))


def _t_test(differences: NDArray[np.float64], mean: float, alternative: str) -> float:
    if len(differences) < 2:
        return float("nan")
    if np.ptp(differences) == 0:  # the variance is 0, and t is infinite or undefined
        off = differences[0] - mean
        holds = {"two-sided": off != 0, "greater": off > 0, "less": off < 0}[alternative]
        return 0.0 if holds else 1.0
    return float(stats.ttest_1samp(differences, mean, alternative=alternative).pvalue)


def verdict(difference_p: float, equivalence_p: float, level: float = 0.05) -> str:
    """Names the conclusion that two tests of paired differences allow.

    Args:
        difference_p: p-value of ``difference_p_value``, adjusted for the number of comparisons.
        equivalence_p: p-value of ``equivalence_p_value``, adjusted likewise.
        level: significance level of both tests.

    Returns:
        "different", "different, within the margin", "equivalent" or "undecided".
    """
    if difference_p < level:
        return "different, within the margin" if equivalence_p < level else "different"
    return "equivalent" if equivalence_p < level else "undecided"


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Adjusts p-values for the number of comparisons by Holm's step-down method (1979).

    Args:
        p_values: p-value of every comparison.

    Returns:
        The adjusted p-values, in the order of ``p_values``.

    Raises:
        InvalidValueError: if a p-value is not a number from 0 to 1.
    """
    # Holm's method holds under any dependence of the tests, and comparisons with a common control are dependent. Its
    # adjusted p-values are never larger than Bonferroni's.
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidValueError("p-values", p.tolist(), "numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    result = np.empty_like(p)
    result[order] = adjusted
    return result


def power_of_pairs(effect: float, pairs: float, level: float = 0.05) -> float:
    """Computes the power of Student's paired test: the probability that it detects an effect.

    Args:
        effect: mean of the differences divided by their standard deviation.
        pairs: number of seeds, above 1.
        level: significance level of the two-sided test.
    """
    # Given the sample's standard deviation, the test rejects if the sample mean exceeds a bound, which has a normal
    # probability; the power is its expectation over the standard deviation. This equals the tails of the noncentral t
    # distribution, but scipy.stats.nct returns NaN for large effects.
    bounds, shift = stats.t.isf(level / 2, pairs - 1) * _deviations(pairs), abs(effect) * np.sqrt(pairs)
    return float((stats.norm.sf(bounds - shift) + stats.norm.sf(bounds + shift)) @ _WEIGHTS)


def _deviations(pairs: float) -> NDArray[np.float64]:
    """Standard deviations of samples of normal values of deviation 1, at the quantiles ``_QUANTILES``."""
    deviations: NDArray[np.float64] = np.sqrt(stats.chi2.ppf(_QUANTILES, pairs - 1) / (pairs - 1))
    return deviations


def power_of_equivalence(margin: float, pairs: float, level: float = 0.05) -> float:
    """Computes the probability that two one-sided tests show equivalence, if the true difference is 0.

    Args:
        margin: largest difference that does not matter, divided by the standard deviation of the differences.
        pairs: number of seeds, above 1.
        level: significance level of each one-sided test.
    """
    bounds, room = stats.t.isf(level, pairs - 1) * _deviations(pairs), margin * np.sqrt(pairs)
    return float(np.maximum(2 * stats.norm.cdf(room - bounds) - 1, 0) @ _WEIGHTS)


def pairs_needed(differences: NDArray[np.float64], size: float, power: float = 0.8) -> float:
    """Returns the number of seeds with which a test would detect a mean difference of a given size.

    The size is one that would matter, such as the margin, and not the observed one: the number of seeds for that says
    no more than the p-value, and swings between a handful and thousands with the luck of a few seeds.

    Args:
        differences: difference of every pair so far, at least 2. Only their standard deviation counts; from 8 seeds it
            is known to a factor of 2 or so, and the number of seeds to a factor of 4.
        size: mean difference to detect, above 0.
        power: probability with which the difference is to be detected.

    Returns:
        The number of seeds; infinite if more than 10,000 are needed.
    """
    return _fewest_pairs(differences, size, power, power_of_pairs)


def pairs_for_equivalence(differences: NDArray[np.float64], margin: float, power: float = 0.8) -> float:
    """Returns the number of seeds with which a test would show equivalence, if the true difference is 0.

    Args:
        differences: difference of every pair so far, at least 2. Only their standard deviation counts.
        margin: largest difference that does not matter, above 0.
        power: probability with which equivalence is to be shown.

    Returns:
        The number of seeds; infinite if more than 10,000 are needed.
    """
    return _fewest_pairs(differences, margin, power, power_of_equivalence)


def _fewest_pairs(
    differences: NDArray[np.float64], size: float, power: float, power_of: Callable[[float, float], float]
) -> float:
    require_number("size of the difference", size, above=0)
    deviation = float(np.std(differences, ddof=1))
    effect = min(size / deviation, _CERTAIN) if deviation > 0 else _CERTAIN
    first = bisect_left(range(2, _MOST_PAIRS), power, key=lambda pairs: power_of(effect, pairs))
    return float(2 + first) if first < _MOST_PAIRS - 2 else float("inf")


def detectable_difference(differences: NDArray[np.float64], power: float = 0.8) -> float:
    """Returns the mean difference that a test would detect with this number of seeds and this spread.

    Args:
        differences: difference of every pair, at least 2.
        power: probability with which the difference is to be detected.
    """
    pairs, deviation = len(differences), float(np.std(differences, ddof=1))
    if deviation == 0:
        return 0.0
    return deviation * float(brentq(lambda effect: power_of_pairs(effect, pairs) - power, 1e-6, _CERTAIN))
