"""Upper confidence bounds: bandits that give a batch to the arm with the largest bound on its mean signal."""

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
    """A policy that gives all slots to the arm with the largest index.

    Subclasses set ``history`` and implement ``_scores``. A pull is a group. ``probabilities`` puts all weight on the
    arg-max, and arms that tie share it evenly. Arms without remembered groups come before all others, so at the start
    each slot draws among all arms. A batch is one decision, since no feedback arrives while it is drawn; with batches
    of one group these are the textbook policies.
    """

    @abstractmethod
    def _scores(self, groups: NDArray[np.float64], log_total: NDArray[np.float64]) -> NDArray[np.float64]:
        """Computes the index of every arm.

        Args:
            groups: n_d, number of remembered groups of every arm, and 1 for an arm without any, shape (..., num_arms).
            log_total: ln t, with t the number of remembered groups of all arms, at least 1, shape (..., 1).

        Returns:
            The indices, shape (..., num_arms).
        """

    def _weights(self) -> NDArray[np.float64]:
        groups = self.history.groups
        unknown = groups == 0
        # Discounted counts may sum to less than 1; a negative logarithm would have no square root in the bonus.
        log_total = np.log(np.maximum(groups.sum(axis=-1, keepdims=True), 1))
        scores = self._scores(np.where(unknown, 1, groups), log_total)
        return best_arms(np.where(unknown, np.inf, scores))


class UCB1(IndexPolicy):
    """UCB1 on the signal.

    With mean_d the mean signal of the n_d groups of arm d so far, and t the sum of n_d over the arms::

        score(d) = mean_d + exploration * sqrt(2 ln t / n_d)

    Source: Auer, Cesa-Bianchi, Fischer, Finite-time Analysis of the Multiarmed Bandit Problem, Machine Learning 47,
    2002, figure 1, for signals in [0, 1]. ``exploration=0.5`` gives the bonus sqrt(ln t / (2 n_d)). Slots are drawn as
    in ``IndexPolicy``.

    Args:
        num_arms: number of arms, at least 1.
        exploration: factor of the confidence bonus, at least 0; a number or a schedule.
        common: options of every policy, see ``BanditPolicy``.

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
    """UCB-V: upper confidence bounds that are tighter for arms whose signal varies less.

    With V_d the mean squared deviation of arm d's signals from their mean, mean_d, n_d and t as in ``UCB1``, and
    E = zeta ln t::

        score(d) = mean_d + sqrt(2 V_d E / n_d) + 3 c bound E / n_d

    Source: Audibert, Munos, Szepesvari, Exploration-exploitation tradeoff using variance estimates in multi-armed
    bandits, Theoretical Computer Science 410, 2009, with the exploration function zeta ln t; zeta = 1.2 and c = 1 are
    the values of its regret bound. Slots are drawn as in ``IndexPolicy``; no departure in the rule.

    Args:
        num_arms: number of arms, at least 1.
        zeta: factor of ln t, at least 0; a number or a schedule.
        c: factor of the second bonus, at least 0.
        bound: b, largest possible signal, above 0.
        common: options of every policy, see ``BanditPolicy``.

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


_MOST_SOLVED = 64  # arms for which KL-UCB computes every index


