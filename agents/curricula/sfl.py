"""SFL, sampling for learnability (arXiv 2408.15099, 2502.12272): a share of the batch from the largest p (1 - p)."""

from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import HistoryPolicy, make_sums
from dumpgym.agents.bandits.recent_history import ExponentialMean
from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class SFL(HistoryPolicy):
    """SFL, sampling for learnability: a share of the batch from the arms with the largest p (1 - p), the rest uniform.

    With p_d the mean success of arm d, and top the ``top_share`` of arms with the largest p_d (1 - p_d)::

        P(d) = rho / (number of top arms) [d is one of them] + (1 - rho) / num_arms

    An arm of which nothing is remembered counts as p = 1/2, so it is tried. Arms that tie at the edge of the top are
    all in it.

    Source: Rutherford et al., No Regrets, arXiv 2408.15099 (SFL), for levels of a game; Foster et al., Learning to
    Reason at the Frontier of Learnability, arXiv 2502.12272 (LILO), for questions. Departures:

    - The papers rank single levels or questions, whose p they estimate by rollouts made for that purpose; we rank arms
      by the rollouts that training has made anyway, of the last 20 steps unless told otherwise. p (1 - p) of an arm is
      larger than the mean over its problems: an arm of which half is trivial and half is impossible has 1/4.
    - ``rho`` and ``top_share`` are ours; ``rho=1`` draws from the top arms alone.

    Args:
        num_arms: number of arms, at least 1.
        rho: share of the slots for the top arms, from 0 to 1; a number or a schedule.
        top_share: share of the arms that are in the top, above 0 and at most 1, rounded, at least one arm.
        window: training steps that p is a mean of, at least 1; 20 if neither it nor ``discount`` nor ``step_size`` is
            given, of which one may be.
        discount: of a group's weight a training step, above 0 and at most 1; at 1 p is the mean of all rollouts.
        step_size: of a recency-weighted mean of the batches' p, above 0 and at most 1.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        rho: Schedulable = 0.5,
        top_share: float = 0.25,
        window: int | None = None,
        discount: float | None = None,
        step_size: float | None = None,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.rho = Schedule.parse("rho", rho, low=0, high=1)
        self.num_top = max(round(require_number("top_share", top_share, above=0, high=1) * num_arms), 1)
        if step_size is None:
            default = 20 if window is None and discount is None else window
            self.history = make_sums(self.shape, window=default, discount=discount)
        elif window is None and discount is None:
            self.history = ExponentialMean(self.shape, step_size, per="batch")
        else:
            raise InvalidValueError("step_size", step_size, "None beside a window or a discount")

    def _observe(self, feedback: Feedback) -> None:
        self.history.add(replace(feedback, signal=feedback.successes / feedback.num_generations))

    def _weights(self) -> NDArray[np.float64]:
        p = np.where(self.history.groups > 0, self.history.mean(), 0.5)
        learnability = np.round(p * (1 - p), 12)  # p and 1 - p tie, whatever the rounding
        edge = np.sort(learnability, axis=-1)[..., -self.num_top, None]
        top = learnability >= edge
        rho = self.rho.at(self.clock)
        weights: NDArray[np.float64] = rho * top / top.sum(axis=-1, keepdims=True) + (1 - rho) / self.num_arms
        return weights


register_policy("sfl", SFL, vectorised=True)
