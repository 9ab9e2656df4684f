"""Assertions and their messages for the contract checks."""


def expect(condition: bool, message: str) -> None:
    """Raises an error unless the condition holds.

    Unlike an ``assert`` statement, it also raises under ``python -O``.

    Args:
        condition: the invariant.
        message: names the invariant and the values that violate it.

    Raises:
        AssertionError: if the condition is false.
    """
    if not condition:
        raise AssertionError(message)


def shown(value: object, length: int = 60) -> str:
    """Returns the ``repr`` of a value, shortened to ``length`` characters."""
    return shortened(repr(value), length)


def shortened(text: str, length: int = 60) -> str:
    """Returns a text, shortened to ``length`` characters."""
    return text if len(text) <= length else text[: length - 3] + "..."
