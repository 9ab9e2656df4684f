"""Signals of progress: how much an arm's reward has risen of late. They remember earlier batches.

Every group of an arm in a batch gets the arm's value. A value may be negative, where an arm gets worse; the names that
end in ``absolute`` give its size, since what is being forgotten is worth practising too (arXiv 1707.00183).
"""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.feedback import batch_means
from dumpgym.contracts.student import GroupResults
from dumpgym.signals.signal import Signal, register_signal


class ProgressSignal(Signal):
    """A signal that compares an arm's mean reward in a batch with those of the batches before.

    Args:
        shape: (..., num_arms).
    """

    absolute: ClassVar[bool] = False

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __call__(self, results: GroupResults) -> NDArray[np.float64]:
        """The progress of every group's arm, shape (..., groups)."""
        reward = results.successes / results.num_generations
        if results.rewards is not None:
            reward = results.rewards.mean(axis=-1)
        progress = self._progress(*batch_means(results.arm, reward, self.shape))
        values: NDArray[np.float64] = np.take_along_axis(progress, results.arm, axis=-1)
        return np.abs(values) if self.absolute else values

    @abstractmethod
    def _progress(self, reward: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Takes in the arms' mean rewards in a batch, for those that are present; both shapes are (..., num_arms)."""


class RewardGain(ProgressSignal):
    """The arm's mean reward less that of the last batch in which it was; 0 for the first time."""

    state_fields: ClassVar[tuple[str, ...]] = ("last",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.last: NDArray[np.float64] = np.full(shape, np.nan)

    def _progress(self, reward: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        gain = np.nan_to_num(reward - self.last)
        self.last = np.where(present, reward, self.last)
        return gain


class LearningProgress(ProgressSignal):
    """The arm's fast recency-weighted mean reward less its slow one, with the step sizes 0.3 and 0.05.

    Both begin at the arm's first mean reward, so that what it could do from the start is no progress. Source: the
    fast-minus-slow form of learning progress in Kanitscheider et al., arXiv 2106.14876.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("fast", "slow")
    step_sizes: ClassVar[tuple[float, float]] = (0.3, 0.05)

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.fast: NDArray[np.float64] = np.full(shape, np.nan)
        self.slow: NDArray[np.float64] = np.full(shape, np.nan)

    def _progress(self, reward: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        self.fast, self.slow = (
            np.where(present, np.where(np.isnan(mean), reward, mean + step * (reward - mean)), mean)
            for mean, step in zip((self.fast, self.slow), self.step_sizes, strict=True)
        )
        return np.nan_to_num(self.fast - self.slow)


class LearningProgressSlope(ProgressSignal):
    """The slope, per batch of the arm, of the least-squares line through its last five mean rewards; 0 for the first.

    Source: the window form of learning progress in Matiisen et al., Teacher-Student Curriculum Learning, arXiv
    1707.00183.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("recent",)
    window: ClassVar[int] = 5

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.recent: NDArray[np.float64] = np.full((*shape, self.window), np.nan)  # newest last

    def _progress(self, reward: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        moved = np.concatenate([self.recent[..., 1:], reward[..., None]], axis=-1)
        self.recent = np.where(present[..., None], moved, self.recent)
        return slope(np.arange(self.window), self.recent, ~np.isnan(self.recent))


class AbsoluteRewardGain(RewardGain):
    """The size of ``RewardGain``."""

    absolute: ClassVar[bool] = True


class AbsoluteLearningProgress(LearningProgress):
    """The size of ``LearningProgress``."""

    absolute: ClassVar[bool] = True


class AbsoluteLearningProgressSlope(LearningProgressSlope):
    """The size of ``LearningProgressSlope``."""

    absolute: ClassVar[bool] = True


register_signal("reward_gain", RewardGain)
register_signal("reward_gain_absolute", AbsoluteRewardGain)
register_signal("learning_progress", LearningProgress)
register_signal("learning_progress_absolute", AbsoluteLearningProgress)
register_signal("learning_progress_slope", LearningProgressSlope)
register_signal("learning_progress_slope_absolute", AbsoluteLearningProgressSlope)


def slope(
    x: NDArray[np.float64] | NDArray[np.int64], y: NDArray[np.float64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The slope of the least-squares line through the known points, 0 where they have fewer than two x, shape (...).

    Args:
        x: broadcast against ``known``.
        y: shape (..., points).
        known: which points there are, (..., points).
    """
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    centred = np.where(known, x - np.where(known, x, 0).sum(axis=-1, keepdims=True) / count, 0)
    spread = (centred * centred).sum(axis=-1)
    rise: NDArray[np.float64] = (centred * np.where(known, y, 0)).sum(axis=-1) / np.where(spread > 0, spread, 1)
    return rise
