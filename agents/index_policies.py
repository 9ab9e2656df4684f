"""Textbook bandits that give a batch to the arm with the largest index."""

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.arm_history import HistoryPolicy, SumHistory
from dumpgym.agents.draws import best_arms, epsilon_greedy
from dumpgym.agents.recent_history import ExponentialMean
from dumpgym.policy import PolicyOptions
from dumpgym.registration import register_policy
from dumpgym.schedules import Schedulable, Schedule


class UCB1(HistoryPolicy):
    """UCB1 on the signal: all slots of a batch go to the arm with the largest upper confidence bound.

    With mean_d the mean signal of the n_d groups that arm d ever got, and t their sum over arms::

        score(d) = mean_d + exploration * sqrt(2 ln t / n_d)

    ``probabilities`` is the arg-max: arms that tie share it evenly, and an arm without feedback comes before all
    others, so at the start each slot draws among all arms. A batch is one decision, since no feedback comes inside it;
    with batches of one group this is the textbook's policy.

    Source: Auer, Cesa-Bianchi, Fischer, Finite-time Analysis of the Multiarmed Bandit Problem, Machine Learning 47,
    2002. Its signals lie in [0, 1].

    Args:
        num_arms: number of arms, at least 1.
        exploration: factor of the confidence bonus, at least 0; a number or a schedule.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(self, num_arms: int, *, exploration: Schedulable = 1.0, **common: Unpack[PolicyOptions]) -> None:
        super().__init__(num_arms, **common)
        self.history = SumHistory(self.shape)
        self.exploration = Schedule.parse("exploration", exploration, low=0)

    def _weights(self) -> NDArray[np.float64]:
        groups = self.history.groups
        total = np.maximum(groups.sum(axis=-1, keepdims=True), 1)
        bonus = np.sqrt(2 * np.log(total) / np.maximum(groups, 1))
        score = self.history.mean() + self.exploration.at(self.clock) * bonus
        return best_arms(np.where(groups == 0, np.inf, score))


class EpsilonGreedy(HistoryPolicy):
    """Epsilon-greedy on the signal: each slot draws a uniform arm with probability epsilon, else the best one.

    The best arm has the largest mean signal; arms that tie share evenly, and an arm without feedback has the mean 0.
    Way back of an arm: epsilon / num_arms of the slots.

    Source: Sutton and Barto, Reinforcement Learning, 2nd edition, sections 2.2 to 2.5.

    Args:
        num_arms: number of arms, at least 1.
        epsilon: share of uniform draws, from 0 to 1; a number or a schedule.
        step_size: None for the mean of all groups, or the constant step of a recency-weighted mean, above 0 and at
            most 1. It is taken once a group, so a batch with many groups of an arm replaces most of the arm's mean.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        epsilon: Schedulable = 0.1,
        step_size: float | None = None,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = SumHistory(self.shape) if step_size is None else ExponentialMean(self.shape, step_size)
        self.epsilon = Schedule.parse("epsilon", epsilon, low=0, high=1)

    def _weights(self) -> NDArray[np.float64]:
        return epsilon_greedy(self.history.mean(), self.epsilon.at(self.clock))


register_policy("ucb1", UCB1, vectorised=True)
register_policy("epsilon-greedy", EpsilonGreedy, vectorised=True)
