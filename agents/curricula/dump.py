"""DUMP (arXiv 2504.09710): a softmax over upper confidence bounds of an arm's learnability."""

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

    With L(d) the mean signal, in the paper mean abs(A), over the last ``window`` completions of arm d, 0 before the
    first one, n_d the number of completions of arm d so far, and N the sum of n_d over the arms::

        UCB(d) = L(d) + exploration * sqrt(2 ln(N + 1) / (n_d + prior_count))
        P(d)   = softmax(UCB / temperature)_d

    The window's meaning depends on the scale. With the paper's batches an arm gets about 171 completions a step, so 300
    completions span the last 2 steps. With 16 groups of 8 completions for 12 arms, an arm gets 10.7 completions a step,
    and 300 span 28 steps, half of a run of 60: L then describes a model that is long gone. ``window_unit="steps"`` with
    ``window=2`` keeps the paper's span at every scale; it counts the steps in which the arm had a group.

    A defect in practice: an arm that the first batch misses by chance has the bonus sqrt(2 ln(N + 1)), which is 3.9
    after 128 groups of 16 completions, where the other arms have about 0.3. At temperature 0.1 this arm gets the whole
    second batch. These options help, and none is on by default: ``prior_count``, for example 100, which shrinks the
    bonus of such an arm; ``draw="quota"``, which leaves no arm out of a first batch of at least num_arms groups; and
    ``cap``, ``floor`` and ``warmup_steps``, which make the effect smaller or rarer.

    Source: DUMP, Automated Distribution-Level Curriculum Learning for RL-based LLM Post-training, arXiv 2504.09710,
    its UCB score and its algorithm. Departures:

    - The algorithm in the text reads as if n_d and N counted prompts; the authors' code, which produced the published
      curves, counts completions. We follow the code. ``count_unit="prompts"`` restores the text, whose bonus is 3 to
      3.6 times larger for groups of 16.
    - Feedback carries a group's mean abs(A), so each of the group's completions enters the window with that mean. If
      the oldest group is only partly inside the window, the part inside counts with the group's mean; this is the only
      difference in L, and no option restores single completions.
    - ``prior_count``, ``window_unit``, schedules and the options of ``BanditPolicy`` are ours. Their defaults leave the
      paper's rule unchanged.
    - The policy observes only training batches; the authors' code also fills its windows from validation. A NaN raises
      an error, where their code falls back to uniform sampling, and windows and counts are saved and restored.

    Args:
        num_arms: number of arms, at least 1.
        count_unit: unit of n_d and N, "rollouts" for completions or "prompts" for groups.
        window: length of the window that L averages over, at least 1, in units of ``window_unit``.
        window_unit: "rollouts", the latest completions of an arm, as in the paper; or "steps", the completions of the
            latest training steps in which the arm had a group.
        exploration: factor of the confidence bonus, at least 0; a number or a schedule.
        temperature: softmax temperature, at least 0; a number or a schedule. At 0, the paper's greedy ablation, every
            slot of a batch goes to the best arm, and each slot draws among arms that tie.
        prior_count: number added to n_d, above 0, in units of ``count_unit``; 1 in the paper.
        common: options of every policy, see ``BanditPolicy``.

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
        window_unit: str = "rollouts",
        exploration: Schedulable = 1.0,
        temperature: Schedulable = 0.1,
        prior_count: float = 1.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = CompletionWindow(self.shape, window, window_unit)
        if count_unit not in ("rollouts", "prompts"):
            raise InvalidValueError("count_unit", count_unit, "'rollouts' or 'prompts'")
        self.count_unit = count_unit
        self.exploration = Schedule.parse("exploration", exploration, low=0)
        self.temperature = Schedule.parse("temperature", temperature, low=0)
        self.prior_count = require_number("prior_count", prior_count, above=0)

    def _weights(self) -> NDArray[np.float64]:
        # count is n_d, shape (..., num_arms), and its sum is N, shape (..., 1). Before any feedback N is 0, and the +1
        # in the logarithm makes all scores 0, so the first batch is uniform; without it ln 0 would make them NaN.
        #
        # prior_count keeps the bonus of an arm without feedback finite, but at the paper's 1 that bonus overrules
        # everything else. Let a first batch of 128 groups of 16 completions miss one of 12 arms. Its bonus is then
        # sqrt(2 ln 2049) = 3.9, and that of the others is 0.29. A mean abs(A) never exceeds 1, so no learnability makes
        # up for the difference. At temperature 0.1 it is a factor of e^36 in P: the missed arm gets all 128 slots of
        # the second batch, where a few would be enough for an estimate. With prior_count=100 the bonuses are 0.39 and
        # 0.23, a factor of 5 in P, and the other arms keep most of the slots.
        count = self.history.completions if self.count_unit == "rollouts" else self.history.groups
        bonus = np.sqrt(2 * np.log(count.sum(axis=-1, keepdims=True) + 1) / (count + self.prior_count))
        score = self.history.mean() + self.exploration.at(self.clock) * bonus
        return boltzmann(score, self.temperature.at(self.clock))


register_policy("dump", Dump, vectorised=True)
