"""Values that change over training: temperatures, exploration rates, floors.

The authors of DUMP (arXiv 2504.09710) name annealing its temperature as future work. An option of type ``Schedulable``
takes a number, a ``Schedule``, or text that ``Schedule.parse`` reads, e.g. ``cosine:1:0.1:150``.
"""

import math
from dataclasses import dataclass
from typing import Self

from dumpgym.contracts.errors import InvalidValueError, require_number

KINDS = ("constant", "linear", "cosine", "exponential")
_FORM = "a number, or KIND:START:END:STEPS with KIND one of " + ", ".join(KINDS[1:])


@dataclass(frozen=True, slots=True)
class Schedule:
    """A value as a function of the number t of training steps done.

    With x = min(t / steps, 1)::

        linear       start + (end - start) x
        cosine       end + (start - end) (1 + cos(pi x)) / 2
        exponential  start (end / start)^x

    Attributes:
        kind: "constant", "linear", "cosine" or "exponential".
        start: value at step 0.
        end: value at step ``steps`` and later.
        steps: number of training steps from start to end, at least 1.

    Raises:
        InvalidValueError: if the kind is unknown, a number is not finite, or the start or end of an exponential
            schedule is not above 0.
    """

    kind: str
    start: float
    end: float
    steps: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidValueError("kind of schedule", self.kind, ", ".join(KINDS))
        above = 0 if self.kind == "exponential" else None
        require_number("start of the schedule", self.start, above=above)
        require_number("end of the schedule", self.end, above=above)
        require_number("steps of the schedule", self.steps, low=1, whole=True)

    @classmethod
    def constant(cls, value: float) -> Self:
        """Makes a schedule with the same value at every step."""
        return cls("constant", value, value)

    @classmethod
    def parse(cls, name: str, value: "Schedulable", *, low: float = -math.inf, high: float = math.inf) -> "Schedule":
        """Makes a schedule from the value of an option.

        Args:
            name: name of the option in the error message.
            value: a number, a schedule, or text of the form ``KIND:START:END:STEPS``.
            low: least accepted value at any step.
            high: largest accepted value at any step.

        Raises:
            InvalidValueError: if the text cannot be read, or the schedule is out of range at some step.
        """
        if isinstance(value, Schedule):
            schedule = value
        elif isinstance(value, str):
            schedule = cls._of_text(name, value)
        else:
            schedule = cls.constant(require_number(name, value, low=low, high=high))
        # Every kind is monotone, so the two ends bound all values.
        for end in (schedule.start, schedule.end):
            require_number(name, end, low=low, high=high)
        return schedule

    @classmethod
    def _of_text(cls, name: str, text: str) -> Self:
        kind, *numbers = text.split(":")
        if len(numbers) != 3:
            raise InvalidValueError(name, text, _FORM)
        try:
            start, end, steps = float(numbers[0]), float(numbers[1]), int(numbers[2])
        except ValueError as error:
            raise InvalidValueError(name, text, _FORM) from error
        return cls(kind, start, end, steps)

    def at(self, step: int) -> float:
        """Returns the value after ``step`` training steps."""
        x = min(step / self.steps, 1.0)
        match self.kind:
            case "linear":
                return self.start + (self.end - self.start) * x
            case "cosine":
                return self.end + (self.start - self.end) * (1 + math.cos(math.pi * x)) / 2
            case "exponential":
                return float(self.start * (self.end / self.start) ** x)
            case _:
                return self.start


Schedulable = float | str | Schedule
"""A number, a schedule, or text that ``Schedule.parse`` reads."""
