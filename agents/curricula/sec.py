"""SEC, self-evolving curriculum (arXiv 2505.14970): a softmax over recency-weighted means of the signal."""

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import HistoryPolicy
from dumpgym.agents.bandits.recent_history import ExponentialMean
from dumpgym.agents.bandits.selection import boltzmann
from dumpgym.contracts.policy import PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class SEC(HistoryPolicy):
    """SEC, self-evolving curriculum: a softmax over recency-weighted means of the signal.

    For every arm in a batch, with r_d the mean signal of the arm's groups in it::

        Q_d <- step_size * r_d + (1 - step_size) * Q_d, from 0
        P   = softmax(Q / temperature)

    Source: Chen et al., Self-Evolving Curriculum for LLM Reasoning, arXiv 2505.14970, which applies TD(0) with the mean
    abs(A) of a category as the reward. The defaults are those of a public re-implementation; we have not seen the
    paper's own. At temperature 1 and with signals from 0 to 1, no arm is drawn more than e times as often as another.
    No departure in the rule. Late feedback moves Q when it arrives.

    Args:
        num_arms: number of arms, at least 1.
        step_size: alpha, weight of the newest batch, above 0 and at most 1.
        temperature: tau, softmax temperature, at least 0; a number or a schedule.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        step_size: float = 0.1,
        temperature: Schedulable = 1.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = ExponentialMean(self.shape, step_size, per="batch")
        self.temperature = Schedule.parse("temperature", temperature, low=0)

    def _weights(self) -> NDArray[np.float64]:
        return boltzmann(self.history.mean(), self.temperature.at(self.clock))


register_policy("sec", SEC, vectorised=True)
