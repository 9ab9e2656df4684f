"""How a check says what it found."""


def expect(condition: bool, message: str) -> None:
    """Raises an error whose message names the invariant that does not hold.

    Raises:
        AssertionError: if the condition is false. It is raised under ``python -O`` too.
    """
    if not condition:
        raise AssertionError(message)


def shown(value: object, length: int = 60) -> str:
    """A value on one line, shortened to ``length`` characters."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."
