"""How an arm's history is kept: what a policy remembers of the groups it was told about.

A history counts what every arm was given, over all time, and knows one mean per arm; its subclasses differ in which
signals that mean remembers. Groups count in the order in which they are told, whatever step they belong to. A
``HistoryPolicy`` decides by one of them.
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumpgym.errors import require_number
from dumpgym.policy import BanditPolicy, Feedback


class ArmHistory(ABC):
    """Counts and a mean signal for every arm.

    Subclasses write ``_add_group``, ``mean``, and what they keep into the state.

    Args:
        num_arms: number of arms.

    Attributes:
        groups: groups told of every arm, shape (num_arms,); never forgotten.
        rollouts: completions in those groups, shape (num_arms,); never forgotten.
    """

    def __init__(self, num_arms: int) -> None:
        self.groups: NDArray[np.int64] = np.zeros(num_arms, dtype=np.int64)
        self.rollouts: NDArray[np.int64] = np.zeros(num_arms, dtype=np.int64)

    def add(self, feedback: Feedback) -> None:
        """Takes in the groups of a batch, one after another."""
        rows = zip(feedback.arm.tolist(), feedback.signal.tolist(), feedback.group_size.tolist(), strict=True)
        for arm, signal, group_size in rows:
            self.groups[arm] += 1
            self.rollouts[arm] += group_size
            self._add_group(arm, signal, group_size)

    @abstractmethod
    def _add_group(self, arm: int, signal: float, group_size: int) -> None:
        """Takes in one group, which is counted already."""

    @abstractmethod
    def mean(self) -> NDArray[np.float64]:
        """The mean signal of every arm, 0 for an arm without any, shape (num_arms,)."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that ``load_state_dict`` needs, as JSON-compatible values."""
        return {"groups": self.groups.tolist(), "rollouts": self.rollouts.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self.groups = np.array(state["groups"], dtype=np.int64)
        self.rollouts = np.array(state["rollouts"], dtype=np.int64)


class CumulativeMean(ArmHistory):
    """The mean over all groups ever told of an arm."""

    def __init__(self, num_arms: int) -> None:
        super().__init__(num_arms)
        self.total: NDArray[np.float64] = np.zeros(num_arms)

    def _add_group(self, arm: int, signal: float, group_size: int) -> None:
        self.total[arm] += signal

    def mean(self) -> NDArray[np.float64]:
        """The mean signal of every arm's groups, 0 for an arm without any, shape (num_arms,)."""
        return self.total / np.maximum(self.groups, 1)

    def state_dict(self) -> dict[str, Any]:
        """Everything that ``load_state_dict`` needs, as JSON-compatible values."""
        return {**super().state_dict(), "total": self.total.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        super().load_state_dict(state)
        self.total = np.array(state["total"], dtype=np.float64)


class ExponentialMean(ArmHistory):
    """The recency-weighted mean Q <- Q + step_size (signal - Q) after every group, from Q = 0.

    Args:
        num_arms: number of arms.
        step_size: weight of the newest group, above 0 and at most 1.
    """

    def __init__(self, num_arms: int, step_size: float) -> None:
        super().__init__(num_arms)
        self.step_size = require_number("step_size", step_size, above=0, high=1)
        self.value: NDArray[np.float64] = np.zeros(num_arms)

    def _add_group(self, arm: int, signal: float, group_size: int) -> None:
        self.value[arm] += self.step_size * (signal - self.value[arm])

    def mean(self) -> NDArray[np.float64]:
        """The recency-weighted mean signal of every arm, 0 for an arm without groups, shape (num_arms,)."""
        return self.value.copy()

    def state_dict(self) -> dict[str, Any]:
        """Everything that ``load_state_dict`` needs, as JSON-compatible values."""
        return {**super().state_dict(), "value": self.value.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        super().load_state_dict(state)
        self.value = np.array(state["value"], dtype=np.float64)


class RolloutWindow(ArmHistory):
    """The mean over the last rollouts of an arm, where every rollout of a group carries the group's signal.

    The rollouts of a group have no order, so the oldest group, when only a part of it is inside the window, counts
    with as many rollouts as are inside.

    Args:
        num_arms: number of arms.
        window: number of rollouts remembered of every arm, at least 1.
    """

    def __init__(self, num_arms: int, window: int) -> None:
        super().__init__(num_arms)
        self.window = require_number("window", window, low=1, whole=True)
        self.recent: list[deque[tuple[float, int]]] = [deque() for _ in range(num_arms)]  # (signal, group size)
        self.held = [0] * num_arms  # rollouts in `recent`, those of the oldest group that are outside included

    def _add_group(self, arm: int, signal: float, group_size: int) -> None:
        self.recent[arm].append((signal, group_size))
        self.held[arm] += group_size
        while self.held[arm] - self.recent[arm][0][1] >= self.window:
            self.held[arm] -= self.recent[arm].popleft()[1]

    def mean(self) -> NDArray[np.float64]:
        """The mean signal over every arm's window, 0 where it is empty, shape (num_arms,)."""
        return np.array([self._arm_mean(arm) for arm in range(len(self.recent))], dtype=np.float64)

    def _arm_mean(self, arm: int) -> float:
        if not self.recent[arm]:
            return 0.0
        signals, counted = zip(*self.recent[arm], strict=True)
        oldest = counted[0] - max(0, self.held[arm] - self.window)
        weights = np.array([oldest, *counted[1:]])
        return float(weights @ np.array(signals) / weights.sum())

    def state_dict(self) -> dict[str, Any]:
        """Everything that ``load_state_dict`` needs, as JSON-compatible values."""
        return {**super().state_dict(), "recent": [[list(group) for group in groups] for groups in self.recent]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        super().load_state_dict(state)
        self.recent, self.held = [deque() for _ in state["recent"]], [0] * len(state["recent"])
        for arm, groups in enumerate(state["recent"]):
            for signal, group_size in groups:
                self._add_group(arm, signal, group_size)


class HistoryPolicy(BanditPolicy):
    """A policy that decides by an ``ArmHistory``; subclasses set ``history`` and write ``_weights``.

    Attributes:
        history: what the policy remembers of the arms.
    """

    history: ArmHistory

    def _observe(self, feedback: Feedback) -> None:
        self.history.add(feedback)

    def state_dict(self) -> dict[str, Any]:
        """Everything that ``load_state_dict`` needs to go on bit for bit, as JSON-compatible values."""
        return {**super().state_dict(), "history": self.history.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` of a policy with the same options returned."""
        super().load_state_dict(state)
        self.history.load_state_dict(state["history"])
