"""Worked solutions: they end in the solution, keep every promise of their format, and tokenize as designed."""

import re

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


@given(addresses)
def test_the_newest_mention_of_a_name_carries_its_role(address):
    """Replays the text: only who was tried is flipped, who was flipped or settled is dropped, and look-ups agree."""
    puzzle, names, _ = puzzle_with_text(*address)
    trail = {}  # what is supposed of whom, in the order in which they were met
    tried = set()
    reasoning = worked_solution.worked_solution(puzzle, names).partition("</think>")[0]
    for name, state, link in re.findall(
        r"(\w+)= (try|so \w+|knight\??|knave|flip|drop)( first| after \w+)?", reasoning
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
    assert trail == {n: "knight" if k else "knave" for n, k in zip(names, puzzle.solution, strict=True)}


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