class KLUCB(IndexPolicy):
    """KL-UCB: the largest mean of a Bernoulli arm that is compatible with the observed signals.

    With mean_d, n_d and t as in ``UCB1``, and kl(p, q) = p ln(p / q) + (1 - p) ln((1 - p) / (1 - q))::

        score(d) = max {q in [mean_d, 1] : n_d kl(mean_d, q) <= ln t + c ln ln t}

    Source: Garivier and Cappe, The KL-UCB Algorithm for Bounded Stochastic Bandits and Beyond, COLT 2011 (arXiv
    1102.2490), algorithm 1. Its regret bound uses c = 3, and it recommends c = 0 in practice. The bound holds for all
    signals in [0, 1]; a mean outside is clipped. ln ln t counts as 0 for t below e. Slots are drawn as in
    ``IndexPolicy``.

    Args:
        num_arms: number of arms, at least 1.
        c: factor of ln ln t, at least 0.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(self, num_arms: int, *, c: float = 0.0, **common: Unpack[PolicyOptions]) -> None:
        super().__init__(num_arms, **common)
        self.history = SumHistory(self.shape)
        self.c = require_number("c", c, low=0)

    def _scores(self, groups: NDArray[np.float64], log_total: NDArray[np.float64]) -> NDArray[np.float64]:
        level = log_total + self.c * np.log(np.maximum(log_total, 1))
        mean, divergence = np.clip(self.history.mean(), 0, 1), level / groups
        if self.num_arms <= _MOST_SOLVED:
            return largest_bernoulli_mean(mean, divergence)
        # The index grows with both the mean and the divergence, so an arm that another one exceeds in both cannot be
        # the largest. Its mean, a lower bound, stands in for its index, which spares most of the iterations.
        scores = mean.copy()
        for score, p, d in zip(*(x.reshape(-1, self.num_arms) for x in (scores, mean, divergence)), strict=True):
            rest = np.flatnonzero(p >= p[d == d.max()].max())
            order = rest[np.lexsort((-p[rest], -d[rest]))]
            first = order[p[order] >= np.maximum.accumulate(p[order])]
            score[first] = largest_bernoulli_mean(p[first], d[first])
        return scores


def largest_bernoulli_mean(p: NDArray[np.float64], divergence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes the largest q with kl(p, q) <= divergence, to about 1e-9.

    Args:
        p: means from 0 to 1, any shape.
        divergence: bounds of at least 0, in the shape of p.

    Returns:
        The largest q, in the shape of p.
    """
    # In the log-odds y of q, kl(p, q) = ln(1 + e^y) - p y - H(p) is convex and lies above its asymptote
    # (1 - p) y - H(p). Newton's method therefore descends from the point where the asymptote reaches the divergence, or
    # from Pinsker's bound p + sqrt(divergence / 2), whichever is smaller, and never passes the solution. For p = 1 and
    # for divergence = 0 the solution is p itself; these cases are set aside, since both points may be infinite there.
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
    """A policy with the index mean_d + width * sqrt(xi ln n / n_d), where n is the sum of n_d over the arms.

    Subclasses set ``history`` and both attributes.

    Attributes:
        width: factor of the bonus.
        xi: factor under the square root of the bonus.
    """

    width: float
    xi: Schedule

    def _scores(self, groups: NDArray[np.float64], log_total: NDArray[np.float64]) -> NDArray[np.float64]:
        bonus = self.width * np.sqrt(self.xi.at(self.clock) * log_total / groups)
        scores: NDArray[np.float64] = self.history.mean() + bonus
        return scores


class SlidingWindowUCB(ForgettingUCB):
    """SW-UCB: upper confidence bounds from the last training steps.

    With mean_d the mean signal of the n_d groups of arm d in the last ``window`` training steps, and n the sum of n_d
    over the arms (min(t, window) with one group per step)::

        score(d) = mean_d + bound * sqrt(xi ln n / n_d)

    Source: Garivier and Moulines, On Upper-Confidence Bound Policies for Switching Bandit Problems, ALT 2011 (arXiv
    0805.3415), its second policy. For a run of T steps with Y changes it suggests window = 2 B sqrt(T ln T / Y), and
    its simulations use xi = 1/2. The bonus has the factor B, where D-UCB has 2 B. Slots are drawn as in
    ``IndexPolicy``. The default window is ours, for a student that learns within hundreds of steps.

    Args:
        num_arms: number of arms, at least 1.
        window: number of training steps that are remembered, at least 1.
        xi: factor under the square root of the bonus, at least 0; a number or a schedule.
        bound: B, largest possible signal, above 0.
        common: options of every policy, see ``BanditPolicy``.

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

    After step t, a group from step s has the weight discount^(t - s). With mean_d the weighted mean of arm d's signals,
    n_d the sum of their weights, and n the sum of n_d over the arms::

        score(d) = mean_d + bonus_factor * bound * sqrt(xi ln n / n_d)

    Source: Garivier and Moulines, as for ``SlidingWindowUCB``, its first policy. For a run of T steps with Y changes it
    suggests discount = 1 - sqrt(Y / T) / (4 B), and its simulations use xi = 1/2. Its bonus has the factor 2 B, our
    default; ``bonus_factor=1`` gives the factor B of SW-UCB, which explores less. Slots are drawn as in
    ``IndexPolicy``. The default discount is ours, for a student that learns within hundreds of steps.

    Args:
        num_arms: number of arms, at least 1.
        discount: factor on a group's weight per training step, above 0 and at most 1.
        xi: factor under the square root of the bonus, at least 0; a number or a schedule.
        bound: B, largest possible signal, above 0.
        bonus_factor: factor of the bound in the bonus, above 0; 2 in the paper.
        common: options of every policy, see ``BanditPolicy``.

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
