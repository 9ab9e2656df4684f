"""Careless worked solutions: the search makes slips, more often the more people there are, and ends early.

The kinds of slip need not begin at the same number of people. A reader of such solutions then has something else to
learn for every band of sizes: care with one kind of slip says little about care with another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from dumpgym.contracts.errors import InvalidValueError, require_number, require_numbers
from dumpgym.envs.knights_knaves.language.worked_solution import worked_solution
from dumpgym.envs.knights_knaves.logic.equivalence import LEAVES
from dumpgym.envs.knights_knaves.logic.puzzle import MAX_PEOPLE, MIN_PEOPLE, OPERATORS, Puzzle
from dumpgym.envs.knights_knaves.logic.search import SLIPS

_OPERATORS = (*LEAVES, *OPERATORS[1:])  # of statements; those without a connective begin with a leaf


@dataclass(frozen=True, slots=True)
class SlipChance:
    """The chance of one kind of slip wherever the search can make it, by the number of people.

    Attributes:
        kind: the kind of slip, one of ``search.SLIPS``.
        people: the smallest number of people with such slips, and the number from which on the chance is constant.
        chances: the chances at these two numbers of people; between them the chance is linear.
        operators: operators of the statements with such slips; empty for all statements.

    Raises:
        InvalidValueError: if there is no such kind or operator, the numbers of people do not rise, or a chance is not
            from 0 to 1.
    """

    kind: str
    people: tuple[int, int]
    chances: tuple[float, float]
    operators: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in SLIPS:
            raise InvalidValueError("kind", self.kind, f"one of {', '.join(SLIPS)}")
        first, last = self.people
        require_number("first number of people", first, low=MIN_PEOPLE, high=MAX_PEOPLE, whole=True)
        require_number("last number of people", last, low=first + 1, high=MAX_PEOPLE, whole=True)
        require_numbers("chances", self.chances, 2, low=0, high=1)
        if unknown := set(self.operators) - set(_OPERATORS):
            raise InvalidValueError("operator", min(unknown), f"one of {', '.join(_OPERATORS)}")

    def at(self, num_people: int) -> float:
        """Returns the chance of a slip in puzzles of this many people, in statements with such slips."""
        (first, last), (low, high) = self.people, self.chances
        if num_people < first:
            return 0.0
        return low + (high - low) * min(1.0, (num_people - first) / (last - first))


def careless_solution(
    puzzle: Puzzle, names: Sequence[str], slips: Sequence[SlipChance], last_conflict: int, rng: Random
) -> str:
    """Returns a worked solution with slips, which ends at the latest at a conflict of this number.

    Args:
        puzzle: the puzzle.
        names: the people's names.
        slips: the chances of slips; kinds that are not among them are not made.
        last_conflict: number of the conflict at which the search ends, from 1.
        rng: the random stream.
    """
    chances = {
        (slip.kind, operator): slip.at(len(names)) for slip in slips for operator in slip.operators or _OPERATORS
    }
    return worked_solution(
        puzzle,
        names,
        goes_on=lambda conflicts: conflicts < last_conflict,
        slips=lambda kind, operator: rng.random() < chances.get((kind, operator), 0.0),
    )
