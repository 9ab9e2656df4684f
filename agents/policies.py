"""The bandit policies: who decides which distributions the next batch comes from.

A policy is put together from pieces: an ``ArmHistory`` keeps what was told, a formula scores the arms, ``best_arms`` or
``boltzmann`` turns scores into probabilities, and the floor is the base class's. The slots of a batch are independent
draws from these probabilities, since no feedback comes inside a batch. The unit of a pull is a group: one prompt with
its completions. Feedback counts in the order in which it arrives, however late.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, softmax

from dumpgym.agents.arm_history import CumulativeMean, ExponentialMean, HistoryPolicy, RolloutWindow
from dumpgym.errors import InvalidValueError, require_number
from dumpgym.policy import BanditPolicy, Feedback
from dumpgym.registration import register_policy


def best_arms(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """All weight on the arg-max, shape (num_arms,); arms that tie share it evenly."""
    best = scores == scores.max()
    weights: NDArray[np.float64] = best / best.sum()
    return weights


def boltzmann(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """softmax(scores / temperature), shape (num_arms,); its limit, ``best_arms``, at temperature 0."""
    if temperature == 0:
        return best_arms(scores)
    with np.errstate(over="ignore"):  # a temperature close to 0 gives -inf, and the weight is 0 as it should be
        weights: NDArray[np.float64] = softmax((scores - scores.max()) / temperature)
    return weights


def probability_of_largest(mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(X_d is the largest) for independent X_d ~ N(mean_d, std_d^2), to about 1e-12, shape (num_arms,).

    It is the integral of phi_d(x) prod_{e != d} Phi_e(x), by Gauss-Legendre quadrature between breakpoints that lie
    half a standard deviation apart around the mean of every arm, so that no arm's Phi is steep between two of them.
    """
    reach = 9.0  # in standard deviations: beyond it lies less than 1e-18 of a normal distribution
    grid = np.linspace(-reach, reach, int(4 * reach) + 1)
    edges = np.unique(mean[:, None] + std[:, None] * grid)
    edges = edges[edges >= (mean - reach * std).max()]  # the largest is never below
    nodes, node_weights = np.polynomial.legendre.leggauss(6)
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half * (1 + nodes)).ravel()  # (points,)
    dx = (half * node_weights).ravel()

    z = (x - mean[:, None]) / std[:, None]  # (num_arms, points)
    log_cdf = log_ndtr(np.maximum(z, -37.0))  # the bound keeps it finite; the density is 0 out there
    log_density = -0.5 * z**2 - np.log(std)[:, None]
    probability: NDArray[np.float64] = np.exp(log_density + log_cdf.sum(axis=0) - log_cdf) @ dx
    probability /= probability.sum()  # which also makes up for the constant that the density lacks
    return probability


class Uniform(BanditPolicy):
    """Every arm alike, whatever happens: the control of every claim."""

    def _weights(self) -> NDArray[np.float64]:
        return np.full(self.num_arms, 1 / self.num_arms)


