"""The chance of each arm to win when one number per arm is drawn from Beta distributions.

Both functions integrate over the log-odds y = ln(x / (1 - x)) of a draw x. There the density of Beta(a, b) is
x^a (1 - x)^b / B(a, b), smooth and log-concave for every a and b, also below 1, where the density of x itself is
infinite at 0 or 1.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln, expit, log_expit, logit, ndtr

from dumpgym.agents.bandits.selection import probability_of_largest

LEAST_PRIOR = 0.1
"""The least a and b of a prior: with 0.01, a draw rounds to 0 or 1 more often than not, and ties decide."""

_TINY = 1e-300  # keeps logarithms finite
_TAILS = ndtr(np.linspace(-8, 0, 17))  # between their quantiles a normal distribution has half a standard deviation


def draw_beta(
    rng: np.random.Generator, a: NDArray[np.float64], b: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """``size`` draws of every arm from Beta(a, b), shape (..., size, num_arms).

    Args:
        rng: draws them.
        a: shape (..., num_arms).
        b: shape (..., num_arms).
        size: number of draws of every arm.
    """
    draws: NDArray[np.float64] = rng.beta(a[..., None, :], b[..., None, :], (*a.shape[:-1], size, a.shape[-1]))
    return draws


def probability_of_largest_beta(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(X_d is the largest) for independent X_d ~ Beta(a_d, b_d), to about 1e-10.

    Args:
        a: at least ``LEAST_PRIOR``, shape (..., num_arms).
        b: at least ``LEAST_PRIOR``, shape (..., num_arms).

    Returns:
        Shape (..., num_arms).
    """
    if a.ndim > 1:
        return np.stack([probability_of_largest_beta(*row) for row in zip(a, b, strict=True)])
    a, b = a[:, None], b[:, None]
    quantiles = _log_odds_quantiles(a, b)
    edges = quantiles[quantiles >= quantiles[:, 0].max()]  # the largest is never below

    def log_distribution(y: NDArray[np.float64]) -> NDArray[np.float64]:
        below = y < 0
        tail = betainc(np.where(below, a, b), np.where(below, b, a), expit(-np.abs(y)))  # no 1 - x that rounds
        log_probability: NDArray[np.float64] = np.log(np.maximum(np.where(below, tail, 1 - tail), _TINY))
        return log_probability

    return probability_of_largest(edges, lambda y: _log_density(y, a, b), log_distribution)


def probability_of_nearest_beta(a: NDArray[np.float64], b: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """P(X_d is the nearest to the target) for independent X_d ~ Beta(a_d, b_d).

    It is right to about 1e-10 for the target 1/2. With other targets and a or b below 1 an error of 1e-6 is possible.

    Args:
        a: at least ``LEAST_PRIOR``, shape (..., num_arms).
        b: at least ``LEAST_PRIOR``, shape (..., num_arms).
        target: from 0.001 to 0.999.

    Returns:
        Shape (..., num_arms).
    """
    if a.ndim > 1:
        return np.stack([probability_of_nearest_beta(*row, target) for row in zip(a, b, strict=True)])
    a, b = a[:, None], b[:, None]
    quantiles = _log_odds_quantiles(a, b)
    farthest = np.abs(expit(quantiles) - target).max(axis=1).min()  # the nearest is never beyond
    # The chance to be farther is as steep at the mirror image of an arm's quantile as at the quantile itself; it has a
    # kink at the target, and where the mirror image of a draw leaves the unit interval.
    low, high = _both_sides(quantiles, target)
    kinks = logit([target, *(x for x in (2 * target, 2 * target - 1) if 0 < x < 1)])
    edges = np.concatenate([logit(low[low > 0]), -logit(high[high > 0]), kinks])
    edges = edges[np.abs(expit(edges) - target) <= farthest]

    def log_farther(y: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = _both_sides(y, target)
        log_probability: NDArray[np.float64] = np.log(np.maximum(betainc(a, b, low) + betainc(b, a, high), _TINY))
        return log_probability

    return probability_of_largest(edges, lambda y: _log_density(y, a, b), log_farther)


def _log_odds_quantiles(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds of the quantiles of Beta(a, b) in ascending order, shape (num_arms, quantiles), for a, b (num_arms, 1).

    Those above the median come from the distribution of 1 - x, which does not round close to 1.
    """
    lower, upper = logit(betaincinv(a, b, _TAILS)), -logit(betaincinv(b, a, _TAILS[:-1]))
    quantiles: NDArray[np.float64] = np.concatenate([lower, upper[:, ::-1]], axis=1)
    return quantiles


def _log_density(y: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    log_density: NDArray[np.float64] = a * log_expit(y) + b * log_expit(-y) - betaln(a, b)
    return log_density


def _both_sides(y: NDArray[np.float64], target: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For the x of log-odds y and its mirror image 2 target - x: the smaller, and 1 - the larger; at least 0 both."""
    x, rest = expit(y), expit(-y)
    below = x < target
    low = np.where(below, x, 2 * target - 1 + rest)
    high = np.where(below, 1 - 2 * target + x, rest)
    return np.maximum(low, 0), np.maximum(high, 0)
