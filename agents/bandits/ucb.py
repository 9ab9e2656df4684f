"""Textbook bandits that give a batch to the arm with the largest upper confidence bound of its mean signal."""

from abc import abstractmethod
from typing import Unpack

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit, log_expit, logit

from dumpgym.agents.bandits.history import DiscountedSums, HistoryPolicy, SumHistory, WindowSums
from dumpgym.agents.bandits.selection import best_arms
from dumpgym.contracts.errors import require_number
from dumpgym.contracts.policy import PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class IndexPolicy(HistoryPolicy):
    """A policy whose slots all go to the arm with the largest index; subclasses set ``history`` and write ``_scores``.

    A pull is a group. ``probabilities`` is the arg-max: arms that tie share it evenly, and an arm of which nothing is
    remembered comes before all others, so at the start each slot draws among all arms. A batch is one decision, since
    no feedback comes inside it; with batches of one group these are the textbook's policies.
    """

    @abstractmethod
    def _scores(self, groups: NDArray[np.float64], log_total: NDArray[np.float64]) -> NDArray[np.float64]:
        """The index of every arm, shape (..., num_arms).

        Args:
            groups: n_d, the groups that are remembered of every arm, and 1 where there are none; (..., num_arms).
            log_total: ln t, with t the groups that are remembered of all arms, or 1; (..., 1).
        """

    def _weights(self) -> NDArray[np.float64]:
        groups = self.history.groups
        unknown = groups == 0
        log_total = np.log(np.maximum(groups.sum(axis=-1, keepdims=True), 1))
        scores = self._scores(np.where(unknown, 1, groups), log_total)
        return best_arms(np.where(unknown, np.inf, scores))