class Dump(HistoryPolicy):
    """DUMP: a softmax over upper confidence bounds of learnability.

    With L(d) the mean abs(A) over the last ``window`` rollouts of arm d, 0 before the first one, n_d the rollouts that
    arm d ever got, and N their sum::

        UCB(d) = L(d) + exploration * sqrt(2 ln(N + 1) / (n_d + 1))
        P(d)   = softmax(UCB / temperature)_d

    Source: DUMP, Automated Distribution-Level Curriculum Learning for RL-based LLM Post-training, arXiv 2504.09710,
    its UCB score and its algorithm. Departures:

    - The algorithm reads as if n_d and N counted prompts, the authors' code, which made the published curves, counts
      rollouts. We follow the code; ``count_unit="prompts"`` restores the text. Its bonus is 3 to 3.6 times larger.
    - Feedback gives a group's mean abs(A), so each of its rollouts enters the window with that mean, and a group only
      partly inside the window counts with the part that is inside. L is the same but for that oldest group.
    - ``floor`` is ours; 0, the default, is the paper.
    - Only training batches are told to the policy; the authors' code also fills its windows from validation. A NaN is
      refused, where theirs falls back to uniform sampling, and windows and counts are saved and restored.

    Args:
        num_arms: number of arms, at least 1.
        seed: of the policy's own generator.
        count_unit: what n_d and N count, "rollouts" or "prompts".
        window: rollouts of an arm that its learnability remembers, at least 1.
        exploration: factor of the confidence bonus, at least 0.
        temperature: of the softmax, at least 0. At 0, the paper's greedy ablation, every slot of a batch goes to the
            best arm; each slot draws among arms that tie.
        floor: least probability of every arm, from 0 to 1 / num_arms.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        seed: int = 0,
        count_unit: str = "rollouts",
        window: int = 300,
        exploration: float = 1.0,
        temperature: float = 0.1,
        floor: float = 0.0,
    ) -> None:
        super().__init__(num_arms, seed=seed, floor=floor)
        self.history = RolloutWindow(num_arms, window)
        if count_unit not in ("rollouts", "prompts"):
            raise InvalidValueError("count_unit", count_unit, "'rollouts' or 'prompts'")
        self.count_unit = count_unit
        self.exploration = require_number("exploration", exploration, low=0)
        self.temperature = require_number("temperature", temperature, low=0)

    def _weights(self) -> NDArray[np.float64]:
        count = self.history.rollouts if self.count_unit == "rollouts" else self.history.groups
        bonus = np.sqrt(2 * math.log(count.sum() + 1) / (count + 1))
        return boltzmann(self.history.mean() + self.exploration * bonus, self.temperature)


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
        seed: of the policy's own generator.
        exploration: factor of the confidence bonus, at least 0.
        floor: least probability of every arm, from 0 to 1 / num_arms.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(self, num_arms: int, *, seed: int = 0, exploration: float = 1.0, floor: float = 0.0) -> None:
        super().__init__(num_arms, seed=seed, floor=floor)
        self.history = CumulativeMean(num_arms)
        self.exploration = require_number("exploration", exploration, low=0)

    def _weights(self) -> NDArray[np.float64]:
        count = np.maximum(self.history.groups, 1)
        bonus = np.sqrt(2 * math.log(max(self.history.groups.sum(), 1)) / count)
        score = self.history.mean() + self.exploration * bonus
        return best_arms(np.where(self.history.groups == 0, np.inf, score))


class EpsilonGreedy(HistoryPolicy):
    """Epsilon-greedy on the signal: each slot draws a uniform arm with probability epsilon, else the best one.

    The best arm has the largest mean signal; arms that tie share evenly, and an arm without feedback has the mean 0.
    Way back of an arm: epsilon / num_arms of the slots.

    Source: Sutton and Barto, Reinforcement Learning, 2nd edition, sections 2.2 to 2.5.

    Args:
        num_arms: number of arms, at least 1.
        seed: of the policy's own generator.
        epsilon: share of uniform draws, from 0 to 1.
        step_size: None for the mean of all groups, or the constant step of a recency-weighted mean, above 0 and at
            most 1. It is taken once a group, so a batch with many groups of an arm replaces most of the arm's mean.
        floor: least probability of every arm, from 0 to 1 / num_arms.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        seed: int = 0,
        epsilon: float = 0.1,
        step_size: float | None = None,
        floor: float = 0.0,
    ) -> None:
        super().__init__(num_arms, seed=seed, floor=floor)
        self.history = CumulativeMean(num_arms) if step_size is None else ExponentialMean(num_arms, step_size)
        self.epsilon = require_number("epsilon", epsilon, low=0, high=1)

    def _weights(self) -> NDArray[np.float64]:
        return self.epsilon / self.num_arms + (1 - self.epsilon) * best_arms(self.history.mean())


