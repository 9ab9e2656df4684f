"""The contract of a student: it practises arms, and a curriculum sees its results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class GroupResults:
    """What came of a batch of practice, one row a group of completions to the same prompt; shapes (..., groups).

    In front of the groups stands nothing, or one axis of independent runs in lockstep.

    Attributes:
        arm: that each group's prompt was drawn from.
        successes: number of completions that solved the problem.
        num_generations: completions in every group, G.
        tokens: generated for the group.
        truncated: number of completions cut off at the length limit.
        rewards: of every completion, (..., groups, G); None where a success is rewarded with 1 and all else with 0.
        solved: which completions solved their problem, (..., groups, G); None where only their number is known.
        seconds: that generating the batch took.
    """

    arm: NDArray[np.int64]
    successes: NDArray[np.int64]
    num_generations: int
    tokens: NDArray[np.int64]
    truncated: NDArray[np.int64]
    rewards: NDArray[np.float64] | None = None
    solved: NDArray[np.bool_] | None = None
    seconds: float = 0.0


class Student(Protocol):
    """Whoever practises: a simulated student, or a learner with its puzzles."""

    @property
    def arm_names(self) -> Sequence[str]:
        """Of the arms, easiest first."""
        ...

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Which arms the success of the curriculum is measured on, (num_arms,); nuisance arms are left out."""
        ...

    def practise(self, arms: NDArray[np.int64], num_generations: int) -> GroupResults:
        """Completes one prompt of each of the arms ``num_generations`` times, and learns from the rewards.

        Args:
            arms: shape (..., groups).
            num_generations: completions in a group, at least 2.
        """
        ...

    def success(self) -> NDArray[np.float64]:
        """The present chance to solve a held-out problem of every arm, shape (..., num_arms); it teaches nothing."""
        ...
