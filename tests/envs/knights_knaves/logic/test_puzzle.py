"""The generator: one solution, the published grammar and distribution, splits that share nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.puzzle_env import SPLITS
from dumpgym.envs.knights_knaves.logic import equivalence, generator
from dumpgym.envs.knights_knaves.logic.generator import Distribution, num_different, sample_block
from dumpgym.envs.knights_knaves.logic.puzzle import is_true, solutions
from dumpgym.envs.knights_knaves.logic.search import has_at_most
from dumpgym.envs.knights_knaves.logic.statement_sets import coded_candidates, solve_by_tables

DISTRIBUTIONS = [
    *(Distribution(n) for n in (2, 3, 5, 8, 9, 14, 20, 60, 100)),
    Distribution(2, depth=3),
    Distribution(5, depth=3, width=3),
    Distribution(4, depth=4),
    Distribution(5, width=9),
    Distribution(5, lookahead=0),
    Distribution(5, lookahead=1),
    Distribution(30, depth=3),
    Distribution(2, max_conflicts=0),
    Distribution(12, max_conflicts=1),
    Distribution(22, max_conflicts=4),
    Distribution(5, width=9, max_conflicts=1),
    Distribution(5, lookahead=1, max_conflicts=2),
    Distribution(4, max_conflicts=0, change="leaf"),
    Distribution(3, change="leaf"),
    Distribution(5, change="statement"),
    Distribution(5, depth=3, change="leaf"),
]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
def test_puzzles_have_one_solution_and_belong_to_their_split(distribution, split):
    block = sample_block(distribution, 0, split, 1)
    assert len(block.sets) == len(block.solutions) == distribution.block_size
    for row in range(0, distribution.block_size, 7):
        made = block.puzzle(row)
        assert len(made.statements) == len(made.solution) == distribution.num_people
        assert solutions(made.statements, limit=3) == [made.solution]
        knights = [is_true(said, made.solution) for said in made.statements]
        assert tuple(knights) == made.solution
        assert equivalence.split_of(made.statements) == split
        for speaker, said in enumerate(made.statements):
            _check_statement(said, speaker, distribution.depth, distribution.width)
    if distribution.lookahead is not None:
        assert set(block.lookahead_levels().tolist()) == {distribution.lookahead}
    if (most := distribution.max_conflicts) is not None:
        kept = [block.sets.statements(row) for row in range(distribution.block_size)]
        assert all(has_at_most(most, statements) for statements in kept)
        assert most == 0 or not all(has_at_most(most - 1, statements) for statements in kept)


def _check_statement(said, speaker, depth, width):
    assert depth > 0
    operator, *parts = said
    if operator in ("telling-truth", "lying"):
        assert said != ("lying", speaker)
        return
    most = {"not": 1, "->": 2, "<=>": 2, "and": width, "or": width}[operator]
    assert min(2, most) <= len(parts) <= most
    assert len(set(parts)) == len(parts)
    for part in parts:
        _check_statement(part, speaker, depth - 1, width)


@given(st.integers(2, 14), st.integers(0, 99), st.sampled_from(SPLITS), st.integers(0, 9))
def test_an_address_is_one_block(num_people, seed, split, number):
    distribution = Distribution(num_people)
    made = sample_block(distribution, seed, split, number)
    again = sample_block.__wrapped__(distribution, seed, split, number)
    assert made.sets.texts() == again.sets.texts()
    assert np.array_equal(made.solutions, again.solutions)
    other = sample_block(distribution, seed + 1, split, number)
    assert made.sets.texts() != other.sets.texts()


def test_statements_are_written_as_python_writes_them():
    block = sample_block(Distribution(4), 0, "train", 0)
    assert block.sets.texts() == [repr(block.sets.statements(row)) for row in range(len(block.sets))]


@pytest.mark.parametrize("change", ["statement", "leaf"])
def test_a_change_is_one_change_with_another_solution(change):
    block = sample_block(Distribution(5, change=change), 0, "train", 0)
    for row in range(len(block.sets)):
        made, original = block.puzzle(row), block.originals.puzzle(row)
        assert solutions(original.statements) == [original.solution]
        assert made.solution != original.solution
        pairs = [(a, b) for a, b in zip(made.statements, original.statements, strict=True) if a != b]
        assert len(pairs) == 1
        if change == "leaf":
            new, old = pairs[0]
            assert _num_different_leaves(new, old) == 1


def _num_different_leaves(new, old):
    if new[0] in ("telling-truth", "lying") or old[0] in ("telling-truth", "lying"):
        assert {new[0], old[0]} <= {"telling-truth", "lying"}
        return int(new != old)
    assert new[0] == old[0]
    return sum(_num_different_leaves(a, b) for a, b in zip(new[1:], old[1:], strict=True))


def test_statements_follow_the_published_distribution():
    """Six equally likely operators; leaves uniform. The bounds lie five standard deviations away."""
    operators, leaves = coded_candidates(np.random.default_rng(0), 3, 20_000)
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
    rows, _ = solve_by_tables(coded_candidates(np.random.default_rng(1), num_people, 30_000))
    assert abs(len(rows) / 30_000 - published) < 4 * np.sqrt(published * (1 - published) * published / 1100)


@pytest.mark.parametrize("num_people", [2, 3, 4, 5, 6, 7, 14])
def test_both_splits_are_large(num_people):
    sets = coded_candidates(np.random.default_rng(0), num_people, 1500)
    is_test = equivalence.is_test(sets.structure_hashes())
    assert 0.1 < is_test.mean() < 0.35


def test_the_number_of_different_puzzles_is_exact_where_few_exist():
    seen = {
        split: {text for number in range(30) for text in sample_block(Distribution(2), 0, split, number).sets.texts()}
        for split in SPLITS
    }
    for split in SPLITS:
        assert num_different(Distribution(2), split) == (len(seen[split]), True)
    assert num_different(Distribution(3), "train")[0] > 100_000
    assert not num_different(Distribution(2, lookahead=1), "train")[1]
    assert not num_different(Distribution(2, max_conflicts=9), "train")[1]
    assert num_different(Distribution(4), "train") == (np.inf, False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Distribution(1), "num_people is 1; accepted: a whole number at least 2 and at most 100"),
        (lambda: Distribution(101), "num_people is 101"),
        (lambda: Distribution("3"), "num_people is '3'"),
        (lambda: Distribution(3, depth=1), "depth is 1; accepted: a whole number at least 2 and at most 4"),
        (lambda: Distribution(3, depth=5), "depth is 5"),
        (lambda: Distribution(2, width=4), "width is 4; accepted: a whole number at least 2 and at most 3"),
        (lambda: Distribution(9, depth=3, width=4), "width is 4; accepted: a whole number at most 3 at depth 3"),
        (lambda: Distribution(9, depth=4, width=3), "width is 3; accepted: a whole number at most 2 at depth 4"),
        (lambda: Distribution(3, lookahead=4), "lookahead is 4; accepted: a whole number at least 0 and at most 3"),
        (lambda: Distribution(3, max_conflicts=-1), "max_conflicts is -1; accepted: a whole number at least 0"),
        (lambda: Distribution(3, max_conflicts=0.5), "max_conflicts is 0.5; accepted: a whole number"),
        (lambda: Distribution(3, max_conflicts=True), "max_conflicts is True"),
        (lambda: Distribution(3, depth=3, max_conflicts=1), "depth is 3; accepted: 2 with max_conflicts"),
        (lambda: Distribution(3, change="name"), "change is 'name'; accepted: one of none, statement, leaf"),
        (lambda: sample_block(Distribution(3), -1, "train", 0), "seed is -1"),
        (lambda: sample_block(Distribution(3), 0, "validation", 0), "split is 'validation'"),
        (lambda: sample_block(Distribution(2, lookahead=3), 0, "train", 0), "none of .* statement sets did"),
    ],
)
def test_impossible_settings_are_refused_at_once(make, message):
    with pytest.raises(InvalidValueError, match=message):
        make()


def test_conflicts_that_no_puzzle_avoids_are_refused(monkeypatch):
    monkeypatch.setattr(generator, "_BUDGET", 50_000)
    with pytest.raises(InvalidValueError, match=r"max_conflicts=0.* none of 2048 statement sets did"):
        sample_block(Distribution(30, max_conflicts=0), 0, "test", 0)


def test_an_unknown_statement_is_named():
    with pytest.raises(InvalidValueError, match="statement is \\('xor', 1, 2\\)"):
        is_true(("xor", 1, 2), (True, False, True))
