"""Arm histories: what a policy remembers about the groups it has observed.

A history keeps a number of groups and a mean signal for every arm. The classes differ in what they remember:

- ``SumHistory``: sums over all groups. ``DiscountedSums`` discounts them per training step, and ``WindowSums`` keeps
  only the last training steps.
- ``CompletionWindow`` (in ``recent_history.py``): the most recent completions of every arm, by training step.
- ``ExponentialMean`` (same file): a mean with a constant step size, updated in the order of arrival.

Feedback may arrive late, after feedback from later steps. Sums and completion windows then put it in the place of the
step that it belongs to. It describes the student as it was at that step, so it has to be forgotten as early as if it
had been on time. If the order of arrival decided, an old group would count as new and would push newer groups out of a
window, and probabilities would depend on delays.

Arrays have shape (..., num_arms), where ... is empty for one run and (num_runs,) for runs in lockstep.
"""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.feedback import Feedback, add_by_arm
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.state import Stateful

MOST_STEPS = 10_000
"""Largest window that is measured in training steps."""
# The rows of ``SumHistory.sums``, in the order in which ``_accumulate`` adds to them.
_ROWS = ("groups", "completions", "signal", "squares", "successes")


class ArmHistory(Stateful):
    """Base class of histories: a number of groups and a mean signal for every arm.

    Args:
        shape: shape of the counts and means, (..., num_arms).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    @abstractmethod
    def add(self, feedback: Feedback) -> None:
        """Adds the groups of a batch."""

    @property
    @abstractmethod
    def groups(self) -> NDArray[np.float64]:
        """Number of groups of every arm that this history counts, shape (..., num_arms)."""

    @abstractmethod
    def mean(self) -> NDArray[np.float64]:
        """Mean signal of every arm, 0 for an arm without groups, shape (..., num_arms)."""


class SumHistory(ArmHistory):
    """Sums over all groups of every arm. Every group has weight 1, and none is forgotten.

    Args:
        shape: shape of each sum, (..., num_arms).

    Attributes:
        sums: sums over groups of 1, group size, signal, squared signal and successes, shape (5, ..., num_arms).
    """

    state_fields: ClassVar[tuple[str, ...]] = ("sums",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.sums: NDArray[np.float64] = np.zeros((len(_ROWS), *shape))

    def add(self, feedback: Feedback) -> None:
        """Adds the groups of a batch."""
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
        """Sum of the weights of every arm's groups, shape (..., num_arms)."""
        return self._row(0)

    @property
    def completions(self) -> NDArray[np.float64]:
        """Weighted number of completions in those groups, shape (..., num_arms)."""
        return self._row(1)

    @property
    def signal_sum(self) -> NDArray[np.float64]:
        """Weighted sum of the groups' signals, shape (..., num_arms)."""
        return self._row(2)

    @property
    def successes(self) -> NDArray[np.float64]:
        """Weighted number of completions that solved their problem, shape (..., num_arms)."""
        return self._row(4)

    @property
    def failures(self) -> NDArray[np.float64]:
        """Weighted number of completions that did not solve their problem, shape (..., num_arms)."""
        return self.completions - self.successes

    def mean(self) -> NDArray[np.float64]:
        """Weighted mean signal of every arm's groups, 0 for an arm without groups, shape (..., num_arms)."""
        return self.signal_sum / np.where(self.groups > 0, self.groups, 1)

    def variance(self) -> NDArray[np.float64]:
        """Weighted mean squared deviation of every arm's signals from their mean, shape (..., num_arms)."""
        mean = self.mean()
        squares = self._row(3) / np.where(self.groups > 0, self.groups, 1)
        # The difference of two nearly equal numbers may round below 0, and UCB-V takes its square root.
        variance: NDArray[np.float64] = np.maximum(squares - mean * mean, 0)
        return variance


class DiscountedSums(SumHistory):
    """Sums in which a group from step s has the weight discount^(t - s) after step t.

    Args:
        shape: shape of each sum, (..., num_arms).
        discount: factor on every weight per training step, above 0 and at most 1; at 1 nothing is forgotten.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*SumHistory.state_fields, "step")

    def __init__(self, shape: tuple[int, ...], discount: float) -> None:
        super().__init__(shape)
        self.discount = require_number("discount", discount, above=0, high=1)
        self.step = 0  # the latest step observed

    def add(self, feedback: Feedback) -> None:
        """Adds the groups of a batch, with the weight that groups of their step have by now."""
        # All weights of step s share the factor discount^(t - s), so a new step t multiplies the sums once and no
        # group has to be kept. A late group enters with the factor that it would have by now if it had been on time:
        # the sums do not depend on the order of arrival.
        if feedback.step > self.step:
            self.sums *= self.discount ** (feedback.step - self.step)
            self.step = int(feedback.step)
        self._accumulate(self.sums, feedback, self.discount ** (self.step - feedback.step))


class WindowSums(SumHistory):
    """Sums over the groups of the last training steps.

    Args:
        shape: shape of each sum, (..., num_arms).
        window: number of training steps that are remembered, the latest observed step included, from 1 to 10,000; every
            step takes memory from the start.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*SumHistory.state_fields, "step", "recent")

    def __init__(self, shape: tuple[int, ...], window: int) -> None:
        super().__init__(shape)
        self.window = require_number("window", window, low=1, high=MOST_STEPS, whole=True)
        self.step = 0  # the latest step observed
        # The sums of each remembered step, shape (window, 5, ..., num_arms); step s has the row s % window.
        self.recent: NDArray[np.float64] = np.zeros((self.window, *self.sums.shape))

    def add(self, feedback: Feedback) -> None:
        """Adds the groups of a batch, unless its step has left the window."""
        # The row of a step that has left the window belongs to a later step by now. A late step that is still inside
        # has its own row, and leaves the window when it would have left it on time.
        if feedback.step <= self.step - self.window:
            return
        # Steps without feedback move the window too, so the row of every step since the latest one is emptied. After a
        # long gap it is enough to empty the rows of the last ``window`` steps, which are all the rows there are.
        for step in range(max(self.step + 1, feedback.step - self.window + 1), feedback.step + 1):
            leaving = self.recent[step % self.window]
            self.sums -= leaving
            leaving[:] = 0
        # Subtraction leaves rounding errors. Every group has weight 1, so an arm that counts less than half a group has
        # none, and its sums are exactly 0.
        np.copyto(self.sums, 0, where=self.sums[0] < 0.5)
        self.step = max(self.step, int(feedback.step))
        self._accumulate(self.sums, feedback, 1.0)
        self._accumulate(self.recent[feedback.step % self.window], feedback, 1.0)


def make_sums(shape: tuple[int, ...], *, window: int | None = None, discount: float | None = None) -> SumHistory:
    """Creates sums over all groups, over a window of training steps, or with a discount per training step.

    Args:
        shape: shape of each sum, (..., num_arms).
        window: number of training steps that are remembered, or None for no window.
        discount: factor on every weight per training step, or None for no discount.

    Raises:
        InvalidValueError: if both are given, or one is out of range.
    """
    if window is not None and discount is not None:
        raise InvalidValueError("window", window, f"None beside the discount {discount}: one of the two")
    if window is not None:
        return WindowSums(shape, window)
    return SumHistory(shape) if discount is None else DiscountedSums(shape, discount)


class HistoryPolicy(BanditPolicy):
    """A policy that decides from an ``ArmHistory``; subclasses set ``history`` and implement ``_weights``.

    Attributes:
        history: what the policy remembers about the arms.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "history")
    history: ArmHistory

    def _observe(self, feedback: Feedback) -> None:
        self.history.add(feedback)
