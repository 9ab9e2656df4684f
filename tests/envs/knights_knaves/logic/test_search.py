"""The depth-first search: careful, it finds the solution and is counted right; careless, it says what it goes by."""

from collections import Counter
from itertools import islice
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dumpgym.envs.knights_knaves.logic.generator import Distribution, sample_block
from dumpgym.envs.knights_knaves.logic.puzzle import is_true
from dumpgym.envs.knights_knaves.logic.search import SLIPS, Search, Visit, has_at_most, person_of, sides_of

puzzles = st.builds(
    lambda num_people, width, row: sample_block(Distribution(num_people, width=width), 0, "train", 0).puzzle(row),
    st.integers(2, 9),
    st.integers(2, 3),
    st.integers(0, 31),
)


def conflicts_in(steps):
    return sum(isinstance(step, Visit) and not step.agrees for step in steps)


@given(puzzles)
def test_a_careful_search_ends_in_the_solution_and_its_conflicts_are_counted(puzzle):
    search = Search(puzzle.statements)
    steps = list(search.steps())
    assert search.roles == dict(enumerate(puzzle.solution))
    conflicts = conflicts_in(steps)
    assert [has_at_most(most, puzzle.statements) for most in range(conflicts + 2)] == [False] * conflicts + [True] * 2


@given(puzzles)
def test_a_careful_visit_judges_by_the_roles_that_it_notes(puzzle):
    for step in Search(puzzle.statements).steps():
        if isinstance(step, Visit):
            statement = puzzle.statements[step.speaker]
            noted = {note.person: note.role for note, _ in step.sides}
            for side, (note, fits) in zip(sides_of(statement), step.sides, strict=False):
                assert note.person == person_of(side)
                assert fits == is_true(side, noted)
            assert step.truth == is_true(statement, noted)
            assert step.own.person == step.speaker
            assert step.agrees == (step.own.role == step.truth)


def slips_found(puzzle, steps):
    """Follows the notes of a search, and counts what is judged wrongly or read in another way than it was noted."""
    roles, found = {}, Counter()
    for step in steps:
        if not isinstance(step, Visit):
            assert step.person == next(reversed(roles))
            if not step.is_flip:
                del roles[step.person]
            else:
                assert roles[step.person]
                roles[step.person] = False
            continue
        statement = puzzle.statements[step.speaker]
        for side, (note, fits) in zip(sides_of(statement), step.sides, strict=False):
            found["role"] += not note.is_new and note.role != roles[note.person]
            roles[note.person] = note.role
            found["fits"] += fits != is_true(side, roles)
        judged = [fits for _, fits in step.sides]
        parts = [("telling-truth", i) for i in range(len(sides_of(statement)))]
        implied = is_true((statement[0], *parts), judged) if len(parts) > 1 else judged[0]
        found["truth"] += step.truth != implied
        found["role"] += not step.own.is_new and step.own.role != roles[step.speaker]
        roles[step.speaker] = step.own.role
        assert step.agrees == (step.own.role == step.truth)
    return +found, roles


@given(puzzles, st.sets(st.sampled_from(SLIPS), min_size=1), st.integers(0, 999))
def test_a_careless_search_goes_on_from_what_it_noted(puzzle, kinds, seed):
    rng, made = Random(seed), Counter()
    operators = {statement[0] for statement in puzzle.statements}

    def slips(kind, operator):
        assert operator in operators
        is_made = kind in kinds and rng.random() < 0.3
        made[kind] += is_made
        return is_made

    search = Search(puzzle.statements, slips)
    steps = list(islice(search.steps(), 200))
    assert slips_found(puzzle, steps) == (+made, search.roles)
    if len(steps) < 200:  # with slips there need be no end
        *_, last = (step for step in steps if isinstance(step, Visit))
        assert last.agrees or search.settled == set(search.roles)
        assert last.speaker == len(puzzle.statements) - 1 or not last.agrees
