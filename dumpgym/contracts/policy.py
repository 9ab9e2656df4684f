"""The contract of a bandit policy: which distributions the next batch comes from, and what it learns from it.

One policy serves one run, or many runs in lockstep: with ``num_runs=R`` every array has a leading axis of length R, and
the same lines compute all runs at once. Shapes are written as (..., num_arms) for both.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError, require_number, require_numbers
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.schedules import Schedulable, Schedule
from dumpgym.contracts.slots import DRAWS, bounded, draw_arms, draw_quotas
from dumpgym.contracts.state import Stateful


class PolicyOptions(TypedDict, total=False):
    """The options that every policy has; see ``BanditPolicy``."""

    seed: int
    num_runs: int | None
    floor: Schedulable | Sequence[float]
    cap: float | str | Sequence[float]
    warmup_steps: int
    draw: str


class BanditPolicy(Stateful, ABC):
    """A distribution over arms that is updated by feedback.

    Subclasses write ``_weights``, the probabilities before floor and cap, and ``_observe``, and name in
    ``state_fields`` what they keep between calls.

    Args:
        num_arms: number of arms, at least 1.
        seed: of the policy's own generator.
        num_runs: None for one run, or the number of independent runs that the policy serves in lockstep, all from the
            one generator.
        floor: least probability of every arm, from 0 to 1 / num_arms, a number or a schedule; or one number an arm (as
            a list or as "0.1,0,0.2"), of sum at most 1. Probabilities become floor + (1 - sum of floors) * weights.
        cap: largest probability of every arm, from 1 / num_arms to 1; or one number an arm, at least its floor, of sum
            at least 1. What exceeds it goes to the other arms in proportion to their probabilities.
        warmup_steps: training steps at the start for which all arms have the same weight.
        draw: how a batch is drawn: "independent" slots, or "quota", in which every arm gets its expected number of
            slots, rounded up or down (largest remainder), and what rounding took or gave is settled in later batches.

    Attributes:
        shape: (num_arms,), or (num_runs, num_arms).
        credit: slots that quotas owe to every arm: the sum of its expectations less the slots that it had, always above
            -1 and at most ln(num_arms), shape (..., num_arms).
        clock: training steps done, 1 + the latest step that feedback came from; late feedback does not turn it back.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    symmetric: ClassVar[bool] = True
    """Whether the arms are treated alike, so that permuting them permutes the probabilities."""
    draws_in_update: ClassVar[bool] = False
    """Whether probabilities depend on the policy's own random numbers; symmetry holds on average then."""
    state_fields: ClassVar[tuple[str, ...]] = ("num_arms", "rng", "clock", "credit")
    identity_fields: ClassVar[tuple[str, ...]] = ("num_arms",)

    def __init__(
        self,
        num_arms: int,
        *,
        seed: int = 0,
        num_runs: int | None = None,
        floor: Schedulable | Sequence[float] = 0.0,
        cap: float | str | Sequence[float] = 1.0,
        warmup_steps: int = 0,
        draw: str = "independent",
    ) -> None:
        self.num_arms = require_number("num_arms", num_arms, low=1, whole=True)
        runs = () if num_runs is None else (require_number("num_runs", num_runs, low=1, whole=True),)
        self.shape = (*runs, num_arms)
        self.rng = np.random.default_rng(seed)
        self._floor = self._floor_of(floor)
        self._cap = self._cap_of(cap)
        self._unbounded = isinstance(self._floor, Schedule) and self._floor.start == self._floor.end == 0
        self._unbounded &= bool((self._cap == 1).all())
        self.warmup_steps = require_number("warmup_steps", warmup_steps, low=0, whole=True)
        if draw not in DRAWS:
            raise InvalidValueError("draw", draw, " or ".join(map(repr, DRAWS)))
        self.draw = draw
        self.clock = 0
        self.credit: NDArray[np.float64] = np.zeros(self.shape)

    @abstractmethod
    def _weights(self) -> NDArray[np.float64]:
        """Probabilities of the arms before floor and cap, shape (..., num_arms), summing to 1."""

    def _observe(self, feedback: Feedback) -> None:
        """Takes in a batch; policies that learn nothing leave it out. ``clock`` is still that before the batch."""

    @property
    def floor(self) -> NDArray[np.float64]:
        """The least probability of every arm at the present step, shape (num_arms,)."""
        if isinstance(self._floor, Schedule):
            return np.full(self.num_arms, self._floor.at(self.clock))
        return self._floor

    @property
    def cap(self) -> NDArray[np.float64]:
        """The largest probability of every arm, shape (num_arms,)."""
        return self._cap

    def probabilities(self) -> NDArray[np.float64]:
        """The probabilities with which the next batch's arms are drawn, shape (..., num_arms)."""
        warm = self.clock < self.warmup_steps
        weights = np.full(self.shape, 1 / self.num_arms) if warm else self._weights()
        return weights if self._unbounded else bounded(weights, self.floor, self.cap)

    def select_arms(self, size: int) -> NDArray[np.int64]:
        """Draws the arms of a batch, shape (..., size).

        Raises:
            InvalidValueError: if the batch would be empty.
        """
        require_number("size of the batch", size, low=1, whole=True)
        return self._draw_arms(size)

    def _draw_arms(self, size: int) -> NDArray[np.int64]:
        if self.draw == "independent":
            return draw_arms(self.rng, self.probabilities(), size)
        arms, self.credit = draw_quotas(self.rng, self.probabilities(), self.credit, size)
        return arms

    def update(self, feedback: Feedback) -> None:
        """Learns from a batch.

        Raises:
            InvalidValueError: if the batch is empty, an arm does not exist, a signal is not a finite number, or a count
                is impossible; the policy is as it was then.
        """
        self._check_feedback(feedback)
        self._observe(feedback)
        self.clock = max(self.clock, int(feedback.step) + 1)

    def _check_feedback(self, feedback: Feedback) -> None:
        arm, size, successes = feedback.arm, feedback.num_generations, feedback.successes
        require_number("feedback.step", feedback.step, low=0, whole=True)
        if arm.shape[:-1] != self.shape[:-1] or arm.ndim != len(self.shape) or arm.shape[-1] == 0:
            form = ", ".join([*map(str, self.shape[:-1]), "groups"])
            raise InvalidValueError("shape of feedback.arm", arm.shape, f"({form}) with at least one group")
        for name, values, valid, accepted in (
            ("arm", arm, (arm >= 0) & (arm < self.num_arms), f"0 to {self.num_arms - 1}"),
            ("signal", feedback.signal, np.isfinite(feedback.signal), "finite numbers"),
            ("num_generations", size, size >= 1, "at least 1"),
            ("successes", successes, (successes >= 0) & (successes <= size), "0 to the group's size"),
        ):
            if not valid.all():
                raise InvalidValueError(f"feedback.{name}", values[~valid][0].item(), accepted)
        p = feedback.probabilities
        if p is not None and (p.shape != self.shape or not np.isfinite(p).all()):
            raise InvalidValueError("feedback.probabilities", p.tolist(), f"finite numbers of shape {self.shape}")

    def _floor_of(self, floor: Schedulable | Sequence[float]) -> Schedule | NDArray[np.float64]:
        if isinstance(floor, float | int | Schedule) or (isinstance(floor, str) and ":" in floor):
            return Schedule.parse("floor", floor, low=0, high=1 / self.num_arms)
        floors = np.array(require_numbers("floor", floor, self.num_arms, low=0, high=1))
        if floors.sum() > 1 + 1e-12:
            raise InvalidValueError("floor", floor, "numbers of sum at most 1")
        return floors

    def _cap_of(self, cap: float | str | Sequence[float]) -> NDArray[np.float64]:
        if isinstance(cap, float | int):
            caps = np.full(self.num_arms, require_number("cap", cap, low=1 / self.num_arms, high=1), dtype=float)
        else:
            caps = np.array(require_numbers("cap", cap, self.num_arms, low=0, high=1))
        floor = self._floor
        highest = max(floor.start, floor.end) if isinstance(floor, Schedule) else floor
        if caps.sum() < 1 - 1e-12 or (caps < highest).any():
            raise InvalidValueError("cap", cap, "numbers of sum at least 1, none below its arm's floor")
        return caps
