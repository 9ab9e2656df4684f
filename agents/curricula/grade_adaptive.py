"""Grade-adaptive sampling (marin #8765): advance to the next arm when the current one no longer informs."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import require_number
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class GradeAdaptive(BanditPolicy):
    """Most slots for the current grade, which advances when its groups no longer inform.

    The arms are grades, easiest first. A group informs if 0 < successes < group size: all others have the advantage 0.
    The grade advances by one after ``patience`` batches in a row in which less than ``threshold`` of its groups
    informed; batches without a group of it do not count. It never goes back, and stays at the last arm::

        P(d) = current_share                        if d is the current grade
               (1 - current_share) / (num_arms - 1) otherwise

    Source: the "grade-adaptive" sampler of marin #8765, in our words and code. It advances from a grade that is too
    hard as it does from one that is mastered, as the rule cannot tell them apart; the slots of the other arms are what
    an arm left behind keeps.

    Args:
        num_arms: number of arms, at least 1; with a single one it gets everything.
        current_share: of the slots, from 0 to 1; a number or a schedule.
        threshold: share of informative groups, from 0 to 1.
        patience: batches in a row, at least 1.
        common: see ``BanditPolicy``.

    Attributes:
        grade: index of the current arm, shape (..., 1).
        waited: batches in a row below the threshold, shape (..., 1).

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
