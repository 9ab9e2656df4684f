"""Strings of digits drawn by address, their splits, and the lengths that have enough of them."""

from collections.abc import Iterator
from functools import cache
from hashlib import blake2b, shake_128
from itertools import count

from dumpgym.contracts.errors import InvalidValueError, require_number

MAX_LENGTH = 1000
MIN_PROBLEMS = 100
"""Least number of different problems of a length, which must leave enough of them for two splits."""
_TEST_ONE_IN = 5
_BLOCK_SIZE = 8


def check_length(length: int, num_digits: int, num_operands: int) -> int:
    """Returns the length if it is accepted.

    Args:
        length: number of digits of each string.
        num_digits: number of different digits.
        num_operands: number of strings in a problem.

    Raises:
        InvalidValueError: if the length is out of range, or too few different problems have it.
    """
    per_digit = num_digits**num_operands
    least = next(n for n in count(1) if per_digit**n >= MIN_PROBLEMS)
    if type(length) is int and 0 <= length < least:
        why = f"two splits need {MIN_PROBLEMS} different problems and length {length} has {per_digit**length}"
        raise InvalidValueError("length", length, f"at least {least}, as {why}")
    return require_number("length", length, low=least, high=MAX_LENGTH, whole=True)


def random_digits(key: str, num: int, digits: str) -> str:
    """Draws ``num`` of the digits, each independent and uniform.

    Args:
        key: text that alone determines the draw, on every machine. Draws with different keys are independent.
        num: number of digits to draw.
        digits: the digits to choose from, at most 10.
    """
    # A hash, not a generator: seeding numpy's would take ten times as long as everything else here, and the bytes of a
    # hash do not change with the version of a library. ``surplus`` deletes at most 6 of 256 values, so twice the bytes
    # that are needed and 32 more are enough; the probability that they are not is below 1e-50.
    table, surplus = _byte_table(digits)
    return shake_128(key.encode()).digest(2 * num + 32).translate(table, surplus)[:num].decode()


@cache
def _byte_table(digits: str) -> tuple[bytes, bytes]:
    """Returns the digit of every byte, and the last bytes, which would make some digits more frequent than others."""
    table = bytes(ord(digits[byte % len(digits)]) for byte in range(256))
    return table, bytes(range(256 - 256 % len(digits), 256))


def random_operands(key: str, length: int, digits: str, num_operands: int) -> Iterator[str]:
    """Yields the strings of one problem after the other without end, joined by "+"; see ``random_digits``."""
    size = length * num_operands
    for block in count():
        # Hashing takes longer than cutting, and on average a test problem is the fifth that is drawn.
        drawn = random_digits(f"{key} {block}", _BLOCK_SIZE * size, digits)
        for start in range(0, len(drawn), size):
            yield "+".join([drawn[at : at + length] for at in range(start, start + size, length)])


def split_of(operands: str) -> str:
    """Returns the split of a problem: "test" for a fifth of all problems, "train" for the others.

    Args:
        operands: strings joined by "+". Their order does not matter: a sum has the same split as the sum with exchanged
            operands.
    """
    unordered = "+".join(sorted(operands.split("+")))
    number = int.from_bytes(blake2b(unordered.encode(), digest_size=8).digest(), "big")
    return "train" if number % _TEST_ONE_IN else "test"
