"""Epsilon-greedy bandits: the best arm so far, except for a share of uniform draws."""

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import HistoryPolicy, SumHistory
from dumpgym.agents.bandits.recent_history import ExponentialMean
from dumpgym.agents.bandits.selection import epsilon_greedy
from dumpgym.contracts.errors import require_number
from dumpgym.contracts.policy import PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class EpsilonGreedy(HistoryPolicy):
    """Epsilon-greedy on the signal: each slot draws a uniform arm with probability epsilon, and the best arm otherwise.

    The best arm has the largest mean signal. Arms that tie share slots evenly, and an arm without feedback has the mean
    ``initial_value``. An ``initial_value`` above all signals is an optimistic initial value, and with a ``step_size``
    the optimism decays slowly. Every arm keeps at least epsilon / num_arms of the slots.

    Source: Sutton and Barto, Reinforcement Learning, 2nd edition, sections 2.2 to 2.6.

    Args:
        num_arms: number of arms, at least 1.
        epsilon: share of uniform draws, from 0 to 1; a number or a schedule.
        step_size: None for the mean of all groups, or the step size of a recency-weighted mean, above 0 and at most 1.
            Every group is one step, so a batch with many groups of an arm replaces most of the arm's mean.
        initial_value: Q_1, mean of an arm before its first group. The mean of all groups does not contain it; a
            recency-weighted mean starts from it.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        epsilon: Schedulable = 0.1,
        step_size: float | None = None,
        initial_value: float = 0.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.initial_value = require_number("initial_value", initial_value)
        self.history = (
            SumHistory(self.shape)
            if step_size is None
            else ExponentialMean(self.shape, step_size, initial=initial_value)
        )
        self.epsilon = Schedule.parse("epsilon", epsilon, low=0, high=1)

    def _weights(self) -> NDArray[np.float64]:
        mean = np.where(self.history.groups > 0, self.history.mean(), self.initial_value)
        return epsilon_greedy(mean, self.epsilon.at(self.clock))


class EpsilonDecreasing(HistoryPolicy):
    """Epsilon-greedy whose share of uniform draws falls as 1 / t.

    With t the number of the next group, 1 + the number of groups of all arms observed so far::

        epsilon(t) = min(1, c num_arms / (d^2 t))

    Source: Auer, Cesa-Bianchi, Fischer, Finite-time Analysis of the Multiarmed Bandit Problem, Machine Learning 47,
    2002, figure 3 (epsilon_n-greedy). Its regret grows as ln t if c is above 5 and d is at most the gap between the
    best and the second-best mean; the authors find much smaller c better in practice. The defaults are ours. All slots
    of a batch have the epsilon of its first group; ``EpsilonGreedy`` with a schedule decreases by training steps.

    Args:
        num_arms: number of arms, at least 1.
        c: factor of epsilon, above 0.
        d: lower bound on the gap between the best and the second-best mean, above 0 and at most 1.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(self, num_arms: int, *, c: float = 0.1, d: float = 0.1, **common: Unpack[PolicyOptions]) -> None:
        super().__init__(num_arms, **common)
        self.history = SumHistory(self.shape)
        self.c = require_number("c", c, above=0)
        self.d = require_number("d", d, above=0, high=1)

    def _weights(self) -> NDArray[np.float64]:
        t = 1 + self.history.groups.sum(axis=-1, keepdims=True)
        epsilon = np.minimum(self.c * self.num_arms / (self.d**2 * t), 1)
        return epsilon_greedy(self.history.mean(), epsilon)


register_policy("epsilon-greedy", EpsilonGreedy, vectorised=True)
register_policy("epsilon-decreasing", EpsilonDecreasing, vectorised=True)
