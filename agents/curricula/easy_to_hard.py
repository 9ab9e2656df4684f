"""Schedules without learning, from easy to hard or back: arms are in order of difficulty, the easiest first."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.selection import boltzmann
from dumpgym.agents.curricula.controls import read_shares
from dumpgym.contracts.errors import require_number
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy


class SchedulePolicy(BanditPolicy):
    """A policy whose weights depend on the training step alone, by its ``clock``; after ``total_steps`` they stay.

    Args:
        num_arms: number of arms, at least 1.
        total_steps: training steps of the schedule, at least 1; the default is the training length of
            arXiv 2504.09710.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    symmetric: ClassVar[bool] = False

    def __init__(self, num_arms: int, *, total_steps: int = 150, **common: Unpack[PolicyOptions]) -> None:
        super().__init__(num_arms, **common)
        self.total_steps = require_number("total_steps", total_steps, low=1, whole=True)

    @property
    def progress(self) -> float:
        """The part of the schedule that is over, t / T, from 0 to 1."""
        return min(self.clock / self.total_steps, 1.0)

    def _weights(self) -> NDArray[np.float64]:
        weights = np.empty(self.shape)
        weights[...] = self._scheduled()
        return weights

    @abstractmethod
    def _scheduled(self) -> NDArray[np.float64]:
        """The weights of the present step, shape (num_arms,)."""


class EasyToHard(SchedulePolicy):
    """The arms one after another, in the order of their indices, easiest first.

    The step schedule that E2H (arXiv 2506.06632) calls traditional curriculum learning.

    Args:
        num_arms: number of arms, at least 1.
        total_steps: training steps to spread the arms over, at least 1.
        stage_shares: how long each arm lasts, one number of at least 0 an arm, as a list or as text such as "3,2,1";
            None for equal shares. Stages end at whole steps.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    easiest_first: ClassVar[bool] = True

    def __init__(
        self,
        num_arms: int,
        *,
        total_steps: int = 150,
        stage_shares: Sequence[float] | str | None = None,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, total_steps=total_steps, **common)
        self.order = np.arange(num_arms) if self.easiest_first else np.arange(num_arms)[::-1]
        ends = read_shares("stage_shares", stage_shares, num_arms)[self.order].cumsum()
        self.stage_ends = np.rint(total_steps * ends / ends[-1]).astype(np.int64)

    def _scheduled(self) -> NDArray[np.float64]:
        stage = np.searchsorted(self.stage_ends[:-1], self.clock, side="right")
        weights: NDArray[np.float64] = np.eye(self.num_arms)[self.order[stage]]
        return weights


class HardToEasy(EasyToHard):
    """The arms one after another, hardest first: the control that asks whether the order matters.

    Its options are those of ``EasyToHard``; ``stage_shares`` are in the order of the arms here too.
    """

    easiest_first: ClassVar[bool] = False


class E2HCosine(SchedulePolicy):
    """E2H-C: weights that lean to the easy arms turn by a cosine into weights that lean to the hard ones.

    With arms k = 1..K, t of T training steps done, and a = (1 + cos(pi t / T)) / 2::

        P(k) = (a (K + 1 - k) + (1 - a) k) / (K (K + 1) / 2)

    Source: Parashar et al., Curriculum Reinforcement Learning from Easy to Hard Tasks Improves LLM Reasoning,
    arXiv 2506.06632 (E2H Reasoner), the cosine schedule, in the form of the authors' code. No departure: half way all
    arms are alike, and no arm ever falls below 2 / (K (K + 1)).

    Args:
        num_arms: K, at least 1.
        total_steps: T, at least 1.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def _scheduled(self) -> NDArray[np.float64]:
        a = (1 + math.cos(math.pi * self.progress)) / 2
        late = np.arange(1, self.num_arms + 1)
        weights: NDArray[np.float64] = (a * late[::-1] + (1 - a) * late) / late.sum()
        return weights


class E2HGaussian(SchedulePolicy):
    """E2H-G: a bell curve over the arms whose centre wanders from the easiest arm to the hardest.

    With arms k = 0..K-1 and t of T training steps done::

        centre = (t / T)^beta (K - 1)
        w(k)   = exp(-(k - centre)^2 / (2 sigma^2)), divided by its sum over the arms
        P(k)   = floor + (1 - K floor) w(k), with floor = 2 / (K (K + 1))

    Source: Parashar et al., Curriculum Reinforcement Learning from Easy to Hard Tasks Improves LLM Reasoning,
    arXiv 2506.06632 (E2H Reasoner), the Gaussian schedule; beta, sigma and the floor are the defaults of the authors'
    code. The floor is the option that all policies have; ``floor=0`` is the bell curve alone.

    Args:
        num_arms: K, at least 1.
        total_steps: T, at least 1.
        beta: exponent of time, above 0; below 1 the centre is faster at the start.
        sigma: standard deviation in arms, above 0.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        total_steps: int = 150,
        beta: float = 0.5,
        sigma: float = 0.5,
        **common: Unpack[PolicyOptions],
    ) -> None:
        common.setdefault("floor", 2 / max(num_arms * (num_arms + 1), 2))
        super().__init__(num_arms, total_steps=total_steps, **common)
        self.beta = require_number("beta", beta, above=0)
        self.sigma = require_number("sigma", sigma, above=0)

    def _scheduled(self) -> NDArray[np.float64]:
        centre = self.progress**self.beta * (self.num_arms - 1)
        return boltzmann(-((np.arange(self.num_arms) - centre) ** 2), 2 * self.sigma**2)


register_policy("easy-to-hard", EasyToHard, vectorised=True)
register_policy("hard-to-easy", HardToEasy, vectorised=True)
register_policy("e2h-cosine", E2HCosine, vectorised=True)
register_policy("e2h-gaussian", E2HGaussian, vectorised=True)
