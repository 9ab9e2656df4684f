"""The solver: brute force agrees at any depth, and lookahead levels mean what they say."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.envs.knights_knaves.logic.generator import Distribution, sample_block
from dumpgym.envs.knights_knaves.logic.puzzle import is_true, sample_statement, solutions
from dumpgym.envs.knights_knaves.logic.solver import find_solutions, gates_of, lookahead_levels, negate_inputs
from dumpgym.envs.knights_knaves.logic.statement_sets import coded_candidates, solve_by_tables


def random_statements(seed, num_people, depth, width):
    rng = np.random.default_rng(seed)
    return tuple(
        sample_statement(lambda k: int(rng.integers(k)), person, num_people, depth, width)
        for person in range(num_people)
    )


def brute_force(statements):
    return [
        roles
        for roles in product((False, True), repeat=len(statements))
        if all(is_true(said, roles) == truthful for said, truthful in zip(statements, roles, strict=True))
    ]


shapes = st.tuples(st.integers(0, 9999), st.integers(2, 6), st.integers(1, 4), st.integers(2, 3))


@given(shapes)
def test_all_solutions_are_those_of_brute_force(shape):
    statements = random_statements(*shape)
    assert sorted(solutions(statements)) == sorted(brute_force(statements))


@given(st.lists(st.integers(0, 9999), min_size=1, max_size=8), st.integers(2, 5), st.integers(1, 3))
def test_puzzles_solved_together_do_not_meet(seeds, num_people, limit):
    puzzles = [random_statements(seed, num_people, 3, 2) for seed in seeds]
    puzzle, roles = find_solutions(gates_of(puzzles), limit)
    for i, statements in enumerate(puzzles):
        found = {tuple(row) for row in roles[puzzle == i].tolist()}
        every = set(brute_force(statements))
        assert len(found) == (puzzle == i).sum()
        assert found <= every
        assert len(found) >= min(limit, len(every))


@pytest.mark.parametrize("num_people", range(2, 9))
def test_truth_tables_and_search_agree(num_people):
    sets = coded_candidates(np.random.default_rng(num_people), num_people, 400)
    rows, roles = solve_by_tables(sets)
    puzzle, found = find_solutions(sets.gates(), limit=2)
    single = np.flatnonzero(np.bincount(puzzle, minlength=400) == 1)
    assert rows.tolist() == single.tolist()
    assert np.array_equal(roles, found[np.searchsorted(puzzle, single)])


@pytest.mark.parametrize("num_people", [2, 5, 30])
def test_coded_and_nested_statements_are_the_same_gates(num_people):
    sets = coded_candidates(np.random.default_rng(0), num_people, 50)
    nested = gates_of([sets.statements(row) for row in range(50)])
    for coded, other in zip(find_solutions(sets.gates(), 2), find_solutions(nested, 2), strict=True):
        assert np.array_equal(coded, other)


def test_negated_inputs():
    for table, first, second, x, y in product(range(16), (False, True), (False, True), (0, 1), (0, 1)):
        changed = negate_inputs(table, first, second)
        assert changed >> (2 * x + y) & 1 == table >> (2 * (x ^ first) + (y ^ second)) & 1


def _propagated(statements, known):
    """What each statement alone leaves of everybody's roles, until nothing changes; None for a conflict."""
    known = dict(known)
    while True:
        before = dict(known)
        for speaker, said in enumerate(statements):
            rows = [
                roles
                for roles in product((False, True), repeat=len(statements))
                if is_true(said, roles) == roles[speaker] and all(roles[p] == r for p, r in known.items())
            ]
            if not rows:
                return None
            known.update({p: rows[0][p] for p in range(len(statements)) if len({row[p] for row in rows}) == 1})
        if known == before:
            return known


def _reference_level(statements):
    """Lookahead by definition, for puzzles whose statements are one connective of leaves."""

    def closure(known, level):
        known = _propagated(statements, known)
        while level and known is not None:
            refuted = {
                p: not role
                for p in range(len(statements))
                if p not in known
                for role in (False, True)
                if closure({**known, p: role}, level - 1) is None
            }
            if not refuted:
                break
            known = _propagated(statements, {**known, **refuted})
        return known

    return next(level for level in range(9) if len(closure({}, level)) == len(statements))


@pytest.mark.parametrize("num_people", [2, 3, 4])
def test_lookahead_levels_are_those_of_the_definition(num_people):
    block = sample_block(Distribution(num_people), 3, "train", 0)
    levels = block.lookahead_levels()
    for row in range(40):
        assert levels[row] == _reference_level(block.puzzle(row).statements)
    assert set(levels) == {0, 1}


def test_a_puzzle_of_level_two_is_found_and_solved():
    block = sample_block(Distribution(6, depth=4, lookahead=2), 0, "train", 0)
    assert (lookahead_levels(block.sets.gates()) == 2).all()
    assert all(solutions(block.puzzle(row).statements) == [block.puzzle(row).solution] for row in range(5))
