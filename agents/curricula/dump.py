"""The bandits of curriculum papers: policies on the learnability of an arm."""

from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import HistoryPolicy, make_sums
from dumpgym.agents.bandits.recent_history import ExponentialMean, RolloutWindow
from dumpgym.agents.bandits.selection import boltzmann
from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.policy import Feedback, PolicyOptions
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

    history: RolloutWindow

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
        self.history = RolloutWindow(self.shape, window)
        if count_unit not in ("rollouts", "prompts"):
            raise InvalidValueError("count_unit", count_unit, "'rollouts' or 'prompts'")
        self.count_unit = count_unit
        self.exploration = Schedule.parse("exploration", exploration, low=0)
        self.temperature = Schedule.parse("temperature", temperature, low=0)
        self.prior_count = require_number("prior_count", prior_count, above=0)

    def _weights(self) -> NDArray[np.float64]:
        count = self.history.rollouts if self.count_unit == "rollouts" else self.history.groups
        bonus = np.sqrt(2 * np.log(count.sum(axis=-1, keepdims=True) + 1) / (count + self.prior_count))
        score = self.history.mean() + self.exploration.at(self.clock) * bonus
        return boltzmann(score, self.temperature.at(self.clock))


class SEC(HistoryPolicy):
    """SEC, self-evolving curriculum: a softmax over recency-weighted means of learnability.

    With r_d the mean signal of the groups of arm d in a batch, for the arms that the batch holds::

        Q_d <- step_size * r_d + (1 - step_size) * Q_d, from 0
        P   = softmax(Q / temperature)

    Source: Chen et al., Self-Evolving Curriculum for LLM Reasoning, arXiv 2505.14970; TD(0) with the mean abs(A) of a
    category as its reward. The defaults are those of a public re-implementation; we have not seen the paper's own. At
    temperature 1 and with signals of at most 1, no arm is drawn more than e times as often as another.

    No departure in the rule. Late feedback moves Q when it arrives.

    Args:
        num_arms: number of arms, at least 1.
        step_size: alpha, weight of the newest batch, above 0 and at most 1.
        temperature: tau, of the softmax, at least 0; a number or a schedule.
        common: see ``BanditPolicy``.

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
        self.history.add(replace(feedback, signal=feedback.successes / feedback.group_size))

    def _weights(self) -> NDArray[np.float64]:
        p = np.where(self.history.groups > 0, self.history.mean(), 0.5)
        learnability = np.round(p * (1 - p), 12)  # p and 1 - p tie, whatever the rounding
        edge = np.sort(learnability, axis=-1)[..., -self.num_top, None]
        top = learnability >= edge
        rho = self.rho.at(self.clock)
        weights: NDArray[np.float64] = rho * top / top.sum(axis=-1, keepdims=True) + (1 - rho) / self.num_arms
        return weights


register_policy("dump", Dump, vectorised=True)
register_policy("sec", SEC, vectorised=True)
register_policy("sfl", SFL, vectorised=True)
