"""Many statement sets at a time: as arrays where they have the published form, as nested tuples else.

A statement set is what all people of a candidate puzzle say. Both forms give gates to the solver and structures to the
splits, and write themselves as Python does.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumpgym.envs.knights_knaves.logic import equivalence, solver
from dumpgym.envs.knights_knaves.logic.equivalence import LEAVES, Statement
from dumpgym.envs.knights_knaves.logic.puzzle import OPERATORS
from dumpgym.envs.knights_knaves.logic.solver import Gates

_HASHED_AT_ONCE = 8
_MOST_PEOPLE_BY_TABLE = 8


class CodedStatements(NamedTuple):
    """Statement sets of the published form as arrays.

    Attributes:
        operators: indices into ``OPERATORS``, (sets, people).
        leaves: ``2 p`` says that person p tells the truth, ``2 p + 1`` that p lies, (sets, people, 2); the second is
            for operators that have two.
    """

    operators: NDArray[np.int64]
    leaves: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.operators)

    def take(self, rows: NDArray[np.int64]) -> "CodedStatements":
        """Some of the sets."""
        return CodedStatements(self.operators[rows], self.leaves[rows])

    def gates(self) -> Gates:
        """For the solver."""
        return solver.make_gates(*self._functions(), self.operators.shape[1])

    def structure_hashes(self) -> NDArray[np.uint64]:
        """Each set's structure; see ``structure``."""
        return equivalence.structure_hashes(equivalence.terms_of_tables(*self._functions()))

    def statements(self, row: int) -> tuple[Statement, ...]:
        """One set as nested tuples."""
        table = _statement_table(2 * self.operators.shape[1])
        codes = zip(self.operators[row].tolist(), self.leaves[row].tolist(), strict=True)
        return tuple(table[operator][first][second] for operator, (first, second) in codes)

    def texts(self) -> list[str]:
        """Each set as Python writes it."""
        table = _statement_texts(2 * self.operators.shape[1])
        rows = table[self.operators, self.leaves[..., 0], self.leaves[..., 1]].tolist()
        return [f"({', '.join(row)})" for row in rows]

    def _functions(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Each statement as a function of two people: four bits, and who the two are."""
        tables = np.array([solver.SAME, solver.OPPOSITE, solver.AND, solver.OR, solver.IMPLIES, solver.IFF])[
            self.operators
        ]
        people, lies = self.leaves >> 1, (self.leaves & 1).astype(bool)
        single = self.operators <= 1
        second = np.where(single, people[..., 0], people[..., 1])
        second_lies = np.where(single, lies[..., 0], lies[..., 1])
        return solver.negate_inputs(tables, lies[..., 0], second_lies), people[..., 0], second


class NestedStatements(tuple[tuple[Statement, ...], ...]):
    """Statement sets of any form, as nested tuples."""

    __slots__ = ()

    def take(self, rows: NDArray[np.int64]) -> "NestedStatements":
        """Some of the sets."""
        return NestedStatements(self[row] for row in rows)

    def gates(self) -> Gates:
        """For the solver."""
        return solver.gates_of(self)

    def structure_hashes(self) -> NDArray[np.uint64]:
        """Each set's structure; see ``structure``. A few at a time, as wide statements have many terms."""
        chunks = [self[start : start + _HASHED_AT_ONCE] for start in range(0, len(self), _HASHED_AT_ONCE)]
        hashes = [equivalence.structure_hashes(equivalence.terms_of(chunk)) for chunk in chunks]
        return np.concatenate([np.zeros(0, np.uint64), *hashes])

    def statements(self, row: int) -> tuple[Statement, ...]:
        """One set as nested tuples."""
        return self[row]

    def texts(self) -> list[str]:
        """Each set as Python writes it."""
        return [repr(statements) for statements in self]


StatementSets = CodedStatements | NestedStatements


def coded_candidates(rng: np.random.Generator, num_people: int, size: int) -> CodedStatements:
    """Random statement sets of the published form.

    The one forbidden leaf is left out by drawing from one leaf fewer and moving the last into its place, and likewise
    for the second of a pair.
    """
    shape = (size, num_people)
    operators = rng.integers(0, len(OPERATORS), shape)
    self_lie = 2 * np.arange(num_people) + 1
    last = 2 * num_people - 1
    first = rng.integers(0, last, shape)
    second = rng.integers(0, last - 1, shape)
    second = second + (second >= first)  # uniform over the leaves but the first
    leaves = np.stack([first, second], axis=-1)
    return CodedStatements(operators, np.where(leaves == self_lie[:, None], last, leaves))


def with_one_solution(sets: StatementSets) -> tuple[StatementSets, NDArray[np.bool_]]:
    """The statement sets that have exactly one solution, with it."""
    if isinstance(sets, CodedStatements) and sets.operators.shape[1] <= _MOST_PEOPLE_BY_TABLE:
        rows, roles = solve_by_tables(sets)
        return sets.take(rows), roles
    puzzles, roles = solver.find_solutions(sets.gates(), limit=2)
    single = np.bincount(puzzles, minlength=len(sets)) == 1
    return sets.take(np.flatnonzero(single)), roles[single[puzzles]]


def solve_by_tables(sets: CodedStatements) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which sets have exactly one solution, and those solutions, from truth tables over all 2^n assignments.

    A table is a row of 64-bit words, one bit an assignment.
    """
    num_people = sets.operators.shape[1]
    people, exists = _assignment_tables(num_people)
    leaf_tables = np.stack([people, ~people], axis=1).reshape(2 * num_people, -1)
    first, second = leaf_tables[sets.leaves[..., 0]], leaf_tables[sets.leaves[..., 1]]  # (sets, people, words)
    tables = [first, ~first, first & second, first | second, ~first | second, ~(first ^ second)]
    said = np.choose(sets.operators[..., None], tables)
    consistent = np.bitwise_and.reduce(~(said ^ people), axis=1) & exists  # (sets, words)
    rows = np.flatnonzero(np.bitwise_count(consistent).sum(axis=-1) == 1)
    word = (consistent[rows] != 0).argmax(-1)
    bit = np.bitwise_count(consistent[rows, word] - np.uint64(1)).astype(np.int64)
    return rows, ((64 * word + bit)[:, None] >> np.arange(num_people) & 1).astype(bool)


@cache
def _assignment_tables(num_people: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Where each person tells the truth, (people, words), and which bits stand for an assignment, (words,)."""
    assignments = np.arange(max(2**num_people, 64))
    bits = [assignments >> i & 1 for i in range(num_people)]
    rows = [np.packbits(row.astype(bool), bitorder="little") for row in (*bits, assignments < 2**num_people)]
    tables = np.stack(rows).view(np.uint64)
    return tables[:-1], tables[-1]


@cache
def _statement_table(num_leaves: int) -> list[list[list[Statement]]]:
    """Nested statements by operator, first leaf and second leaf."""
    leaves = [(LEAVES[leaf % 2], leaf // 2) for leaf in range(num_leaves)]
    table: list[list[list[Statement]]] = [[[leaf] * num_leaves for leaf in leaves]]
    table.append([[("not", leaf)] * num_leaves for leaf in leaves])
    table += [[[(name, first, second) for second in leaves] for first in leaves] for name in OPERATORS[2:]]
    return table


@cache
def _statement_texts(num_leaves: int) -> NDArray[np.object_]:
    """Statements as Python writes them, by operator, first leaf and second leaf."""
    texts = [[[repr(statement) for statement in row] for row in rows] for rows in _statement_table(num_leaves)]
    return np.array(texts, dtype=object)
