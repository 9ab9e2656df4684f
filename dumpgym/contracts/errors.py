"""The errors that a user's input can cause. Each is one line that names the value and what is accepted."""

import math
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import TypeVar

Number = TypeVar("Number", bound=float)


class DumpgymError(Exception):
    """Base of all errors that the command line shows as one line, with exit status 2."""


class InvalidValueError(DumpgymError, ValueError):
    """A value outside what is accepted."""

    def __init__(self, name: str, value: object, accepted: str) -> None:
        super().__init__(f"{name} is {value!r}; accepted: {accepted}")


class UnknownNameError(DumpgymError, KeyError):
    """A name that nothing is registered under."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = list(known)
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        self.message = f"unknown {kind} {name!r}; {hint}accepted: {', '.join(known)}"
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return self.message


class NonFiniteError(DumpgymError):
    """A number of training that is not finite, found before any weight was changed.

    Args:
        quantity: that is not finite: "reward", "loss", "gradient", ...
        groups: numbers of the groups in the batch that are to blame, as far as known.

    Attributes:
        quantity: as given.
        groups: as given.
    """

    def __init__(self, quantity: str, groups: Sequence[int] = ()) -> None:
        self.quantity = quantity
        self.groups = tuple(groups)
        super().__init__(f"{quantity} is not finite")


def require_number(
    name: str,
    value: Number,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float | None = None,
    whole: bool = False,
) -> Number:
    """The value itself, if it is finite and in the range.

    Args:
        name: what the error calls the value.
        value: the value to check.
        low: least accepted value.
        high: largest accepted value.
        above: a bound that the value must exceed.
        whole: whether it must be an integer.

    Raises:
        InvalidValueError: if it is not.
    """
    kind_fits = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    valid = kind_fits and math.isfinite(value) and low <= value <= high
    if valid and (above is None or value > above):
        return value
    bounds = (("above", above), ("at least", low), ("at most", high))
    limits = [f"{word} {bound:.6g}" for word, bound in bounds if bound is not None and math.isfinite(bound)]
    kind = "a whole number" if whole else "a finite number"
    raise InvalidValueError(name, value, " ".join([kind, " and ".join(limits)]).rstrip())


def require_numbers(
    name: str, values: Sequence[float] | str, count: int, *, low: float = -math.inf, high: float = math.inf
) -> list[float]:
    """The numbers of a list, if there are as many as there should be, all finite and in the range.

    Args:
        name: what the error calls the list.
        values: numbers, or text that lists them, such as "0.1,0.2,0.7".
        count: how many there should be.
        low: least accepted number.
        high: largest accepted number.

    Raises:
        InvalidValueError: if it is no such list.
    """
    try:
        numbers = [float(part) for part in values.split(",")] if isinstance(values, str) else list(values)
    except (TypeError, ValueError):  # a value that is no list, text that is no number
        numbers = []
    if len(numbers) != count:
        raise InvalidValueError(name, values, f"{count} numbers, as a list or as text such as '0.1,0.2'")
    return [float(require_number(f"number {i} of {name}", x, low=low, high=high)) for i, x in enumerate(numbers, 1)]
