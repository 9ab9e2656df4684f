"""The chance that each arm wins when one number per arm is drawn from a Beta distribution.

An arm wins with the largest draw, or with the draw nearest to a target. Both functions integrate over the log-odds
y = ln(x / (1 - x)) of a draw x. The density of y is x^a (1 - x)^b / B(a, b), smooth and log-concave for every a and b.
The density of x itself is infinite at 0 for a < 1 and at 1 for b < 1, where quadrature fails.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln, expit, log_expit, logit, ndtr

from dumpgym.agents.bandits.many_arms import MOST_EXACT, chances_of_largest_beta, chances_of_nearest_beta
from dumpgym.agents.bandits.selection import probability_of_largest

LEAST_PRIOR = 0.1
"""The least a and b of a prior. At a = b = 0.01 a third of all draws round to 1, so ties decide; at 0.1 it is one in
eighty. Below about 0.05 the outermost quantiles, which bound the integrals, also leave the range of floats."""

LARGEST_PRIOR = 1e9
"""The largest a and b of a prior, which is far from where quantiles lose their digits."""

# Replaces a probability that rounds to 0 before its logarithm is taken: ``probability_of_largest`` subtracts logarithms
# of probabilities, and -inf - (-inf) is NaN.
_TINY = 1e-300
# Levels of the lower quantiles, at which a normal distribution has the steps of half a standard deviation that
# ``probability_of_largest`` needs. Less than 1e-15 of a distribution lies below the first.
_TAILS = ndtr(np.linspace(-8, 0, 17))


def draw_beta(
    rng: np.random.Generator, a: NDArray[np.float64], b: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """Draws ``size`` numbers for every arm from Beta(a, b).

    Args:
        rng: random generator.
        a: first parameters, shape (..., num_arms).
        b: second parameters, shape (..., num_arms).
        size: number of draws per arm.

    Returns:
        The draws, shape (..., size, num_arms).
    """
    draws: NDArray[np.float64] = rng.beta(a[..., None, :], b[..., None, :], (*a.shape[:-1], size, a.shape[-1]))
    return draws


def probability_of_largest_beta(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes P(X_d is the largest) for independent X_d ~ Beta(a_d, b_d).

    The error is about 1e-10, or about 0.01 for more than ``MOST_EXACT`` arms.

    Args:
        a: first parameters, at least ``LEAST_PRIOR``, shape (..., num_arms).
        b: second parameters, at least ``LEAST_PRIOR``, shape (..., num_arms).

    Returns:
        Probabilities, shape (..., num_arms).
    """
    if a.ndim > 1:
        return np.stack([probability_of_largest_beta(*row) for row in zip(a, b, strict=True)])
    if len(a) > MOST_EXACT:
        return chances_of_largest_beta(a, b)
    a, b = a[:, None], b[:, None]
    quantiles = _log_odds_quantiles(a, b)
    # The maximum of all draws is at least as large as each draw, so it lies above every arm's lowest quantile.
    edges = quantiles[quantiles >= quantiles[:, 0].max()]

    def log_distribution(y: NDArray[np.float64]) -> NDArray[np.float64]:
        # y: (1, points). The smaller of x and 1 - x is computed, since the larger rounds to 1 for abs(y) > 37 and would
        # lose the tail: P(X <= x) is I_x(a, b) for y < 0, and P(X > x) is I_(1-x)(b, a) for the others.
        below = y < 0
        tail = betainc(np.where(below, a, b), np.where(below, b, a), expit(-np.abs(y)))  # (num_arms, points)
        log_probability: NDArray[np.float64] = np.log(np.maximum(np.where(below, tail, 1 - tail), _TINY))
        return log_probability

    return probability_of_largest(edges, lambda y: _log_density(y, a, b), log_distribution)


def probability_of_nearest_beta(a: NDArray[np.float64], b: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """Computes P(X_d is the nearest to the target) for independent X_d ~ Beta(a_d, b_d).

    The error is about 1e-10 for the target 1/2. With other targets and an a or b below 1 it may be 1e-6, and about 0.01
    for more than ``MOST_EXACT`` arms.

    Args:
        a: first parameters, at least ``LEAST_PRIOR``, shape (..., num_arms).
        b: second parameters, at least ``LEAST_PRIOR``, shape (..., num_arms).
        target: number that draws should be near to, from 0.001 to 0.999.

    Returns:
        Probabilities, shape (..., num_arms).
    """
    if a.ndim > 1:
        return np.stack([probability_of_nearest_beta(*row, target) for row in zip(a, b, strict=True)])
    if len(a) > MOST_EXACT:
        return chances_of_nearest_beta(a, b, target)
    a, b = a[:, None], b[:, None]
    quantiles = _log_odds_quantiles(a, b)
    # Every arm's draw lies within its own outermost quantiles, so the nearest draw is never farther away than this.
    farthest = np.abs(expit(quantiles) - target).max(axis=1).min()
    # An arm is farther from the target than x if its draw is below both x and the mirror image 2 target - x, or above
    # both. That chance is as steep at the mirror image of a quantile as at the quantile itself, so both are edges. It
    # has a kink at the target, and another where the mirror image reaches 0 or 1 and one of the two sides vanishes.
    # With target 1/2 this happens only at the ends. With other targets, and a or b below 1, the chance has an infinite
    # slope there, which limits the accuracy to about 1e-6. A mirror image outside (0, 1) has no log-odds, so it gives
    # no edge.
    low, high = _both_sides(quantiles, target)
    kinks = logit([target, *(x for x in (2 * target, 2 * target - 1) if 0 < x < 1)])
    edges = np.concatenate([logit(low[low > 0]), -logit(high[high > 0]), kinks])
    edges = edges[np.abs(expit(edges) - target) <= farthest]

    # In terms of the distance to the target, the nearest arm is the one that all others are farther than: the same
    # integral as for the largest, with P(farther) in the place of F.
    def log_farther(y: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = _both_sides(y, target)
        log_probability: NDArray[np.float64] = np.log(np.maximum(betainc(a, b, low) + betainc(b, a, high), _TINY))
        return log_probability

    return probability_of_largest(edges, lambda y: _log_density(y, a, b), log_farther)


def _log_odds_quantiles(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes the log-odds of 33 quantiles of Beta(a, b) in ascending order.

    Quantiles above the median come from the distribution of 1 - x, since x itself would round to 1.

    Args:
        a: shape (num_arms, 1).
        b: shape (num_arms, 1).

    Returns:
        Log-odds, shape (num_arms, 33).
    """
    lower, upper = logit(betaincinv(a, b, _TAILS)), -logit(betaincinv(b, a, _TAILS[:-1]))
    quantiles: NDArray[np.float64] = np.concatenate([lower, upper[:, ::-1]], axis=1)
    return quantiles


def _log_density(y: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-density of log-odds y, shape (num_arms, points), for y of shape (1, points) and a, b of (num_arms, 1)."""
    log_density: NDArray[np.float64] = a * log_expit(y) + b * log_expit(-y) - betaln(a, b)
    return log_density


def _both_sides(y: NDArray[np.float64], target: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For x with log-odds y and its mirror image 2 target - x, returns the smaller, and 1 - the larger.

    Both have the shape of y. A mirror image outside [0, 1] is clipped to 0 or 1, since no draw lies beyond.
    """
    x, rest = expit(y), expit(-y)  # rest = 1 - x, without the rounding of x near 1
    below = x < target
    low = np.where(below, x, 2 * target - 1 + rest)
    high = np.where(below, 1 - 2 * target + x, rest)
    return np.maximum(low, 0), np.maximum(high, 0)
