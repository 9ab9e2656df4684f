"""Errors that a user's input can cause. Each message is one line that names the value and what is accepted."""

import math
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import TypeVar

Number = TypeVar("Number", bound=float)
LARGEST_NUMBER = 1e100
"""Largest size of a number in options and in signals. Its square, and the square of its inverse, are still floats."""
LARGEST_WHOLE_NUMBER = 2**63 - 1
"""The largest whole number of any setting, seeds included: arrays and generators hold 64 bits with a sign."""
_LONGEST_VALUE = 300  # characters of a value in a message
_MOST_NAMES = 12
_NEAREST_NAMES = 3


class DumpgymError(Exception):
    """Base class of all errors that the command line shows as one line, with exit status 2."""


class InvalidValueError(DumpgymError, ValueError):
    """A value that is not accepted.

    Args:
        name: name of the value in the message.
        value: the value.
        accepted: description of the accepted values.
    """

    def __init__(self, name: str, value: object, accepted: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."
        super().__init__(f"{name} is {shown}; accepted: {accepted}")


class UnknownNameError(DumpgymError, KeyError):
    """A name that is not among the known ones. The message suggests the closest known name, if one is close.

    Args:
        kind: kind of thing that the name should refer to, e.g. "policy".
        name: the name.
        known: the accepted names.
        listed_by: the command that lists them all. With it, a message names only the closest of many names.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, listed_by: str | None = None) -> None:
        known = list(known)
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        accepted = ", ".join(known)
        if listed_by is not None and len(known) > _MOST_NAMES:
            nearest = get_close_matches(name, known, n=_NEAREST_NAMES)
            accepted = "".join(f"{near}, " for near in nearest) + f"{'...' if nearest else 'a name'}, see {listed_by}"
        self.message = f"unknown {kind} {name!r}; {hint}accepted: {accepted}"
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return self.message


class NonFiniteError(DumpgymError):
    """A number in training that is not finite, found before any weight changed.

    Args:
        quantity: name of the number, e.g. "reward", "loss" or "gradient".
        groups: indices in the batch of the groups that caused it, as far as they are known.

    Attributes:
        quantity: see Args.
        groups: see Args, as a tuple.
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
    largest: float = LARGEST_NUMBER,
) -> Number:
    """Returns the value if it is a finite number in the accepted range.

    Formulas square numbers and divide by them, so the accepted range leaves room for that: it ends at ``largest``, and
    begins at a distance of 1e-100 from an exclusive bound.

    Args:
        name: name of the value in the error message.
        value: the value to check.
        low: least accepted value.
        high: largest accepted value.
        above: exclusive lower bound.
        whole: whether the value must be an integer.
        largest: largest accepted size of the value.

    Raises:
        InvalidValueError: if the value is not accepted.
    """
    # In Python a bool is an int, but an option such as ``window=True`` is a mistake and not a window of 1.
    kind_fits = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    too_long = whole and kind_fits and abs(value) > LARGEST_WHOLE_NUMBER
    tiny = 1 / LARGEST_NUMBER
    # The size first: ``isfinite`` overflows on whole numbers that no float can hold.
    valid = kind_fits and not too_long and abs(value) <= largest and math.isfinite(value) and low <= value <= high
    if valid and (above is None or value - above >= tiny):
        return value
    bounds = [("above", above), ("at least", low), ("at most", high)]
    # Almost nobody meets these two limits, so they are named only to who does.
    if kind_fits and largest < abs(value) < math.inf and not too_long:
        bounds.append(("in size at most", largest))
    elif kind_fits and not too_long and above is not None and 0 < value - above < tiny:
        bounds[0] = ("at least", above + tiny)
    limits = [f"{word} {bound:.6g}" for word, bound in bounds if bound is not None and math.isfinite(bound)]
    kind = "a whole number" if whole else "a finite number"
    if too_long:
        limits.append("of at most 64 bits")
    raise InvalidValueError(name, value, " ".join([kind, " and ".join(limits)]).rstrip())


def require_numbers(
    name: str, values: Sequence[float] | str, count: int, *, low: float = -math.inf, high: float = math.inf
) -> list[float]:
    """Returns the numbers of a list if there are ``count`` of them, all finite and in the accepted range.

    Args:
        name: name of the list in the error message.
        values: numbers, or text that lists them, such as "0.1,0.2,0.7".
        count: accepted length of the list.
        low: least accepted number.
        high: largest accepted number.

    Raises:
        InvalidValueError: if the list is not accepted.
    """
    try:
        numbers = [float(part) for part in values.split(",")] if isinstance(values, str) else list(values)
    except (TypeError, ValueError):  # not a list, or text that does not list numbers
        numbers = []
    if len(numbers) != count:
        raise InvalidValueError(name, values, f"{count} numbers, as a list or as text such as '0.1,0.2'")
    names = [f"number {i} of {name}" for i in range(1, count + 1)]
    return [
        float(require_number(name, number, low=low, high=high, largest=math.inf))
        for name, number in zip(names, numbers, strict=True)
    ]
