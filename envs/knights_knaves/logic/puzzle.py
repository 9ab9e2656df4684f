"""Puzzles: statements as nested tuples, their grammar, and the assignments that are consistent with them.

Person ``i`` makes one statement, such as ``('->', ('telling-truth', 2), ('lying', 0))``: if person 2 tells the truth,
then person 0 lies. The grammar is the published one (DUMP, arXiv 2504.09710, where depth and width are 2). A statement
is a leaf, a negation, an "and", an "or", a "->" or a "<=>" with equal probability (always a leaf at the last level);
the parts of the last four differ from each other. A leaf says that one person, uniform over all people, tells the truth
or lies. Nobody says "I lie", which would be a paradox.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.knights_knaves.logic.equivalence import LEAVES, Statement
from dumpgym.envs.knights_knaves.logic.solver import find_solutions, gates_of

MIN_PEOPLE, MAX_PEOPLE = 2, 100
OPERATORS = ("leaf", "not", "and", "or", "->", "<=>")


@dataclass(frozen=True, slots=True)
class Puzzle:
    """One puzzle, without its words.

    Attributes:
        statements: what each person says, one nested tuple per person; people are numbered from 0.
        solution: for each person, whether they tell the truth. No other assignment is consistent with the statements.
    """

    statements: tuple[Statement, ...]
    solution: tuple[bool, ...]


def is_true(statement: Statement, roles: Sequence[bool] | Mapping[int, bool]) -> bool:
    """Whether a statement is true when ``roles[i]`` says that person ``i`` tells the truth."""
    match statement:
        case ("telling-truth", person):
            return roles[person]
        case ("lying", person):
            return not roles[person]
        case ("not", inner):
            return not is_true(inner, roles)
        case ("and", *parts):
            return all(is_true(part, roles) for part in parts)
        case ("or", *parts):
            return any(is_true(part, roles) for part in parts)
        case ("->", first, second):
            return not is_true(first, roles) or is_true(second, roles)
        case ("<=>", first, second):
            return is_true(first, roles) == is_true(second, roles)
    raise InvalidValueError("statement", statement, "a nested tuple that begins with one of " + ", ".join(OPERATORS))


def solutions(statements: Sequence[Statement], limit: int | None = None) -> list[tuple[bool, ...]]:
    """Returns the assignments under which exactly the statements of truthful people are true.

    Args:
        statements: what each person says.
        limit: maximum number of assignments; None for all.
    """
    limit = 2 ** len(statements) if limit is None else limit
    _, roles = find_solutions(gates_of([statements]), limit)
    return [tuple(row) for row in roles[:limit].tolist()]


def sample_statement(draw: Callable[[int], int], speaker: int, num_people: int, depth: int, width: int) -> Statement:
    """Draws one statement, with random numbers in the same order as in the published generator.

    The published generator also draws numbers that it does not use. The paper's puzzles can only be reproduced to the
    letter if this function draws them too.

    Args:
        draw: function that takes k and returns a uniform whole number from 0 to k - 1.
        speaker: the person who makes the statement.
        num_people: number of people.
        depth: maximum levels of nesting; 1 is a leaf.
        width: maximum number of parts of an "and" or "or".
    """
    face = OPERATORS[draw(len(OPERATORS))]
    if depth == 1 or face == "leaf":
        while True:
            leaf = (LEAVES[draw(len(LEAVES))], draw(num_people))
            if leaf != ("lying", speaker):
                return leaf
    if face == "not":
        return ("not", sample_statement(draw, speaker, num_people, depth - 1, width))
    num_parts = 2 + draw(width - 1) if face in ("and", "or") else 2
    parts: dict[Statement, None] = {}  # an ordered set: a part that exists already is drawn again as a whole
    while len(parts) < num_parts:
        parts[sample_statement(draw, speaker, num_people, depth - 1, width)] = None
    return (face, *parts)
