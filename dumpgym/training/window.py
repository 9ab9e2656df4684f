"""Numbers of every arm over the last steps of a run, as alarms need them."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.state import Stateful


class StepWindow(Stateful):
    """Remembers named numbers of every arm for a number of steps.

    Args:
        rows: names of the numbers.
        num_arms: number of arms.
        length: steps that are remembered.

    Attributes:
        recent: shape (length, rows, num_arms), the newest step last; steps that were not taken yet are 0.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("recent",)

    def __init__(self, rows: Sequence[str], num_arms: int, length: int) -> None:
        self.rows = tuple(rows)
        self.recent: NDArray[np.float64] = np.zeros((length, len(rows), num_arms))

    def add(self, step: Mapping[str, NDArray[np.float64] | NDArray[np.int64]]) -> None:
        """Adds a step, whose numbers have shape (num_arms,), and forgets the oldest one."""
        newest = np.array([step[row] for row in self.rows], dtype=np.float64)
        self.recent = np.concatenate([self.recent[1:], newest[None]])

    def total(self, last: int | None = None) -> dict[str, NDArray[np.float64]]:
        """Sums over the last steps, all that are remembered by default, each (num_arms,)."""
        steps = self.recent if last is None else self.recent[-last:]
        return dict(zip(self.rows, steps.sum(axis=0), strict=True))
