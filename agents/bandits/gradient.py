"""The gradient bandit: a softmax over preferences, trained by gradient ascent on the expected signal."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.exp3 import drawn_with
from dumpgym.agents.bandits.selection import boltzmann
from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.feedback import Feedback, add_by_arm
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class GradientBandit(BanditPolicy):
    """The gradient bandit: stochastic gradient ascent on the expected signal of a softmax over preferences.

    With H_d = 0 at the start, x the signal of a group of arm d, and the baseline b::

        P   = softmax(H)
        H_e <- H_e + step_size (x - b) ([e = d] - P(e)), for every arm e

    A group is a pull. The groups of a batch share one b and one P, the probabilities with which they were drawn, and
    their updates are summed; with one group per step this is the textbook's policy. By default b is the mean of all
    signals before the batch, and for the first batch the mean of its own signals.

    Source: Sutton and Barto, Reinforcement Learning, 2nd edition, section 2.8, with the baseline of its text; many
    implementations include the newest signal in the mean. No departure for batches of one group. The preference of a
    bad arm may fall without bound, until the arm is practically never drawn; a ``floor`` keeps it in the batches.

    Args:
        num_arms: number of arms, at least 1.
        step_size: alpha, at least 0; a number or a schedule.
        baseline: "mean", or a number; 0 gives the book's gradient bandit without a baseline.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        preferences: H, shape (..., num_arms).
        total: sum of all signals of each run, shape (..., 1).
        pulls: number of groups observed so far in each run.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "preferences", "total", "pulls")

    def __init__(
        self,
        num_arms: int,
        *,
        step_size: Schedulable = 0.1,
        baseline: float | str = "mean",
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.step_size = Schedule.parse("step_size", step_size, low=0)
        if isinstance(baseline, str) and baseline != "mean":
            raise InvalidValueError("baseline", baseline, "'mean' or a number")
        self.baseline = baseline if isinstance(baseline, str) else require_number("baseline", baseline)
        self.preferences: NDArray[np.float64] = np.zeros(self.shape)
        self.total: NDArray[np.float64] = np.zeros((*self.shape[:-1], 1))
        self.pulls = 0

    def _weights(self) -> NDArray[np.float64]:
        return boltzmann(self.preferences, 1)

    def _observe(self, feedback: Feedback) -> None:
        p = drawn_with(self, feedback)
        baseline = self._baseline(feedback)
        self.total = self.total + feedback.signal.sum(axis=-1, keepdims=True)
        self.pulls += feedback.arm.shape[-1]
        better = feedback.signal - baseline
        # (..., num_arms): every group moves all arms by -P, and its own arm by 1 in addition.
        gradient = -p * better.sum(axis=-1, keepdims=True)
        add_by_arm(gradient, feedback.arm, better)
        self.preferences = self.preferences + self.step_size.at(self.clock) * gradient

    def _baseline(self, feedback: Feedback) -> NDArray[np.float64] | float:
        if not isinstance(self.baseline, str):
            return self.baseline
        return self.total / self.pulls if self.pulls > 0 else feedback.signal.mean(axis=-1, keepdims=True)


register_policy("gradient", GradientBandit, vectorised=True)
