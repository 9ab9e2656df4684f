"""Selection rules: arg-max, softmax, epsilon-greedy, and the chance that an arm has the largest random score.

Scores have shape (..., num_arms), where ... is empty for one run and (num_runs,) for runs in lockstep.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, softmax

from dumpgym.agents.bandits.many_arms import MOST_EXACT, chances_of_largest_gumbel, chances_of_largest_normal


def best_arms(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Puts all weight on the arg-max, shape (..., num_arms); arms that tie share it evenly."""
    # Sharing among ties instead of taking the first keeps policies symmetric: before any feedback all arms tie, and a
    # plain arg-max would give the whole first batch to arm 0. Scores of +inf tie with each other like finite ones.
    best = scores == scores.max(axis=-1, keepdims=True)
    weights: NDArray[np.float64] = best / best.sum(axis=-1, keepdims=True)
    return weights


def boltzmann(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Returns softmax(scores / temperature), shape (..., num_arms); at temperature 0 its limit, ``best_arms``."""
    if temperature == 0:
        return best_arms(scores)
    # The largest score is subtracted before the division. Otherwise scores / temperature could overflow to +inf for
    # several arms, and inf - inf is NaN. After it a tiny temperature can only overflow to -inf, which has the weight 0.
    with np.errstate(over="ignore"):
        shifted = (scores - scores.max(axis=-1, keepdims=True)) / temperature
        weights: NDArray[np.float64] = softmax(shifted, axis=-1)
    return weights


def epsilon_greedy(scores: NDArray[np.float64], epsilon: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Mixes ``best_arms`` with uniform weights.

    Args:
        scores: shape (..., num_arms).
        epsilon: share of the uniform weights, a number or an array of shape (..., 1).

    Returns:
        epsilon / num_arms + (1 - epsilon) * best_arms(scores), shape (..., num_arms).
    """
    weights: NDArray[np.float64] = epsilon / scores.shape[-1] + (1 - epsilon) * best_arms(scores)
    return weights


LogFunction = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def probability_of_largest(
    edges: NDArray[np.float64], log_density: LogFunction, log_distribution: LogFunction
) -> NDArray[np.float64]:
    """Computes P(X_d is the largest) for independent X_d of one run.

    This is the integral of f_d(x) prod_{e != d} F_e(x), by Gauss-Legendre quadrature with six nodes between
    neighbouring edges. Edges must be close enough that no F_e is steep between two of them; with steps of half a
    standard deviation around every mean the error is about 1e-12.

    Args:
        edges: breakpoints in any order; outside them all densities count as 0.
        log_density: maps points of shape (1, points) to log f, shape (num_arms, points). A factor of f that all arms
            have in common may be left out.
        log_distribution: maps the same points to log F, finite, shape (num_arms, points).

    Returns:
        Probabilities that sum to 1, shape (num_arms,).
    """
    edges = np.unique(edges)
    nodes, node_weights = np.polynomial.legendre.leggauss(6)
    half = np.diff(edges)[:, None] / 2  # (intervals, 1)
    x = (edges[:-1, None] + half * (1 + nodes)).ravel()[None]  # (1, points)
    dx = (half * node_weights).ravel()
    log_cdf = log_distribution(x)
    # The product over the other arms is the product over all arms less the arm's own factor, as a difference of
    # logarithms: num_arms * points numbers in all. With log F = -inf the difference would be NaN, so F is kept above 0.
    probability: NDArray[np.float64] = np.exp(log_density(x) + log_cdf.sum(axis=0) - log_cdf) @ dx
    # The normalisation restores the factor missing in ``log_density`` and the tails outside the edges.
    probability /= probability.sum()
    return probability


def probability_of_largest_normal(mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes P(X_d is the largest) for independent X_d ~ N(mean_d, std_d^2).

    The error is about 1e-12, or about 0.01 if more than ``MOST_EXACT`` arms may be the largest.

    Args:
        mean: shape (..., num_arms).
        std: standard deviations above 0, shape (..., num_arms).

    Returns:
        Probabilities, shape (..., num_arms).
    """
    if mean.ndim > 1:
        return np.stack([probability_of_largest_normal(m, s) for m, s in zip(mean, std, strict=True)])
    # Less than 1e-18 of a normal distribution is farther than 9 standard deviations above its mean.
    reach = 9.0
    winners, mean, std = _contenders(mean, std, reach, reach)
    probability = np.zeros(winners.shape)
    if len(mean) > MOST_EXACT:
        probability[winners] = chances_of_largest_normal(mean, std)
        return probability
    grid = np.linspace(-reach, reach, int(4 * reach) + 1)
    edges = (mean[:, None] + std[:, None] * grid).ravel()
    # The maximum lies above the highest of the lower ends. Without the cut, arms whose means are many standard
    # deviations apart would waste most nodes where the integrand is 0.
    edges = edges[edges >= (mean - reach * std).max()]

    def z(x: NDArray[np.float64]) -> NDArray[np.float64]:
        standard: NDArray[np.float64] = (x - mean[:, None]) / std[:, None]
        return standard

    probability[winners] = probability_of_largest(
        edges,
        lambda x: -0.5 * z(x) ** 2 - np.log(std)[:, None],
        # log F(-37) is -689, near the least logarithm of a float; the cut above keeps z close to -9 or higher.
        lambda x: log_ndtr(np.maximum(z(x), -37.0)),
    )
    return probability


def _contenders(
    location: NDArray[np.float64], scale: NDArray[np.float64], below: float, above: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Leaves out the arms that are practically never the largest, and moves the others to where floats are dense.

    Args:
        location: of every arm, which may be -inf, shape (num_arms,).
        scale: of every arm, shape (num_arms,).
        below: number of scales below the location under which an arm practically never is.
        above: number of scales above the location over which an arm practically never is.

    Returns:
        Mask of the contenders, shape (num_arms,), and their locations and scales, (contenders,) each, in a unit in
        which the largest scale is 1 and from an origin in which the largest location is 0.
    """
    # With locations around 1e30 and scales around 1, or around 1 and 1e-30, location + scale would round to location.
    # Only differences of locations matter, and only those of a few scales.
    with np.errstate(over="ignore"):
        location = location - location.max()
        low = (location - below * scale).max()
    winners = location + above * scale >= low
    unit = scale[winners].max()
    location, scale = location[winners] / unit, scale[winners] / unit
    # An arm whose scale is below the distance between two floats is as good as a constant.
    return winners, location, np.maximum(scale, 1e-13 * np.maximum(np.abs(location), 1e-13))


def probability_of_largest_gumbel(location: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes P(X_d is the largest) for independent Gumbel X_d, with the errors of the normal case.

    The distribution functions are P(X_d <= x) = exp(-exp(-(x - location_d) / scale_d)).

    Args:
        location: shape (..., num_arms). An arm at -inf is never the largest; at least one arm must be finite.
        scale: above 0, shape (..., num_arms).

    Returns:
        Probabilities, shape (..., num_arms).
    """
    if location.ndim > 1:
        return np.stack([probability_of_largest_gumbel(m, s) for m, s in zip(location, scale, strict=True)])
    # In units of the scale, 1e-29 of a Gumbel distribution lies below -4.2, and 4e-18 lies above 40. From 6 to 40 the
    # density is close to exponential, so wider steps are enough there.
    lowest = -4.2
    grid = np.concatenate([np.linspace(lowest, 6, 40), np.linspace(8, 40, 17)])
    winners, location, scale = _contenders(location, scale, -lowest, 40.0)
    probability = np.zeros(winners.shape)
    if len(location) > MOST_EXACT:
        probability[winners] = chances_of_largest_gumbel(location, scale)
        return probability
    edges = (location[:, None] + scale[:, None] * grid).ravel()
    # The maximum lies above the highest of the lower ends. The cut also drops the edges at -inf of arms that are never
    # the largest, whose density is 0 and whose F is 1 at every node, and it keeps log F = -exp(-z) above -67.
    edges = edges[edges >= (location + lowest * scale).max()]

    def z(x: NDArray[np.float64]) -> NDArray[np.float64]:
        standard: NDArray[np.float64] = (x - location[:, None]) / scale[:, None]
        return standard

    def log_density(x: NDArray[np.float64]) -> NDArray[np.float64]:
        log_density: NDArray[np.float64] = -z(x) - np.exp(-z(x)) - np.log(scale)[:, None]
        return log_density

    probability[winners] = probability_of_largest(edges, log_density, lambda x: -np.exp(-z(x)))
    return probability
