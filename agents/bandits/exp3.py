"""The EXP3 family: bandits that make no assumption about the signals and learn from importance-weighted estimates."""

import math
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.selection import boltzmann
from dumpgym.contracts.errors import LARGEST_NUMBER, InvalidValueError
from dumpgym.contracts.feedback import Feedback, add_by_arm
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


def drawn_with(policy: BanditPolicy, feedback: Feedback) -> NDArray[np.float64]:
    """Returns the probabilities with which a batch was drawn, shape (..., num_arms).

    They are those that the feedback carries, or the policy's present ones if it carries none.
    """
    return policy.probabilities() if feedback.probabilities is None else feedback.probabilities


class ImportanceWeighted(BanditPolicy):
    """A policy that divides a group's signal by the probability with which the group's arm was drawn.

    A group is a pull. All groups of a batch are pulls from one distribution, and their estimates are summed; with one
    group per step the policy is the textbook's. The probabilities include floor, cap and warm-up. They are those that
    the feedback carries, which keeps the estimates of late feedback unbiased, or else the policy's present ones.
    """

    def _drawn(self, feedback: Feedback, bias: float = 0.0) -> NDArray[np.float64]:
        """Returns the probability of every group's arm when the batch was drawn, plus a bias, shape (..., groups).

        Raises:
            InvalidValueError: if a sum is not above 0. The arm could not have been drawn then, and its estimate would
                be infinite.
        """
        p = np.take_along_axis(drawn_with(self, feedback), feedback.arm, axis=-1) + bias
        if (p <= 0).any():
            least = float(p.min()) - bias
            raise InvalidValueError("probability of an arm in the batch", least, "above 0, as it was drawn")
        return p

    def sums_by_arm(self, feedback: Feedback, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums values over the groups of every arm.

        Args:
            feedback: the batch.
            values: one value per group, shape (..., groups).

        Returns:
            The sums, 0 for an arm without groups, shape (..., num_arms).
        """
        # A sum and not a mean, since 1 / P(d) already corrects for how often arm d is drawn. A group's estimate for arm
        # d is x / P(d) if d was drawn and 0 otherwise; its expectation is the mean signal of d. In expectation, the
        # estimates of B groups therefore sum to B times that mean, as B successive pulls from the same distribution do,
        # and learning rates keep their meaning from the papers. A mean over the batch would divide the learning rate by
        # B. A mean over each arm's own groups would correct for its frequency twice and favour rare arms.
        total = np.zeros(self.shape)
        add_by_arm(total, feedback.arm, values)
        return total


class EXP3(ImportanceWeighted):
    """EXP3: exponential weights on importance-weighted estimates, mixed with uniform draws.

    With w_d = 1 at the start, x the signal of a group of arm d, and K arms::

        P(d) = (1 - gamma) w_d / sum w + gamma / K
        w_d <- w_d exp(gamma x / (P(d) K))

    A group is a pull, and the exponents of a batch's groups are summed. Signals outside [0, 1] are clipped.

    Source: Auer, Cesa-Bianchi, Freund, Schapire, The Nonstochastic Multiarmed Bandit Problem, SIAM Journal on
    Computing 32, 2002, section 3. Their corollary 3.2 uses gamma = min(1, sqrt(K ln K / ((e - 1) g))), where g is an
    upper bound on the total signal of the best arm over all pulls. No departure for batches of one group.

    Args:
        num_arms: K, at least 1.
        gamma: share of uniform draws and learning rate, from 0 to 1; a number or a schedule.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        log_weights: ln w minus its maximum over the arms, shape (..., num_arms).

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
        """Adds a batch's summed exponents, shape (..., num_arms), to the log-weights."""
        self.log_weights = shifted(self.log_weights + exponents)


class EXP3S(EXP3):
    """EXP3.S: EXP3 with shared weights, so that an arm recovers quickly after it has been bad for a long time.

    The rule is that of ``EXP3``, except for the update, with e = exp(1)::

        w_d <- w_d exp(gamma x / (P(d) K)) + e alpha / K sum w

    where sum w is the sum before the update. Weights are shared once per training step, with the first feedback of the
    step, and late feedback shares nothing. With one group per step this is the textbook's policy.

    Source: Auer, Cesa-Bianchi, Freund, Schapire, SIAM Journal on Computing 32, 2002, section 8, which uses
    alpha = 1 / T and gamma = min(1, sqrt(K (S ln(K T) + e) / ((e - 1) T))) for T pulls and S changes of the best arm.
    No departure for batches of one group.

    Args:
        num_arms: K, at least 1.
        gamma: share of uniform draws and learning rate, from 0 to 1; a number or a schedule.
        alpha: share of the weights that a training step spreads over all arms, from 0 to 1; a number or a schedule. At
            0 the policy is ``EXP3``.
        common: options of every policy, see ``BanditPolicy``.

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
        # Sharing sets how fast the policy forgets. It happens once per training step and not per call; otherwise steps
        # whose feedback arrives in several parts would forget more than others. Weights are added as logarithms, since
        # the ratio of two weights may exceed the range of floats.
        if alpha > 0 and feedback.step >= self.clock:
            total = np.exp(self.log_weights).sum(axis=-1, keepdims=True)
            moved = np.logaddexp(moved, np.log(math.e * alpha / self.num_arms * total))
        self.log_weights = shifted(moved)


class EXP3IX(ImportanceWeighted):
    """EXP3-IX: exponential weights on losses, with implicit exploration by a biased estimate.

    With L_d = 0 at the start, the loss 1 - x of a group of arm d with signal x, K arms, and t the number of the pull::

        P(d) proportional to exp(-eta_t L_d)
        L_d <- L_d + (1 - x) / (P(d) + gamma_t)
        eta_t = 2 gamma_t = sqrt(ln K / (K t)), unless given

    An estimate never exceeds 1 / gamma_t, whatever P(d) is, although there are no uniform draws. A group is a pull. All
    groups of a batch share the t of its first pull, and their estimated losses are summed. Signals outside [0, 1] are
    clipped.

    Source: Neu, Explore no more: Improved high-probability regret bounds for non-stochastic bandits, arXiv 1506.03271,
    algorithm 1, with the rates of its corollary 1 that need no horizon; its theorem 1 uses eta = 2 gamma =
    sqrt(2 ln K / (K T)). No departure for batches of one group.

    Args:
        num_arms: K, at least 1.
        eta: learning rate, at least 0, a number or a schedule over training steps; None for the rate above.
        gamma: bias, at least 0, a number or a schedule over training steps; None for half of eta.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        losses: L minus its minimum over the arms, shape (..., num_arms).
        pulls: number of groups observed so far in each run.

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
        with np.errstate(over="ignore"):  # the estimate of an arm whose probability is practically 0
            estimates = np.minimum(loss / self._drawn(feedback, gamma), LARGEST_NUMBER)
        losses = self.losses + self.sums_by_arm(feedback, estimates)
        self.losses = losses - losses.min(axis=-1, keepdims=True)
        self.pulls += feedback.arm.shape[-1]


def shifted(log_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtracts the largest log-weight of every run, so that all weights stay finite, shape (..., num_arms)."""
    less: NDArray[np.float64] = log_weights - log_weights.max(axis=-1, keepdims=True)
    return less


register_policy("exp3", EXP3, vectorised=True)
register_policy("exp3s", EXP3S, vectorised=True)
register_policy("exp3-ix", EXP3IX, vectorised=True)
