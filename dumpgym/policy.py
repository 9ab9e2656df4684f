"""The contract of a bandit policy: which distributions the next batch comes from, and what it learns from it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dumpgym.errors import InvalidValueError, require_number
from dumpgym.learner import Completions


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one batch taught, one row a group of completions to the same prompt; all arrays have shape (groups,).

    Attributes:
        step: the training step to which the batch belongs; feedback may come late.
        arm: index of the arm that each prompt was drawn from.
        signal: learnability of the group, e.g. its mean absolute advantage.
        successes: number of completions that solved the problem.
        group_size: number of completions in the group.
        tokens: tokens generated for the group.
        truncated: number of completions cut off at the length limit.

    Raises:
        InvalidValueError: if the arrays are not all of shape (groups,).
    """

    step: int
    arm: NDArray[np.int64]
    signal: NDArray[np.float64]
    successes: NDArray[np.int64]
    group_size: NDArray[np.int64]
    tokens: NDArray[np.int64]
    truncated: NDArray[np.int64]

    @classmethod
    def of_batch(
        cls,
        step: int,
        arm: NDArray[np.int64],
        signal: NDArray[np.float64],
        successes: NDArray[np.bool_],
        completions: Completions,
    ) -> Self:
        """The feedback of one batch.

        Args:
            step: the training step.
            arm: of each group, (groups,).
            signal: learnability of each group, (groups,).
            successes: which completions solved their problem, (groups, num_generations).
            completions: the batch's completions.
        """
        groups, size = successes.shape
        return cls(
            step=step,
            arm=arm,
            signal=signal,
            successes=successes.sum(axis=1),
            group_size=np.full(groups, size),
            tokens=completions.num_tokens.sum(axis=1),
            truncated=completions.truncated.sum(axis=1),
        )

    def __post_init__(self) -> None:
        for name in ("arm", "signal", "successes", "group_size", "tokens", "truncated"):
            shape = getattr(self, name).shape
            if shape != (self.arm.size,):
                raise InvalidValueError(f"shape of feedback.{name}", shape, f"(groups,) = ({self.arm.size},)")


class BanditPolicy(ABC):
    """A distribution over arms that is updated by feedback.

    Subclasses write ``_weights``, the probabilities before the floor, and ``_observe``; what they keep between calls
    must be found in ``state_dict``.

    Args:
        num_arms: number of arms, at least 1.
        seed: of the policy's own generator.
        floor: least probability of every arm, from 0 to 1 / num_arms.
    """

    def __init__(self, num_arms: int, *, seed: int = 0, floor: float = 0.0) -> None:
        self.num_arms = require_number("num_arms", num_arms, low=1, whole=True)
        self.floor = require_number("floor", floor, low=0, high=1 / num_arms)
        self.rng = np.random.default_rng(seed)

    @abstractmethod
    def _weights(self) -> NDArray[np.float64]:
        """Probabilities of the arms before the floor, shape (num_arms,), summing to 1."""

    def _observe(self, feedback: Feedback) -> None:
        """Takes in a batch; policies that learn nothing leave it out."""

    def probabilities(self) -> NDArray[np.float64]:
        """The probabilities with which the next batch's arms are drawn, shape (num_arms,)."""
        return self.floor + (1.0 - self.num_arms * self.floor) * self._weights()

    def select_arms(self, size: int) -> NDArray[np.int64]:
        """Draws ``size`` arms independently, shape (size,)."""
        return self.rng.choice(self.num_arms, size=size, p=self.probabilities())

    def update(self, feedback: Feedback) -> None:
        """Learns from a batch.

        Raises:
            InvalidValueError: if an arm does not exist, a signal is not a finite number, or a count is impossible.
        """
        arm, size, successes = feedback.arm, feedback.group_size, feedback.successes
        for name, values, valid, accepted in (
            ("arm", arm, (arm >= 0) & (arm < self.num_arms), f"0 to {self.num_arms - 1}"),
            ("signal", feedback.signal, np.isfinite(feedback.signal), "finite numbers"),
            ("group_size", size, size >= 1, "at least 1"),
            ("successes", successes, (successes >= 0) & (successes <= size), "0 to the group's size"),
        ):
            if not valid.all():
                raise InvalidValueError(f"feedback.{name}", values[~valid][0].item(), accepted)
        self._observe(feedback)

    def state_dict(self) -> dict[str, Any]:
        """Everything that ``load_state_dict`` needs to go on bit for bit, as JSON-compatible values."""
        return {"num_arms": self.num_arms, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` of a policy with the same options returned.

        Raises:
            InvalidValueError: if the state is of a policy with another number of arms.
        """
        if state["num_arms"] != self.num_arms:
            raise InvalidValueError("number of arms in the state", state["num_arms"], f"{self.num_arms}")
        self.rng.bit_generator.state = state["rng"]
