"""AdaRFT (arXiv 2504.05520): a target difficulty that follows the success of the last batch."""

from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import require_number, require_numbers
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


class AdaRFT(BanditPolicy):
    """AdaRFT: draws the arms nearest to a target difficulty, which follows the success of the last batch.

    With R the mean success of a batch, T the target, and difficulties from 0 to 1::

        T <- clip(T + eta * tanh(alpha * (R - beta)), least difficulty, largest difficulty)

    Every slot draws uniformly among the ``num_nearest`` arms whose difficulty is nearest to T, including all arms that
    tie for the last place.

    Source: Shi et al., Efficient Reinforcement Finetuning via Adaptive Curriculum Learning, arXiv 2504.05520. Its
    difficulties run from 0 to 100 with eta = 50, which is eta = 0.5 here; alpha, beta and the start at the easiest arm
    are those of the paper. Departures:

    - In the paper every problem has a difficulty, and the batch holds the problems nearest to T. Here only arms have
      difficulties, so the batch comes from the nearest arm; ``num_nearest`` widens it. No option restores difficulties
      of single problems.
    - R is the share of successes, which is the paper's reward of 0 or 1, whatever reward the learner uses.

    Late feedback moves T when it arrives.

    Args:
        num_arms: number of arms, at least 1.
        difficulties: difficulty of every arm, one number from 0 to 1 per arm, as a list or as text such as
            "0.1,0.3,0.9"; None for evenly spaced numbers from 0 to 1, in the order of the arms.
        eta: largest step of T, at least 0; a number or a schedule.
        alpha: sensitivity to success, at least 0.
        beta: success rate that is aimed at, from 0 to 1.
        num_nearest: number of arms that share a batch, from 1 to num_arms.
        start: T before the first batch, from 0 to 1.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        target: T, shape (..., 1).

    Raises:
        InvalidValueError: if an option is out of range.
    """

    symmetric: ClassVar[bool] = False
    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "target")

    def __init__(
        self,
        num_arms: int,
        *,
        difficulties: Sequence[float] | str | None = None,
        eta: Schedulable = 0.5,
        alpha: float = 2.0,
        beta: float = 0.5,
        num_nearest: int = 1,
        start: float = 0.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        given = np.linspace(0, 1, num_arms).tolist() if difficulties is None else difficulties
        self.difficulties = np.array(require_numbers("difficulties", given, num_arms, low=0, high=1))
        self.eta = Schedule.parse("eta", eta, low=0)
        self.alpha = require_number("alpha", alpha, low=0)
        self.beta = require_number("beta", beta, low=0, high=1)
        self.num_nearest = require_number("num_nearest", num_nearest, low=1, high=num_arms, whole=True)
        first = require_number("start", start, low=0, high=1)
        self.target = self._clipped(np.full((*self.shape[:-1], 1), first, dtype=np.float64))

    def _clipped(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(target, self.difficulties.min(), self.difficulties.max())

    def _observe(self, feedback: Feedback) -> None:
        success = (feedback.successes / feedback.num_generations).mean(axis=-1, keepdims=True)
        step = self.eta.at(self.clock) * np.tanh(self.alpha * (success - self.beta))
        self.target = self._clipped(self.target + step)

    def _weights(self) -> NDArray[np.float64]:
        distance = np.abs(self.difficulties - self.target)
        edge = np.partition(distance, self.num_nearest - 1, axis=-1)[..., self.num_nearest - 1, None]
        # A target half-way between two arms is as near to one as to the other; without the tolerance, rounding decides.
        nearest = distance <= edge + 1e-12
        weights: NDArray[np.float64] = nearest / nearest.sum(axis=-1, keepdims=True)
        return weights


register_policy("adarft", AdaRFT, vectorised=True)
