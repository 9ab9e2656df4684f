"""How an arm's history is kept: what a policy remembers of the groups it was told about.

A history knows a number of groups and one mean signal for every arm; the classes differ in what they remember:

- ``SumHistory``: sums over groups, for ever, with a discount a training step, or over a window of training steps. Late
  feedback has the weight of the step it belongs to, so the order of arrival does not matter.
- ``CompletionWindow`` (``recent_history.py``): the last completions of every arm, by the steps they belong to.
- ``ExponentialMean`` (there too): a mean with a constant step size, which takes feedback in the order of its arrival.

Shapes are (..., num_arms), where what is in front is nothing, or one axis of runs.
"""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.feedback import Feedback, add_by_arm
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.state import Stateful

_ROWS = ("groups", "completions", "signal", "squares", "successes")


class ArmHistory(Stateful):
    """Counts and a mean signal for every arm.

    Args:
        shape: (..., num_arms).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    @abstractmethod
    def add(self, feedback: Feedback) -> None:
        """Takes in the groups of a batch."""

    @property
    @abstractmethod
    def groups(self) -> NDArray[np.float64]:
        """Groups of every arm as this history counts them, shape (..., num_arms)."""

    @abstractmethod
    def mean(self) -> NDArray[np.float64]:
        """The mean signal of every arm, 0 for an arm without any, shape (..., num_arms)."""


class SumHistory(ArmHistory):
    """Sums over the groups told of every arm, all with weight 1 and for ever.

    Args:
        shape: (..., num_arms).

    Attributes:
        sums: the sums over groups of 1, group size, signal, squared signal and successes, shape (5, ..., num_arms).
    """

    state_fields: ClassVar[tuple[str, ...]] = ("sums",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.sums: NDArray[np.float64] = np.zeros((len(_ROWS), *shape))

    def add(self, feedback: Feedback) -> None:
        """Takes in the groups of a batch."""
        self._accumulate(self.sums, feedback, 1.0)

    @staticmethod
    def _accumulate(sums: NDArray[np.float64], feedback: Feedback, weight: float) -> None:
        signal, ones = feedback.signal, np.ones_like(feedback.signal)
        for total, values in zip(
            sums, (ones, feedback.num_generations, signal, signal * signal, feedback.successes), strict=True
        ):
            add_by_arm(total, feedback.arm, weight * values.astype(np.float64))

    def _row(self, index: int) -> NDArray[np.float64]:
        row: NDArray[np.float64] = self.sums[index]
        return row

    @property
    def groups(self) -> NDArray[np.float64]:
        """Groups of every arm, each with its weight, shape (..., num_arms)."""
        return self._row(0)

    @property
    def completions(self) -> NDArray[np.float64]:
        """Completions in those groups, shape (..., num_arms)."""
        return self._row(1)

    @property
    def signal_sum(self) -> NDArray[np.float64]:
        """Sum of the signals, shape (..., num_arms)."""
        return self._row(2)

    @property
    def successes(self) -> NDArray[np.float64]:
        """Completions that solved their problem, shape (..., num_arms)."""
        return self._row(4)

    @property
    def failures(self) -> NDArray[np.float64]:
        """Completions that did not, shape (..., num_arms)."""
        return self.completions - self.successes

    def mean(self) -> NDArray[np.float64]:
        """The mean signal of every arm's groups, 0 for an arm without any, shape (..., num_arms)."""
        return self.signal_sum / np.where(self.groups > 0, self.groups, 1)

    def variance(self) -> NDArray[np.float64]:
        """The mean squared deviation of every arm's signals from their mean, shape (..., num_arms)."""
        mean = self.mean()
        squares = self._row(3) / np.where(self.groups > 0, self.groups, 1)
        variance: NDArray[np.float64] = np.maximum(squares - mean * mean, 0)
        return variance


class DiscountedSums(SumHistory):
    """Sums in which a group of step s has, after step t, the weight discount^(t - s).

    Args:
        shape: (..., num_arms).
        discount: per training step, above 0 and at most 1; at 1 nothing is forgotten.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*SumHistory.state_fields, "step")

    def __init__(self, shape: tuple[int, ...], discount: float) -> None:
        super().__init__(shape)
        self.discount = require_number("discount", discount, above=0, high=1)
        self.step = 0  # the latest step told

    def add(self, feedback: Feedback) -> None:
        """Takes in the groups of a batch, with the weight that their step has by now."""
        if feedback.step > self.step:
            self.sums *= self.discount ** (feedback.step - self.step)
            self.step = int(feedback.step)
        self._accumulate(self.sums, feedback, self.discount ** (self.step - feedback.step))


class WindowSums(SumHistory):
    """Sums over the groups of the last training steps.

    Args:
        shape: (..., num_arms).
        window: training steps that are remembered, up to the latest step told, at least 1.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*SumHistory.state_fields, "step", "recent")

    def __init__(self, shape: tuple[int, ...], window: int) -> None:
        super().__init__(shape)
        self.window = require_number("window", window, low=1, whole=True)
        self.step = 0  # the latest step told
        self.recent: NDArray[np.float64] = np.zeros((self.window, *self.sums.shape))  # step s in row s % window

    def add(self, feedback: Feedback) -> None:
        """Takes in the groups of a batch, unless its step has left the window."""
        if feedback.step <= self.step - self.window:
            return
        for step in range(max(self.step + 1, feedback.step - self.window + 1), feedback.step + 1):
            leaving = self.recent[step % self.window]
            self.sums -= leaving
            leaving[:] = 0
        np.copyto(self.sums, 0, where=self.sums[0] < 0.5)  # no rounding is left behind in an arm without groups
        self.step = max(self.step, int(feedback.step))
        self._accumulate(self.sums, feedback, 1.0)
        self._accumulate(self.recent[feedback.step % self.window], feedback, 1.0)


def make_sums(shape: tuple[int, ...], *, window: int | None = None, discount: float | None = None) -> SumHistory:
    """Sums for ever, over a window of training steps, or with a discount a training step.

    Args:
        shape: (..., num_arms).
        window: training steps, or None.
        discount: a training step, or None.

    Raises:
        InvalidValueError: if both are given, or one is out of range.
    """
    if window is not None and discount is not None:
        raise InvalidValueError("window", window, f"None beside the discount {discount}: one of the two")
    if window is not None:
        return WindowSums(shape, window)
    return SumHistory(shape) if discount is None else DiscountedSums(shape, discount)


class HistoryPolicy(BanditPolicy):
    """A policy that decides by an ``ArmHistory``; subclasses set ``history`` and write ``_weights``.

    Attributes:
        history: what the policy remembers of the arms.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "history")
    history: ArmHistory

    def _observe(self, feedback: Feedback) -> None:
        self.history.add(feedback)
