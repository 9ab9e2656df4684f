"""The bandits of curriculum papers: policies on the learnability of an arm."""

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import HistoryPolicy
from dumpgym.agents.bandits.recent_history import CompletionWindow
from dumpgym.agents.bandits.selection import boltzmann
from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.policy import PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class Dump(HistoryPolicy):
    """DUMP: a softmax over upper confidence bounds of learnability.

    With L(d) the mean abs(A) over the last ``window`` rollouts of arm d, 0 before the first one, n_d the rollouts that
    arm d ever got, and N their sum::

        UCB(d) = L(d) + exploration * sqrt(2 ln(N + 1) / (n_d + prior_count))
        P(d)   = softmax(UCB / temperature)_d

    A defect in practice: an arm that the first batch leaves out by chance has the bonus sqrt(2 ln(N + 1)), 3.9 after
    128 groups of 16 rollouts, where the others have about 0.3. At temperature 0.1 the whole second batch is that arm's.
    Cures, none of which is on by default: ``prior_count``, say 100, with which such an arm has the bonus of one with
    100 rollouts; ``draw="quota"``, with which no arm is left out of a first batch of num_arms groups or more;
    ``cap``, ``floor``, and ``warmup_steps``, which only make it smaller or rarer.

    Source: DUMP, Automated Distribution-Level Curriculum Learning for RL-based LLM Post-training, arXiv 2504.09710,
    its UCB score and its algorithm. Departures:

    - The algorithm reads as if n_d and N counted prompts, the authors' code, which made the published curves, counts
      rollouts. We follow the code; ``count_unit="prompts"`` restores the text. Its bonus is 3 to 3.6 times larger.
    - Feedback gives a group's mean abs(A), so each of its rollouts enters the window with that mean, and a group only
      partly inside the window counts with the part that is inside. L is the same but for that oldest group.
    - ``prior_count``, schedules and the options that all policies have are ours; the defaults are the paper.
    - Only training batches are told to the policy; the authors' code also fills its windows from validation. A NaN is
      refused, where theirs falls back to uniform sampling, and windows and counts are saved and restored.

    Args:
        num_arms: number of arms, at least 1.
        count_unit: what n_d and N count, "rollouts" or "prompts".
        window: rollouts of an arm that its learnability remembers, at least 1.
        exploration: factor of the confidence bonus, at least 0; a number or a schedule.
        temperature: of the softmax, at least 0; a number or a schedule. At 0, the paper's greedy ablation, every slot
            of a batch goes to the best arm; each slot draws among arms that tie.
        prior_count: what is added to n_d, above 0, in units of ``count_unit``.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    history: CompletionWindow

    def __init__(
        self,
        num_arms: int,
        *,
        count_unit: str = "rollouts",
        window: int = 300,
        exploration: Schedulable = 1.0,
        temperature: Schedulable = 0.1,
        prior_count: float = 1.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = CompletionWindow(self.shape, window)
        if count_unit not in ("rollouts", "prompts"):
            raise InvalidValueError("count_unit", count_unit, "'rollouts' or 'prompts'")
        self.count_unit = count_unit
        self.exploration = Schedule.parse("exploration", exploration, low=0)
        self.temperature = Schedule.parse("temperature", temperature, low=0)
        self.prior_count = require_number("prior_count", prior_count, above=0)

    def _weights(self) -> NDArray[np.float64]:
        count = self.history.completions if self.count_unit == "rollouts" else self.history.groups
        bonus = np.sqrt(2 * np.log(count.sum(axis=-1, keepdims=True) + 1) / (count + self.prior_count))
        score = self.history.mean() + self.exploration.at(self.clock) * bonus
        return boltzmann(score, self.temperature.at(self.clock))


register_policy("dump", Dump, vectorised=True)
