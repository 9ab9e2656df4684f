"""Random numbers by address: the same address gives the same number, in whatever order the numbers are asked for.

So a simulated run depends on its seed alone, whoever is simulated beside it, and arm d's i-th problem is the same under
every policy.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError, require_number

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_LARGEST_SEED = 2**63 - 1


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), a bijection of 64 bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform_at(*address: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) by their addresses.

    Args:
        address: whole numbers of at least 0, which are broadcast against each other, e.g. seed, arm and index.
    """
    key = np.zeros((), dtype=np.uint64)
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        for part in address:
            key = _mix((key ^ np.asarray(part).astype(np.uint64)) + _GAMMA)
    uniform: NDArray[np.float64] = (key >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def address_of_runs(seeds: int | Sequence[int]) -> NDArray[np.int64]:
    """The seeds of runs, as part of an address that is broadcast against numbers of shape (..., groups).

    Args:
        seeds: one a run that goes in lockstep with the others, or a single number for one run.

    Returns:
        Shape (runs, 1), or () for one run.

    Raises:
        InvalidValueError: if there are none, or one is no whole number from 0 to 2^63 - 1.
    """
    given = list(seeds) if isinstance(seeds, Sequence | np.ndarray) else [seeds]
    for seed in given:
        require_number("seed", seed, low=0, high=_LARGEST_SEED, whole=True)
    if not given:
        raise InvalidValueError("seeds", seeds, "a whole number, or at least one of them")
    return np.array(given[0] if np.ndim(seeds) == 0 else [[seed] for seed in given], dtype=np.int64)


def check_batch(arms: NDArray[np.int64], num_generations: int, drawn: NDArray[np.int64]) -> None:
    """Refuses what no student can practise.

    Args:
        arms: of each group, (..., groups).
        num_generations: completions in a group.
        drawn: (..., num_arms).

    Raises:
        InvalidValueError: if the batch is empty or has another shape, an arm does not exist, or a group has fewer than
            two completions.
    """
    require_number("num_generations", num_generations, low=2, whole=True)
    if arms.ndim != drawn.ndim or arms.shape[:-1] != drawn.shape[:-1] or arms.shape[-1] == 0:
        form = ", ".join([*map(str, drawn.shape[:-1]), "groups"])
        raise InvalidValueError("shape of arms", arms.shape, f"({form}) with at least one group")
    missing = (arms < 0) | (arms >= drawn.shape[-1])
    if missing.any():
        raise InvalidValueError("arm", arms[missing][0].item(), f"0 to {drawn.shape[-1] - 1}")


def problem_indices(arms: NDArray[np.int64], drawn: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of its arm's problems every group of a batch is about.

    Args:
        arms: of each group, (..., groups).
        drawn: (..., num_arms).

    Returns:
        The index of each group's problem, which goes on from ``drawn``, (..., groups), and ``drawn`` after the batch.
    """
    one_hot = arms[..., None] == np.arange(drawn.shape[-1])
    place = np.take_along_axis(one_hot.cumsum(axis=-2), arms[..., None], axis=-1)[..., 0] - 1
    return place + np.take_along_axis(drawn, arms, axis=-1), drawn + one_hot.sum(axis=-2)