class UCB1(IndexPolicy):
    """UCB1 on the signal.

    With mean_d the mean signal of the n_d groups that arm d ever got, and t their sum over arms::

        score(d) = mean_d + exploration * sqrt(2 ln t / n_d)

    Source: Auer, Cesa-Bianchi, Fischer, Finite-time Analysis of the Multiarmed Bandit Problem, Machine Learning 47,
    2002, figure 1. Its signals lie in [0, 1]. ``exploration=0.5`` is the bonus sqrt(ln t / (2 n_d)). Draws as in
    ``IndexPolicy``.

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

    def _scores(self, groups: NDArray[np.float64], log_total: NDArray[np.float64]) -> NDArray[np.float64]:
        bonus = self.exploration.at(self.clock) * np.sqrt(2 * log_total / groups)
        scores: NDArray[np.float64] = self.history.mean() + bonus
        return scores


class UCBV(IndexPolicy):
    """UCB-V: upper confidence bounds that are narrower where an arm's signal varies less.

    With V_d the mean squared deviation of arm d's signals from their mean, and E = zeta ln t::

        score(d) = mean_d + sqrt(2 V_d E / n_d) + 3 c bound E / n_d

    Source: Audibert, Munos, Szepesvari, Exploration-exploitation tradeoff using variance estimates in multi-armed
    bandits, Theoretical Computer Science 410, 2009, with the exploration function zeta ln t; zeta = 1.2 and c = 1 are
    those of its regret bound. Draws as in ``IndexPolicy``; no departure in the rule.

    Args:
        num_arms: number of arms, at least 1.
        zeta: factor of ln t, at least 0; a number or a schedule.
        c: factor of the second bonus, at least 0.
        bound: b, the largest signal, above 0.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    history: SumHistory

    def __init__(
        self,
        num_arms: int,
        *,
        zeta: Schedulable = 1.2,
        c: float = 1.0,
        bound: float = 1.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = SumHistory(self.shape)
        self.zeta = Schedule.parse("zeta", zeta, low=0)
        self.c = require_number("c", c, low=0)
        self.bound = require_number("bound", bound, above=0)

    def _scores(self, groups: NDArray[np.float64], log_total: NDArray[np.float64]) -> NDArray[np.float64]:
        rate = self.zeta.at(self.clock) * log_total / groups
        bonus = np.sqrt(2 * self.history.variance() * rate) + 3 * self.c * self.bound * rate
        scores: NDArray[np.float64] = self.history.mean() + bonus
        return scores


class KLUCB(IndexPolicy):
    """KL-UCB: the largest mean that a Bernoulli arm may have by what it has shown.

    With kl(p, q) = p ln(p / q) + (1 - p) ln((1 - p) / (1 - q))::

        score(d) = max {q in [mean_d, 1] : n_d kl(mean_d, q) <= ln t + c ln ln t}

    Source: Garivier and Cappe, The KL-UCB Algorithm for Bounded Stochastic Bandits and Beyond, COLT 2011 (arXiv
    1102.2490), algorithm 1; its regret bound has c = 3, it recommends c = 0. The bound holds for every signal in
    [0, 1]; a mean outside is clipped. ln ln t counts as 0 for t below e. Draws as in ``IndexPolicy``.

    Args:
        num_arms: number of arms, at least 1.
        c: factor of ln ln t, at least 0.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(self, num_arms: int, *, c: float = 0.0, **common: Unpack[PolicyOptions]) -> None:
        super().__init__(num_arms, **common)
        self.history = SumHistory(self.shape)
        self.c = require_number("c", c, low=0)

    def _scores(self, groups: NDArray[np.float64], log_total: NDArray[np.float64]) -> NDArray[np.float64]:
        level = log_total + self.c * np.log(np.maximum(log_total, 1))
        return largest_bernoulli_mean(np.clip(self.history.mean(), 0, 1), level / groups)


def largest_bernoulli_mean(p: NDArray[np.float64], divergence: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest q with kl(p, q) <= divergence, to about 1e-9, for p in [0, 1] and divergences of at least 0.

    In the log-odds y of q, kl(p, q) = ln(1 + e^y) - p y - H(p) is convex and lies above its asymptote (1 - p) y - H(p).
    So Newton's steps come down from the point where the asymptote reaches the divergence, or from Pinsker's bound
    p + sqrt(divergence / 2), and never pass the solution.
    """
    settled, mean = (p == 1) | (divergence == 0), p
    p, divergence = np.where(settled, 0.5, p), np.where(settled, 1, divergence)
    target = divergence + entr(p) + entr(1 - p)
    pinsker = logit(np.minimum(p + np.sqrt(divergence / 2), 1))  # infinite where the bound says nothing
    y = np.minimum(target / (1 - p), pinsker)
    for _ in range(60):
        slope = expit(y) - p
        excess = -log_expit(-y) - p * y - target
        step = np.where(slope > 0, np.maximum(excess, 0) / np.where(slope > 0, slope, 1), 0)
        y = y - step
        if step.max() < 1e-9:
            break
    return np.where(settled, mean, expit(y))


class ForgettingUCB(IndexPolicy):
    """A policy of index mean_d + width * sqrt(xi ln n / n_d), with n the sum of the n_d that are remembered.

    Subclasses set ``history``, and the attributes.

    Attributes:
        width: factor of the bonus.
        xi: inside the bonus.
    """

    width: float
    xi: Schedule

    def _scores(self, groups: NDArray[np.float64], log_total: NDArray[np.float64]) -> NDArray[np.float64]:
        bonus = self.width * np.sqrt(self.xi.at(self.clock) * log_total / groups)
        scores: NDArray[np.float64] = self.history.mean() + bonus
        return scores


class SlidingWindowUCB(ForgettingUCB):
    """SW-UCB: upper confidence bounds from the last training steps.

    With mean_d the mean signal of the n_d groups that arm d got in the last ``window`` training steps, and n their sum
    over arms, with one group a step min(t, window)::

        score(d) = mean_d + bound * sqrt(xi ln n / n_d)

    Source: Garivier and Moulines, On Upper-Confidence Bound Policies for Switching Bandit Problems, ALT 2011 (arXiv
    0805.3415), its second policy; for a run of T steps with Y changes it suggests window = 2 B sqrt(T ln T / Y), and
    takes xi = 1/2 in its simulations. Its bonus has the factor B, that of D-UCB has 2 B. Draws as in ``IndexPolicy``;
    the default window is ours, for a student that learns within hundreds of steps.

    Args:
        num_arms: number of arms, at least 1.
        window: training steps that are remembered, at least 1.
        xi: inside the bonus, at least 0; a number or a schedule.
        bound: B, the largest signal, above 0.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        window: int = 20,
        xi: Schedulable = 0.5,
        bound: float = 1.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = WindowSums(self.shape, window)
        self.xi = Schedule.parse("xi", xi, low=0)
        self.width = require_number("bound", bound, above=0)


class DiscountedUCB(ForgettingUCB):
    """D-UCB: upper confidence bounds from discounted sums.

    A group of step s has after step t the weight discount^(t - s). With mean_d the weighted mean of arm d's signals,
    n_d the sum of their weights, and n the sum of n_d over arms::

        score(d) = mean_d + bonus_factor * bound * sqrt(xi ln n / n_d)

    Source: Garivier and Moulines, as for ``SlidingWindowUCB``, its first policy; for a run of T steps with Y changes it
    suggests discount = 1 - sqrt(Y / T) / (4 B), and takes xi = 1/2 in its simulations. Its bonus has the factor 2 B,
    and so has ours unless told otherwise; ``bonus_factor=1`` gives the factor B, that of SW-UCB, which explores less.
    Draws as in ``IndexPolicy``; the default discount is ours, for a student that learns within hundreds of steps.

    Args:
        num_arms: number of arms, at least 1.
        discount: of a group's weight a training step, above 0 and at most 1.
        xi: inside the bonus, at least 0; a number or a schedule.
        bound: B, the largest signal, above 0.
        bonus_factor: of the bound in the bonus, above 0.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        discount: float = 0.95,
        xi: Schedulable = 0.5,
        bound: float = 1.0,
        bonus_factor: float = 2.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = DiscountedSums(self.shape, discount)
        self.xi = Schedule.parse("xi", xi, low=0)
        self.width = require_number("bonus_factor", bonus_factor, above=0) * require_number("bound", bound, above=0)


register_policy("ucb1", UCB1, vectorised=True)
register_policy("ucb-v", UCBV, vectorised=True)
register_policy("kl-ucb", KLUCB, vectorised=True)
register_policy("sw-ucb", SlidingWindowUCB, vectorised=True)
register_policy("d-ucb", DiscountedUCB, vectorised=True)
