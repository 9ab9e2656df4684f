"""Controls: policies that ignore feedback, against which curricula are compared."""

from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import entr, softmax

from dumpgym.agents.bandits.selection import best_arms
from dumpgym.contracts.errors import InvalidValueError, require_number, require_numbers
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.slots import bounded


class Uniform(BanditPolicy):
    """Uniform sampling: P(d) = 1 / num_arms, the control of every comparison."""

    def _weights(self) -> NDArray[np.float64]:
        return np.full(self.shape, 1 / self.num_arms)


def read_shares(name: str, amounts: Sequence[float] | str | None, num_arms: int) -> NDArray[np.float64]:
    """Converts amounts of the arms to shares of their sum.

    Args:
        name: name of the option in error messages.
        amounts: numbers of at least 0, one per arm, as a list or as text such as "1,2,4"; None for equal shares.
        num_arms: number of arms.

    Returns:
        The shares, which sum to 1, shape (num_arms,).

    Raises:
        InvalidValueError: if the number of amounts is not num_arms, one is below 0, or all are 0.
    """
    if amounts is None:
        return np.full(num_arms, 1 / num_arms)
    shares: NDArray[np.float64] = np.array(require_numbers(name, amounts, num_arms, low=0))
    if shares.max() == 0:
        raise InvalidValueError(name, amounts, "numbers of which not all are 0")
    shares /= shares.max()  # the sum of very large amounts would overflow
    shares /= shares.sum()
    return shares


class ConstantShares(BanditPolicy):
    """A policy whose weights never change.

    Attributes:
        shares: probability of every arm, set by subclasses, shape (num_arms,).
    """

    symmetric: ClassVar[bool] = False
    shares: NDArray[np.float64]

    def _weights(self) -> NDArray[np.float64]:
        return np.tile(self.shares, (*self.shape[:-1], 1)) if len(self.shape) > 1 else self.shares.copy()


class FixedWeights(ConstantShares):
    """Fixed weights: P(d) = weights_d / sum of weights.

    With the mean shares of a bandit's run as weights, it is the control that tests whether the bandit's timing matters.

    Args:
        num_arms: number of arms, at least 1.
        weights: one number of at least 0 per arm, as a list or as text such as "0.1,0.2,0.7"; None for equal weights.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self, num_arms: int, *, weights: Sequence[float] | str | None = None, **common: Unpack[PolicyOptions]
    ) -> None:
        super().__init__(num_arms, **common)
        self.shares = read_shares("weights", weights, self.num_arms)


class RowProportional(ConstantShares):
    """The shares that shuffling all arms' data sets together gives: P(d) = rows_d / sum of rows.

    Args:
        num_arms: number of arms, at least 1.
        rows: number of problems of every arm, as a list or as text such as "900,900,300"; None for equal numbers.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self, num_arms: int, *, rows: Sequence[float] | str | None = None, **common: Unpack[PolicyOptions]
    ) -> None:
        super().__init__(num_arms, **common)
        self.shares = read_shares("rows", rows, self.num_arms)


class EntropyMatchedRandom(BanditPolicy):
    """Random weights with a given entropy: the control for how concentrated a policy is.

    With z_d from N(0, 1), drawn from the policy's seed, and H the entropy::

        P = softmax(sharpness * z), with the sharpness for which exp(H(P)) = effective_arms

    Runs in lockstep have independent weights. A bandit of the same entropy that beats this control owes its success to
    the arms that it prefers, and not to its concentration on few arms.

    To match a policy, give the effective number of arms that it realised on the same student: the column "effective
    arms" of its report, or the mean of ``policy/effective_arms`` over the lines of a run's ``metrics.jsonl``. An
    experiment that declares both policies takes the number from a pilot with other seeds, and says so::

        policies = ["uniform", "dump", "entropy-matched-random?effective_arms=4.7"]

    The control then has this number in every step, where the policy has it on average. A floor and a cap are taken into
    account: the probabilities have the number, not only the weights. With a schedule as its floor, they have it in the
    step in which the weights are drawn.

    Args:
        num_arms: number of arms, at least 1.
        effective_arms: exp(H(P)), the effective number of arms, from 1 to num_arms; None for half of the arms, which
            matches no policy.
        period: number of training steps after which new weights are drawn, at least 1; None for constant weights.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range, or floor and cap do not allow this number of arms.
    """

    draws_in_update: ClassVar[bool] = True
    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "weights")

    def __init__(
        self,
        num_arms: int,
        *,
        effective_arms: float | None = None,
        period: int | None = None,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.effective_arms = (
            None
            if effective_arms is None
            else require_number("effective_arms", effective_arms, low=1, high=self.num_arms)
        )
        self.period = None if period is None else require_number("period", period, low=1, whole=True)
        self.weights = self._random_weights()

    def _weights(self) -> NDArray[np.float64]:
        return self.weights.copy()

    def _observe(self, feedback: Feedback) -> None:
        after = max(self.clock, feedback.step + 1)
        if self.period is not None and after // self.period > self.clock // self.period:
            self.weights = self._random_weights()

    def _random_weights(self) -> NDArray[np.float64]:
        z = self.rng.standard_normal(self.shape)
        return np.reshape([self._matched(row) for row in z.reshape(-1, self.num_arms)], self.shape)

    def _matched(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the softmax of a multiple of z with the effective number of arms, shape (num_arms,)."""
        # The number falls from its largest value, at sharpness 0, to its least as the sharpness grows.
        one_arm, all_arms = best_arms(z), np.full(self.num_arms, 1 / self.num_arms)
        least, most = self._effective(one_arm), self._effective(all_arms)
        target = self.effective_arms
        if target is None:
            target = min(max(self.num_arms / 2, least), most)
        if not least - 1e-9 <= target <= most + 1e-9:
            raise InvalidValueError(
                "effective_arms", target, f"from {least:.6g} to {most:.6g}, with this floor and cap"
            )
        if target <= least:
            return one_arm
        if target >= most - 1e-12:
            return all_arms

        def excess(sharpness: float) -> float:
            return self._effective(softmax(sharpness * z)) - target

        high = 1.0
        while excess(high) > 0:  # doubling brackets the root
            high *= 2
        weights: NDArray[np.float64] = softmax(float(brentq(excess, 0, high, xtol=1e-14, rtol=1e-14)) * z)
        return weights

    def _effective(self, weights: NDArray[np.float64]) -> float:
        return float(np.exp(entr(bounded(weights, self.floor, self.cap)).sum()))


register_policy("uniform", Uniform, vectorised=True)
register_policy("fixed", FixedWeights, vectorised=True)
register_policy("row-proportional", RowProportional, vectorised=True)
register_policy("entropy-matched-random", EntropyMatchedRandom, vectorised=True)


class PlannedShares(BanditPolicy):
    """Shares planned in advance for every training step; the shares of the last step apply to all later steps.

    Args:
        plan: shares of every step, shape (steps, num_arms).
        seed: seed of the policy's own generator.
        num_runs: see ``BanditPolicy``.
        draw: see ``BanditPolicy``; quotas by default, with which batches follow the plan up to rounding.

    Attributes:
        plan: shares of every step, which a caller may replace during a run.
    """

    symmetric: ClassVar[bool] = False

    def __init__(
        self, plan: NDArray[np.float64], *, seed: int = 0, num_runs: int | None = None, draw: str = "quota"
    ) -> None:
        super().__init__(plan.shape[1], seed=seed, num_runs=num_runs, draw=draw)
        self.plan = plan

    def _weights(self) -> NDArray[np.float64]:
        return np.broadcast_to(self.plan[min(self.clock, len(self.plan) - 1)], self.shape)
