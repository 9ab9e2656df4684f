"""Tests of paired differences: Student's, equivalence, Holm's adjustment, and how many seeds they need."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from dumpgym.contracts.errors import InvalidValueError, require_number

_MOST_PAIRS = 10_000
_CERTAIN = 50.0  # an effect of so many standard deviations is seen with any two pairs


def difference_p_value(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value of Student's test that paired differences have mean 0, (seeds,); NaN for one seed."""
    return _t_test(differences, 0.0, "two-sided")


def equivalence_p_value(differences: NDArray[np.float64], margin: float) -> float:
    """p-value of two one-sided tests that the mean of paired differences lies within a margin (Schuirmann 1987).

    Args:
        differences: (seeds,); NaN for one seed.
        margin: above 0; differences smaller than it do not matter.
    """
    require_number("margin", margin, above=0)
    sides = [_t_test(differences, -margin, "greater"), _t_test(differences, margin, "less")]
    return float(np.max(sides))


def _t_test(differences: NDArray[np.float64], mean: float, alternative: str) -> float:
    if len(differences) < 2:
        return float("nan")
    if np.ptp(differences) == 0:  # nothing is left to chance
        off = differences[0] - mean
        holds = {"two-sided": off != 0, "greater": off > 0, "less": off < 0}[alternative]
        return 0.0 if holds else 1.0
    return float(stats.ttest_1samp(differences, mean, alternative=alternative).pvalue)


def verdict(difference_p: float, equivalence_p: float, level: float = 0.05) -> str:
    """What paired differences allow to say.

    Args:
        difference_p: that there is none, adjusted for several comparisons.
        equivalence_p: that they reach the margin.
        level: of both tests.
    """
    if difference_p < level:
        return "different, within the margin" if equivalence_p < level else "different"
    return "equivalent" if equivalence_p < level else "undecided"


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """p-values adjusted for their number by Holm's step-down method (1979), in their order.

    Raises:
        InvalidValueError: if one is no probability.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidValueError("p-values", p.tolist(), "numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    result = np.empty_like(p)
    result[order] = adjusted
    return result


def power_of_pairs(effect: float, pairs: float, level: float = 0.05) -> float:
    """The chance that Student's paired test sees an effect: the expectation over the standard deviation that is found.

    Args:
        effect: mean of the differences over their standard deviation.
        pairs: number of seeds, above 1.
        level: of the two-sided test.
    """
    freedom = pairs - 1
    bound, shift = stats.t.isf(level / 2, freedom), abs(effect) * np.sqrt(pairs)

    def seen(chi: float) -> float:
        needed = bound * chi / np.sqrt(freedom)
        return float(stats.norm.sf(needed - shift) + stats.norm.sf(needed + shift))

    return float(stats.chi(freedom).expect(seen))


def pairs_needed(differences: NDArray[np.float64], power: float = 0.8) -> float:
    """Seeds with which a difference of the observed size is seen with a given chance; infinite if it is 0.

    Args:
        differences: of the seeds so far, at least 2.
        power: the chance.
    """
    mean, deviation = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if mean == 0:
        return float("inf")
    effect = min(abs(mean) / deviation, _CERTAIN) if deviation > 0 else _CERTAIN
    first = bisect_left(range(2, _MOST_PAIRS), power, key=lambda pairs: power_of_pairs(effect, pairs))
    return float(2 + first) if first < _MOST_PAIRS - 2 else float("inf")


def detectable_difference(differences: NDArray[np.float64], power: float = 0.8) -> float:
    """The mean difference that so many seeds, of such a spread, show with a given chance; see ``pairs_needed``."""
    pairs, deviation = len(differences), float(np.std(differences, ddof=1))
    if deviation == 0:
        return 0.0
    return deviation * float(brentq(lambda effect: power_of_pairs(effect, pairs) - power, 1e-6, _CERTAIN))
