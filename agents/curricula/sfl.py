"""SFL, sampling for learnability (arXiv 2408.15099, 2502.12272): a share of the batch for the largest p (1 - p)."""

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
    """SFL, sampling for learnability: a share of the batch for the arms with the largest p (1 - p), the rest uniform.

    With p_d the mean success of arm d, and the top arms the share ``top_share`` of arms with the largest
    p_d (1 - p_d)::

        P(d) = rho / (number of top arms) [d is a top arm] + (1 - rho) / num_arms

    An arm without remembered groups counts as p = 1/2, the largest value, so it is tried. All arms that tie for the
    last place are top arms.

    Source: Rutherford et al., No Regrets, arXiv 2408.15099 (SFL), for levels of a game; Foster et al., Learning to
    Reason at the Frontier of Learnability, arXiv 2502.12272 (LILO), for questions. Departures:

    - The papers rank single levels or questions, and estimate their p from completions generated for that purpose. We
      rank arms by the completions of training, by default those of the last 20 steps; no option restores the ranking of
      single problems. p (1 - p) of an arm exceeds the mean over its problems: an arm of half trivial and half
      impossible problems has 1/4.
    - The defaults of ``rho`` and ``top_share`` are ours; ``rho=1`` draws only from the top arms.

    Args:
        num_arms: number of arms, at least 1.
        rho: share of the slots for the top arms, from 0 to 1; a number or a schedule.
        top_share: share of the arms that are top arms, above 0 and at most 1; rounded to at least one arm.
        window: number of latest training steps that p averages over, at least 1. At most one of ``window``,
            ``discount`` and ``step_size`` may be given; without any of them it is 20.
        discount: factor on a group's weight per training step, above 0 and at most 1; at 1 p averages over all groups.
        step_size: step size of a recency-weighted mean of p over batches, above 0 and at most 1.
        common: options of every policy, see ``BanditPolicy``.

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
        # p and 1 - p have the same product, except for its last bits, which must not decide which arm is a top arm.
        learnability = np.round(p * (1 - p), 12)
        edge = np.partition(learnability, -self.num_top, axis=-1)[..., -self.num_top, None]
        top = learnability >= edge
        rho = self.rho.at(self.clock)
        weights: NDArray[np.float64] = rho * top / top.sum(axis=-1, keepdims=True) + (1 - rho) / self.num_arms
        return weights


register_policy("sfl", SFL, vectorised=True)
