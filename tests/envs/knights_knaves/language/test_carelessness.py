"""Careless solutions: slips of the kinds that the number of people allows, as often as they should be, and an end."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.knights_knaves.language.carelessness import SlipChance, careless_solution
from dumpgym.envs.knights_knaves.language.worked_solution import worked_solution
from dumpgym.envs.knights_knaves.logic.search import SLIPS
from dumpgym.envs.knights_knaves.problems import PuzzleSettings, locate


def puzzle_and_names(num_people, index):
    block, row = locate(PuzzleSettings(num_people=num_people, max_conflicts=2), 0, "train", index)
    return block.puzzles.puzzle(row), block.wording.people(row)


def test_a_chance_begins_at_its_size_rises_and_stays():
    slip = SlipChance("fits", people=(5, 9), chances=(0.1, 0.3))
    assert [slip.at(n) for n in (2, 4, 5, 7, 9, 50)] == pytest.approx([0, 0, 0.1, 0.2, 0.3, 0.3])


@given(st.integers(2, 9), st.integers(0, 31), st.sampled_from(SLIPS))
def test_slips_that_begin_at_more_people_are_not_made(num_people, index, kind):
    puzzle, names = puzzle_and_names(num_people, index)
    later = SlipChance(kind, people=(num_people + 1, num_people + 2), chances=(1.0, 1.0))
    assert careless_solution(puzzle, names, [later], 3, Random(0)) == worked_solution(puzzle, names)


@given(st.integers(2, 9), st.integers(0, 31), st.sampled_from(SLIPS), st.sampled_from(["not", "and", "<=>"]))
def test_slips_are_made_in_statements_with_their_operators_only(num_people, index, kind, operator):
    puzzle, names = puzzle_and_names(num_people, index)
    certain = SlipChance(kind, people=(2, 3), chances=(1.0, 1.0), operators=(operator,))
    differs = careless_solution(puzzle, names, [certain], 3, Random(0)) != worked_solution(puzzle, names)
    has_it = any(statement[0] == operator for statement in puzzle.statements)
    assert differs == has_it or (kind == "role" and not differs)  # there may be no role to read in it


@given(st.integers(2, 6), st.integers(0, 31), st.integers(1, 3), st.integers(0, 99))
def test_the_search_ends_at_its_last_conflict(num_people, index, last_conflict, seed):
    puzzle, names = puzzle_and_names(num_people, index)
    slips = [SlipChance(kind, people=(2, 6), chances=(0.3, 0.3)) for kind in SLIPS]
    completion = careless_solution(puzzle, names, slips, last_conflict, Random(seed))
    lines = completion.partition("</think>")[0].splitlines()
    conflicts = [line.endswith("conflict") for line in lines]
    assert sum(conflicts) <= last_conflict
    assert sum(conflicts) < last_conflict or conflicts[-1]


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [("truth", "true, A= so knight", "false, A= so knave"), ("fits", "yes, true", "no, false")],
)
def test_a_slip_is_written_where_it_is_made(kind, right, wrong):
    puzzle, names = next(
        (puzzle, "AB")
        for puzzle, _ in (puzzle_and_names(2, index) for index in range(32))
        if puzzle.statements[0] == ("telling-truth", 1)
    )
    certain = SlipChance(kind, people=(2, 3), chances=(1.0, 1.0))
    careful, careless = worked_solution(puzzle, names), careless_solution(puzzle, names, [certain], 1, Random(0))
    assert right in careful
    assert wrong in careless
    assert careless.startswith(careful[: careful.index(right)])


def test_slips_are_as_frequent_as_their_chance():
    puzzles = [puzzle_and_names(4, index) for index in range(400)]
    slips = [SlipChance("truth", people=(2, 6), chances=(0.1, 0.3))]
    rng, first_check = Random(0), 1 + 4 + 1  # after the tag, the restated statements and the copy of the first one
    careless = [careless_solution(puzzle, names, slips, 1, rng).splitlines()[first_check] for puzzle, names in puzzles]
    careful = [worked_solution(puzzle, names).splitlines()[first_check] for puzzle, names in puzzles]
    share = sum(("true, " in one) != ("true, " in other) for one, other in zip(careless, careful, strict=True)) / 400
    assert share == pytest.approx(0.2, abs=0.08)  # four standard deviations


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("copy", (2, 3), (0, 1)), "kind is 'copy'; accepted: one of role, fits, truth"),
        (("role", (1, 3), (0, 1)), "first number of people is 1; accepted: a whole number at least 2"),
        (("role", (3, 3), (0, 1)), "last number of people is 3; accepted: a whole number at least 4"),
        (("role", (2, 3), (0, 1.5)), "number 2 of chances is 1.5"),
        (("role", (2, 3), (0, 1), ("xor",)), "operator is 'xor'; accepted: one of telling-truth, lying, not, and, or"),
        (("role", (2, 3), (0.5,)), r"chances is \(0.5,\); accepted: 2 numbers"),
    ],
)
def test_impossible_chances_are_refused(arguments, message):
    with pytest.raises(InvalidValueError, match=message):
        SlipChance(*arguments)
