"""Boltzmann exploration: a softmax of mean signals, and its correction by Gumbel noise whose scale differs by arm."""

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import HistoryPolicy, SumHistory, make_sums
from dumpgym.agents.bandits.random_scores import RandomScorePolicy
from dumpgym.agents.bandits.selection import boltzmann, probability_of_largest_gumbel
from dumpgym.contracts.policy import PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class Boltzmann(HistoryPolicy):
    """Boltzmann exploration: P = softmax(mean signal / temperature); an arm without feedback has the mean 0.

    Source: Sutton and Barto, Reinforcement Learning, 2nd edition, section 2.8, with mean signals as preferences.
    Cesa-Bianchi et al. (see ``BoltzmannGumbel``) show that no temperature that only falls is good for all problems.
    SEC is the same rule on a recency-weighted mean. The default temperature is ours: an arm whose mean signal is larger
    by 0.2 is drawn e times as often.

    Args:
        num_arms: number of arms, at least 1.
        temperature: softmax temperature, at least 0; a number or a schedule. At 0 the best arm gets all slots.
        window: number of latest training steps that the means are taken over, at least 1; None for all steps.
        discount: factor on a group's weight per training step, above 0 and at most 1; None for no discount. A window
            and a discount exclude each other.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        temperature: Schedulable = 0.2,
        window: int | None = None,
        discount: float | None = None,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = make_sums(self.shape, window=window, discount=discount)
        self.temperature = Schedule.parse("temperature", temperature, low=0)

    def _weights(self) -> NDArray[np.float64]:
        return boltzmann(self.history.mean(), self.temperature.at(self.clock))


class BoltzmannGumbel(RandomScorePolicy):
    """Boltzmann-Gumbel exploration: each slot goes to the largest mean signal plus Gumbel noise scaled per arm.

    With n_d the number of groups of arm d so far, mean_d their mean signal, and Z_d from the standard Gumbel
    distribution, drawn independently for every arm and slot::

        score(d) = mean_d + exploration / sqrt(n_d) * Z_d

    With the same scale for all arms this would be ``Boltzmann``. Arms without feedback come before all others.
    ``probabilities`` gives each arm's chance of the largest score, computed by integration and not by draws.

    Source: Cesa-Bianchi, Gentile, Lugosi, Neu, Boltzmann Exploration Done Right, arXiv 1705.10257, section 4. Its C is
    ``exploration``. Its regret bound holds for every C; the natural choice is the spread of the signals, 1/2 for
    signals in [0, 1]. No departure in the rule; with batches of one group this is the paper's policy.

    Args:
        num_arms: number of arms, at least 1.
        exploration: C, at least 0; a number or a schedule. At 0 the best arm gets all slots.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    history: SumHistory

    def __init__(self, num_arms: int, *, exploration: Schedulable = 0.5, **common: Unpack[PolicyOptions]) -> None:
        super().__init__(num_arms, **common)
        self.history = SumHistory(self.shape)
        self.exploration = Schedule.parse("exploration", exploration, low=0)

    def _locations_and_scales(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Location and scale of every arm's score, shape (..., num_arms) each.

        If some arms have no feedback, or if there is no noise, only those arms or the best arms can win: they have
        location 0 and scale 1, so they share the slots evenly, and all others have location -inf.
        """
        groups, mean, exploration = self.history.groups, self.history.mean(), self.exploration.at(self.clock)
        first = groups == 0
        if exploration == 0:
            first |= ~first.any(axis=-1, keepdims=True) & (mean == mean.max(axis=-1, keepdims=True))
        some = first.any(axis=-1, keepdims=True)
        location = np.where(some, np.where(first, 0, -np.inf), mean)
        return location, np.where(some, 1, exploration / np.sqrt(np.maximum(groups, 1)))

    def _draw_scores(self, size: int) -> NDArray[np.float64]:
        mean, scale = (values[..., None, :] for values in self._locations_and_scales())
        scores: NDArray[np.float64] = mean + scale * self.rng.gumbel(size=(*self.shape[:-1], size, self.num_arms))
        return scores

    def _weights(self) -> NDArray[np.float64]:
        return self._chances(probability_of_largest_gumbel, *self._locations_and_scales())


register_policy("boltzmann", Boltzmann, vectorised=True)
register_policy("boltzmann-gumbel", BoltzmannGumbel, vectorised=True)
