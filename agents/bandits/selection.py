"""How scores become probabilities: arg-max, softmax, and the chance of each arm to have the largest of random scores.

Scores have shape (..., num_arms); what is in front are independent runs.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, softmax


def best_arms(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """All weight on the arg-max, shape (..., num_arms); arms that tie share it evenly."""
    best = scores == scores.max(axis=-1, keepdims=True)
    weights: NDArray[np.float64] = best / best.sum(axis=-1, keepdims=True)
    return weights


def boltzmann(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """softmax(scores / temperature), shape (..., num_arms); its limit, ``best_arms``, at temperature 0."""
    if temperature == 0:
        return best_arms(scores)
    with np.errstate(over="ignore"):  # a temperature close to 0 gives -inf, and the weight is 0 as it should be
        shifted = (scores - scores.max(axis=-1, keepdims=True)) / temperature
        weights: NDArray[np.float64] = softmax(shifted, axis=-1)
    return weights


def epsilon_greedy(scores: NDArray[np.float64], epsilon: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """``best_arms``, but for a share of epsilon, a number or (..., 1), that all arms have alike; (..., num_arms)."""
    weights: NDArray[np.float64] = epsilon / scores.shape[-1] + (1 - epsilon) * best_arms(scores)
    return weights


LogFunction = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def probability_of_largest(
    edges: NDArray[np.float64], log_density: LogFunction, log_distribution: LogFunction
) -> NDArray[np.float64]:
    """P(X_d is the largest) for independent X_d of one run, shape (num_arms,).

    It is the integral of f_d(x) prod_{e != d} F_e(x), by Gauss-Legendre quadrature with six nodes between neighbouring
    edges. The edges must stand so close that no F_e is steep between two of them; with steps of half a standard
    deviation around every mean the error is about 1e-12.

    Args:
        edges: breakpoints in any order; outside them all densities count as 0.
        log_density: log f of points (1, points), shape (num_arms, points); a factor common to all arms may be missing.
        log_distribution: log F of the same points, finite, shape (num_arms, points).
    """
    edges = np.unique(edges)
    nodes, node_weights = np.polynomial.legendre.leggauss(6)
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half * (1 + nodes)).ravel()[None]  # (1, points)
    dx = (half * node_weights).ravel()
    log_cdf = log_distribution(x)
    probability: NDArray[np.float64] = np.exp(log_density(x) + log_cdf.sum(axis=0) - log_cdf) @ dx
    probability /= probability.sum()
    return probability


def probability_of_largest_normal(mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(X_d is the largest) for independent X_d ~ N(mean_d, std_d^2), to about 1e-12; all shapes (..., num_arms)."""
    if mean.ndim > 1:
        return np.stack([probability_of_largest_normal(m, s) for m, s in zip(mean, std, strict=True)])
    reach = 9.0  # in standard deviations: beyond it lies less than 1e-18 of a normal distribution
    grid = np.linspace(-reach, reach, int(4 * reach) + 1)
    edges = np.unique(mean[:, None] + std[:, None] * grid)
    edges = edges[edges >= (mean - reach * std).max()]  # the largest is never below

    def z(x: NDArray[np.float64]) -> NDArray[np.float64]:
        standard: NDArray[np.float64] = (x - mean[:, None]) / std[:, None]
        return standard

    return probability_of_largest(
        edges,
        lambda x: -0.5 * z(x) ** 2 - np.log(std)[:, None],
        lambda x: log_ndtr(np.maximum(z(x), -37.0)),  # the bound keeps it finite; the density is 0 out there
    )


def probability_of_largest_gumbel(location: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(X_d is the largest) for independent Gumbel X_d with P(X_d <= x) = exp(-exp(-(x - location_d) / scale_d)).

    Args:
        location: shape (..., num_arms); an arm at -inf is never the largest, and at least one arm is not there.
        scale: above 0, shape (..., num_arms).

    Returns:
        Shape (..., num_arms), to about 1e-12.
    """
    if location.ndim > 1:
        return np.stack([probability_of_largest_gumbel(m, s) for m, s in zip(location, scale, strict=True)])
    lowest = (
        -4.2
    )  # below it lies 1e-29 of a Gumbel distribution, and above 40 lies 1e-18 of it, where it is exponential
    grid = np.concatenate([np.linspace(lowest, 6, 40), np.linspace(8, 40, 17)])
    edges = (location[:, None] + scale[:, None] * grid).ravel()
    edges = edges[edges >= (location + lowest * scale).max()]  # the largest is never below

    def z(x: NDArray[np.float64]) -> NDArray[np.float64]:
        standard: NDArray[np.float64] = (x - location[:, None]) / scale[:, None]
        return standard

    def log_density(x: NDArray[np.float64]) -> NDArray[np.float64]:
        log_density: NDArray[np.float64] = -z(x) - np.exp(-z(x)) - np.log(scale)[:, None]
        return log_density

    return probability_of_largest(edges, log_density, lambda x: -np.exp(-z(x)))
