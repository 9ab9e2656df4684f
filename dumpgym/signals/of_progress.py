"""Signals of progress: how much an arm's mean reward has risen recently. They remember earlier batches.

All groups of an arm in a batch have the same signal. It is negative if the arm's reward has fallen. Signals whose name
ends in ``absolute`` give the absolute value, because an arm that is being forgotten is worth practising too
(arXiv 1707.00183).
"""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.feedback import batch_means
from dumpgym.contracts.student import GroupResults
from dumpgym.signals.signal import Signal, register_signal


class ProgressSignal(Signal):
    """A signal that compares an arm's mean reward in a batch with its mean rewards in earlier batches.

    Subclasses implement ``_progress``. Their statistics are per arm, so a batch without an arm leaves the arm's
    statistics unchanged: "before" is the last batch in which the arm appears, however long ago.

    Args:
        shape: shape of the statistics, (..., num_arms).
    """

    absolute: ClassVar[bool] = False
    """Whether the signal is the absolute value of the progress."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __call__(self, results: GroupResults) -> NDArray[np.float64]:
        """Returns the progress of every group's arm, shape (..., groups)."""
        reward = results.successes / results.num_generations  # the mean of rewards 1 and 0, (..., groups)
        if results.rewards is not None:
            reward = results.rewards.mean(axis=-1)
        # The mean over a whole batch, because one group of G completions says too little: at a success rate of .5 and
        # G = 8 its mean reward has a standard deviation of .18, far above what one training step changes.
        progress = self._progress(*batch_means(results.arm, reward, self.shape))  # (..., num_arms)
        values: NDArray[np.float64] = np.take_along_axis(progress, results.arm, axis=-1)
        return np.abs(values) if self.absolute else values

    @abstractmethod
    def _progress(self, reward: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Records the mean rewards of a batch and returns the arms' progress, shape (..., num_arms).

        Args:
            reward: mean reward of every arm in the batch, 0 for absent arms, shape (..., num_arms).
            present: which arms are in the batch, shape (..., num_arms).
        """


class RewardGain(ProgressSignal):
    """The arm's mean reward minus its mean reward in the last batch that contained it; 0 at the first time."""

    state_fields: ClassVar[tuple[str, ...]] = ("last",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.last: NDArray[np.float64] = np.full(shape, np.nan)

    def _progress(self, reward: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        gain = np.nan_to_num(reward - self.last)  # NaN, an arm without an earlier batch, becomes 0
        self.last = np.where(present, reward, self.last)
        return gain


class LearningProgress(ProgressSignal):
    """The difference between a fast and a slow recency-weighted mean of the arm's reward (step sizes 0.3 and 0.05).

    Source: the fast-minus-slow form of learning progress in Kanitscheider et al., arXiv 2106.14876.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("fast", "slow")
    step_sizes: ClassVar[tuple[float, float]] = (0.3, 0.05)

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.fast: NDArray[np.float64] = np.full(shape, np.nan)
        self.slow: NDArray[np.float64] = np.full(shape, np.nan)

    def _progress(self, reward: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        # Both means start at the arm's first mean reward. If they started at 0, an arm that was solved from the start
        # would show progress for many batches, because the fast mean approaches its reward sooner than the slow one.
        self.fast, self.slow = (
            np.where(present, np.where(np.isnan(mean), reward, mean + step * (reward - mean)), mean)
            for mean, step in zip((self.fast, self.slow), self.step_sizes, strict=True)
        )
        return np.nan_to_num(self.fast - self.slow)


class LearningProgressSlope(ProgressSignal):
    """The slope of the least-squares line through the arm's last five mean rewards; 0 at the first time.

    The unit is reward per batch that contains the arm. Source: the window form of learning progress in Matiisen et al.,
    Teacher-Student Curriculum Learning, arXiv 1707.00183.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("recent",)
    window: ClassVar[int] = 5

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.recent: NDArray[np.float64] = np.full((*shape, self.window), np.nan)  # oldest first

    def _progress(self, reward: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        moved = np.concatenate([self.recent[..., 1:], reward[..., None]], axis=-1)
        self.recent = np.where(present[..., None], moved, self.recent)
        return slope(np.arange(self.window), self.recent, ~np.isnan(self.recent))


class AbsoluteRewardGain(RewardGain):
    """The absolute value of ``RewardGain``."""

    absolute: ClassVar[bool] = True


class AbsoluteLearningProgress(LearningProgress):
    """The absolute value of ``LearningProgress``."""

    absolute: ClassVar[bool] = True


class AbsoluteLearningProgressSlope(LearningProgressSlope):
    """The absolute value of ``LearningProgressSlope``."""

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
    """Computes the slope of the least-squares line through the known points.

    Args:
        x: x of the points, in a shape that broadcasts to that of ``known``.
        y: y of the points, arbitrary where unknown, shape (..., points).
        known: which points are known, shape (..., points).

    Returns:
        The slopes, 0 where the known points have fewer than two different x, shape (...).
    """
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    centred = np.where(known, x - np.where(known, x, 0).sum(axis=-1, keepdims=True) / count, 0)
    spread = (centred * centred).sum(axis=-1)
    rise: NDArray[np.float64] = (centred * np.where(known, y, 0)).sum(axis=-1) / np.where(spread > 0, spread, 1)
    return rise
