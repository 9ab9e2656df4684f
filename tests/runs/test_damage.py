"""Every damage to a finished run is told in one line, and nobody averages what is left of it."""

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dumpgym.commands.main import main
from dumpgym.comparing.loading import load_comparison
from dumpgym.contracts.errors import DumpgymError
from dumpgym.runs.finished import find_runs, read_finished
from tests.fakes.improver import run
from tests.training.test_training import make_config

READ = ("config.json", "metrics.jsonl", "evaluations.jsonl", "summary.json", "versions.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of five steps."""
    config = make_config(tmp_path_factory.mktemp("whole") / "run", steps=5, policy="uniform")
    run(config)
    return config.output


@pytest.fixture
def damaged(whole, tmp_path):
    """A copy of it, to be damaged."""
    return copied(whole, tmp_path / "damaged")


def copied(whole, folder):
    folder.mkdir(exist_ok=True)
    for file in READ:
        shutil.copy(whole / file, folder / file)
    return folder


def lines(file):
    return file.read_text().splitlines(keepends=True)


def drop_line(number):
    def drop(file):
        kept = lines(file)
        del kept[number]
        file.write_text("".join(kept))

    return drop


def cut_half(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def write(text):
    return lambda file: file.write_text(text)


def in_line(number, **changes):
    """Changes values of a record by key, where "/" is written as "__"; None removes the key."""

    def change(file):
        records = [json.loads(line) for line in lines(file)]
        for key, value in changes.items():
            key = key.replace("__", "/")
            records[number] = {k: v for k, v in records[number].items() if k != key}
            if value is not None:
                records[number][key] = value
        file.write_text("".join(f"{json.dumps(record)}\n" for record in records))

    return change


def in_object(**changes):
    return lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def swap(file):
    first, second, *rest = lines(file)
    file.write_text("".join([second, first, *rest]))


def repeat(file):
    file.write_text("".join([*lines(file), lines(file)[-1]]))


def remove(file):
    file.unlink()


def binary(file):
    file.write_bytes(bytes(range(256)) * 8)


DAMAGES = [
    ("metrics.jsonl", drop_line(-1), "metrics.jsonl holds 4 steps, and summary.json counts 5"),
    ("metrics.jsonl", cut_half, "metrics.jsonl holds 2 steps, and summary.json counts 5"),
    ("metrics.jsonl", remove, "metrics.jsonl is missing"),
    ("metrics.jsonl", write(""), "metrics.jsonl holds 0 steps"),
    ("metrics.jsonl", write("[]\n"), "metrics.jsonl is damaged: there is no JSON object in line 1"),
    ("metrics.jsonl", binary, "metrics.jsonl is damaged: there is no valid JSON in line 1"),
    ("metrics.jsonl", drop_line(1), "metrics.jsonl is damaged: its steps are not those from 1 to 5, each once"),
    ("metrics.jsonl", swap, "metrics.jsonl is damaged: its steps are not those from 1 to 5"),
    ("metrics.jsonl", repeat, "metrics.jsonl is damaged: its steps are not those from 1 to 5"),
    ("metrics.jsonl", in_line(2, step="3"), "metrics.jsonl is damaged: its steps are not those from 1 to 5"),
    ("metrics.jsonl", in_line(2, reward=float("nan")), "'reward' is nan in step 3"),
    ("metrics.jsonl", in_line(2, num_tokens=None), "'num_tokens' is None in step 3"),
    ("metrics.jsonl", in_line(2, num_tokens=10**400), "'num_tokens' is 1000"),
    ("metrics.jsonl", in_line(0, policy__effective_arms="3"), "'policy/effective_arms' is '3' in step 1"),
    ("metrics.jsonl", in_line(0, arms__KnightsKnaves2__share=[]), r"'arms/KnightsKnaves2/share' is \[\] in step 1"),
    ("metrics.jsonl", in_line(4, num_tokens=7), "evaluations.jsonl does not fit metrics.jsonl at step 5"),
    ("evaluations.jsonl", remove, "evaluations.jsonl is missing"),
    ("evaluations.jsonl", drop_line(-1), "evaluations.jsonl has no evaluation of step 5"),
    ("evaluations.jsonl", drop_line(0), "evaluations.jsonl has no evaluation of step 0"),
    ("evaluations.jsonl", drop_line(1), "evaluations.jsonl has no evaluation of step 2"),
    ("evaluations.jsonl", write("[1]\n[2]\n"), "evaluations.jsonl is damaged: there is no JSON object in line 1"),
    ("evaluations.jsonl", binary, "evaluations.jsonl is damaged: there is no valid JSON in line 1"),
    ("evaluations.jsonl", swap, "evaluations.jsonl is damaged: its steps are not in order"),
    ("evaluations.jsonl", in_line(1, eval__success=float("inf")), "'eval/success' is inf in step 2"),
    ("evaluations.jsonl", in_line(1, eval__solved=[]), "'eval/solved' does not name the same arms"),
    ("evaluations.jsonl", in_line(1, eval__KnightsKnaves2__success=None), "'eval/KnightsKnaves2/success' is None"),
    ("config.json", cut_half, "config.json is damaged: there is no valid JSON"),
    ("config.json", write("[]"), "config.json is damaged: there is no JSON object"),
    ("config.json", remove, "config.json is missing"),
    ("config.json", binary, "config.json is damaged"),
    ("config.json", in_object(steps="many"), "steps is 'many'"),
    ("config.json", in_object(agent=None), "agent is None"),
    ("config.json", in_object(seed=8), "summary.json is of another run than config.json: its 'seed' is 0"),
    ("config.json", in_object(arms=["x"]), "evaluations.jsonl has 3 arms, and config.json has 1"),
    ("summary.json", cut_half, "summary.json is damaged: there is no valid JSON"),
    ("summary.json", write("{}"), "summary.json is damaged: it has no 'steps'"),
    ("summary.json", in_object(steps=True), "summary.json is damaged: it has no 'steps'"),
    (
        "summary.json",
        in_object(generated_tokens=3),
        "metrics.jsonl does not end at the tokens that summary.json counts",
    ),
    ("versions.json", write("[]"), "versions.json is damaged: there is no JSON object"),
    ("versions.json", in_object(command=3), "versions.json is damaged: a start has no command or no step"),
    ("versions.json", in_object(resumed=[3]), "versions.json is damaged: a start has no command or no step"),
]


@pytest.mark.parametrize(("file", "harm", "reason"), DAMAGES)
def test_a_damaged_run_is_left_out_with_the_reason(whole, damaged, file, harm, reason):
    harm(damaged / file)
    with pytest.raises(DumpgymError, match=f"finished run .*damaged is left out: .*{reason}") as told:
        find_runs([damaged])
    assert "\n" not in str(told.value)
    runs, notes = find_runs([whole, damaged])
    assert [run.path for run in runs] == [whole]
    assert [note.startswith(f"{damaged} is left out: ") for note in notes] == [True]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_record_of_several_steps_that_is_missing_is_noticed(tmp_path, number):
    config = make_config(tmp_path / "run", steps=8, log_every=3, evaluate_every=4, checkpoint_every=7)
    run(config)
    assert [record["step"] for record in read_finished(config.output).metrics] == [3, 4, 6, 7, 8]
    drop_line(number)(config.output / "metrics.jsonl")
    with pytest.raises(DumpgymError, match=r"metrics\.jsonl' is damaged: its steps are not those that end its records"):
        read_finished(config.output)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.data())
def test_whatever_happens_to_a_file_nothing_but_the_whole_run_is_reported(whole, tmp_path, data):
    file = data.draw(st.sampled_from(READ))
    before = (whole / file).read_bytes()
    harm = data.draw(st.sampled_from(["cut", "remove", "replace", "alter"]))
    copy = copied(whole, tmp_path / "copy")
    if harm == "cut":
        (copy / file).write_bytes(before[: data.draw(st.integers(0, len(before) - 1))])
    elif harm == "remove":
        (copy / file).unlink()
    elif harm == "replace":
        other = st.sampled_from([b"[]", b"{}", b"", b"null\n", b"[[]]\n", b"{}\n{}\n", b"\xff\xfe\n"])
        (copy / file).write_bytes(data.draw(st.one_of(other, st.binary())))
    else:
        number = data.draw(st.integers(0, len(before) - 1))
        altered = before[:number] + data.draw(st.binary(max_size=3)) + before[number + 1 :]
        (copy / file).write_bytes(altered)
    try:
        (cell,) = load_comparison([copy]).cells.values()
    except DumpgymError:
        return
    (found,) = cell.runs.values()
    if harm != "alter":  # a digit in place of another cannot be told
        expected = read_finished(whole)
        assert (found.metrics, found.evaluations) == (expected.metrics, expected.evaluations)
    assert [record["step"] for record in found.metrics] == [1, 2, 3, 4, 5]


def test_the_report_of_a_cut_run_is_refused_in_one_line(damaged, capsys):
    drop_line(-1)(damaged / "metrics.jsonl")
    assert main(["report", str(damaged)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("dumpgym: runs is ")
    assert "metrics.jsonl holds 4 steps, and summary.json counts 5" in last
    assert not (damaged / "report.html").exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": 3}', "\0"])
def test_a_damaged_experiment_is_refused_in_one_line(damaged, text):
    (damaged.parent / "experiment.json").write_text(text)
    with pytest.raises(DumpgymError) as told:
        load_comparison([damaged])
    assert "\n" not in str(told.value)


def test_a_run_that_has_not_finished_says_how_much_of_it_is_there(whole, damaged):
    (damaged / "summary.json").unlink()
    notes = find_runs([whole, damaged])[1]
    assert notes == [f"{damaged} is left out: not finished, its steps are all there and --resume completes it"]
    drop_line(-1)(damaged / "metrics.jsonl")
    assert find_runs([whole, damaged])[1] == [f"{damaged} is left out: not finished, 80% of it is there"]
    for text in ("", '{"step": 1}\n', '{"step": 1, "time/progress": null}\n'):
        (damaged / "metrics.jsonl").write_text(text)
        assert "is left out: not finished, " in find_runs([whole, damaged])[1][0]


def test_the_folder_of_a_model_is_no_run(whole):
    (whole / "model").mkdir()
    (whole / "model" / "config.json").write_text('{"model_type": "llama"}')
    assert find_runs([whole])[1] == []
