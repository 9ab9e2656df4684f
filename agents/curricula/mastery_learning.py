"""Mastery learning: an order that advances to the next arm when the success on the current arm passes a threshold."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.curricula.easy_to_hard import with_review
from dumpgym.contracts.errors import require_number
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule

MOST_GROUPS = 10_000
"""Largest window of groups."""


class MasteryLearning(BanditPolicy):
    """Mastery learning: one arm after another, each until its success passes a threshold.

    The arms are in order of difficulty, easiest first. The order advances after a batch if the mean success of the last
    ``window`` groups of the current arm, all of them from after it became the current one, is at least ``threshold``.
    It advances by at most one arm a batch, never goes back, and the last arm is final::

        P(d) = 1 - review                   if d is the current arm
               review / number of passed    if d is one of the arms passed
               0                            otherwise

    The first arm has the whole batch, as there is nothing to review yet. With independent draws, ``review`` is the
    expected share of the batch; with quotas, it is the share. By default there is no review.

    Source: Bloom, Learning for Mastery, Evaluation Comment 1(2), 1968, as curricula of language models use it, for
    instance Reasoning Gym (arXiv 2505.24760), whose configuration for Knights and Knaves advances at a success of 0.7
    over the last 2,560 completions. The review is what Baby Steps (Spitkovsky et al., From Baby Steps to Leapfrog,
    NAACL 2010) does when it keeps the earlier stages in training. Departures from Reasoning Gym: there is no lower
    threshold at which the difficulty falls again, and success is looked at after every batch, not at intervals.

    Unlike ``grade-adaptive``, it stays on an arm that is never solved, where nothing is learned. ``easy-to-hard`` is
    the same order by time.

    Args:
        num_arms: number of arms, at least 1.
        threshold: success at which the order advances, above 0 and at most 1.
        window: number of latest groups of the current arm whose success is averaged, from 1 to 10,000.
        review: share of the batch for the arms that were passed, from 0 to 1; a number or a schedule.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        current: index of the current arm, shape (..., 1).
        recent: success of its latest groups, the newest last, NaN before there were that many, shape (..., window).

    Raises:
        InvalidValueError: if an option is out of range.
    """

    symmetric: ClassVar[bool] = False
    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "current", "recent")

    def __init__(
        self,
        num_arms: int,
        *,
        threshold: float = 0.8,
        window: int = 16,
        review: Schedulable = 0.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.threshold = require_number("threshold", threshold, above=0, high=1)
        window = require_number("window", window, low=1, high=MOST_GROUPS, whole=True)
        self.review = Schedule.parse("review", review, low=0, high=1)
        self.current: NDArray[np.int64] = np.zeros((*self.shape[:-1], 1), dtype=np.int64)
        self.recent: NDArray[np.float64] = np.full((*self.shape[:-1], window), np.nan)

    def _observe(self, feedback: Feedback) -> None:
        success = np.where(feedback.arm == self.current, feedback.successes / feedback.num_generations, np.nan)
        seen = np.concatenate([self.recent, success], axis=-1)
        # The groups of other arms, and the places that are still empty, move to the front; the others keep their order.
        order = (~np.isnan(seen)).argsort(axis=-1, kind="stable")
        self.recent = np.take_along_axis(seen, order, axis=-1)[..., -self.recent.shape[-1] :]
        # The mean of a window that is not full is NaN, and so is not above the threshold. Rounding must not keep an arm
        # whose success is the threshold.
        advances = self.recent.mean(axis=-1, keepdims=True) >= self.threshold - 1e-12
        self.current = np.minimum(self.current + advances, self.num_arms - 1)
        self.recent = np.where(advances, np.nan, self.recent)

    def _weights(self) -> NDArray[np.float64]:
        arms = np.arange(self.num_arms)
        return with_review(arms == self.current, arms < self.current, self.review.at(self.clock))


register_policy("mastery-learning", MasteryLearning, vectorised=True)
