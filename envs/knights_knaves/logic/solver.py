"""The solver: finds the solutions of many puzzles at once, and measures how deep a case split each puzzle needs.

A puzzle is a set of gates. Gate ``v`` says that variable ``v`` equals ``table(x, y)``, where x and y are two variables.
The first variables are the people, and each person's gate is their statement; a nested statement adds one variable for
each of its compound parts. The solver's knowledge is a domain of two bits per variable: 1 if it may be false, 2 if it
may be true, 3 if it may be either; 0 is a conflict. Propagation restricts the three domains of a gate to the values
that are consistent with each other, for all gates of all puzzles at once, until nothing changes. Search splits on the
person who occurs most often in statements. The result is exact, and the time does not grow with 2^n: few puzzles take
more than ten splits, whatever the number of people.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FALSE, TRUE, UNKNOWN = 1, 2, 3

# Two-input functions as four bits: bit 2 x + y is the value at (x, y).
AND, OR, IMPLIES, IFF = 0b1000, 0b1110, 0b1011, 0b1001
SAME, OPPOSITE = 0b1010, 0b0101  # the value of y, and its negation
_PROBE_VALUES = 2_000_000  # maximum number of domains in memory during a lookahead


class Gates(NamedTuple):
    """The gates of a batch of puzzles with the same number of people, padded to the same number of variables.

    Attributes:
        kinds: offsets into the flattened propagation table: 64 times the row, (puzzles, variables).
        first: the variable x of each gate, (puzzles, variables).
        second: the variable y of each gate, (puzzles, variables).
        num_people: number of variables that are people; these come first.
    """

    kinds: NDArray[np.int16]
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    num_people: int

    def of(self, puzzles: NDArray[np.int64]) -> "Gates":
        """Returns the gates of these puzzles, which may repeat."""
        return Gates(self.kinds[puzzles], self.first[puzzles], self.second[puzzles], self.num_people)


def make_gates(tables: NDArray[Any], first: NDArray[Any], second: NDArray[Any], num_people: int) -> Gates:
    """Makes gates from truth tables and inputs.

    Args:
        tables: the truth table of each variable's gate, (puzzles, variables).
        first: the variable x of each gate, (puzzles, variables).
        second: the variable y of each gate, (puzzles, variables).
        num_people: number of variables that are people.
    """
    output = np.arange(tables.shape[1])
    # Which of the output, x and y are the same variable; 7 if all three are. Propagation has separate table rows for
    # these cases, because a variable cannot have two values: "I am a knight or you are" says more than "a or b".
    equal = (output == first) + 2 * (output == second) + 4 * (first == second)
    kinds = (equal * 16 + tables) * 64
    return Gates(kinds.astype(np.int16), first.astype(np.int32), second.astype(np.int32), num_people)


def gates_of(puzzles: Sequence[Sequence[tuple[Any, ...]]]) -> Gates:
    """Returns the gates of puzzles that are given as nested statements, one per person."""
    lists = [_gate_list(statements) for statements in puzzles]
    num_people, num_variables = len(puzzles[0]), max(map(len, lists))
    # A padding gate says that a variable, which is false from the start, equals itself.
    padded = [[*gates, *((SAME, v, v) for v in range(len(gates), num_variables))] for gates in lists]
    tables, first, second = np.moveaxis(np.array(padded), -1, 0)
    return make_gates(tables, first, second, num_people)


def _gate_list(statements: Sequence[tuple[Any, ...]]) -> list[tuple[int, int, int]]:
    gates = [(SAME, 0, 0)] * len(statements)

    def signed(statement: tuple[Any, ...]) -> tuple[int, bool]:
        """Returns a variable, and whether its value is the opposite of the statement's truth value."""
        match statement:
            case ("telling-truth" | "lying" as claim, person):
                return person, claim == "lying"
            case ("not", inner):
                variable, opposite = signed(inner)
                return variable, not opposite
        gates.append(gate(statement))
        return len(gates) - 1, False

    def gate(statement: tuple[Any, ...]) -> tuple[int, int, int]:
        match statement:
            case ("telling-truth" | "lying" | "not", _):
                variable, opposite = signed(statement)
                return (OPPOSITE if opposite else SAME), variable, variable
            case ("and" | "or" as operator, first, *middle, last) if middle:
                return gate((operator, (operator, first, *middle), last))
        operator, *parts = statement
        (x, x_opposite), (y, y_opposite) = map(signed, parts)
        table = {"and": AND, "or": OR, "->": IMPLIES, "<=>": IFF}[operator]
        return negate_inputs(table, x_opposite, y_opposite), x, y

    for person, statement in enumerate(statements):
        gates[person] = gate(statement)
    return gates


