"""Policies that learn nothing and know nothing of the arms: the controls of every claim."""

import math
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


class Uniform(BanditPolicy):
    """Every arm alike, whatever happens: the control of every claim."""

    def _weights(self) -> NDArray[np.float64]:
        return np.full(self.shape, 1 / self.num_arms)


def read_shares(name: str, amounts: Sequence[float] | str | None, num_arms: int) -> NDArray[np.float64]:
    """Amounts of the arms as shares of their sum, shape (num_arms,).

    Args:
        name: what an error calls the option.
        amounts: numbers of at least 0, one an arm, as a list or as text such as "1,2,4"; None for equal shares.
        num_arms: number of arms.

    Raises:
        InvalidValueError: if there are too few or too many, one is below 0, or all are 0.
    """
    if amounts is None:
        return np.full(num_arms, 1 / num_arms)
    shares: NDArray[np.float64] = np.array(require_numbers(name, amounts, num_arms, low=0))
    if shares.max() == 0:
        raise InvalidValueError(name, amounts, "numbers of which not all are 0")
    shares /= shares.max()  # before the sum, which may overflow
    shares /= shares.sum()
    return shares


class ConstantShares(BanditPolicy):
    """A policy whose weights never change.

    Attributes:
        shares: of the arms, (num_arms,), set by subclasses.
    """

    symmetric: ClassVar[bool] = False
    shares: NDArray[np.float64]

    def _weights(self) -> NDArray[np.float64]:
        return np.tile(self.shares, (*self.shape[:-1], 1)) if len(self.shape) > 1 else self.shares.copy()


class FixedWeights(ConstantShares):
    """Weights chosen beforehand: P(d) = weights_d / sum of weights.

    With the mean shares of a bandit's run it is the control that asks whether the bandit's timing matters.

    Args:
        num_arms: number of arms, at least 1.
        weights: one number of at least 0 an arm, as a list or as text such as "0.1,0.2,0.7"; None for equal weights.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self, num_arms: int, *, weights: Sequence[float] | str | None = None, **common: Unpack[PolicyOptions]
    ) -> None:
        super().__init__(num_arms, **common)
        self.shares = read_shares("weights", weights, self.num_arms)


class RowProportional(ConstantShares):
    """What shuffling the arms' data sets into one does: P(d) = rows_d / sum of rows.

    Args:
        num_arms: number of arms, at least 1.
        rows: number of problems of every arm, as a list or as text such as "900,900,300"; None for equally many.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self, num_arms: int, *, rows: Sequence[float] | str | None = None, **common: Unpack[PolicyOptions]
    ) -> None:
        super().__init__(num_arms, **common)
        self.shares = read_shares("rows", rows, self.num_arms)


class EntropyMatchedRandom(BanditPolicy):
    """Random weights that are as concentrated as another policy's: the control for concentration alone.

    With z_d from N(0, 1), drawn from the policy's seed, and H the entropy::

        P = softmax(sharpness * z), with the sharpness for which exp(H(P)) = effective_arms

    Every run of a lockstep has weights of its own. A bandit that beats it does so by which arms it prefers, and not
    because it prefers some.

    Args:
        num_arms: number of arms, at least 1.
        effective_arms: exp(H(P)), the effective number of arms, from 1 to num_arms; None for half of the arms.
        period: training steps after which new weights are drawn, at least 1; None for the same weights throughout.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
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
        effective = max(num_arms / 2, 1) if effective_arms is None else effective_arms
        self.effective_arms = require_number("effective_arms", effective, low=1, high=num_arms)
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
        if self.effective_arms == 1:
            return best_arms(z)
        sharpness = [_sharpness(row, self.effective_arms) for row in z.reshape(-1, self.num_arms)]
        weights: NDArray[np.float64] = softmax(np.reshape(sharpness, (*self.shape[:-1], 1)) * z, axis=-1)
        return weights


def _sharpness(z: NDArray[np.float64], effective_arms: float) -> float:
    """The factor s for which exp(H(softmax(s z))) = effective_arms, for z of shape (num_arms,)."""

    def excess(s: float) -> float:
        return float(entr(softmax(s * z)).sum()) - math.log(effective_arms)

    if excess(0) <= 0:  # all arms alike
        return 0.0
    high = 1.0
    while excess(high) > 0:
        high *= 2
    return float(brentq(excess, 0, high))


register_policy("uniform", Uniform, vectorised=True)
register_policy("fixed", FixedWeights, vectorised=True)
register_policy("row-proportional", RowProportional, vectorised=True)
register_policy("entropy-matched-random", EntropyMatchedRandom, vectorised=True)


class PlannedShares(BanditPolicy):
    """Shares planned beforehand for every step; after the last one its shares stay.

    Args:
        plan: the shares of every step, (steps, num_arms).
        seed: of the policy's own generator.
        num_runs: see ``BanditPolicy``.
        draw: see ``BanditPolicy``; by default quotas, so that the plan is kept.

    Attributes:
        plan: may be set anew.
    """

    symmetric: ClassVar[bool] = False

    def __init__(
        self, plan: NDArray[np.float64], *, seed: int = 0, num_runs: int | None = None, draw: str = "quota"
    ) -> None:
        super().__init__(plan.shape[1], seed=seed, num_runs=num_runs, draw=draw)
        self.plan = plan

    def _weights(self) -> NDArray[np.float64]:
        return np.broadcast_to(self.plan[min(self.clock, len(self.plan) - 1)], self.shape)
