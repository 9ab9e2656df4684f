"""Knights and Knaves: random puzzles with exactly one solution, addressed by (seed, split, index).

The grammar is the published one (DUMP, arXiv 2504.09710; depth 2, width 2). Person ``i`` utters one statement; with
equal probability it is a leaf, a negated leaf, or "and", "or", "->", "<=>" of two different leaves. A leaf says of
one person, uniform over all, that they tell the truth or lie; nobody says "I lie", which would be a paradox.
Statements are nested tuples as in the published files, e.g. ``('->', ('telling-truth', 2), ('lying', 0))``.

A puzzle belongs to the test split or to the train split by a hash of its structure that does not change when people
are renamed or a statement is replaced by a logically equivalent one. So no test puzzle has a twin in train, whatever
the seeds.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from typing import Any, cast
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from dumpgym.errors import InvalidValueError, require_number
from dumpgym.puzzle_env import SPLITS, check_split

Statement = tuple[Any, ...]

MIN_PEOPLE, MAX_PEOPLE = 2, 16
OPERATORS = ("leaf", "not", "and", "or", "->", "<=>")
_TEST_SHARE = 5  # one structure in five is a test structure
_REFINEMENT_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Puzzle:
    """One puzzle, without its words.

    Attributes:
        statements: what each person says, one nested tuple per person; people are numbered from 0.
        solution: for each person, True for a knight and False for a knave; the only one there is.
    """

    statements: tuple[Statement, ...]
    solution: tuple[bool, ...]


def puzzle_rng(num_people: int, seed: int, split: str, index: int) -> np.random.Generator:
    """The random stream that belongs to one address; everything about a puzzle is drawn from it in a fixed order.

    Raises:
        InvalidValueError: if the split is unknown, or the seed or the index is negative or no whole number.
    """
    for name, value in (("seed", seed), ("index", index)):
        require_number(name, value, low=0, whole=True)
    return np.random.default_rng([seed, SPLITS.index(check_split(split)), num_people, index])


def sample_puzzle(rng: np.random.Generator, num_people: int, split: str) -> Puzzle:
    """Draws statement sets until one has exactly one solution and belongs to the split.

    Plain rejection keeps the published distribution within the split; about one set in three has one solution.
    """
    while True:
        operators, leaves = _sample_candidates(rng, num_people, batch_size=16)
        for row in np.flatnonzero(_num_solutions(operators, leaves, num_people) == 1):
            statements = _as_statements(operators[row], leaves[row])
            if split_of(statements) == split:
                return Puzzle(statements, solutions(statements)[0])


def evaluate(statement: Statement, roles: tuple[bool, ...] | dict[int, bool]) -> bool:
    """Whether a statement is true when ``roles[i]`` says that person ``i`` is a knight."""
    match statement:
        case ("telling-truth", person):
            return roles[person]
        case ("lying", person):
            return not roles[person]
        case ("not", inner):
            return not evaluate(inner, roles)
        case ("and", *parts):
            return all(evaluate(part, roles) for part in parts)
        case ("or", *parts):
            return any(evaluate(part, roles) for part in parts)
        case ("->", first, second):
            return not evaluate(first, roles) or evaluate(second, roles)
        case ("<=>", first, second):
            return evaluate(first, roles) == evaluate(second, roles)
    raise InvalidValueError("statement", statement, "a nested tuple that begins with one of " + ", ".join(OPERATORS))


def solutions(statements: tuple[Statement, ...]) -> list[tuple[bool, ...]]:
    """All assignments under which exactly the knights' statements are true, by truth tables over 2^n bits."""
    num_people = len(statements)
    consistent = np.bitwise_and.reduce(
        [~(_table(s, num_people) ^ _person_tables(num_people)[i]) for i, s in enumerate(statements)]
    )
    bits = np.unpackbits(consistent.view(np.uint8), bitorder="little")[: 2**num_people]
    return [tuple(bool(row >> i & 1) for i in range(num_people)) for row in np.flatnonzero(bits)]


def split_of(statements: tuple[Statement, ...]) -> str:
    """The split to which a puzzle's structure belongs: the same for all renamings and equivalent statements."""
    return "test" if structure_hash(statements) % _TEST_SHARE == 0 else "train"


def structure_hash(statements: tuple[Statement, ...]) -> int:
    """A 32-bit hash that renaming people and rewriting statements equivalently leave alone.

    Colour refinement (Weisfeiler-Leman): a person's colour takes up what they say and what is said of them, in
    colours. Each statement enters as the truth table over the people on whom it really depends.
    """
    meanings = [_meaning(statement) for statement in statements]
    colours = [0] * len(statements)
    for _ in range(_REFINEMENT_ROUNDS):
        said_of: list[list[int]] = [[] for _ in statements]
        says = []
        for speaker, (people, table) in enumerate(meanings):
            labels = [(colours[p], p == speaker) for p in people]
            views = sorted(
                (_reorder(table, order), tuple(labels[k] for k in order), order)
                for order in permutations(range(len(people)))
            )
            says.append(views[0][:2] if views else table)
            for position, person in enumerate(people):
                own_view = next(view[:2] for view in views if view[2][0] == position)
                said_of[person].append(_hash((colours[speaker], own_view)))
        colours = [_hash((c, said, sorted(heard))) for c, said, heard in zip(colours, says, said_of, strict=True)]
    return _hash(sorted(colours))


