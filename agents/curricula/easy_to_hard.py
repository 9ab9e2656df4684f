"""Fixed schedules from easy to hard, or hard to easy, among them those of E2H (arXiv 2506.06632).

The arms are in order of difficulty, easiest first. Schedules depend on the training step and ignore feedback.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.selection import boltzmann
from dumpgym.agents.curricula.controls import read_shares
from dumpgym.contracts.errors import require_number
from dumpgym.contracts.policy import BanditPolicy, OptionsBesideFloor, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule


def with_review(current: NDArray[np.bool_], passed: NDArray[np.bool_], review: float) -> NDArray[np.float64]:
    """Weights of an order: the current arm, and a share that goes uniformly to the arms that it has passed.

    Args:
        current: which arm is the current one, shape (..., num_arms).
        passed: which arms the order has passed, shape (..., num_arms); before there are any, the current arm has all.
        review: share of the passed arms, from 0 to 1.
    """
    number = passed.sum(axis=-1, keepdims=True)
    share = np.where(number > 0, review, 0)
    weights: NDArray[np.float64] = (1 - share) * current + share * passed / np.maximum(number, 1)
    return weights


class SchedulePolicy(BanditPolicy):
    """A policy whose weights depend only on the training step, its ``clock``, and are constant after ``total_steps``.

    Args:
        num_arms: number of arms, at least 1.
        total_steps: length of the schedule in training steps, at least 1; the default is the training length of
            arXiv 2504.09710.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    symmetric: ClassVar[bool] = False

    def __init__(self, num_arms: int, *, total_steps: int = 150, **common: Unpack[PolicyOptions]) -> None:
        super().__init__(num_arms, **common)
        self.total_steps = require_number("total_steps", total_steps, low=1, whole=True)

    @property
    def progress(self) -> float:
        """Completed part of the schedule, t / T, from 0 to 1."""
        return min(self.clock / self.total_steps, 1.0)

    def _weights(self) -> NDArray[np.float64]:
        weights = np.empty(self.shape)
        weights[...] = self._scheduled()
        return weights

    @abstractmethod
    def _scheduled(self) -> NDArray[np.float64]:
        """Weights of the present step, shape (num_arms,)."""


class EasyToHard(SchedulePolicy):
    """One arm after another, in the order of their indices, easiest first.

    Each arm has a stage of consecutive training steps. With ``review``, the arms of earlier stages share a part of the
    batch::

        P(d) = 1 - review                   in the stage of arm d
               review / number of passed    in later stages
               0                            in earlier ones

    The first stage has the whole batch. With independent draws, ``review`` is the expected share of the batch; with
    quotas, it is the share. By default there is no review.

    Source: E2H (arXiv 2506.06632) calls this step schedule, without a review, traditional curriculum learning. With a
    review it is like Baby Steps (Spitkovsky et al., From Baby Steps to Leapfrog, NAACL 2010), which keeps the earlier
    stages in training. ``mastery-learning`` is the same order by success.

    Args:
        num_arms: number of arms, at least 1.
        total_steps: number of training steps that the stages of all arms share, at least 1.
        stage_shares: relative length of each arm's stage, one number of at least 0 per arm, as a list or as text such
            as "3,2,1"; None for equal lengths. Stages end at whole steps.
        review: share of the batch for the arms of earlier stages, from 0 to 1; a number or a schedule.
        common: options of every policy, see ``BanditPolicy``.

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
        review: Schedulable = 0.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, total_steps=total_steps, **common)
        self.order = np.arange(num_arms) if self.easiest_first else np.arange(num_arms)[::-1]
        ends = read_shares("stage_shares", stage_shares, num_arms)[self.order].cumsum()
        self.stage_ends = np.rint(total_steps * ends / ends[-1]).astype(np.int64)
        self.review = Schedule.parse("review", review, low=0, high=1)

    def _scheduled(self) -> NDArray[np.float64]:
        stage = np.searchsorted(self.stage_ends[:-1], self.clock, side="right")
        current, passed = np.zeros((2, self.num_arms), dtype=np.bool_)
        current[self.order[stage]] = True
        passed[self.order[:stage]] = np.diff(self.stage_ends, prepend=0)[:stage] > 0  # an arm without a stage is not
        return with_review(current, passed, self.review.at(self.clock))


class HardToEasy(EasyToHard):
    """One arm after another, hardest first: the control that tests whether the order matters.

    It takes the options of ``EasyToHard``. ``stage_shares`` are in the order of the arms, easiest first, here too.
    """

    easiest_first: ClassVar[bool] = False


class E2HCosine(SchedulePolicy):
    """E2H-C: weights that favour easy arms at the start change along a cosine to weights that favour hard arms.

    With arms k = 1..K, t of T training steps done, and a = (1 + cos(pi t / T)) / 2::

        P(k) = (a (K + 1 - k) + (1 - a) k) / (K (K + 1) / 2)

    Source: Parashar et al., Curriculum Reinforcement Learning from Easy to Hard Tasks Improves LLM Reasoning,
    arXiv 2506.06632 (E2H Reasoner), the cosine schedule, in the form of the authors' code. No departure. All arms have
    the same probability at T / 2, and no arm ever falls below 2 / (K (K + 1)).

    Args:
        num_arms: K, at least 1.
        total_steps: T, at least 1.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def _scheduled(self) -> NDArray[np.float64]:
        a = (1 + math.cos(math.pi * self.progress)) / 2
        late = np.arange(1, self.num_arms + 1)
        weights: NDArray[np.float64] = (a * late[::-1] + (1 - a) * late) / late.sum()
        return weights


class E2HGaussian(SchedulePolicy):
    """E2H-G: a Gaussian curve over the arms whose centre moves from the easiest arm to the hardest.

    With arms k = 0..K-1 and t of T training steps done::

        centre = (t / T)^beta (K - 1)
        w(k)   = exp(-(k - centre)^2 / (2 sigma^2)), divided by its sum over the arms
        P(k)   = floor + (1 - K floor) w(k), with floor = 2 / (K (K + 1))

    Source: Parashar et al., Curriculum Reinforcement Learning from Easy to Hard Tasks Improves LLM Reasoning,
    arXiv 2506.06632 (E2H Reasoner), the Gaussian schedule; beta, sigma and the floor are the defaults of the authors'
    code. No departure. ``floor=0`` gives the Gaussian curve without it.

    Args:
        num_arms: K, at least 1.
        total_steps: T, at least 1.
        beta: exponent of t / T, above 0; below 1 the centre moves faster at the start.
        sigma: standard deviation of the curve in arms, above 0.
        floor: least probability of every arm, see ``BanditPolicy``; None for that of the formula.
        common: options of every policy, see ``BanditPolicy``.

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
        floor: Schedulable | Sequence[float] | None = None,
        **common: Unpack[OptionsBesideFloor],
    ) -> None:
        least = 2 / max(num_arms * (num_arms + 1), 2) if floor is None else floor
        super().__init__(num_arms, total_steps=total_steps, floor=least, **common)
        self.beta = require_number("beta", beta, above=0)
        self.sigma = require_number("sigma", sigma, above=0)

    def _scheduled(self) -> NDArray[np.float64]:
        centre = self.progress**self.beta * (self.num_arms - 1)
        return boltzmann(-((np.arange(self.num_arms) - centre) ** 2), 2 * self.sigma**2)


register_policy("easy-to-hard", EasyToHard, vectorised=True)
register_policy("hard-to-easy", HardToEasy, vectorised=True)
register_policy("e2h-cosine", E2HCosine, vectorised=True)
register_policy("e2h-gaussian", E2HGaussian, vectorised=True)
