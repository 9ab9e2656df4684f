"""Histories of an arm's most recent feedback: a mean with a constant step size, and a window of completions."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import ArmHistory
from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.feedback import Feedback, add_by_arm, batch_means, flat_arm


class ExponentialMean(ArmHistory):
    """The recency-weighted mean Q <- Q + step_size (x - Q), updated in the order in which feedback arrives.

    Late feedback counts as the newest: its proper weight would depend on how many values came after it, which Q does
    not record.

    Args:
        shape: shape of Q, (..., num_arms).
        step_size: weight of the newest value, above 0 and at most 1.
        initial: Q before the first value.
        per: what one value x is: "group" for the signal of a group, "batch" for the mean signal of the arm's groups in
            a batch.

    Attributes:
        count: number of groups of every arm observed so far, shape (..., num_arms).
        value: Q, shape (..., num_arms).
    """

    state_fields: ClassVar[tuple[str, ...]] = ("count", "value")

    def __init__(self, shape: tuple[int, ...], step_size: float, *, initial: float = 0.0, per: str = "group") -> None:
        super().__init__(shape)
        self.step_size = require_number("step_size", step_size, above=0, high=1)
        if per not in ("group", "batch"):
            raise InvalidValueError("per", per, "'group' or 'batch'")
        self.per = per
        self.count: NDArray[np.float64] = np.zeros(shape)
        self.value: NDArray[np.float64] = np.full(shape, require_number("initial", initial), dtype=np.float64)

    def add(self, feedback: Feedback) -> None:
        """Adds the groups of a batch, one by one or as their mean per arm."""
        add_by_arm(self.count, feedback.arm, 1)
        self.add_values(feedback, feedback.signal)

    def add_values(self, feedback: Feedback, values: NDArray[np.float64]) -> None:
        """Moves the mean by the given values instead of the signals, shape (..., groups)."""
        if self.per == "batch":
            mean, present = batch_means(feedback.arm, values, self.shape)
            self.value += np.where(present, self.step_size * (mean - self.value), 0)
            return
        # Two groups of one arm are two steps, and the second starts from the Q that the first one left, so the groups
        # cannot be added at once. ``index`` and ``x`` hold one group of every run.
        value = self.value.reshape(-1)
        for index, x in zip(flat_arm(feedback.arm, self.shape[-1]).T, values.T, strict=True):
            value[index] += self.step_size * (x - value[index])

    @property
    def groups(self) -> NDArray[np.float64]:
        """Number of groups of every arm observed so far, shape (..., num_arms)."""
        return self.count

    def mean(self) -> NDArray[np.float64]:
        """Recency-weighted mean signal of every arm, shape (..., num_arms)."""
        return self.value.copy()


class CompletionWindow(ArmHistory):
    """The mean over the last completions of an arm, where every completion of a group carries the group's signal.

    The last completions are those from the latest steps and, within a step, those that arrived last. Late feedback
    takes the place of its step, so it never pushes a newer group out of the window. The completions of a group have no
    order: if the oldest group is only partly inside the window, it counts with the number of completions that fit.

    Args:
        shape: shape of the means, (..., num_arms).
        window: length of the window, at least 1.
        unit: what the length counts: "rollouts", completions of the arm; or "steps", training steps in which the arm
            had a group, of which all its completions are remembered.

    Attributes:
        total: number of groups and of completions of every arm observed so far, which are never forgotten, shape
            (2, ..., num_arms).
        average: mean over every arm's window, shape (..., num_arms).
        recent: step, signal and size of the groups inside the window, shape (3, ..., num_arms, most groups of an arm).
            The newest group is the rightmost; an arm with fewer groups has groups of size 0 on the left.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("total", "average", "recent")
    growing_fields: ClassVar[tuple[str, ...]] = ("recent",)

    def __init__(self, shape: tuple[int, ...], window: int, unit: str = "rollouts") -> None:
        super().__init__(shape)
        self.window = require_number("window", window, low=1, whole=True)
        if unit not in ("rollouts", "steps"):
            raise InvalidValueError("window_unit", unit, "'rollouts' or 'steps'")
        self.unit = unit
        self.total: NDArray[np.float64] = np.zeros((2, *shape))
        self.average: NDArray[np.float64] = np.zeros(shape)
        self.recent: NDArray[np.float64] = np.zeros((3, *shape, 0))

    def add(self, feedback: Feedback) -> None:
        """Adds the groups of a batch in their order. Arms without a group in the batch do not change."""
        add_by_arm(self.total[0], feedback.arm, 1)
        add_by_arm(self.total[1], feedback.arm, feedback.num_generations.astype(np.float64))
        arms, batch = self._of_batch(feedback)
        recent = np.concatenate([self.recent.reshape(3, self.average.size, -1)[:, arms], batch], axis=-1)
        step, _, size = recent  # each (arms in the batch, places)
        # Sorting by step puts empty places on the left and late groups where their step belongs. The sort is stable, so
        # groups of one step keep their order of arrival.
        order = np.where(size > 0, step, -1).argsort(axis=-1, kind="stable")
        step, signal, size = np.take_along_axis(recent, order[None], axis=-1)
        counted = self._counted(step, size)
        self.average.reshape(-1)[arms] = (counted * signal).sum(axis=-1) / counted.sum(axis=-1)
        self._remember(arms, np.where(counted > 0, (step, signal, size), 0))

    def _counted(self, step: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the number of completions of each group that are inside the window, shape (arms, places).

        Args:
            step: step of each group, ascending in every row, shape (arms, places).
            size: number of completions of each group, shape (arms, places).
        """
        if self.unit == "steps":
            is_last = np.diff(step, axis=-1, append=np.inf) > 0  # the last group of its step
            newer = is_last[:, ::-1].cumsum(axis=-1)[:, ::-1] - 1  # steps of the arm that are newer than each group's
            return size * (newer < self.window)
        newer = size[:, ::-1].cumsum(axis=-1)[:, ::-1] - size  # completions that are newer than each group's
        counted: NDArray[np.float64] = np.clip(self.window - newer, 0, size)
        return counted

    def _of_batch(self, feedback: Feedback) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Returns the arms in a batch, and step, signal and size of their groups.

        Returns:
            Indices of the arms in a flattened array of shape (..., num_arms), shape (arms,); and the groups of each arm
            in their order, padded on the right with groups of size 0, shape (3, arms, most groups of an arm).
        """
        flat = flat_arm(feedback.arm, self.shape[-1]).ravel()
        arms, row, counts = np.unique(flat, return_inverse=True, return_counts=True)
        order = flat.argsort(kind="stable")
        row = row[order]
        place = np.arange(flat.size) - (counts.cumsum() - counts)[row]  # rank of each group among its arm's
        batch = np.zeros((3, arms.size, int(counts.max())))
        batch[:, row, place] = np.stack(
            [np.full(flat.size, feedback.step), feedback.signal.ravel()[order], feedback.num_generations.ravel()[order]]
        )
        return arms, batch

    def _remember(self, arms: NDArray[np.int64], recent: NDArray[np.float64]) -> None:
        """Stores the groups of the given arms, and widens ``recent`` if an arm has more groups than places."""
        width = self.recent.shape[-1]
        more = max(int((recent[2] > 0).sum(axis=-1).max()) - width, 0)
        self.recent = np.pad(self.recent, [(0, 0)] * (self.recent.ndim - 1) + [(more, 0)]) if more else self.recent
        self.recent.reshape(3, self.average.size, -1)[:, arms] = recent[..., recent.shape[-1] - width - more :]

    @property
    def groups(self) -> NDArray[np.float64]:
        """Number of groups of every arm observed so far, shape (..., num_arms)."""
        groups: NDArray[np.float64] = self.total[0]
        return groups

    @property
    def completions(self) -> NDArray[np.float64]:
        """Number of completions of every arm observed so far, shape (..., num_arms)."""
        completions: NDArray[np.float64] = self.total[1]
        return completions

    def mean(self) -> NDArray[np.float64]:
        """Mean signal over every arm's window, 0 where the window is empty, shape (..., num_arms)."""
        return self.average.copy()
