"""The chance that each of many arms wins, in time that hardly grows with their number.

``selection`` and ``beta_selection`` integrate to about 1e-10, which takes time in proportion to the square of the
number of arms: half a second for 100 arms, and hours for 10,000. Here all arms share one grid of 144 nodes, and an
arm's distribution is the running sum of its density, with an error of 0.001 to 0.01. Beyond 512 arms, only the 256 most
promising ones keep a distribution of their own; the others are put into up to 256 classes of alike arms. Nothing is
random, so a restored policy resumes bit for bit, which draws by Monte Carlo would need a generator of their own for.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, expit, log_expit

Array = NDArray[np.float64]
MOST_EXACT = 32
"""Largest number of arms for which chances are computed to all digits."""
_COARSE, _FINE, _MOST_ROUNDS = 24, 144, 8  # nodes of the grids, and grids that look for the right place
_OWN, _CLASSES = 256, (64, 4)  # classes by location and by spread
# Where an arm's density is sampled, in spreads from its location, up to where an arm of 100,000 may still win.
_NORMAL = np.array([-4.0, -3, -2, -1.2, -0.6, 0, 0.6, 1.2, 2, 3, 4.2, 6, 8])
_GUMBEL = np.array([-2.6, -1.8, -1, -0.4, 0.2, 1, 2, 3.5, 5.5, 8, 12, 18, 28])


def chances_of_largest_normal(mean: Array, std: Array) -> Array:
    """Approximates P(X_d is the largest) for independent X_d ~ N(mean_d, std_d^2), shape (num_arms,)."""

    def density(u: Array, mean: Array, std: Array) -> Array:
        height: Array = np.exp(-0.5 * ((u + mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
        return height

    return _chances((mean, std), density, lambda m, s: _from_the_top(m, s, _NORMAL), _classes(mean, std))


def chances_of_largest_gumbel(location: Array, scale: Array) -> Array:
    """Approximates P(X_d is the largest) for independent Gumbel X_d, shape (num_arms,)."""

    def density(u: Array, location: Array, scale: Array) -> Array:
        z = np.maximum((-u - location) / scale, -6.0)  # below, the density is 0, and exp(-z) would overflow
        height: Array = np.exp(-z - np.exp(-z)) / scale
        return height

    classes = _classes(location, scale)
    return _chances((location, scale), density, lambda m, s: _from_the_top(m, s, _GUMBEL), classes)


def chances_of_largest_beta(a: Array, b: Array) -> Array:
    """Approximates P(X_d is the largest) for independent X_d ~ Beta(a_d, b_d), shape (num_arms,)."""

    def density(u: Array, a: Array, b: Array) -> Array:  # of the log-odds, which is finite for every a and b
        height: Array = np.exp(a * log_expit(-u) + b * log_expit(u) - betaln(a, b))
        return height

    def points(a: Array, b: Array) -> Array:
        return _from_the_top(*_log_odds(a, b), 1.5 * _NORMAL)

    return _chances((a, b), density, points, _classes(*_log_odds(a, b)))


def chances_of_nearest_beta(a: Array, b: Array, target: float) -> Array:
    """Approximates P(X_d is the nearest to the target) for independent X_d ~ Beta(a_d, b_d), shape (num_arms,)."""

    def density(u: Array, a: Array, b: Array) -> Array:  # of the distance, from both sides of the target
        total, scale = np.zeros((len(a), u.shape[1])), betaln(a, b)
        for x in (target - u, target + u):
            inside = (x > 0) & (x < 1)
            x = np.where(inside, x, 0.5)
            total += inside * np.exp((a - 1) * np.log(x) + (b - 1) * np.log(1 - x) - scale)
        return total

    def points(a: Array, b: Array) -> Array:
        location, spread = _log_odds(a, b)
        distances = np.abs(expit(location[:, None] + spread[:, None] * 1.5 * _NORMAL) - target)
        farthest = distances.max(axis=1).min()  # some arm is practically never farther away
        near: Array = np.concatenate([[0.0, farthest], distances[distances <= farthest]])
        return near

    location, spread = _log_odds(a, b)
    centre = expit(location)
    classes = _classes(location, spread, 3 * spread * centre * (1 - centre) - np.abs(centre - target))
    return _chances((a, b), density, points, classes)


def _log_odds(a: Array, b: Array) -> tuple[Array, Array]:
    """Location and spread of the log-odds of Beta(a, b), roughly: they only place the grid."""
    return np.log(a / b), np.sqrt(1 / a + 1 / b)


def _from_the_top(location: Array, spread: Array, offsets: Array) -> Array:
    """Returns -x for the points x where arms are sampled, down to where the largest value practically never is."""
    x = location[:, None] + spread[:, None] * offsets
    points: Array = -x[x >= x[:, 0].max()]
    return points


def _classes(location: Array, spread: Array, promise: Array | None = None) -> NDArray[np.int64]:
    """Numbers the classes of alike arms from 0, shape (num_arms,).

    Arms of the largest promise, by default ``location + 3 * spread``, are classes of their own.
    """
    promise = location + 3 * spread if promise is None else promise
    num_arms = len(location)
    if num_arms <= _OWN + _CLASSES[0] * _CLASSES[1]:
        return np.arange(num_arms)
    own = np.argpartition(promise, -_OWN)[-_OWN:]
    bins = np.zeros(num_arms, dtype=np.int64)
    for values, count in zip((location, np.log(spread)), _CLASSES, strict=True):
        low, high = values.min(), values.max()
        place = ((values - low) / max(high - low, 1e-300) * count).astype(np.int64)
        bins = bins * count + np.minimum(place, count - 1)
    bins[own] = bins.max() + 1 + np.arange(_OWN)
    present = np.zeros(bins.max() + 1, dtype=np.int64)
    present[bins] = 1
    classes: NDArray[np.int64] = (present.cumsum() - 1)[bins]
    return classes


def _chances(
    parameters: tuple[Array, Array],
    density: Callable[[Array, Array, Array], Array],
    points: Callable[[Array, Array], Array],
    classes: NDArray[np.int64],
) -> Array:
    """Approximates the chance that each arm has the smallest u; for the largest x, u is -x.

    Args:
        parameters: two of every arm, shape (num_arms,) each.
        density: maps u, (1, points), and both parameters, (arms, 1) each, to the densities of u, (arms, points).
        points: maps both parameters, (arms,) each, to values of u at which some arm may have the smallest.
        classes: number of every arm's class, (num_arms,). Arms of a class count as having its mean parameters.

    Returns:
        The chances, which sum to 1, shape (num_arms,).
    """
    members = np.bincount(classes).astype(np.float64)
    first, second = (np.bincount(classes, weights=values) / members for values in parameters)

    def heights(u: Array) -> tuple[Array, Array]:
        height = density(u[None], first[:, None], second[:, None])
        return height[:, :-1], height[:, 1:]

    def later(mass: Array) -> Array:
        """Logarithm of the chance to come after the middle of a step, from the mass of every step, (arms, steps)."""
        return np.log(np.maximum(1 - (mass.cumsum(axis=1) - mass / 2), 1e-300))

    # Points are dense where some arm's distribution is steep. Of them only those count where the first of all arms
    # arrives, which is a small part if there are many arms; each round finds it more closely.
    found = np.unique(points(first, second))
    for _ in range(_MOST_ROUNDS):
        u = _nodes(found, _COARSE)
        left, right = heights(u)
        # A step that is too long for a narrow arm has too much or too little mass. The part that counts must not be cut
        # off, so it begins where there is mass by the larger height, and ends where there is by the smaller one.
        start = int(np.searchsorted(-members @ later(np.maximum(left, right) * np.diff(u)), 1e-4))
        stop = int(np.searchsorted(-members @ later(np.minimum(left, right) * np.diff(u)), 16.0))
        low, high = u[max(start - 1, 0)], u[min(stop + 2, len(u) - 1)]
        found = np.unique(np.concatenate([found[(found > low) & (found < high)], np.linspace(low, high, _COARSE)]))
        if stop - start >= _COARSE / 4:
            break
    u = _nodes(found, _FINE)
    mass = 0.5 * np.add(*heights(u)) * np.diff(u)
    after = later(mass)
    wins = (mass * np.exp(np.minimum(members @ after - after, 0))).sum(axis=1)
    chances: Array = wins[classes] / (members @ wins)
    return chances


def _nodes(found: Array, count: int) -> Array:
    """Divides the steps between ascending points evenly, shape (count,)."""
    return np.interp(np.linspace(0, len(found) - 1, count), np.arange(len(found)), found)
