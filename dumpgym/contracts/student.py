"""The contract of a student: it practises arms, and a curriculum observes the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class GroupResults:
    """Results of a batch of practice: one number per group of completions to the same prompt, in each array.

    Arrays have the shape (..., groups), with a leading axis if the student serves several runs in lockstep.

    Attributes:
        arm: index of the arm that each group's prompt was drawn from.
        successes: number of completions that solve the problem.
        num_generations: number of completions in every group, G.
        tokens: number of tokens generated for the group.
        truncated: number of completions cut off at the length limit.
        rewards: reward of every completion, shape (..., groups, G); None if the reward is 1 for a success and 0
            otherwise.
        solved: which completions solve their problem, shape (..., groups, G); None if only their number is known.
        seconds: time that generating the batch took, in seconds.
    """

    arm: NDArray[np.int64]
    successes: NDArray[np.int64]
    num_generations: int
    tokens: NDArray[np.int64]
    truncated: NDArray[np.int64]
    rewards: NDArray[np.float64] | None = None
    solved: NDArray[np.bool_] | None = None
    seconds: float = 0.0


@runtime_checkable
class Student(Protocol):
    """Anything that practises arms: a simulated student, or a learner together with its puzzles.

    The members are:

    - ``arm_names`` and ``counts``: the arms, and which of them count in the curriculum's success.
    - ``practise(arms, num_generations)``: practises one batch and learns from it.
    - ``success()``: measures the success on every arm without learning.

    ``SkillsStudent``, ``SoftmaxStudent`` and ``ReplayStudent`` in ``dumpgym.envs.students`` are simulated; a
    ``PuzzleStudent`` is made of a ``Learner`` and its arms. A student of several runs in lockstep has a leading axis of
    runs in all arrays.
    """

    @property
    def arm_names(self) -> Sequence[str]:
        """Names of the arms, easiest first."""
        ...

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Which arms count in the curriculum's success, shape (num_arms,); nuisance arms do not."""
        ...

    def practise(self, arms: NDArray[np.int64], num_generations: int) -> GroupResults:
        """Completes one prompt of each of the arms ``num_generations`` times, and learns from the rewards.

        Args:
            arms: arm of every group, shape (..., groups).
            num_generations: number of completions per group, at least 2.

        Returns:
            The results of the groups, in the order of ``arms``.
        """
        ...

    def success(self) -> NDArray[np.float64]:
        """Returns the present success rate on held-out problems of every arm, shape (..., num_arms).

        The student does not learn from these problems.
        """
        ...