class Thompson(HistoryPolicy):
    """Thompson sampling on the signal, with a normal prior and normal noise of known spread.

    With n_d groups of arm d, mean signal m_d, and precision of the posterior k_d::

        k_d = 1 / prior_std^2 + n_d / noise_std^2
        posterior of arm d = N((prior_mean / prior_std^2 + n_d m_d / noise_std^2) / k_d, 1 / k_d)

    Each slot of a batch goes to the largest of one independent draw per arm, so a batch is spread as the belief is.
    ``probabilities`` is the chance of each arm to be the largest, computed without draws; a slot drawn from it is
    distributed as a slot that draws the posteriors, so this is how arms are selected.

    Source: Thompson, On the Likelihood that One Unknown Probability Exceeds Another, Biometrika 25, 1933; the normal
    posterior as in Russo et al., A Tutorial on Thompson Sampling, arXiv 1707.02038, section 2.

    Args:
        num_arms: number of arms, at least 1.
        seed: of the policy's own generator.
        prior_mean: mean signal expected of an arm without feedback.
        prior_std: standard deviation of the prior, above 0.
        noise_std: standard deviation of the signal between groups of one arm, above 0.
        floor: least probability of every arm, from 0 to 1 / num_arms.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        seed: int = 0,
        prior_mean: float = 0.5,
        prior_std: float = 0.5,
        noise_std: float = 0.5,
        floor: float = 0.0,
    ) -> None:
        super().__init__(num_arms, seed=seed, floor=floor)
        self.history = CumulativeMean(num_arms)
        self.prior_mean = require_number("prior_mean", prior_mean)
        self.prior_std = require_number("prior_std", prior_std, above=0)
        self.noise_std = require_number("noise_std", noise_std, above=0)

    def _weights(self) -> NDArray[np.float64]:
        prior_precision, evidence = self.prior_std**-2, self.history.groups / self.noise_std**2
        precision = prior_precision + evidence
        mean = (self.prior_mean * prior_precision + self.history.mean() * evidence) / precision
        return probability_of_largest(mean, 1 / np.sqrt(precision))


class EasyToHard(BanditPolicy):
    """A schedule without learning: the arms one after another, in the order of their indices, easiest first.

    The clock is the number of steps done: 1 + the latest step that feedback came from. Late feedback does not turn it
    back, and feedback without groups counts. After ``total_steps`` the last arm stays.

    Args:
        num_arms: number of arms, at least 1.
        seed: of the policy's own generator.
        total_steps: training steps to spread the arms over, at least 1; the default is the training length of
            arXiv 2504.09710.
        stage_shares: how long each arm lasts, num_arms numbers of at least 0 which are divided by their sum; None for
            equal shares. Stages end at whole steps.
        floor: least probability of every arm, from 0 to 1 / num_arms.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        seed: int = 0,
        total_steps: int = 150,
        stage_shares: Sequence[float] | None = None,
        floor: float = 0.0,
    ) -> None:
        super().__init__(num_arms, seed=seed, floor=floor)
        require_number("total_steps", total_steps, low=1, whole=True)
        shares = [1.0] * num_arms if stage_shares is None else stage_shares
        ends = np.cumsum([require_number("stage share", share, low=0) for share in shares])
        if len(ends) != num_arms or ends[-1] == 0:
            raise InvalidValueError("stage_shares", stage_shares, f"{num_arms} numbers, not all of them 0")
        self.stage_ends = np.rint(total_steps * ends / ends[-1]).astype(np.int64)
        self.steps_done = 0

    def _weights(self) -> NDArray[np.float64]:
        stage = np.searchsorted(self.stage_ends[:-1], self.steps_done, side="right")
        weights = np.zeros(self.num_arms)
        weights[stage] = 1
        return weights

    def _observe(self, feedback: Feedback) -> None:
        self.steps_done = max(self.steps_done, int(feedback.step) + 1)

    def state_dict(self) -> dict[str, Any]:
        """Everything that ``load_state_dict`` needs to go on bit for bit, as JSON-compatible values."""
        return {**super().state_dict(), "steps_done": self.steps_done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` of a policy with the same options returned."""
        super().load_state_dict(state)
        self.steps_done = state["steps_done"]


register_policy("uniform", Uniform)
register_policy("dump", Dump)
register_policy("ucb", UCB1)
register_policy("epsilon-greedy", EpsilonGreedy)
register_policy("thompson", Thompson)
register_policy("easy-to-hard", EasyToHard)
