"""The tasks: one short class each, in the order of what a model must do with the digits."""

from itertools import accumulate

from dumpgym.envs.strings.env import StringEnv


class CopyEnv(StringEnv):
    """Copy a string of digits.

    ## Description
    The answer is the string itself: ``copy 4071=`` asks for ``4071``. Everything else is as in ``StringEnv``.

    ## Version History
    * v0: Initial version
    """

    word = "copy"
    sentence = "Copy the string {}."

    def answer(self, operands: str) -> str:
        """Returns the string."""
        return operands


class ReverseEnv(StringEnv):
    """Reverse a string of digits.

    ## Description
    The answer is the string from its last digit to its first: ``reverse 4071=`` asks for ``1704``. Everything
    else is as in ``StringEnv``.

    ## Version History
    * v0: Initial version
    """

    word = "reverse"
    sentence = "Write the string {} from its last digit to its first."

    def answer(self, operands: str) -> str:
        """Returns the string in reverse."""
        return operands[::-1]


class SortEnv(StringEnv):
    """Sort the digits of a string.

    ## Description
    The answer is the digits in ascending order: ``sort 4071=`` asks for ``0147``. Everything else is as in
    ``StringEnv``.

    ## Version History
    * v0: Initial version
    """

    word = "sort"
    sentence = "Sort the digits of {} in ascending order."

    def answer(self, operands: str) -> str:
        """Returns the sorted digits."""
        return "".join(sorted(operands))


class AdditionEnv(StringEnv):
    """Add two numbers that are written with the least significant digit first.

    ## Description
    Both numbers have ``length`` digits and the sum has ``length + 1``, all with the least significant digit first:
    ``add 321+654=`` asks for ``9750``, since 123 + 456 = 579. The last digits may be 0, so that the numbers are uniform
    below 10 to the power of ``length``. In this order, each digit of the sum depends only on digits at the same and
    earlier places. Everything else is as in ``StringEnv``.

    ## References
    * Teaching Arithmetic to Small Transformers (Lee et al., 2023, arXiv 2307.03381): sums with the least significant
      digit first.
    * Transformers Can Achieve Length Generalization But Not Robustly (Zhou et al., 2024, arXiv 2402.09371): the two
      numbers in this order too.

    ## Version History
    * v0: Initial version
    """

    word = "add"
    sentence = (
        "Add {}. Numbers are written with the least significant digit first, the sum too, "
        "which ends in 0 if the last digits give no carry."
    )
    num_operands = 2

    def answer(self, operands: str) -> str:
        """Returns the sum."""
        total = sum(int(number[::-1]) for number in operands.split("+"))
        return str(total).zfill(self.length + 1)[::-1]


class ParityEnv(StringEnv):
    """Say whether a string of bits has an odd number of ones.

    ## Description
    The answer is 1 if the number of ones is odd and 0 if it is even: ``parity 0111=`` asks for ``1``. A guess is right
    half of the time. The id sets ``length=8``, as there are too few strings of 5 bits for two splits. Everything else
    is as in ``StringEnv``.

    ## Version History
    * v0: Initial version
    """

    word = "parity"
    sentence = "Is the number of ones in {} odd? 1 means yes and 0 means no."
    digits = "01"

    def answer(self, operands: str) -> str:
        """Returns the parity."""
        return str(operands.count("1") % 2)


class CumulativeSumEnv(StringEnv):
    """Write the running sums of the digits of a string, modulo 10.

    ## Description
    Digit k of the answer is the last digit of the sum of the first k digits: ``total 4071=`` asks for ``4412``.
    Everything else is as in ``StringEnv``.

    ## Version History
    * v0: Initial version
    """

    word = "total"
    sentence = "For each digit of {}, write the last digit of the sum of the digits up to and including it."

    def answer(self, operands: str) -> str:
        """Returns the running sums."""
        return "".join(str(total % 10) for total in accumulate(map(int, operands)))
