"""Random numbers by address: the same address gives the same number, in whatever order the numbers are asked for.

So a simulated run depends on its seed alone, whoever is simulated beside it, and arm d's i-th problem is the same under
every policy.
"""

import numpy as np
from numpy.typing import NDArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


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
