"""The generator: one solution, the published grammar and distribution, splits that share nothing."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.envs import puzzle, text
from dumpgym.envs.puzzle import (
    Puzzle,
    evaluate,
    puzzle_rng,
    sample_puzzle,
    solutions,
    split_of,
    structure_hash,
)
from dumpgym.errors import InvalidValueError

addresses = st.tuples(st.integers(2, 7), st.integers(0, 99), st.sampled_from(puzzle.SPLITS), st.integers(0, 999))


def sample(num_people, seed, split, index) -> Puzzle:
    return sample_puzzle(puzzle_rng(num_people, seed, split, index), num_people, split)


@given(addresses)
def test_a_puzzle_has_exactly_the_one_solution_that_brute_force_finds(address):
    made = sample(*address)
    consistent = [
        roles
        for roles in product((False, True), repeat=address[0])
        if all(evaluate(said, roles) == knight for said, knight in zip(made.statements, roles, strict=True))
    ]
    assert consistent == [made.solution]
    assert solutions(made.statements) == [made.solution]


@pytest.mark.parametrize("num_people", [2, 5, 6, 7, 14, 16])
def test_large_and_small_puzzles_have_one_solution(num_people):
    made = sample(num_people, 0, "test", 0)
    assert solutions(made.statements) == [made.solution]
    assert len(made.statements) == len(made.solution) == num_people


@given(addresses)
def test_nobody_says_i_lie_and_two_leaves_differ(address):
    for speaker, statement in enumerate(sample(*address).statements):
        leaves = [statement] if statement[0] in ("telling-truth", "lying") else list(statement[1:])
        assert ("lying", speaker) not in leaves
        assert len(set(leaves)) == len(leaves)


def test_statements_follow_the_published_distribution():
    """Six equally likely operators; leaves uniform. The bounds lie five standard deviations away."""
    operators, leaves = puzzle._sample_candidates(np.random.default_rng(0), 3, batch_size=20_000)
    counts = np.bincount(operators.ravel(), minlength=6)
    assert np.abs(counts / 60_000 - 1 / 6).max() < 5 * np.sqrt(5 / 36 / 60_000)
    assert (leaves[..., 0] != leaves[..., 1]).all()
    for speaker in range(3):
        for position in (0, 1):
            share = np.bincount(leaves[:, speaker, position], minlength=6) / 20_000
            assert share[2 * speaker + 1] == 0
            others = np.delete(share, 2 * speaker + 1)
            assert np.abs(others - 0.2).max() < 5 * np.sqrt(0.16 / 20_000)


@pytest.mark.parametrize(("num_people", "published"), [(3, 0.386), (5, 0.339), (7, 0.332)])
def test_the_share_of_statement_sets_with_one_solution_is_the_published_one(num_people, published):
    """The published shares come from 1,100 puzzles, so the bound is set by theirs: four standard deviations."""
    candidates = puzzle._sample_candidates(np.random.default_rng(1), num_people, batch_size=30_000)
    share = (puzzle._num_solutions(*candidates, num_people) == 1).mean()
    assert abs(share - published) < 4 * np.sqrt(published * (1 - published) * published / 1100)


def _renamed(statement, names):
    if statement[0] in ("telling-truth", "lying"):
        return (statement[0], names[statement[1]])
    return (statement[0], *(_renamed(part, names) for part in statement[1:]))


def _rewritten(statement):
    """A logically equivalent statement of another form."""
    match statement:
        case ("and" | "or" | "<=>" as operator, first, second):
            return (operator, second, first)
        case ("->", first, second):
            return ("->", ("not", second), ("not", first))
        case ("not", (kind, person)):
            return ("lying" if kind == "telling-truth" else "telling-truth", person)
        case (kind, person):
            return ("not", ("lying" if kind == "telling-truth" else "telling-truth", person))


@given(addresses, st.randoms(use_true_random=False))
def test_the_split_survives_renaming_and_rewriting(address, random):
    made = sample(*address)
    people = list(range(address[0]))
    random.shuffle(people)
    renamed = [()] * len(people)
    for speaker, statement in enumerate(made.statements):
        renamed[people[speaker]] = _renamed(statement, people)
    assert structure_hash(tuple(renamed)) == structure_hash(made.statements)
    assert structure_hash(tuple(map(_rewritten, renamed))) == structure_hash(made.statements)
    assert split_of(tuple(renamed)) == address[2]


def _canonical(statements):
    """The least form over all renamings: equal exactly for puzzles that are the same up to renaming."""
    tables = []
    for order in permutations(range(len(statements))):
        renamed = {order[speaker]: _renamed(said, order) for speaker, said in enumerate(statements)}
        rows = product((False, True), repeat=len(statements))
        tables.append(tuple(tuple(evaluate(renamed[i], row) for i in range(len(statements))) for row in rows))
    return min(tables)


@pytest.mark.parametrize("num_people", [2, 3])
def test_train_and_test_share_no_puzzle_up_to_renaming_and_equivalence(num_people):
    train = {_canonical(sample(num_people, 0, "train", i).statements) for i in range(600)}
    test = {_canonical(sample(num_people, 1, "test", i).statements) for i in range(150)}
    assert not train & test
    assert len(test) >= 7


@pytest.mark.parametrize("num_people", range(2, 8))
def test_both_splits_are_large(num_people):
    rng = np.random.default_rng(0)
    operators, leaves = puzzle._sample_candidates(rng, num_people, batch_size=1500)
    unique = puzzle._num_solutions(operators, leaves, num_people) == 1
    splits = [split_of(puzzle._as_statements(o, p)) for o, p in zip(operators[unique], leaves[unique], strict=True)]
    assert 0.1 < splits.count("test") / len(splits) < 0.35


@given(addresses)
def test_the_text_says_what_the_statements_say(address):
    num_people, seed, split, index = address
    rng = puzzle_rng(num_people, seed, split, index)
    made = sample_puzzle(rng, num_people, split)
    names = text.draw_names(rng, num_people)
    quiz = text.render_quiz(made.statements, names, rng)
    assert len(set(names)) == num_people
    assert quiz.startswith(text.OPENING)
    assert quiz.endswith(text.QUESTION)
    for statement in made.statements:
        for leaf in [statement] if statement[0] in ("telling-truth", "lying", "not") else statement[1:]:
            person = leaf[1][1] if leaf[0] == "not" else leaf[1]
            assert f"{names[person]} {text.claim_phrase(leaf)}" in quiz
    assert "that If" not in quiz
    assert "  " not in quiz


def test_the_answer_is_written_in_the_published_format():
    assert text.render_answer(["Zoey", "Jack"], [True, False]) == "(1) Zoey is a knight\n(2) Jack is a knave"


def test_an_unknown_statement_is_named():
    with pytest.raises(InvalidValueError, match="statement is \\('xor', 1, 2\\)"):
        evaluate(("xor", 1, 2), (True, False, True))
