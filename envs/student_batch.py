"""What simulated students have in common when they are given a batch: its check, and which problems its groups are.

``drawn``, of shape (..., num_arms), is how many problems of every arm a student has had; what is in front of the arms,
and of the groups of a batch, is nothing or one axis of runs in lockstep.
"""

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError, require_number


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
