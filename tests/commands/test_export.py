"""`dumpgym export`: lines as trainers read them, whole files or none, and leaks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.commands.export import _records
from dumpgym.commands.main import main
from dumpgym.contracts.arms import make_env
from dumpgym.envs.knights_knaves.env import KnightsKnavesEnv
from dumpgym.envs.knights_knaves.records import json_lines

ARGUMENTS = [
    {},
    {"num_people": 60},
    {"depth": 3, "width": 3},
    {"names": "uncommon", "role_words": "angel/egoist"},
    {"prompt": "dump", "reorder": True},
    {"change": "leaf"},
    {"puzzles": "dump"},
    {"lookahead": 0, "num_people": 4},
    {"max_conflicts": 1, "num_people": 8, "reorder": True},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_a_line_is_the_problem_at_its_address(arguments):
    env = KnightsKnavesEnv(**arguments, reward="binary")
    for line in json_lines(env, seed=3, split="test", num_puzzles=20, with_lookahead=True):
        record = json.loads(line)
        assert "\n" not in line
        assert json.dumps(record, ensure_ascii=False) == line
        extra = record["extra_info"]
        problem = env.sample_problem(extra["seed"], extra["split"], extra["index"])
        assert "\n".join(message["content"] for message in record["prompt"]) == problem.prompt
        assert record["prompt"][-1]["role"] == "user"
        completion = env.completion_of(record["reward_model"]["ground_truth"])
        assert env.verify(problem, completion).success
        assert extra["names"] == list(problem.solution)
        puzzle = env.sample_puzzle(extra["seed"], extra["split"], extra["index"])
        assert (extra["statements"], extra["solution"]) == (repr(puzzle.statements), list(puzzle.solution))
        assert extra["reward"] == "binary-v0"
        assert {name: extra[name] for name in env.problem_info(problem)} == env.problem_info(problem)
        assert make_env(extra["environment"]).settings == env.settings


@given(st.integers(2, 12), st.integers(0, 99), st.integers(1, 300))
def test_as_many_different_puzzles_as_asked(num_people, seed, num_puzzles):
    num_puzzles = min(num_puzzles, 60) if num_people == 2 else num_puzzles
    lines = list(json_lines(KnightsKnavesEnv(num_people=num_people), seed=seed, split="test", num_puzzles=num_puzzles))
    assert len({json.loads(line)["extra_info"]["statements"] for line in lines}) == len(lines) == num_puzzles


def test_all_puzzles_of_two_people_can_be_had():
    for split, number in (("train", 311), ("test", 88)):
        assert len(set(json_lines(KnightsKnavesEnv(num_people=2), split=split, num_puzzles=number))) == number


def export(*arguments):
    return main(["export", *map(str, arguments)])


def test_files_hold_the_same_in_both_formats(tmp_path, capsys):
    for suffix in (".jsonl", ".parquet"):
        output = tmp_path / "new" / f"puzzles{suffix}"
        assert export("--num-people", 4, "--num-puzzles", 50, "--change", "leaf", "--output", output) == 0
        assert f"wrote 50 puzzles to {output}" in capsys.readouterr().out
    assert _records(tmp_path / "new" / "puzzles.jsonl") == _records(tmp_path / "new" / "puzzles.parquet")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["puzzles.jsonl", "puzzles.parquet"]


def test_the_papers_puzzles_are_written_as_published_or_for_trainers(tmp_path):
    assert export("--puzzles", "dump", "--num-people", 3, "--output", tmp_path / "all.jsonl") == 0
    assert export("--puzzles", "dump", "--split", "test", "--output", tmp_path / "test.jsonl", "--trainer-fields") == 0
    rows, test = _records(tmp_path / "all.jsonl"), _records(tmp_path / "test.jsonl")
    assert list(rows[0]) == ["quiz", "names", "statements", "solution", "solution_text_format", "index", "split"]
    assert len(rows) == 1000
    indices = {row["index"] for row in rows if row["split"] == "test"}
    assert {row["extra_info"]["published_index"] for row in test} == indices
    assert len(test) == 100


def test_leaks_between_files_are_reported(tmp_path, capsys):
    for split in ("train", "test"):
        assert export("--puzzles", "dump", "--split", split, "--output", tmp_path / f"{split}.jsonl") == 0
        assert export("--num-puzzles", 200, "--split", split, "--output", tmp_path / f"own-{split}.parquet") == 0
    capsys.readouterr()
    assert export("--check-leaks", tmp_path / "train.jsonl", tmp_path / "test.jsonl") == 0
    report = capsys.readouterr().out
    assert "100 puzzles" in report
    assert " 8  up to renaming people and the order of parts" in report
    assert "54  up to renaming people and logically equivalent statements" in report
    assert "same puzzles" in report
    assert export("--check-leaks", tmp_path / "own-train.parquet", tmp_path / "own-test.parquet") == 0
    report = capsys.readouterr().out
    assert " 0  up to renaming people and logically equivalent statements" in report
    assert "same puzzles" not in report


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "output is 'None'; accepted: the name of a new file that ends in .jsonl or .parquet"),
        (["--output", "x.csv"], "output is 'x.csv'"),
        (["--output", "x.jsonl", "--num-people", "1"], "num_people is 1; accepted: a whole number at least 2"),
        (["--output", "x.jsonl", "--num-people", "101"], "num_people is 101"),
        (["--output", "x.jsonl", "--num-people", "2", "--num-puzzles", "500"], "at most 311: there are no others"),
        (["--output", "x.jsonl", "--num-puzzles", "1000000"], "num_puzzles is 1000000; accepted: at most"),
        (["--output", "x.jsonl", "--num-puzzles", "0"], "num_puzzles is 0"),
        (["--output", "x.jsonl", "--split", "tset"], "split is 'tset'"),
        (["--output", "x.jsonl", "--seed", "-1"], "seed is -1"),
        (["--output", "x.jsonl", "--puzzles", "dmup"], "puzzles is 'dmup'; accepted: one of random, dump"),
        (["--output", "x.jsonl", "--puzzles", "dump", "--num-people", "15"], "num_people is 15"),
        (["--output", "x.jsonl", "--puzzles", "dump", "--num-puzzles", "5"], "num_puzzles is 5"),
        (["--output", "x.jsonl", "--puzzles", "dump", "--trainer-fields", "--num-puzzles", "901"], "at most 900"),
        (["--output", "x.jsonl", "--role-words", "knight"], "role_words is 'knight'; accepted: two nouns"),
        (["--output", "x.jsonl", "--names", "rare"], "names is 'rare'; accepted: one of common, uncommon"),
        (["--output", "x.jsonl", "--depth", "1"], "depth is 1; accepted: a whole number at least 2"),
        (["--output", "x.jsonl", "--num-people", "2", "--lookahead", "3", "--num-puzzles", "5"], "none of"),
        (["--output", "x.jsonl", "--max-conflicts", "-1"], "max_conflicts is -1; accepted: a whole number at least 0"),
        (["--output", "x.jsonl", "--max-conflicts", "1", "--depth", "3"], "depth is 3; accepted: 2 with max_conflicts"),
        (["--output", "x.jsonl", "--max-conflicts", "1", "--puzzles", "dump"], "max_conflicts is 1; accepted: None"),
        (["--output", "x.jsonl", "--num-people", "2", "--change", "leaf", "--num-puzzles", "900"], "at most"),
        (["--output", "x.jsonl", "--reward", "dmup"], "unknown reward 'dmup'; did you mean 'dump'?"),
        (["--output", "x.jsonl", "--prompt", "x"], "prompt is 'x'; accepted: one of dumpgym, dump"),
        (["--check-leaks", "no.jsonl", "no.jsonl"], "file is 'no.jsonl'; accepted: a file that can be read"),
        (["--check-leaks", "no.parquet", "no.parquet"], "file is 'no.parquet'; accepted: a file that can be read"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_file(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert export(*arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("dumpgym: ")
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_no_file_is_overwritten(tmp_path, capsys):
    output = tmp_path / "mine.jsonl"
    output.write_text("precious")
    assert export("--output", output) == 2
    assert "accepted: the name of a file that does not exist yet" in capsys.readouterr().err
    assert output.read_text() == "precious"
    assert export("--output", output / "below.jsonl") == 2
    assert "a file that can be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "accepted: JSON lines in UTF-8"),
        ("[1]", "accepted: one JSON object in each line"),
        ('{"quiz": "?"}', "record 1 has no puzzle"),
        ('{"statements": "(("}', "record 1 has no puzzle"),
        ('{"statements": "(1,)"}', "record 1 has statements '(1,)'"),
        ('{"statements": "((\'telling-truth\', 4),)"}', "record 1 has statements"),
        ('{"extra_info": {"statements": "((\'xor\', 1, 0),)"}}', "record 1 has statements"),
    ],
)
def test_a_file_that_holds_no_puzzles_is_named(tmp_path, capsys, content, message):
    for name in ("a.jsonl", "b.parquet"):
        (tmp_path / name).write_text(content + "\n")
    assert export("--check-leaks", tmp_path / "a.jsonl", tmp_path / "a.jsonl") == 2
    assert message in capsys.readouterr().err
    assert export("--check-leaks", tmp_path / "b.parquet", tmp_path / "b.parquet") == 2
    assert "accepted: a Parquet file" in capsys.readouterr().err
