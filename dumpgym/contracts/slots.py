"""From weights to the slots of a batch: floors and caps, independent draws, and quotas."""

import numpy as np
from numpy.typing import NDArray

DRAWS = ("independent", "quota")
"""Ways to draw a batch; see ``BanditPolicy``."""


def draw_arms(rng: np.random.Generator, probabilities: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """Draws every slot of a batch independently, by inverting the cumulative distribution.

    Args:
        rng: random generator, from which every slot takes one number.
        probabilities: probability of every arm, shape (..., num_arms).
        size: number of slots.

    Returns:
        The arm of every slot, shape (..., size).
    """
    # ``rng.choice`` takes only one distribution; this draws from a different one in every run.
    cumulative = probabilities.cumsum(axis=-1)  # (..., num_arms)
    cumulative /= cumulative[..., -1:]  # rounding may leave the sum slightly below or above 1
    u = rng.random((*probabilities.shape[:-1], size))  # (..., size), each in [0, 1)
    # The last cumulative probability, 1, is left out, as u never reaches it.
    return _number_reached(cumulative[..., :-1], u)


def _number_reached(steps: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts the steps that each value has reached, which is the index of the arm that the value falls to.

    A value that equals a step has reached it, so that an arm of probability 0 cannot be drawn with u = 0.

    Args:
        steps: in ascending order, shape (..., steps).
        values: shape (..., size).

    Returns:
        The counts, shape (..., size).
    """
    if steps.ndim == 1:  # a search takes no more than 17 comparisons a slot for 100,000 arms
        return np.searchsorted(steps, values, side="right").astype(np.int64)
    counts: NDArray[np.int64] = (values[..., None] >= steps[..., None, :]).sum(axis=-1)
    return counts


def draw_quotas(
    rng: np.random.Generator, probabilities: NDArray[np.float64], credit: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gives every arm its expected number of slots, rounded up or down by the largest remainder.

    Args:
        rng: random generator, which breaks ties and shuffles the slots.
        probabilities: probability of every arm, shape (..., num_arms).
        credit: number of slots that earlier batches owe to every arm, shape (..., num_arms).
        size: number of slots.

    Returns:
        The arm of every slot, shape (..., size), and the credit after this batch, shape (..., num_arms), which is
        passed to the next call so that later batches compensate for the rounding.
    """
    # Independent draws of small batches are noisy: of 16 slots, an arm with probability 1/4 gets 4 with a standard
    # deviation of 1.7. Quotas remove this noise from comparisons between policies. Rounding every batch by itself would
    # not do: an arm whose remainder is always the smallest would never get its slot. The credit carries remainders
    # over, so that an arm's slots stay within a bounded distance of the sum of its expectations.
    wanted = size * probabilities + credit  # (..., num_arms), sums to size, since credit sums to 0
    level = np.zeros((*probabilities.shape[:-1], 1))
    # When probabilities change, an arm may have received more than it now wants, so the others may want more than the
    # batch holds. Then every arm waits for one more slot, until the whole slots fit. The 1e-9 keeps an expectation such
    # as 0.9999999999999999 from being rounded down to 0.
    while True:
        slots = np.floor(np.maximum(wanted - level, 0) + 1e-9)
        rest = size - slots.sum(axis=-1, keepdims=True)
        if (rest >= 0).all():
            break
        level += rest < 0
    # The slots that are left go to the largest remainders. Remainders that differ only by rounding error are ties, and
    # ties are broken at random: a fixed order would favour the first arms in every batch.
    key = np.round(wanted - slots, 9) + 1e-10 * rng.random(probabilities.shape)
    slots += (-key).argsort(axis=-1).argsort(axis=-1) < rest  # rank of every arm, (..., num_arms)
    # Slot s belongs to the first arm whose cumulative number of slots exceeds s. The slots are then shuffled, since a
    # learner that splits the batch into mini-batches would otherwise train each of them on one or two arms.
    last = slots.cumsum(axis=-1)
    arms = _number_reached(last, np.broadcast_to(np.arange(size, dtype=np.float64), (*last.shape[:-1], size)))
    shuffled: NDArray[np.int64] = rng.permuted(arms, axis=-1)
    return shuffled, wanted - slots


def bounded(weights: NDArray[np.float64], floor: NDArray[np.float64], cap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps weights to probabilities between floor and cap.

    Args:
        weights: weights that sum to 1, shape (..., num_arms).
        floor: least probability of every arm, with sum at most 1, shape (num_arms,).
        cap: largest probability of every arm, at least its floor, with sum at least 1, shape (num_arms,).

    Returns:
        The probabilities, which sum to 1, shape (..., num_arms).
    """
    # The floor is mixed in. Clipping, max(weights, floor), would have to be normalised, which pushes arms below the
    # floor again, and it would make all arms below the floor equal, whatever the policy prefers among them.
    p: NDArray[np.float64] = floor + np.maximum(1 - floor.sum(), 0) * weights  # (..., num_arms)
    # Probability above the cap goes to the arms below it in proportion to their probabilities, which keeps the ratios
    # that the policy chose among them. This may lift another arm above its cap, hence the loop. Each pass caps at least
    # one more arm, so num_arms passes suffice.
    for _ in range(len(cap)):
        excess = np.maximum(p - cap, 0).sum(axis=-1, keepdims=True)
        if (excess <= 1e-15).all():
            break
        share = np.where(p < cap, p, 0)
        some = share.sum(axis=-1, keepdims=True) > 1e-200
        # If all arms below their cap have probability 0 (or so little that the quotient would overflow), there are no
        # ratios to keep, and they share the excess in proportion to the room below their cap.
        share = np.where(some, share, np.maximum(cap - p, 0))
        p = np.minimum(p, cap) + excess * share / np.maximum(share.sum(axis=-1, keepdims=True), 1e-300)
    return p
