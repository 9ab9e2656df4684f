"""From probabilities to the slots of a batch: floors and caps, independent draws, quotas."""

import numpy as np
from numpy.typing import NDArray

DRAWS = ("independent", "quota")
"""How a batch can be drawn; see ``BanditPolicy``."""


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


def draw_quotas(
    rng: np.random.Generator, probabilities: NDArray[np.float64], credit: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gives every arm its expected number of slots, rounded up or down by the largest remainder.

    Args:
        rng: breaks ties and shuffles the slots.
        probabilities: shape (..., num_arms).
        credit: slots that earlier batches owe to every arm, (..., num_arms).
        size: number of slots.

    Returns:
        The arms of the slots, (..., size), and the credit after this batch, (..., num_arms): what rounding took from an
        arm or gave to it is settled in later batches.
    """
    wanted = size * probabilities + credit
    level = np.zeros((*probabilities.shape[:-1], 1))
    # The debts to several arms may exceed the batch. Then every arm waits for one more slot until they fit.
    while True:
        slots = np.floor(np.maximum(wanted - level, 0) + 1e-9)
        rest = size - slots.sum(axis=-1, keepdims=True)
        if (rest >= 0).all():
            break
        level += rest < 0
    key = np.round(wanted - slots, 9) + 1e-10 * rng.random(probabilities.shape)  # ties are broken at random
    slots += (-key).argsort(axis=-1).argsort(axis=-1) < rest
    arms = (np.arange(size)[:, None] >= slots.cumsum(axis=-1)[..., None, :]).sum(axis=-1)
    shuffled: NDArray[np.int64] = rng.permuted(arms, axis=-1)
    return shuffled, wanted - slots


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
