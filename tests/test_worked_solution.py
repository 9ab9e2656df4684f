"""Worked solutions: they end in the solution, keep every promise of their format, and tokenize as designed."""

import re

from hypothesis import given
from hypothesis import strategies as st

from dumpgym.agents.embedded import build_tokenizer
from dumpgym.envs import text, worked_solution
from dumpgym.envs.puzzle import puzzle_rng, sample_puzzle
from dumpgym.envs.verifier import verify

TOKENIZER = build_tokenizer([*text.phrases(), *worked_solution.phrases()])
addresses = st.tuples(st.integers(2, 8), st.integers(0, 9999))


def puzzle_with_text(num_people, index):
    rng = puzzle_rng(num_people, 0, "train", index)
    puzzle = sample_puzzle(rng, num_people, "train")
    names = text.draw_names(rng, num_people)
    return puzzle, names, text.render_quiz(puzzle.statements, names, rng) + text.INSTRUCTION


@given(addresses)
def test_a_search_that_goes_on_ends_in_the_solution(address):
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
    roles, tried = {}, set()
    reasoning = worked_solution.worked_solution(puzzle, names).partition("</think>")[0]
    for name, state, verdict in re.findall(r"([A-Z]\w+) (try|knight|knave|flip|drop)( ok)?\b", reasoning):
        match state:
            case "try":
                assert name not in roles
                roles[name] = "knight"
                tried.add(name)
            case "flip":
                assert roles[name] == "knight"
                tried.remove(name)
                roles[name] = "knave"
            case "drop":
                assert name not in tried
                del roles[name]
            case _ if name in roles:
                assert roles[name] == state
            case _:
                assert verdict == " ok"  # a speaker of whom nothing was supposed
                roles[name] = state
    assert roles == {n: "knight" if k else "knave" for n, k in zip(names, puzzle.solution, strict=True)}


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