def _hash(value: object) -> int:
    return crc32(repr(value).encode())


@cache
def _reorder(table: tuple[bool, ...], order: tuple[int, ...]) -> tuple[bool, ...]:
    """The same truth table with its variables taken in another order (the first variable varies slowest)."""
    num_variables = len(order)
    cube = np.array(table).reshape((2,) * num_variables).transpose(order)
    return tuple(bool(b) for b in cube.ravel())


@cache
def _meaning(statement: Statement) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """The people on whom a statement's truth depends, ascending, and its truth table over them."""
    people = sorted(_people(statement))
    rows = list(product((False, True), repeat=len(people)))
    cube = np.array([evaluate(statement, dict(zip(people, row, strict=True))) for row in rows])
    cube = cube.reshape((2,) * len(people))
    for axis in reversed(range(len(people))):
        if np.array_equal(cube.take(0, axis), cube.take(1, axis)):
            cube = cube.take(0, axis)
            del people[axis]
    return tuple(people), tuple(bool(b) for b in cube.ravel())


def _people(statement: Statement) -> set[int]:
    if statement[0] in ("telling-truth", "lying"):
        return {statement[1]}
    return set().union(*(_people(part) for part in statement[1:]))


@cache
def _person_tables(num_people: int) -> NDArray[np.uint64]:
    """For each person the bit table over all 2^n assignments that says where they are a knight, (n, words)."""
    assignments = np.arange(max(2**num_people, 64), dtype=np.uint32)
    rows = [np.packbits((assignments >> i & 1).astype(bool), bitorder="little") for i in range(num_people)]
    return np.stack(rows).view(np.uint64)


@cache
def _all_assignments(num_people: int) -> NDArray[np.uint64]:
    """Ones for the 2^n assignments that exist; below six people a word has bits to spare."""
    return np.packbits(np.arange(max(2**num_people, 64)) < 2**num_people, bitorder="little").view(np.uint64)


def _table(statement: Statement, num_people: int) -> NDArray[np.uint64]:
    people = _person_tables(num_people)
    match statement:
        case ("telling-truth", person):
            return people[person]
        case ("lying", person):
            return ~people[person]
        case ("not", inner):
            return ~_table(inner, num_people)
    parts = [_table(part, num_people) for part in statement[1:]]
    return _combine(statement[0], *parts)


def _combine(operator: str, first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    match operator:
        case "and":
            return first & second
        case "or":
            return first | second
        case "->":
            return ~first | second
        case "<=>":
            return ~(first ^ second)
    raise InvalidValueError("operator", operator, ", ".join(OPERATORS))


def _sample_candidates(
    rng: np.random.Generator, num_people: int, batch_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Random statement sets: operators (batch, n) as indices into OPERATORS, leaves (batch, n, 2).

    Leaf ``2 p`` says that person p tells the truth, ``2 p + 1`` that p lies. The one forbidden leaf is left out by
    drawing from one leaf fewer and moving the last into its place, and likewise for the second of a pair.
    """
    shape = (batch_size, num_people)
    operators = rng.integers(0, len(OPERATORS), shape)
    self_lie = 2 * np.arange(num_people) + 1
    last = 2 * num_people - 1
    first = rng.integers(0, last, shape)
    second = rng.integers(0, last - 1, shape)
    second = second + (second >= first)  # uniform over the leaves but the first
    leaves = np.stack([first, second], axis=-1)
    return operators, np.where(leaves == self_lie[:, None], last, leaves)


def _num_solutions(operators: NDArray[np.int64], leaves: NDArray[np.int64], num_people: int) -> NDArray[np.int64]:
    """Number of consistent assignments of each statement set, (batch,), from packed truth tables."""
    people = _person_tables(num_people)
    leaf_tables = np.stack([people, ~people], axis=1).reshape(2 * num_people, -1)
    first, second = leaf_tables[leaves[..., 0]], leaf_tables[leaves[..., 1]]  # (batch, n, words)
    tables = [first, ~first, *(_combine(operator, first, second) for operator in OPERATORS[2:])]
    said = np.choose(operators[..., None], tables)
    consistent = np.bitwise_and.reduce(~(said ^ people), axis=1) & _all_assignments(num_people)
    return cast(NDArray[np.int64], np.bitwise_count(consistent).sum(axis=-1, dtype=np.int64))


def _as_statements(operators: NDArray[np.int64], leaves: NDArray[np.int64]) -> tuple[Statement, ...]:
    statements: list[Statement] = []
    for operator, pair in zip(operators, leaves, strict=True):
        first, second = (("lying" if leaf % 2 else "telling-truth", int(leaf) // 2) for leaf in pair)
        name = OPERATORS[operator]
        statements.append(first if name == "leaf" else (name, first) if name == "not" else (name, first, second))
    return tuple(statements)
