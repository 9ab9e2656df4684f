"""How often problems are solved: intervals of one model, pass@k, and tests of two models on the same problems.

* A problem is the unit of sampling. Several completions of one problem are one cluster: they do not count as
  independent observations.
* Wilson's interval and its relatives stay within 0 and 1, and have a width above 0 when every problem is solved or
  none, where a bootstrap would claim certainty.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.statistics.intervals import Interval

_Z = float(stats.norm.ppf(0.975))


def success_interval(shares: NDArray[np.float64], completions: int = 1) -> Interval:
    """Computes the mean success over problems and its 95 % interval.

    With one completion per problem it is Wilson's interval (Wilson 1927). With several, it is Wilson's interval with
    the effective number of observations n p (1 - p) / s^2, where s^2 is the variance of the shares between the n
    problems (as for clustered samples in Korn and Graubard 1998).

    Args:
        shares: share of every problem's completions that solve it, or another number from 0 to 1, (problems,).
        completions: completions per problem, an upper bound of the observations that a problem counts as.

    Raises:
        InvalidValueError: if there is no problem, or a share is not from 0 to 1.
    """
    shares = np.asarray(shares, dtype=np.float64)
    if shares.ndim != 1 or not len(shares) or not ((shares >= 0) & (shares <= 1)).all():
        raise InvalidValueError("shares", shares.tolist(), "one number from 0 to 1 for each problem")
    mean, count, variance = float(shares.mean()), float(len(shares)), float(shares.var())
    # Where every problem has the same share, nothing tells how alike the completions of a problem are. At 0 and 1 the
    # number of problems is the cautious choice; between, equal shares are evidence that they are not alike.
    if 0 < mean < 1:
        most = count * completions
        count = min(most, count * mean * (1 - mean) / variance) if variance > 0 else most
    centre = (mean + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * np.sqrt(mean * (1 - mean) / count + _Z**2 / (4 * count**2))
    return mean, min(mean, max(0.0, float(centre - half))), max(mean, min(1.0, float(centre + half)))


def mean_of_arms(intervals: Sequence[Interval]) -> Interval:
    """Computes the mean of independent estimates, each with an interval, and the interval of the mean.

    The distances from the estimates to their limits are added in squares (MOVER, Zou and Donner 2008), so that the
    limits of the mean are as skewed as those of its parts.

    Args:
        intervals: estimate and interval of every arm.
    """
    values, low, high = np.array(intervals, dtype=np.float64).T
    mean = float(values.mean())
    down, up = (float(np.sqrt(((limits - values) ** 2).sum())) / len(values) for limits in (low, high))
    return mean, mean - down, mean + up


def pass_at_k(successes: NDArray[np.int64], num_completions: int, k: int) -> NDArray[np.float64]:
    """Estimates for every problem the probability that at least one of k completions solves it, without bias.

    With c of n completions right, it is 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374, section 2.1).
    The estimate 1 - (1 - c / n)^k would be biased.

    Args:
        successes: number of right completions of every problem, (problems,).
        num_completions: completions per problem, n.
        k: from 1 to n.

    Returns:
        The estimates, (problems,).

    Raises:
        InvalidValueError: if k is not from 1 to n, or a number of successes is not from 0 to n.
    """
    require_number("k", k, low=1, high=num_completions, whole=True)
    successes = np.asarray(successes)
    if not ((successes >= 0) & (successes <= num_completions)).all():
        raise InvalidValueError("successes", successes.tolist(), f"numbers from 0 to {num_completions}")
    # The quotient of the binomials as a product, which does not overflow: prod (1 - k / i) for i = n - c + 1, ..., n.
    # It is 0 if k completions are more than the wrong ones.
    none = [
        np.prod(1 - k / np.arange(num_completions - c + 1, num_completions + 1)) if c <= num_completions - k else 0.0
        for c in range(num_completions + 1)
    ]
    return 1 - np.array(none)[successes]


def paired_success_interval(mine: NDArray[np.bool_], other: NDArray[np.bool_]) -> Interval:
    """Computes the difference of two models' success on the same problems, and its 95 % interval.

    Both Wilson intervals are combined with the correlation of the two outcomes: method 10 of Newcombe, Improved
    confidence intervals for the difference between binomial proportions based on paired data, Statistics in Medicine
    17, 1998. The interval also has a width where no problem tells the models apart.

    Args:
        mine: which problems the first model solves, (problems,).
        other: which of the same problems the second model solves, (problems,).

    Raises:
        InvalidValueError: if the numbers of problems differ.
    """
    if len(mine) != len(other):
        raise InvalidValueError("number of problems", len(mine), f"as many as the other model has, {len(other)}")
    (p, low, high), (q, other_low, other_high) = (
        success_interval(solved.astype(np.float64)) for solved in (mine, other)
    )
    both, neither, gained, lost = (
        float(solved.sum()) for solved in (mine & other, ~mine & ~other, mine & ~other, other & ~mine)
    )
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    agreement = both * neither - gained * lost
    if agreement > 0:  # Newcombe's correction for continuity
        agreement = max(0.0, agreement - len(mine) / 2)
    phi = agreement / np.sqrt(margins) if margins > 0 else 0.0

    def distance(one: float, another: float) -> float:
        return float(np.sqrt(max(0.0, one**2 - 2 * phi * one * another + another**2)))

    return p - q, p - q - distance(p - low, other_high - q), p - q + distance(high - p, q - other_low)


def mcnemar_p_value(gained: int, lost: int) -> float:
    """Returns the p-value of McNemar's exact test that two models solve the same problems equally often.

    Args:
        gained: problems that only the first model solves.
        lost: problems that only the second model solves.
    """
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def paired_difference_by_arm(differences: Sequence[NDArray[np.float64]]) -> tuple[Interval, float]:
    """Computes the mean over arms of paired differences, its 95 % interval and its p-value, by Student's paired test.

    Args:
        differences: difference on every problem, one array of shape (problems,) per arm. With more than one arm, the
            degrees of freedom are Welch and Satterthwaite's.

    Returns:
        The interval and the two-sided p-value; NaN for the limits and the p-value if the differences do not vary, which
        leaves nothing to estimate their spread from.
    """
    mean = float(np.mean([arm.mean() for arm in differences]))
    parts = np.array([arm.var(ddof=1) / len(arm) if len(arm) > 1 else np.nan for arm in differences])
    if not parts.sum() > 0:
        return (mean, np.nan, np.nan), np.nan
    freedom = parts.sum() ** 2 / sum(part**2 / (len(arm) - 1) for part, arm in zip(parts, differences, strict=True))
    error = float(np.sqrt(parts.sum())) / len(differences)
    half = float(stats.t.ppf(0.975, freedom)) * error
    return (mean, mean - half, mean + half), float(2 * stats.t.sf(abs(mean) / error, freedom))
