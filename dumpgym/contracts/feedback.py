"""The record from which a policy learns, and sums and means of its numbers over the groups of every arm."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.student import GroupResults

PER_GROUP = ("arm", "signal", "successes", "num_generations", "tokens", "truncated")
"""Fields of ``Feedback`` that hold one number per group."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a policy observes of one batch: one number per group of completions to the same prompt, in each array.

    Arrays have the shape (..., groups), with a leading axis if the policy serves several runs in lockstep. A training
    loop makes feedback from a student's results with ``Feedback.of_results``.

    Attributes:
        step: index of the batch's training step, from 0. Feedback may arrive late and out of order.
        arm: index of the arm that each group's prompt was drawn from.
        signal: the number that the bandit learns from, e.g. the group's mean absolute advantage.
        successes: number of completions that solve the problem.
        num_generations: number of completions in the group.
        tokens: number of tokens generated for the group.
        truncated: number of completions cut off at the length limit.
        probabilities: probabilities with which the batch was drawn, shape (..., num_arms), for policies that divide by
            them. None if they are the policy's present probabilities, which they are unless the feedback is late.

    Raises:
        InvalidValueError: if an array does not have the shape of ``arm``.
    """

    step: int
    arm: NDArray[np.int64]
    signal: NDArray[np.float64]
    successes: NDArray[np.int64]
    num_generations: NDArray[np.int64]
    tokens: NDArray[np.int64]
    truncated: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None = None

    @classmethod
    def of_results(
        cls,
        step: int,
        results: GroupResults,
        signal: NDArray[np.float64],
        probabilities: NDArray[np.float64] | None = None,
    ) -> Self:
        """Makes the feedback of one batch of practice.

        Args:
            step: index of the training step.
            results: results of the practice.
            signal: signal of each group, shape (..., groups).
            probabilities: probabilities with which the batch was drawn, shape (..., num_arms), or None; see the class.
        """
        return cls(
            step=step,
            arm=results.arm,
            signal=signal,
            successes=results.successes,
            num_generations=np.full(results.arm.shape, results.num_generations),
            tokens=results.tokens,
            truncated=results.truncated,
            probabilities=probabilities,
        )

    def __post_init__(self) -> None:
        for name in PER_GROUP:
            shape = getattr(self, name).shape
            if shape != self.arm.shape:
                raise InvalidValueError(f"shape of feedback.{name}", shape, f"that of feedback.arm, {self.arm.shape}")


def add_by_arm(total: NDArray[np.float64], arm: NDArray[np.int64], values: NDArray[np.float64] | float) -> None:
    """Adds the value of every group to its arm's total, in place.

    Args:
        total: total of every arm, contiguous, shape (..., num_arms).
        arm: arm of each group, shape (..., groups).
        values: value of each group, shape (..., groups), or one number for all groups.
    """
    # ``total[arm] += values`` would add only one of the values where an arm appears twice. np.add.at adds them all, in
    # the order of the groups, so that a run's totals are the same to the last bit with and without other runs.
    np.add.at(total.reshape(-1), flat_arm(arm, total.shape[-1]).ravel(), np.broadcast_to(values, arm.shape).ravel())


def flat_arm(arm: NDArray[np.int64], num_arms: int) -> NDArray[np.int64]:
    """Returns the index of each group's arm in a flattened array of shape (..., num_arms), shape (..., groups)."""
    return arm if arm.ndim == 1 else arm + num_arms * np.arange(len(arm))[:, None]


def batch_means(
    arm: NDArray[np.int64], values: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Averages the values over every arm's groups in a batch.

    Args:
        arm: arm of each group, shape (..., groups).
        values: value of each group, shape (..., groups).
        shape: shape (..., num_arms) of both results.

    Returns:
        The means, 0 for arms without a group, and which arms have a group.
    """
    total, count = np.zeros(shape), np.zeros(shape)
    add_by_arm(total, arm, values)
    add_by_arm(count, arm, 1)
    return total / np.maximum(count, 1), count > 0
