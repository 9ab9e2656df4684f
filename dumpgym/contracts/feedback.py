"""What a policy is told of a batch, and sums of such numbers over the groups of every arm."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.student import GroupResults

PER_GROUP = ("arm", "signal", "successes", "num_generations", "tokens", "truncated")
"""The fields of ``Feedback`` that have a number for every group."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one batch taught, one row a group of completions to the same prompt; arrays of shape (..., groups).

    Attributes:
        step: the training step to which the batch belongs; feedback may come late and out of order.
        arm: index of the arm that each prompt was drawn from.
        signal: learnability of the group, e.g. its mean absolute advantage.
        successes: number of completions that solved the problem.
        num_generations: number of completions in the group.
        tokens: tokens generated for the group.
        truncated: number of completions cut off at the length limit.
        probabilities: those with which the batch was drawn, (..., num_arms), for policies that divide by them; None
            if they are the policy's present ones, as they are when feedback does not come late.

    Raises:
        InvalidValueError: if the arrays do not have the shape of ``arm``.
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
        """The feedback of one batch of practice.

        Args:
            step: the training step.
            results: what came of the practice.
            signal: learnability of each group, (..., groups).
            probabilities: those with which the batch was drawn, (..., num_arms).
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
    """Adds the values to their arms' totals, one after another, in place.

    Args:
        total: shape (..., num_arms), contiguous.
        arm: of each group, (..., groups).
        values: of each group, (..., groups), or one for all.
    """
    np.add.at(total.reshape(-1), flat_arm(arm, total.shape[-1]).ravel(), np.broadcast_to(values, arm.shape).ravel())


def flat_arm(arm: NDArray[np.int64], num_arms: int) -> NDArray[np.int64]:
    """Index of each group's arm in an array of shape (..., num_arms) that is laid flat, shape (..., groups)."""
    return arm if arm.ndim == 1 else arm + num_arms * np.arange(len(arm))[:, None]


def batch_means(
    arm: NDArray[np.int64], values: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The mean of the values over every arm's groups in a batch, 0 where there are none, and which arms have any.

    Args:
        arm: of each group, (..., groups).
        values: of each group, (..., groups).
        shape: (..., num_arms), that of both results.
    """
    total, count = np.zeros(shape), np.zeros(shape)
    add_by_arm(total, arm, values)
    add_by_arm(count, arm, 1)
    return total / np.maximum(count, 1), count > 0
