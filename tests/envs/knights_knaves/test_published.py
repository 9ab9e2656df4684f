"""The paper's puzzles, regenerated to the letter."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.knights_knaves.dump_puzzles import published_order
from dumpgym.envs.knights_knaves.env import KnightsKnavesEnv
from dumpgym.envs.knights_knaves.records import published_lines

DATA = Path(__file__).parent / "data"
HASHES = json.loads((DATA / "dump_puzzles.sha256.json").read_text(encoding="utf-8"))["sha256"]


def records(num_people, split=None):
    env = KnightsKnavesEnv(num_people=num_people, puzzles="dump")
    return [json.loads(line) for line in published_lines(env, split)]


@pytest.mark.parametrize("num_people", range(3, 15))
def test_all_published_puzzles_are_regenerated_to_the_letter(num_people):
    digest = hashlib.sha256()
    for record in records(num_people):
        row = [record["quiz"], record["statements"], record["solution"]]
        digest.update((json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n").encode())
    assert digest.hexdigest() == HASHES[str(num_people)]


def test_the_sample_rows_are_equal_in_every_field():
    sample = [json.loads(line) for line in (DATA / "dump_puzzles_sample.jsonl").read_text("utf-8").splitlines()]
    made = {n: records(n) for n in {row["n"] for row in sample}}
    assert len(sample) > 20
    for row in sample:
        record = made[row["n"]][row["row"]]
        assert {name: record[name] for name in row if name in record} == {
            name: value for name, value in row.items() if name in record
        }
        assert row["index"] == record["index"]
        assert row["quiz"] == record["quiz"]


def test_the_papers_split_has_900_and_100():
    every = records(5)
    assert Counter(record["split"] for record in every) == {"train": 900, "test": 100}
    assert [record["index"] for record in every] == list(range(100, 1100))
    test = records(5, "test")
    assert [record["index"] - 100 for record in test] == list(published_order("test"))
    assert all(record["split"] == "test" for record in test)


def test_an_experiment_can_train_on_exactly_the_papers_data():
    env = KnightsKnavesEnv(num_people=4, puzzles="dump")
    quiz_of = {record["index"]: record for record in records(4)}
    for split, size in (("train", 900), ("test", 100)):
        seen = []
        for index in range(size):
            problem = env.sample_problem(7, split, index)
            number = env.problem_info(problem)["published_index"]
            assert problem.prompt.startswith(quiz_of[number]["quiz"])
            assert quiz_of[number]["split"] == split
            assert env.verify(problem, problem.reference_completion).reward == 3.0
            seen.append(number)
        assert len(set(seen)) == size


def test_epochs_and_seeds_shuffle_the_training_puzzles_but_not_the_test_puzzles():
    env = KnightsKnavesEnv(num_people=3, puzzles="dump")

    def prompts(seed, split, start):
        return [env.sample_problem(seed, split, start + i).prompt for i in range(100)]

    assert prompts(0, "train", 0) != prompts(1, "train", 0)
    assert prompts(0, "train", 0) != prompts(0, "train", 900)
    assert prompts(0, "test", 0) == prompts(1, "test", 0)
    with pytest.raises(InvalidValueError, match="index is 100; accepted: at most 99"):
        env.sample_problem(0, "test", 100)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_people": 2}, "num_people is 2; accepted: a whole number at least 3 and at most 14"),
        ({"num_people": 15}, "num_people is 15"),
        ({"depth": 3}, "depth is 3; accepted: 2, as the paper's puzzles are what they are"),
        ({"lookahead": 1}, "lookahead is 1"),
        ({"change": "leaf"}, "change is 'leaf'"),
        ({"names": "uncommon"}, "names is 'uncommon'"),
    ],
)
def test_what_the_papers_puzzles_are_not_is_refused(arguments, message):
    with pytest.raises(InvalidValueError, match=message):
        KnightsKnavesEnv(puzzles="dump", **arguments)


def test_role_words_and_order_of_the_papers_puzzles_can_be_varied():
    plain, varied = (
        KnightsKnavesEnv(puzzles="dump", **arguments)
        for arguments in ({}, {"role_words": "angel/devil", "reorder": True})
    )
    one, other = (env.sample_problem(0, "test", 0) for env in (plain, varied))
    words = {"knight": "angel", "knave": "devil"}
    assert other.solution == {name: words[role] for name, role in one.solution.items()}
    assert "knight" not in other.prompt