def negate_inputs(table: Any, first: Any, second: Any) -> Any:
    """Returns the truth table of the function with negated inputs.

    Args:
        table: four-bit truth table, or an array of them.
        first: whether to negate the first input, elementwise.
        second: whether to negate the second input, elementwise.
    """
    table = np.where(first, (table >> 2 & 3) | (table & 3) << 2, table)
    table = np.where(second, (table >> 1 & 5) | (table & 5) << 1, table)
    return table if table.ndim else int(table)


@cache
def _propagation_table() -> NDArray[np.uint8]:
    """Returns the restricted domains of a gate, 16 out + 4 x + y, by its kind and its present domains.

    The flattened axes are (8 equalities, 16 truth tables, 4 domains of out, 4 of x, 4 of y).
    """
    table = np.zeros((8, 16, 4, 4, 4), np.uint8)
    for equal, function in product((0, 1, 2, 4, 7), range(16)):
        rows = [
            (out, x, y)
            for x, y in product((0, 1), repeat=2)
            for out in [function >> (2 * x + y) & 1]
            if (not equal & 1 or out == x) and (not equal & 2 or out == y) and (not equal & 4 or x == y)
        ]
        for domains in product(range(4), repeat=3):
            left = [row for row in rows if all(d >> value & 1 for d, value in zip(domains, row, strict=True))]
            out, x, y = ((sum({1 << row[i] for row in left})) for i in range(3))
            table[equal, function, *domains] = 16 * out + 4 * x + y
    return table.ravel()


