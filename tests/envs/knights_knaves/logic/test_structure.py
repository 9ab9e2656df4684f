"""When two puzzles are the same: hash and search agree with brute force over all renamings."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.envs.knights_knaves import dump_puzzles
from dumpgym.envs.knights_knaves.leaks import find_leaks
from dumpgym.envs.knights_knaves.logic import equivalence
from dumpgym.envs.knights_knaves.logic.equivalence import (
    _unordered,
    normal_form,
    renamed,
    same_up_to_renaming,
    structure_hash,
)
from dumpgym.envs.knights_knaves.logic.generator import Distribution, sample_block
from dumpgym.envs.knights_knaves.logic.puzzle import is_true, sample_statement
from dumpgym.envs.knights_knaves.logic.statement_sets import NestedStatements, coded_candidates


def statements_of(seed, num_people, depth=2, width=2):
    rng = np.random.default_rng(seed)
    return tuple(
        sample_statement(lambda k: int(rng.integers(k)), person, num_people, depth, width)
        for person in range(num_people)
    )


def rename(statements, people):
    moved = [()] * len(people)
    for speaker, said in enumerate(statements):
        moved[people[speaker]] = renamed(said, people)
    return tuple(moved)


def rewritten(said):
    """A logically equivalent statement of another form."""
    match said:
        case ("and" | "or" as operator, *parts):
            return (operator, *map(rewritten, reversed(parts)))
        case ("<=>", first, second):
            return ("<=>", ("not", second), ("not", rewritten(first)))
        case ("->", first, second):
            return ("or", ("not", first), rewritten(second))
        case ("not", ("telling-truth" | "lying" as kind, person)):
            return ("lying" if kind == "telling-truth" else "telling-truth", person)
        case ("not", inner):
            return ("not", rewritten(inner))
        case (kind, person):
            return ("not", ("lying" if kind == "telling-truth" else "telling-truth", person))


shapes = st.tuples(st.integers(0, 9999), st.integers(2, 7), st.integers(2, 4), st.integers(2, 3))


@given(shapes)
def test_the_normal_form_has_the_statements_truth_table(shape):
    said = statements_of(*shape)[0]
    for roles in product((False, True), repeat=shape[1]):
        value = sum(all(roles[p] for p in factors) for factors in normal_form(said)) % 2
        assert bool(value) == is_true(said, roles)


@given(shapes, st.randoms(use_true_random=False))
def test_renaming_and_rewriting_change_neither_hash_nor_split(shape, random):
    statements = statements_of(*shape)
    people = list(range(shape[1]))
    random.shuffle(people)
    twin = tuple(map(rewritten, rename(statements, people)))
    assert structure_hash(twin) == structure_hash(statements)
    assert equivalence.split_of(twin) == equivalence.split_of(statements)
    assert same_up_to_renaming(statements, twin)
    assert same_up_to_renaming(statements, rename(statements, people), equivalence=False)


def _same_by_brute_force(first, second, equivalence):
    rows = list(product((False, True), repeat=len(first)))

    def form(statements):
        if not equivalence:
            return tuple(map(_unordered, statements))
        return tuple(tuple(is_true(said, row) for row in rows) for said in statements)

    return any(form(rename(first, people)) == form(second) for people in permutations(range(len(first))))


@given(st.integers(0, 9999), st.integers(0, 9999), st.integers(2, 3), st.booleans())
def test_two_puzzles_are_the_same_exactly_if_some_renaming_says_so(one, other, num_people, equivalence):
    first, second = statements_of(one, num_people), statements_of(other, num_people)
    expected = _same_by_brute_force(first, second, equivalence)
    assert same_up_to_renaming(first, second, equivalence=equivalence) == expected


def test_small_puzzles_that_differ_in_one_statement_are_told_apart():
    pairs = 0
    for seed in range(300):
        first = statements_of(seed, 3)
        second = (*first[:2], statements_of(seed + 1000, 3)[2])
        expected = _same_by_brute_force(first, second, True)
        pairs += expected
        assert same_up_to_renaming(first, second) == expected
    assert pairs > 5


@pytest.mark.parametrize("num_people", [2, 3, 8, 30])
def test_coded_and_nested_statements_have_the_same_hash(num_people):
    sets = coded_candidates(np.random.default_rng(1), num_people, 60)
    nested = NestedStatements(sets.statements(row) for row in range(60))
    assert np.array_equal(sets.structure_hashes(), nested.structure_hashes())
    assert [structure_hash(statements) for statements in nested] == nested.structure_hashes().tolist()


@pytest.mark.parametrize("num_people", [2, 3, 4])
def test_train_and_test_share_no_puzzle(num_people):
    train, test = (
        [block.sets.statements(row) for row in range(256)]
        for block in (
            sample_block(Distribution(num_people), seed, split, 0) for seed, split in ((0, "train"), (1, "test"))
        )
    )
    assert find_leaks(train, test).equivalent == 0
    assert find_leaks(train, train).equivalent == len(train)


@pytest.mark.parametrize(("num_people", "renamed_twins", "equivalent_twins"), [(3, 8, 54), (4, 0, 2)])
def test_the_leaks_of_the_published_split_are_found(num_people, renamed_twins, equivalent_twins):
    puzzles = dump_puzzles.published_puzzles(num_people)
    train, test = (
        [puzzles[place].puzzle.statements for place in dump_puzzles.published_order(split)]
        for split in ("train", "test")
    )
    leaks = find_leaks(train, test)
    assert (leaks.same_statements, leaks.renamed, leaks.equivalent) == (0, renamed_twins, equivalent_twins)
    for one, other in leaks.examples:
        assert same_up_to_renaming(train[one], test[other])
