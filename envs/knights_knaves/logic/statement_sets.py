"""Batches of statement sets: arrays for statements of the published form, nested tuples for all others.

A statement set consists of the statements of all people of a candidate puzzle. Arrays are much faster to draw, solve
and hash, but they can only hold statements with at most two leaves. Both classes have the same methods: gates for the
solver, hashes for the splits, and texts in Python syntax.
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
    """Statement sets of the published form, as arrays.

    Attributes:
        operators: indices into ``OPERATORS``, (sets, people).
        leaves: the two leaves of each statement, (sets, people, 2). ``2 p`` says that person p tells the truth,
            ``2 p + 1`` that p lies. Operators with one part ignore the second leaf.
    """

    operators: NDArray[np.int64]
    leaves: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.operators)

    def take(self, rows: NDArray[np.int64]) -> "CodedStatements":
        """Returns the sets in these rows."""
        return CodedStatements(self.operators[rows], self.leaves[rows])

    def gates(self) -> Gates:
        """Returns the gates of the sets, for the solver."""
        return solver.make_gates(*self._functions(), self.operators.shape[1])

    def structure_hashes(self) -> NDArray[np.uint64]:
        """Returns the hash of each set's structure, (sets,); see ``equivalence``."""
        return equivalence.structure_hashes(equivalence.terms_of_tables(*self._functions()))

    def statements(self, row: int) -> tuple[Statement, ...]:
        """Returns one set as nested tuples."""
        table = _statement_table(2 * self.operators.shape[1])
        codes = zip(self.operators[row].tolist(), self.leaves[row].tolist(), strict=True)
        return tuple(table[operator][first][second] for operator, (first, second) in codes)

    def texts(self) -> list[str]:
        """Returns each set in Python syntax."""
        table = _statement_texts(2 * self.operators.shape[1])
        rows = table[self.operators, self.leaves[..., 0], self.leaves[..., 1]].tolist()
        return [f"({', '.join(row)})" for row in rows]

    def _functions(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Returns each statement as a function of two people: its truth table, and the two people, (sets, people)."""
        tables = np.array([solver.SAME, solver.OPPOSITE, solver.AND, solver.OR, solver.IMPLIES, solver.IFF])[
            self.operators
        ]
        people, lies = self.leaves >> 1, (self.leaves & 1).astype(bool)
        # SAME and OPPOSITE return their second input, so a leaf or its negation must have its person there too.
        single = self.operators <= 1
        second = np.where(single, people[..., 0], people[..., 1])
        second_lies = np.where(single, lies[..., 0], lies[..., 1])
        return solver.negate_inputs(tables, lies[..., 0], second_lies), people[..., 0], second


class NestedStatements(tuple[tuple[Statement, ...], ...]):
    """Statement sets of any form, as nested tuples: one tuple per set, with one statement per person."""

    __slots__ = ()

    def take(self, rows: NDArray[np.int64]) -> "NestedStatements":
        """Returns the sets in these rows."""
        return NestedStatements(self[row] for row in rows)

    def gates(self) -> Gates:
        """Returns the gates of the sets, for the solver."""
        return solver.gates_of(self)

    def structure_hashes(self) -> NDArray[np.uint64]:
        """Returns the hash of each set's structure, (sets,); see ``equivalence``."""
        # A few sets at a time: wide statements have many terms, and the arrays are padded to the longest one.
        chunks = [self[start : start + _HASHED_AT_ONCE] for start in range(0, len(self), _HASHED_AT_ONCE)]
        hashes = [equivalence.structure_hashes(equivalence.terms_of(chunk)) for chunk in chunks]
        return np.concatenate([np.zeros(0, np.uint64), *hashes])

    def statements(self, row: int) -> tuple[Statement, ...]:
        """Returns one set as nested tuples."""
        return self[row]

    def texts(self) -> list[str]:
        """Returns each set in Python syntax."""
        return [repr(statements) for statements in self]


StatementSets = CodedStatements | NestedStatements


def coded_candidates(rng: np.random.Generator, num_people: int, size: int) -> CodedStatements:
    """Draws random statement sets of the published form.

    Nobody may say "I lie", and the two leaves of a pair must differ. Both rules hold without redrawing: the first leaf
    is drawn from all leaves except the last one, and the second from the same leaves except the first one drawn. Then
    the last leaf replaces the forbidden one. Redrawing would need a loop over arrays with ever fewer rows.

    Args:
        rng: the random stream.
        num_people: number of people.
        size: number of statement sets.
    """
    shape = (size, num_people)
    operators = rng.integers(0, len(OPERATORS), shape)
    self_lie = 2 * np.arange(num_people) + 1
    last = 2 * num_people - 1
    first = rng.integers(0, last, shape)
    second = rng.integers(0, last - 1, shape)
    second = second + (second >= first)  # uniform over all leaves except the first
    leaves = np.stack([first, second], axis=-1)
    return CodedStatements(operators, np.where(leaves == self_lie[:, None], last, leaves))


def with_one_solution(sets: StatementSets) -> tuple[StatementSets, NDArray[np.bool_]]:
    """Returns the statement sets that have exactly one solution, and these solutions, (remaining sets, people)."""
    if isinstance(sets, CodedStatements) and sets.operators.shape[1] <= _MOST_PEOPLE_BY_TABLE:
        rows, roles = solve_by_tables(sets)
        return sets.take(rows), roles
    puzzles, roles = solver.find_solutions(sets.gates(), limit=2)  # a second solution is enough to reject a set
    single = np.bincount(puzzles, minlength=len(sets)) == 1
    return sets.take(np.flatnonzero(single)), roles[single[puzzles]]


def solve_by_tables(sets: CodedStatements) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Finds the sets with exactly one solution by truth tables over all 2^n assignments.

    A truth table is a row of 64-bit words with one bit per assignment, so one operation evaluates a statement under 64
    assignments. For few people this is faster than search.

    Returns:
        indices of the sets, (solved,), and who tells the truth, (solved, people).
    """
    num_people = sets.operators.shape[1]
    people, exists = _assignment_tables(num_people)
    leaf_tables = np.stack([people, ~people], axis=1).reshape(2 * num_people, -1)
    first, second = leaf_tables[sets.leaves[..., 0]], leaf_tables[sets.leaves[..., 1]]  # (sets, people, words)
    # In the order of ``OPERATORS``.
    tables = [first, ~first, first & second, first | second, ~first | second, ~(first ^ second)]
    said = np.choose(sets.operators[..., None], tables)
    # An assignment is consistent if everyone's statement is true exactly if they tell the truth.
    consistent = np.bitwise_and.reduce(~(said ^ people), axis=1) & exists  # (sets, words)
    rows = np.flatnonzero(np.bitwise_count(consistent).sum(axis=-1) == 1)
    # The position of the one bit that is set is the assignment; the number of ones below it is its place in the word.
    word = (consistent[rows] != 0).argmax(-1)
    bit = np.bitwise_count(consistent[rows, word] - np.uint64(1)).astype(np.int64)
    return rows, ((64 * word + bit)[:, None] >> np.arange(num_people) & 1).astype(bool)


@cache
def _assignment_tables(num_people: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Returns where each person tells the truth, (people, words), and which bits are assignments, (words,).

    With fewer than six people, an assignment does not use all 64 bits of a word.
    """
    assignments = np.arange(max(2**num_people, 64))
    bits = [assignments >> i & 1 for i in range(num_people)]
    rows = [np.packbits(row.astype(bool), bitorder="little") for row in (*bits, assignments < 2**num_people)]
    tables = np.stack(rows).view(np.uint64)
    return tables[:-1], tables[-1]


@cache
def _statement_table(num_leaves: int) -> list[list[list[Statement]]]:
    """Returns nested statements by operator, first leaf and second leaf."""
    leaves = [(LEAVES[leaf % 2], leaf // 2) for leaf in range(num_leaves)]
    table: list[list[list[Statement]]] = [[[leaf] * num_leaves for leaf in leaves]]
    table.append([[("not", leaf)] * num_leaves for leaf in leaves])
    table += [[[(name, first, second) for second in leaves] for first in leaves] for name in OPERATORS[2:]]
    return table


@cache
def _statement_texts(num_leaves: int) -> NDArray[np.object_]:
    """Returns statements in Python syntax, by operator, first leaf and second leaf."""
    texts = [[[repr(statement) for statement in row] for row in rows] for rows in _statement_table(num_leaves)]
    return np.array(texts, dtype=object)
