"""Random numbers by address: the number at an address is the same, whenever and however often it is computed.

Comparisons of policies are paired by seed, so a student must have the same luck under every policy. With the stream of
one generator, the number that problem i of an arm receives would depend on how many numbers were drawn before it, and
so on the arms that the policy chose. After the first different choice, two runs with the same seed would have nothing
in common. A generator per run and arm would solve this, but drawing from all of them needs a loop over runs and arms,
which lockstep is there to avoid. Instead an address, (seed, arm, index, ...), is hashed to a number, for all runs in
one call. A run then depends only on its seed and its own practice, with or without other runs beside it, and problem i
of an arm is the same under every policy.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError, require_number

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_LARGEST_SEED = 2**63 - 1


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Applies the output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), a bijection of 64 bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform_at(*address: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Returns the uniform numbers in [0, 1) at some addresses.

    Args:
        address: parts of the addresses, whole numbers of at least 0 that broadcast against each other, e.g. seed, arm
            and index.

    Returns:
        The numbers, in the shape to which the parts broadcast.
    """
    # One step of SplitMix64 per part. The parts are mixed one after another, so (1, 2) and (2, 1) differ. The constant
    # keeps an address of zeros from giving the number 0, which the bijection maps to itself.
    key = np.zeros((), dtype=np.uint64)
    with np.errstate(over="ignore"):  # arithmetic is modulo 2^64
        for part in address:
            key = _mix((key ^ np.asarray(part).astype(np.uint64)) + _GAMMA)
    # The upper 53 bits, as many as the mantissa of a float64 holds, so that every result is exact and below 1.
    uniform: NDArray[np.float64] = (key >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def address_of_runs(seeds: int | Sequence[int]) -> NDArray[np.int64]:
    """Returns the seeds of runs as the part of an address that broadcasts against numbers of shape (..., groups).

    Args:
        seeds: one seed per run for runs in lockstep, or a single number for one run.

    Returns:
        The seeds, shape (runs, 1), or () for one run.

    Raises:
        InvalidValueError: if there are no seeds, or one is not a whole number from 0 to 2^63 - 1.
    """
    given = list(seeds) if isinstance(seeds, Sequence | np.ndarray) else [seeds]
    for seed in given:
        require_number("seed", seed, low=0, high=_LARGEST_SEED, whole=True)
    if not given:
        raise InvalidValueError("seeds", seeds, "a whole number, or at least one of them")
    return np.array(given[0] if np.ndim(seeds) == 0 else [[seed] for seed in given], dtype=np.int64)


def check_batch(arms: NDArray[np.int64], num_generations: int, drawn: NDArray[np.int64]) -> None:
    """Raises an error if a student cannot practise a batch.

    Args:
        arms: arm of each group, shape (..., groups).
        num_generations: number of completions in a group.
        drawn: number of problems drawn from every arm so far, shape (..., num_arms).

    Raises:
        InvalidValueError: if the batch is empty or has the wrong shape, an arm does not exist, or a group has fewer
            than two completions.
    """
    require_number("num_generations", num_generations, low=2, whole=True)
    if arms.ndim != drawn.ndim or arms.shape[:-1] != drawn.shape[:-1] or arms.shape[-1] == 0:
        form = ", ".join([*map(str, drawn.shape[:-1]), "groups"])
        raise InvalidValueError("shape of arms", arms.shape, f"({form}) with at least one group")
    missing = (arms < 0) | (arms >= drawn.shape[-1])
    if missing.any():
        raise InvalidValueError("arm", arms[missing][0].item(), f"0 to {drawn.shape[-1] - 1}")


def problem_indices(arms: NDArray[np.int64], drawn: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers the problems of a batch: the groups of an arm receive its next problems, in their order.

    Args:
        arms: arm of each group, shape (..., groups).
        drawn: number of problems drawn from every arm so far, shape (..., num_arms).

    Returns:
        The index of each group's problem in its arm, shape (..., groups), and ``drawn`` after the batch.
    """
    one_hot = arms[..., None] == np.arange(drawn.shape[-1])  # (..., groups, num_arms)
    # How many earlier groups of the batch have the same arm, (..., groups).
    place = np.take_along_axis(one_hot.cumsum(axis=-2), arms[..., None], axis=-1)[..., 0] - 1
    return place + np.take_along_axis(drawn, arms, axis=-1), drawn + one_hot.sum(axis=-2)
