"""Bandits that assume nothing of how signals come about: the EXP3 family, by importance-weighted estimates."""

import math
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.selection import boltzmann
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.feedback import Feedback, add_by_arm
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


def drawn_with(policy: BanditPolicy, feedback: Feedback) -> NDArray[np.float64]:
    """The probabilities with which a batch was drawn: its own, or else the policy's present ones, (..., num_arms)."""
    return policy.probabilities() if feedback.probabilities is None else feedback.probabilities


class ImportanceWeighted(BanditPolicy):
    """A policy that divides what a group gave by the probability with which its arm was drawn.

    A group is a pull. The groups of a batch are pulls with one distribution: their estimates are added up, so that a
    batch moves the policy as far as its groups would one after another, had all of them been drawn before the first
    was told; with one group a step it is the textbook's policy. The probabilities are those that the feedback carries,
    which makes late feedback as good as any, or else the policy's present ones, floor, cap and warm-up included.
    """

    def _drawn(self, feedback: Feedback, bias: float = 0.0) -> NDArray[np.float64]:
        """The probability of every group's arm when the batch was drawn, plus the bias, shape (..., groups).

        Raises:
            InvalidValueError: if one is not above 0.
        """
        p = np.take_along_axis(drawn_with(self, feedback), feedback.arm, axis=-1) + bias
        if (p <= 0).any():
            least = float(p.min()) - bias
            raise InvalidValueError("probability of an arm in the batch", least, "above 0, as it was drawn")
        return p

    def sums_by_arm(self, feedback: Feedback, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over every arm's groups of their values, shape (..., num_arms)."""
        total = np.zeros(self.shape)
        add_by_arm(total, feedback.arm, values)
        return total


class EXP3(ImportanceWeighted):
    """EXP3: exponential weights on importance-weighted estimates, and a share of uniform draws.

    With w_d = 1 at first, x the signal of a group of arm d, and K arms::

        P(d) = (1 - gamma) w_d / sum w + gamma / K
        w_d <- w_d exp(gamma x / (P(d) K))

    A group is a pull; the exponents of a batch's groups are added up. Signals outside of [0, 1] are clipped to it.

    Source: Auer, Cesa-Bianchi, Freund, Schapire, The Nonstochastic Multiarmed Bandit Problem, SIAM Journal on
    Computing 32, 2002, section 3; their corollary 3.2 has gamma = min(1, sqrt(K ln K / ((e - 1) g))), where g is at
    least what the best arm gives in all pulls. No departure for batches of one group.

    Args:
        num_arms: K, at least 1.
        gamma: share of uniform draws and learning rate, from 0 to 1; a number or a schedule.
        common: see ``BanditPolicy``.

    Attributes:
        log_weights: ln w less its largest, shape (..., num_arms).

    Raises:
        InvalidValueError: if an option is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "log_weights")

    def __init__(self, num_arms: int, *, gamma: Schedulable = 0.1, **common: Unpack[PolicyOptions]) -> None:
        super().__init__(num_arms, **common)
        self.gamma = Schedule.parse("gamma", gamma, low=0, high=1)
        self.log_weights: NDArray[np.float64] = np.zeros(self.shape)

    def _weights(self) -> NDArray[np.float64]:
        gamma = self.gamma.at(self.clock)
        weights: NDArray[np.float64] = (1 - gamma) * boltzmann(self.log_weights, 1) + gamma / self.num_arms
        return weights

    def _observe(self, feedback: Feedback) -> None:
        rate = self.gamma.at(self.clock) / self.num_arms
        self._move(feedback, rate * self.sums_by_arm(feedback, np.clip(feedback.signal, 0, 1) / self._drawn(feedback)))

    def _move(self, feedback: Feedback, exponents: NDArray[np.float64]) -> None:
        """Takes in the batch's exponents, shape (..., num_arms)."""
        self.log_weights = shifted(self.log_weights + exponents)


class EXP3S(EXP3):
    """EXP3.S: EXP3 whose weights are shared, so that an arm which was bad for long comes back soon.

    As ``EXP3``, but with e = exp(1)::

        w_d <- w_d exp(gamma x / (P(d) K)) + e alpha / K sum w

    where sum w is that before the update. The weights are shared once a training step, when its first feedback comes;
    with one group a step this is the textbook's policy.

    Source: Auer, Cesa-Bianchi, Freund, Schapire, SIAM Journal on Computing 32, 2002, section 8, which has alpha = 1 / T
    and gamma = min(1, sqrt(K (S ln(K T) + e) / ((e - 1) T))) for T pulls and S changes of the best arm. No departure
    for batches of one group.

    Args:
        num_arms: K, at least 1.
        gamma: share of uniform draws and learning rate, from 0 to 1; a number or a schedule.
        alpha: share of the weights that a training step spreads over all arms, at least 0; a number or a schedule. At
            0 the policy is ``EXP3``.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        gamma: Schedulable = 0.1,
        alpha: Schedulable = 0.01,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, gamma=gamma, **common)
        self.alpha = Schedule.parse("alpha", alpha, low=0, high=1)

    def _move(self, feedback: Feedback, exponents: NDArray[np.float64]) -> None:
        moved, alpha = self.log_weights + exponents, self.alpha.at(self.clock)
        if alpha > 0 and feedback.step >= self.clock:
            total = np.exp(self.log_weights).sum(axis=-1, keepdims=True)
            moved = np.logaddexp(moved, np.log(math.e * alpha / self.num_arms * total))
        self.log_weights = shifted(moved)


class EXP3IX(ImportanceWeighted):
    """EXP3-IX: exponential weights on losses, with implicit exploration by a biased estimate.

    With L_d = 0 at first, the loss 1 - x of a group of arm d with signal x, K arms, and t pulls::

        P(d) proportional to exp(-eta_t L_d)
        L_d <- L_d + (1 - x) / (P(d) + gamma_t)
        eta_t = 2 gamma_t = sqrt(ln K / (K t)), unless given

    There are no uniform draws, and yet an estimate is never above 1 / gamma_t, whatever P(d) is. A group is a pull; in
    a batch, t counts the pulls before it and its first, and the losses are added up. Signals outside of [0, 1] are
    clipped to it.

    Source: Neu, Explore no more: Improved high-probability regret bounds for non-stochastic bandits, arXiv 1506.03271,
    algorithm 1, with the rates of its corollary 1 that need no horizon; its theorem 1 has eta = 2 gamma =
    sqrt(2 ln K / (K T)). No departure for batches of one group.

    Args:
        num_arms: K, at least 1.
        eta: learning rate, at least 0, a number or a schedule by training steps; None for the rate above.
        gamma: bias, at least 0, a number or a schedule by training steps; None for half of eta.
        common: see ``BanditPolicy``.

    Attributes:
        losses: L less its smallest, shape (..., num_arms).
        pulls: groups told of every run.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "losses", "pulls")

    def __init__(
        self,
        num_arms: int,
        *,
        eta: Schedulable | None = None,
        gamma: Schedulable | None = None,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.eta = None if eta is None else Schedule.parse("eta", eta, low=0)
        self.gamma = None if gamma is None else Schedule.parse("gamma", gamma, low=0)
        self.losses: NDArray[np.float64] = np.zeros(self.shape)
        self.pulls = 0

    def _rate(self) -> float:
        if self.eta is not None:
            return self.eta.at(self.clock)
        return math.sqrt(math.log(self.num_arms) / (self.num_arms * (self.pulls + 1)))

    def _weights(self) -> NDArray[np.float64]:
        return boltzmann(-self._rate() * self.losses, 1)

    def _observe(self, feedback: Feedback) -> None:
        gamma = self._rate() / 2 if self.gamma is None else self.gamma.at(self.clock)
        loss = 1 - np.clip(feedback.signal, 0, 1)
        losses = self.losses + self.sums_by_arm(feedback, loss / self._drawn(feedback, gamma))
        self.losses = losses - losses.min(axis=-1, keepdims=True)
        self.pulls += feedback.arm.shape[-1]


def shifted(log_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log-weights less the largest of every run, so that they stay finite, shape (..., num_arms)."""
    less: NDArray[np.float64] = log_weights - log_weights.max(axis=-1, keepdims=True)
    return less


register_policy("exp3", EXP3, vectorised=True)
register_policy("exp3s", EXP3S, vectorised=True)
register_policy("exp3-ix", EXP3IX, vectorised=True)
