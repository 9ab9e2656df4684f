"""The contract of a bandit policy: it draws the arms of the next batch, and learns from the signals of the batch.

One policy serves one run, or many independent runs in lockstep. With ``num_runs=R`` every array has a leading axis of
length R, and the same code computes all runs at once. Shapes are written as (..., num_arms) for both cases.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import LARGEST_NUMBER, InvalidValueError, require_number, require_numbers
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.schedules import Schedulable, Schedule
from dumpgym.contracts.slots import DRAWS, bounded, draw_arms, draw_quotas
from dumpgym.contracts.state import Stateful


class OptionsBesideFloor(TypedDict, total=False):
    """The options of ``PolicyOptions`` without the floor, for policies whose floor has a default of their own."""

    seed: int
    num_runs: int | None
    cap: float | str | Sequence[float]
    warmup_steps: int
    draw: str


class PolicyOptions(OptionsBesideFloor, total=False):
    """Options that every policy has; see ``BanditPolicy``."""

    floor: Schedulable | Sequence[float]


class BanditPolicy(Stateful, ABC):
    """A probability distribution over arms that is updated by feedback.

    The methods that a training loop calls are:

    - ``select_arms(size)``: draws the arms of the next batch.
    - ``update(feedback)``: learns from the signals of a batch.
    - ``probabilities()``: returns the distribution from which ``select_arms`` draws.
    - ``state_dict()`` and ``load_state_dict(state)``: save and restore the policy bit for bit; see ``Stateful``.

    A training step with a ``Student`` and a ``Signal`` is::

        arms = policy.select_arms(16)
        results = student.practise(arms, num_generations=8)
        policy.update(Feedback.of_results(step, results, signal(results)))

    A new policy is a subclass that implements ``_weights``, the probabilities before floor and cap. A policy that
    learns also implements ``_observe``, and names the attributes that it keeps between calls in ``state_fields``.
    ``register_policy`` gives the class an id, and ``dumpgym.testing.check_policy`` checks that it keeps this contract.

    Args:
        num_arms: number of arms, at least 1.
        seed: seed of the policy's own random generator.
        num_runs: number of independent runs that the policy serves in lockstep with its one generator; None for one
            run.
        floor: least probability of every arm, from 0 to 1 / num_arms, a number or a schedule; or one number per arm (as
            a list or as text such as "0.1,0,0.2") with sum at most 1. Probabilities become
            floor + (1 - sum of floors) * weights.
        cap: largest probability of every arm, from 1 / num_arms to 1; or one number per arm, at least its floor, with
            sum at least 1. Probability above the cap goes to the other arms in proportion to their probabilities.
        warmup_steps: number of training steps at the start in which all arms have the same weight.
        draw: how a batch is drawn: "independent" draws every slot from the probabilities; "quota" gives every arm its
            expected number of slots, rounded up or down (largest remainder), and later batches compensate for the
            rounding.

    Attributes:
        shape: shape of the probabilities, (num_arms,) or (num_runs, num_arms).
        rng: the policy's random generator.
        credit: number of slots that quotas owe to every arm, shape (..., num_arms): the sum of its expectations minus
            the slots that it received, always above -1 and at most ln(num_arms).
        clock: number of training steps done: 1 + the latest step for which feedback arrived. Late feedback does not
            turn it back.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    symmetric: ClassVar[bool] = True
    """Whether the policy treats all arms alike, so that permuting the arms permutes the probabilities."""
    draws_in_update: ClassVar[bool] = False
    """Whether the probabilities depend on the policy's random generator; symmetry then holds only in expectation."""
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
        """Returns the probabilities of the arms before floor and cap, shape (..., num_arms), summing to 1."""

    def _observe(self, feedback: Feedback) -> None:
        """Records a batch; the default does nothing. ``clock`` does not include the batch yet."""

    @property
    def floor(self) -> NDArray[np.float64]:
        """Least probability of every arm at the present step, shape (num_arms,)."""
        if isinstance(self._floor, Schedule):
            return np.full(self.num_arms, self._floor.at(self.clock))
        return self._floor

    @property
    def cap(self) -> NDArray[np.float64]:
        """Largest probability of every arm, shape (num_arms,)."""
        return self._cap

    def probabilities(self) -> NDArray[np.float64]:
        """Returns the probabilities with which the next batch's arms are drawn, shape (..., num_arms).

        The call has no side effects, so a loop may log the probabilities as often as it likes.

        Raises:
            InvalidValueError: if a probability is not finite.
        """
        # Warm-up and schedules read the clock and do not count calls: several batches may be drawn before the first
        # feedback arrives, and a restored run must continue at the step where it was saved.
        warm = self.clock < self.warmup_steps
        weights = np.full(self.shape, 1 / self.num_arms) if warm else self._weights()  # (..., num_arms)
        # Floor and cap come last and also apply during warm-up. They are a guarantee to the user about every batch's
        # probabilities, so they are not left to subclasses, and the formulas in ``_weights`` stay those of the paper.
        p = weights if self._unbounded else bounded(weights, self.floor, self.cap)
        # A NaN would be drawn as some arm without a word, and would fill the logs for the rest of the run.
        if not np.isfinite(p).all():
            raise InvalidValueError(
                f"a probability of {type(self).__name__}",
                float(p[~np.isfinite(p)][0]),
                "finite numbers; an option is too large or too small for the signals",
            )
        return p

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
            InvalidValueError: if the batch is empty, an arm does not exist, a signal is not finite, or a count is
                impossible. The policy has not changed in this case.
        """
        # The check comes before any change. One NaN would turn the arm's mean into NaN for the rest of the run, and no
        # later error would point to the batch that it came from.
        self._check_feedback(feedback)
        # ``_observe`` sees the clock before the batch, from which it can tell how late the feedback is.
        self._observe(feedback)
        # Feedback may arrive late and out of order. A clock that followed it backwards would restart the warm-up and
        # raise an annealed temperature again.
        self.clock = max(self.clock, int(feedback.step) + 1)

    def _check_feedback(self, feedback: Feedback) -> None:
        arm, size, successes = feedback.arm, feedback.num_generations, feedback.successes
        require_number("feedback.step", feedback.step, low=0, whole=True)
        if arm.shape[:-1] != self.shape[:-1] or arm.ndim != len(self.shape) or arm.shape[-1] == 0:
            form = ", ".join([*map(str, self.shape[:-1]), "groups"])
            raise InvalidValueError("shape of feedback.arm", arm.shape, f"({form}) with at least one group")
        for name, values, valid, accepted in (
            ("arm", arm, (arm >= 0) & (arm < self.num_arms), f"0 to {self.num_arms - 1}"),
            ("signal", feedback.signal, np.abs(feedback.signal) <= LARGEST_NUMBER, "finite numbers up to 1e100"),
            ("num_generations", size, size >= 1, "at least 1"),
            ("successes", successes, (successes >= 0) & (successes <= size), "0 to the group's size"),
        ):
            if not valid.all():
                raise InvalidValueError(f"feedback.{name}", values[~valid][0].item(), accepted)
        p = feedback.probabilities
        if p is not None and (p.shape != self.shape or not np.isfinite(p).all()):
            raise InvalidValueError("feedback.probabilities", p.tolist(), f"finite numbers of shape {self.shape}")

    def _floor_of(self, floor: Schedulable | Sequence[float]) -> Schedule | NDArray[np.float64]:
        # Text with a colon is a schedule, such as "linear:0.1:0:150"; other text lists one number per arm.
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
        # A cap must be compatible with every future floor. Schedules are monotone, so the largest floor is at an end.
        floor = self._floor
        highest = max(floor.start, floor.end) if isinstance(floor, Schedule) else floor
        if caps.sum() < 1 - 1e-12 or (caps < highest).any():
            raise InvalidValueError("cap", cap, "numbers of sum at least 1, none below its arm's floor")
        return caps
