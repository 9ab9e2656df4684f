"""Worked solutions: they end in the solution, keep every promise of their format, and tokenize as designed."""

import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dumpgym.agents.embedded.model import build_tokenizer
from dumpgym.envs.knights_knaves.language import english, worked_solution
from dumpgym.envs.knights_knaves.problems import PuzzleSettings, locate
from dumpgym.envs.knights_knaves.verifier import verify

TOKENIZER = build_tokenizer([*english.phrases(), *worked_solution.phrases()])
addresses = st.tuples(st.integers(2, 8), st.integers(0, 9999))


def puzzle_with_text(num_people, index):
    block, row = locate(PuzzleSettings(num_people=num_people), 0, "train", index)
    return block.puzzles.puzzle(row), block.wording.people(row), block.prompts[row]


@given(addresses)
def test_a_search_that_resumes_ends_in_the_solution(address):
    puzzle, names, _ = puzzle_with_text(*address)
    roles = {name: "knight" if knight else "knave" for name, knight in zip(names, puzzle.solution, strict=True)}
    assert verify(worked_solution.worked_solution(puzzle, names), roles).outcome == "correct"


@given(addresses, st.integers(1, 3))
def test_a_search_that_gives_up_still_answers_for_everyone(address, patience):
    puzzle, names, _ = puzzle_with_text(*address)
    roles = {name: "knight" if knight else "knave" for name, knight in zip(names, puzzle.solution, strict=True)}
    completion = worked_solution.worked_solution(puzzle, names, lambda conflicts: conflicts < patience)
    assert completion.count("conflict") <= patience
    assert verify(completion, roles).outcome in ("correct", "wrong")


def replayed(completion):
    """Follows a text, in which look-ups must agree, and returns whose role it last assumed to be what.

    Only who was tried is flipped, and who was flipped or settled is dropped.
    """
    trail = {}  # what is supposed of whom, in the order in which they were met
    tried = set()
    for name, state, link in re.findall(
        r"(\w+)= (try|so \w+|knight\??|knave|flip|drop)( first| after \w+)?", completion.partition("</think>")[0]
    ):
        if state == "try" or state.startswith("so "):
            assert name not in trail
            assert link == (f" after {next(reversed(trail))}" if trail else " first")
            trail[name] = state.removeprefix("so ") if state != "try" else "knight"
            tried.update({name} if state == "try" else ())
            continue
        assert link == ""
        if state in ("flip", "drop"):
            assert name == next(reversed(trail))
            assert (name in tried) == (state == "flip")
            del trail[name]
            if state == "flip":
                tried.remove(name)
                trail[name] = "knave"
        else:
            assert state == trail[name] + ("?" if name in tried else "")
    return trail


@given(addresses)
def test_the_newest_mention_of_a_name_carries_its_role(address):
    puzzle, names, _ = puzzle_with_text(*address)
    trail = replayed(worked_solution.worked_solution(puzzle, names))
    assert trail == {n: "knight" if k else "knave" for n, k in zip(names, puzzle.solution, strict=True)}


@given(addresses, st.integers(0, 999))
def test_a_careless_text_goes_on_from_what_it_says_and_answers_with_it(address, seed):
    puzzle, names, _ = puzzle_with_text(*address)
    rng = Random(seed)
    completion = worked_solution.worked_solution(
        puzzle, names, lambda conflicts: conflicts < 4, lambda kind, operator: kind != "role" and rng.random() < 0.2
    )
    assert completion.count("conflict") <= 4
    roles = dict.fromkeys(names, "knight") | replayed(completion)
    answer = completion.partition("<answer>")[2].removesuffix("</answer>")
    assert answer == ", ".join(f"{name} is a {roles[name]}" for name in names)


@given(st.integers(2, 9), st.integers(0, 2), st.integers(0, 31), st.booleans())
def test_worked_solutions_meet_no_more_conflicts_than_the_environment_allows(num_people, most, index, reorder):
    settings = PuzzleSettings(num_people=num_people, max_conflicts=most, reorder=reorder)
    block, row = locate(settings, 0, "test", index)
    solution = worked_solution.worked_solution(block.puzzles.puzzle(row), block.wording.people(row))
    assert solution.count("conflict") <= most
    assert verify(solution, block.roles(row)).outcome == "correct"


@given(addresses)
def test_texts_come_back_unchanged_and_names_are_one_token(address):
    puzzle, names, prompt = puzzle_with_text(*address)
    both = prompt + worked_solution.worked_solution(puzzle, names)
    ids = TOKENIZER(both)["input_ids"]
    assert TOKENIZER.decode(ids) == both
    assert len(ids) < len(both) / 5
    assert all(len(TOKENIZER(name)["input_ids"]) == 1 for name in names)


@given(st.text())
def test_any_text_comes_back_unchanged(any_text):
    encodable = any_text.encode("utf-8", "ignore").decode("utf-8")
    assert TOKENIZER.decode(TOKENIZER(encodable)["input_ids"]) == encodable