def propagate(gates: Gates, domains: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Removes the values that some gate excludes from the domains, until nothing changes or a domain is empty.

    Args:
        gates: the gates of each row's puzzle.
        domains: the domains, (rows, variables).

    Returns:
        the restricted domains, (rows, variables).
    """
    table = _propagation_table()
    result = domains.copy()
    rows = np.arange(len(domains))
    kinds, first, second, _ = gates
    num_variables = domains.shape[1]
    while len(rows):
        offsets = num_variables * np.arange(len(rows))[:, None]
        at_first, at_second = (first + offsets).ravel(), (second + offsets).ravel()
        row_kinds, flat, active = kinds.ravel(), domains.ravel(), np.ones(len(rows), bool)
        # Selecting the active rows copies their gates, so it pays only once a quarter of the rows or more are inactive.
        while 4 * np.count_nonzero(active) > 3 * len(rows):
            left = table[row_kinds + (flat.astype(np.int16) << 4) + (flat[at_first] << 2) + flat[at_second]]
            # A variable is an input of several gates, so plain indexing would lose all of its restrictions except one.
            new = flat & left >> 4
            np.bitwise_and.at(new, at_first, left >> 2 & 3)
            np.bitwise_and.at(new, at_second, left & 3)
            shape = (len(rows), num_variables)
            active = (new != flat).reshape(shape).any(1) & new.reshape(shape).all(1)
            flat = new
        domains = flat.reshape(len(rows), num_variables)
        result[rows] = domains
        rows, domains = rows[active], domains[active]
        kinds, first, second = kinds[active], first[active], second[active]
    return result


def _start(gates: Gates) -> NDArray[np.uint8]:
    """Returns the domains before any deduction, (puzzles, variables): unknown, except that padding is false."""
    is_padding = gates.kinds == (7 * 16 + SAME) * 64
    is_padding[:, : gates.num_people] = False
    return np.where(is_padding, FALSE, UNKNOWN).astype(np.uint8)


def find_solutions(gates: Gates, limit: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Returns up to ``limit`` solutions of each puzzle.

    A puzzle can have one more solution in the result, if its last split yields two.

    Args:
        gates: the gates of the puzzles.
        limit: number of solutions after which the search in a puzzle stops.

    Returns:
        the puzzle of each solution, ascending, (solutions,), and who tells the truth, (solutions, people).
    """
    num_puzzles, num_people = len(gates.kinds), gates.num_people
    mentions = np.zeros((num_puzzles, gates.kinds.shape[1]), np.int64)
    for people in (gates.first, gates.second):
        np.add.at(mentions, (np.arange(num_puzzles)[:, None], people), 1)
    mentions = mentions[:, :num_people]
    domains, puzzle = _start(gates), np.arange(num_puzzles)
    counts = np.zeros(num_puzzles, np.int64)
    found: list[tuple[NDArray[np.int64], NDArray[np.bool_]]] = []
    # ``domains``, (rows, variables), holds the stacks of all puzzles: the rows of a puzzle are consecutive, and the
    # last one is the newest. Each iteration pops one row per puzzle. The search is depth-first, so stacks stay short.
    while len(puzzle):
        is_last = np.append(puzzle[1:] != puzzle[:-1], True)
        waiting, waiting_puzzle = domains[~is_last], puzzle[~is_last]
        puzzle = puzzle[is_last]
        domains = propagate(gates.of(puzzle), domains[is_last])
        consistent = domains.all(1)
        domains, puzzle = domains[consistent], puzzle[consistent]
        unknown = domains[:, :num_people] == UNKNOWN
        solved = ~unknown.any(1)
        found.append((puzzle[solved], domains[solved, :num_people] == TRUE))
        counts[puzzle[solved]] += 1
        domains, puzzle, unknown = domains[~solved], puzzle[~solved], unknown[~solved]
        person = np.where(unknown, mentions[puzzle], -1).argmax(1)
        rows = np.arange(len(puzzle))
        branches = np.stack([domains, domains])
        branches[0, rows, person], branches[1, rows, person] = FALSE, TRUE
        domains = np.concatenate([waiting, *branches])
        puzzle = np.concatenate([waiting_puzzle, puzzle, puzzle])
        order = np.argsort(puzzle, kind="stable")
        order = order[counts[puzzle[order]] < limit]
        domains, puzzle = domains[order], puzzle[order]
    puzzles, roles = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(puzzles, kind="stable")
    return puzzles[order], roles[order]


def lookahead_levels(gates: Gates) -> NDArray[np.int64]:
    """Returns how many levels of case split each puzzle needs, (puzzles,).

    Level 0 is propagation only. At level k, a role is ruled out if assuming it leads to a conflict at level k - 1.

    Args:
        gates: the gates of puzzles with exactly one solution each.
    """
    levels = np.zeros(len(gates.kinds), np.int64)
    domains = _start(gates)
    open_puzzles = np.arange(len(levels))
    for level in range(gates.num_people + 1):
        subset = gates.of(open_puzzles)
        domains = _closure(subset, domains, level)
        is_open = (domains[:, : gates.num_people] == UNKNOWN).any(1)
        levels[open_puzzles] = level
        open_puzzles, domains = open_puzzles[is_open], domains[is_open]
        if not len(open_puzzles):
            break
    return levels


def _closure(gates: Gates, domains: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    """Returns the domains after all deductions of a level, (rows, variables)."""
    domains = propagate(gates, domains)
    if level == 0:
        return domains
    num_rows, num_variables = domains.shape
    # Level k probes two roles of each unknown person, that is, up to 2 * num_people rows for each row.
    chunk = max(1, _PROBE_VALUES // (2 * gates.num_people * num_variables))
    if num_rows > chunk:
        parts = np.split(np.arange(num_rows), range(chunk, num_rows, chunk))
        return np.concatenate([_closure(gates.of(part), domains[part], level) for part in parts])
    active = np.arange(num_rows)
    while len(active):
        row, person = np.nonzero(domains[active, : gates.num_people] == UNKNOWN)
        row = active[row]
        before = domains.copy()
        for role in (FALSE, TRUE):
            supposed = domains[row]
            supposed[np.arange(len(row)), person] = role
            refuted = ~_closure(gates.of(row), supposed, level - 1).all(1)
            before[row[refuted], person[refuted]] &= UNKNOWN - role
        changed = np.flatnonzero((before != domains).any(1))
        domains[changed] = propagate(gates.of(changed), before[changed])
        active = changed[domains[changed].all(1)]
    return domains
