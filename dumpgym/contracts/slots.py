"""From probabilities to the slots of a batch: floors and caps, independent draws, quotas."""

import numpy as np
from numpy.typing import NDArray

DRAWS = ("independent", "quota")


def draw_arms(rng: np.random.Generator, probabilities: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """Independent draws by the inverse of the distribution function, shape (..., size).

    Args:
        rng: one number is taken a slot.
        probabilities: shape (..., num_arms).
        size: number of slots.
    """
    cumulative = probabilities.cumsum(axis=-1)
    cumulative /= cumulative[..., -1:]
    u = rng.random((*probabilities.shape[:-1], size))
    arms: NDArray[np.int64] = (u[..., None] >= cumulative[..., None, :-1]).sum(axis=-1)
    return arms


def bounded(weights: NDArray[np.float64], floor: NDArray[np.float64], cap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities between floor and cap, shape (..., num_arms)."""
    p: NDArray[np.float64] = floor + np.maximum(1 - floor.sum(), 0) * weights
    for _ in range(len(cap)):  # each pass caps at least one arm more, or ends
        excess = np.maximum(p - cap, 0).sum(axis=-1, keepdims=True)
        if (excess <= 1e-15).all():
            break
        share = np.where(p < cap, p, 0)
        some = share.sum(axis=-1, keepdims=True) > 1e-200
        share = np.where(some, share, np.maximum(cap - p, 0))  # where all others have nothing, their room decides
        p = np.minimum(p, cap) + excess * share / np.maximum(share.sum(axis=-1, keepdims=True), 1e-300)
    return p
