"""Grade-adaptive sampling (marin #8765): advances to the next arm when few groups of the current arm inform."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import require_number
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class GradeAdaptive(BanditPolicy):
    """Grade-adaptive sampling: most slots for the current grade, which advances when few of its groups inform.

    The arms are grades, easiest first. A group informs if 0 < successes < group size; all other groups have advantage
    0. The grade advances by one after ``patience`` batches in a row in which a share below ``threshold`` of its groups
    informed; batches without a group of the grade do not count. The grade never decreases, and the last arm is final::

        P(d) = current_share                        if d is the current grade
               (1 - current_share) / (num_arms - 1) otherwise

    Source: the "grade-adaptive" sampler of marin #8765, in our words and code. The rule cannot tell a grade that is
    too hard from one that is mastered, and advances from both. An arm that the grade has passed keeps only its share of
    the other slots.

    Args:
        num_arms: number of arms, at least 1; a single arm gets all slots.
        current_share: share of the slots for the current grade, from 0 to 1; a number or a schedule.
        threshold: share of informative groups below which a batch counts towards advancing, from 0 to 1.
        patience: number of such batches in a row before the grade advances, at least 1.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        grade: index of the current arm, shape (..., 1).
        waited: number of batches in a row below the threshold, shape (..., 1).

    Raises:
        InvalidValueError: if an option is out of range.
    """

    symmetric: ClassVar[bool] = False
    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "grade", "waited")

    def __init__(
        self,
        num_arms: int,
        *,
        current_share: Schedulable = 0.8,
        threshold: float = 0.1,
        patience: int = 10,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.current_share = Schedule.parse("current_share", current_share, low=0, high=1)
        self.threshold = require_number("threshold", threshold, low=0, high=1)
        self.patience = require_number("patience", patience, low=1, whole=True)
        self.grade: NDArray[np.int64] = np.zeros((*self.shape[:-1], 1), dtype=np.int64)
        self.waited = np.zeros_like(self.grade)

    def _observe(self, feedback: Feedback) -> None:
        own = feedback.arm == self.grade
        informs = own & (feedback.successes > 0) & (feedback.successes < feedback.num_generations)
        groups, informative = own.sum(axis=-1, keepdims=True), informs.sum(axis=-1, keepdims=True)
        waited = np.where(informative < self.threshold * groups, self.waited + 1, 0)
        self.waited = np.where(groups > 0, waited, self.waited)
        advances = self.waited >= self.patience
        self.grade = np.minimum(self.grade + advances, self.num_arms - 1)
        self.waited = np.where(advances, 0, self.waited)

    def _weights(self) -> NDArray[np.float64]:
        if self.num_arms == 1:
            return np.ones(self.shape)
        share = self.current_share.at(self.clock)
        return np.where(np.arange(self.num_arms) == self.grade, share, (1 - share) / (self.num_arms - 1))


register_policy("grade-adaptive", GradeAdaptive, vectorised=True)
