"""CUSUM-UCB: upper confidence bounds that forget an arm when a test detects a change of its signal."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import ArmHistory
from dumpgym.agents.bandits.ucb import ForgettingUCB
from dumpgym.contracts.errors import require_number
from dumpgym.contracts.feedback import Feedback, flat_arm
from dumpgym.contracts.policy import PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class CusumHistory(ArmHistory):
    """The groups of every arm since its last alarm, in the order in which feedback arrives.

    The reference of an arm is the mean of its first ``num_reference`` signals after an alarm. Each later signal x
    updates two sums. When one of them reaches the threshold, an alarm makes the history forget the arm::

        rise <- max(0, rise + x - reference - drift)
        fall <- max(0, fall + reference - x - drift)

    Args:
        shape: shape of the counts and means, (..., num_arms).
        num_reference: M, number of groups that set an arm's reference, at least 1.
        drift: epsilon, deviation from the reference that does not count as a change, at least 0.
        threshold: h, value of a sum that raises the alarm, above 0.

    Attributes:
        rows: number of groups since the last alarm, sum of their signals, reference, rise and fall, shape
            (5, ..., num_arms).
        alarms: number of alarms of every arm so far, shape (..., num_arms).
    """

    state_fields: ClassVar[tuple[str, ...]] = ("rows", "alarms")

    def __init__(self, shape: tuple[int, ...], *, num_reference: int, drift: float, threshold: float) -> None:
        super().__init__(shape)
        self.num_reference = require_number("num_reference", num_reference, low=1, whole=True)
        self.drift = require_number("drift", drift, low=0)
        self.threshold = require_number("threshold", threshold, above=0)
        self.rows: NDArray[np.float64] = np.zeros((5, *shape))
        self.alarms: NDArray[np.float64] = np.zeros(shape)

    def add(self, feedback: Feedback) -> None:
        """Adds the groups of a batch, one by one."""
        # The sums depend on the order of the signals, and an alarm may fall in the middle of a batch, so groups are
        # processed one at a time, the same group of all runs at once. Late feedback counts when it arrives: its place
        # may lie before an alarm, in what has been forgotten.
        num_groups = feedback.arm.shape[-1]
        arms = flat_arm(feedback.arm, self.shape[-1]).reshape(-1, num_groups).T  # (groups, runs)
        signals = feedback.signal.reshape(-1, num_groups).T
        rows, alarms = self.rows.reshape(5, -1), self.alarms.reshape(-1)
        for arm, x in zip(arms, signals, strict=True):
            groups, total, reference, rise, fall = rows[:, arm]
            groups, total = groups + 1, total + x
            learning = groups <= self.num_reference  # the reference is still being set
            reference = np.where(learning, total / groups, reference)
            change = np.where(learning, 0, x - reference)  # both sums stay 0 until the reference is set
            rise = np.maximum(rise + change - self.drift, 0)
            fall = np.maximum(fall - change - self.drift, 0)
            alarm = np.maximum(rise, fall) >= self.threshold
            rows[:, arm] = np.where(alarm, 0, (groups, total, reference, rise, fall))
            alarms[arm] += alarm

    @property
    def groups(self) -> NDArray[np.float64]:
        """Number of groups of every arm since its last alarm, shape (..., num_arms)."""
        groups: NDArray[np.float64] = self.rows[0]
        return groups

    def mean(self) -> NDArray[np.float64]:
        """Mean signal of every arm since its last alarm, 0 for an arm without groups, shape (..., num_arms)."""
        mean: NDArray[np.float64] = self.rows[1] / np.maximum(self.groups, 1)
        return mean


class CusumUCB(ForgettingUCB):
    """CUSUM-UCB: upper confidence bounds that start over for an arm whose signal has changed.

    With mean_d the mean signal of the n_d groups of arm d since its last alarm (see ``CusumHistory``), and n the sum of
    n_d over the arms::

        score(d) = mean_d + sqrt(xi ln n / n_d)
        P(d)     = alpha / num_arms + (1 - alpha) [score(d) is the largest]

    After an alarm an arm counts as unknown and comes first, as in ``IndexPolicy``. The uniform share alpha detects
    changes of arms that are not the best, which would otherwise get no slots.

    Source: Liu, Lee, Shroff, A Change-Detection Based Framework for Piecewise-Stationary Multi-Armed Bandit Problem,
    AAAI 2018 (arXiv 1711.03539), with its two-sided CUSUM. For a run of T pulls with Y changes its theory has alpha of
    the order of sqrt(Y ln(T / Y) / T) and h of the order of ln(T / Y). All defaults are ours: alpha and h have these
    orders for about ten thousand groups with a few changes. A pull is a group; late feedback counts when it arrives. No
    departure in the rule.

    Args:
        num_arms: number of arms, at least 1.
        num_reference: M, number of groups after an alarm that set an arm's reference, at least 1.
        drift: epsilon of the CUSUM, at least 0; smaller changes are not detected.
        threshold: h, value of a sum that raises the alarm, above 0.
        alpha: share of uniform draws, from 0 to 1; a number or a schedule.
        xi: factor under the square root of the bonus, at least 0; a number or a schedule.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        num_reference: int = 100,
        drift: float = 0.1,
        threshold: float = 8.0,
        alpha: Schedulable = 0.05,
        xi: Schedulable = 0.5,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = CusumHistory(self.shape, num_reference=num_reference, drift=drift, threshold=threshold)
        self.alpha = Schedule.parse("alpha", alpha, low=0, high=1)
        self.xi = Schedule.parse("xi", xi, low=0)
        self.width = 1.0

    def _weights(self) -> NDArray[np.float64]:
        alpha = self.alpha.at(self.clock)
        return alpha / self.num_arms + (1 - alpha) * super()._weights()


register_policy("cusum-ucb", CusumUCB, vectorised=True)
