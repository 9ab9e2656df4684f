"""Checkpoints appear whole or not at all, and damage is found before anything in them is believed."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dumpgym.runs.directory
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import LOGS, RunDirectory
from dumpgym.runs.files import append_line, find_damage, write_directory, write_file
from dumpgym.runs.lock import DirectoryLock
from tests.fakes.run_files import contents


def make_run(path, steps=()):
    """A run with a line in its log and a checkpoint after each of the steps."""
    run = RunDirectory.create(TrainConfig(output=path))
    for step in steps:
        run.append("metrics.jsonl", {"step": step})
        save(run, step)
    return run


def save(run, step, weights=b"weights"):
    def save_learner(directory):
        (directory / "model").mkdir()
        (directory / "model" / "weights").write_bytes(weights + str(step).encode())

    run.save_checkpoint(step, {"policy": [step]}, save_learner)


def names(run):
    return sorted(path.name for path in (run.path / "checkpoints").iterdir())


def steps(run):
    return [record["step"] for record in run.read("metrics.jsonl")]


def test_a_checkpoint_is_found_again_with_all_that_is_in_it(tmp_path):
    run = make_run(tmp_path / "run", [2, 4])
    state, directory = RunDirectory(run.path).load_checkpoint()
    assert (state["step"], state["policy"]) == (4, [4])
    assert (directory / "model" / "weights").read_bytes() == b"weights4"
    assert find_damage(directory) is None


def test_the_two_newest_checkpoints_are_kept(tmp_path):
    run = make_run(tmp_path / "run", [8, 10, 999_998, 1_000_000])  # of which the last sorts first by name
    assert names(run) == ["step_1000000", "step_999998"]
    assert run.load_checkpoint()[0]["step"] == 1_000_000


def test_a_checkpoint_that_was_to_be_removed_when_a_run_ended_is_removed_later(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(dumpgym.runs.directory, "remove_directory", lambda path: None)
        run = make_run(tmp_path / "run", [2, 4, 6])
    assert names(run) == ["step_000002", "step_000004", "step_000006"]
    assert run.load_checkpoint()[0]["step"] == 6
    assert names(run) == ["step_000004", "step_000006"]


def test_what_was_logged_after_the_checkpoint_is_taken_back(tmp_path):
    run = make_run(tmp_path / "run", [2, 4])
    run.append("metrics.jsonl", {"step": 5})
    run.append("transcripts.jsonl", {"step": 5})
    run.load_checkpoint()
    assert steps(run) == [2, 4]
    assert run.read("transcripts.jsonl") == []


def test_half_a_line_at_the_end_of_a_log_is_no_record_and_is_cut(tmp_path):
    run = make_run(tmp_path / "run", [2])
    with (run.path / "metrics.jsonl").open("a") as log:
        log.write('{"step": 3, "rew')
    assert steps(run) == [2]
    run.load_checkpoint()
    run.append("metrics.jsonl", {"step": 3})
    assert steps(run) == [2, 3]


def test_a_run_that_was_stopped_before_its_first_checkpoint_begins_anew(tmp_path):
    run = make_run(tmp_path / "run")
    for log in ("transcripts.jsonl", "transcripts.jsonl", "evaluations.jsonl"):
        run.append(log, {"step": 0})
    with (run.path / "transcripts.jsonl").open("a") as log:
        log.write('{"step": 0, "prom')
    assert run.load_checkpoint() is None
    assert all((run.path / log).stat().st_size == 0 for log in ("transcripts.jsonl", "evaluations.jsonl"))


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("text", ['{"step": 0}\n{"step": 1}\n', '{"step": 1}\n{"st'])
def test_logs_whose_checkpoints_are_gone_are_not_emptied(tmp_path, log, text):
    run = make_run(tmp_path / "run")
    (run.path / log).write_text(text)
    (run.path / "summary.json.partial").write_text("{")
    before = contents(run.path)
    with pytest.raises(DumpgymError, match=f"run' has no checkpoint, and {log} goes beyond the first one; accepted:"):
        run.load_checkpoint()
    assert contents(run.path) == before


def test_two_starts_do_not_make_one_directory(tmp_path):
    run = make_run(tmp_path / "run")
    (run.path / "config.json").unlink()  # as if it were not written yet
    with pytest.raises(InvalidValueError, match="a directory in which no other run is at work"):
        make_run(tmp_path / "run")
    assert not list(run.path.iterdir())
    run.unlock()
    make_run(tmp_path / "run")


def test_a_lock_ends_with_its_process(tmp_path):
    (tmp_path / "run").mkdir()
    holder = (
        "import sys, pathlib, time\nfrom dumpgym.runs.lock import DirectoryLock\n"
        "lock = DirectoryLock(pathlib.Path(sys.argv[1]))\nprint('held', flush=True)\ntime.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, str(tmp_path / "run")], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(InvalidValueError, match="no other run is at work"):
        DirectoryLock(tmp_path / "run")
    process.kill()
    process.communicate()
    DirectoryLock(tmp_path / "run").release()
    assert not list((tmp_path / "run").iterdir())


def remove(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-2])


def alter(path):
    path.write_bytes(path.read_bytes()[:-1] + b"#")


DAMAGES = [
    ("model/weights", remove, "model/weights is missing"),
    ("model/weights", cut, "model/weights has 6 bytes in place of 8"),
    ("model/weights", alter, "model/weights was altered"),
    ("state.json", remove, "state.json is missing"),
    ("state.json", cut, r"state.json has \d+ bytes"),
    ("manifest.json", remove, "it has no manifest.json"),
    ("manifest.json", cut, "its manifest.json cannot be read"),
]


@pytest.mark.parametrize(("file", "harm", "reason"), DAMAGES)
def test_a_broken_checkpoint_is_left_out_with_a_warning_and_left_alone(tmp_path, file, harm, reason):
    run = make_run(tmp_path / "run", [2, 4])
    harm(run.path / "checkpoints" / "step_000004" / file)
    with pytest.warns(UserWarning, match=f"step_000004' is left out: {reason}"):
        state, directory = run.load_checkpoint()
    assert (state["step"], directory.name, steps(run)) == (2, "step_000002", [2])
    assert names(run) == ["step_000002", "step_000004"]


def test_a_broken_checkpoint_makes_place_for_its_successor_and_does_not_count(tmp_path):
    run = make_run(tmp_path / "run", [2, 4])
    for aside in (1, 2):
        remove(run.path / "checkpoints" / "step_000004" / "model" / "weights")
        with pytest.warns(UserWarning, match="step_000004' is left out"):
            run.load_checkpoint()
        save(run, 4)
        assert f"step_000004.broken{aside}" in names(run)
    assert run.load_checkpoint()[0]["step"] == 4
    remove(run.path / "checkpoints" / "step_000004" / "state.json")
    save(run, 6)
    assert {"step_000002", "step_000004", "step_000006"} <= set(names(run))  # two are whole, and one is not


def test_when_all_checkpoints_are_broken_they_are_named_and_nothing_is_lost(tmp_path):
    run = make_run(tmp_path / "run", [2, 4])
    alter(run.path / "checkpoints" / "step_000002" / "state.json")
    remove(run.path / "checkpoints" / "step_000004" / "manifest.json")
    expected = (
        r"no checkpoint in '.*/run/checkpoints' is whole: "
        r"step_000004 \(it has no manifest.json\), step_000002 \(state.json was altered\)$"
    )
    with pytest.warns(UserWarning, match="left out"), pytest.raises(DumpgymError, match=expected):
        run.load_checkpoint()
    assert steps(run) == [2, 4]
    assert names(run) == ["step_000002", "step_000004"]


def test_a_checkpoint_whose_log_was_lost_is_left_out(tmp_path):
    run = make_run(tmp_path / "run", [2, 4])
    log = run.path / "metrics.jsonl"
    os.truncate(log, len('{"step": 2}\n'))
    with pytest.warns(UserWarning, match=r"step_000004' is left out: metrics.jsonl is shorter than it was then"):
        assert run.load_checkpoint()[0]["step"] == 2


@given(st.data())
def test_any_altered_byte_is_found(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("whole") / "folder"
    contents = data.draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.binary(min_size=1), min_size=1))
    write_directory(directory, lambda partial: [(partial / name).write_bytes(b) for name, b in contents.items()])
    assert find_damage(directory) is None
    name = data.draw(st.sampled_from(sorted(contents)))
    altered = bytearray(contents[name])
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    (directory / name).write_bytes(altered)
    assert find_damage(directory) == f"{name} was altered"
    assert find_damage(directory, contents=False) is None


def test_what_an_interrupted_writer_left_is_cleared_away(tmp_path):
    run = make_run(tmp_path / "run", [2])

    def interrupted(directory):
        (directory / "weights").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.save_checkpoint(4, {}, interrupted)
    (run.path / "summary.json.partial").write_text("{")
    assert names(run) == ["step_000002", "step_000004.partial"]
    assert run.load_checkpoint()[0]["step"] == 2
    assert names(run) == ["step_000002"]
    assert not list(run.path.glob("*.partial"))


def test_a_directory_with_nothing_but_leftovers_is_as_good_as_empty(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json.partial").write_text("{")
    run = make_run(tmp_path / "run")
    assert sorted(path.name for path in run.path.iterdir()) == ["config.json"]
    with pytest.raises(InvalidValueError, match="a directory that is new or empty, or --resume"):
        make_run(tmp_path / "run")


FULL = [
    OSError(28, "No space left on device"),
    Exception("No space left on device (os error 28)"),  # as tokenizers raises it
    RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),  # torch
]


@pytest.mark.parametrize("error", FULL, ids=["system", "rust", "torch"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before_it(tmp_path, error):
    run = make_run(tmp_path / "run", [2])

    def full(directory):
        (directory / "weights").write_bytes(b"as much as fitted")
        raise error

    with pytest.raises(
        DumpgymError, match=r"run/checkpoints/step_000004' cannot be written: .*--resume continues"
    ) as told:
        run.save_checkpoint(4, {}, full)
    assert "\n" not in str(told.value)
    assert names(run) == ["step_000002"]
    assert run.load_checkpoint()[0]["step"] == 2


def test_a_bug_in_a_learner_is_not_taken_for_a_full_disk(tmp_path):
    def broken(directory):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        make_run(tmp_path / "run").save_checkpoint(1, {}, broken)


def test_a_line_that_the_disk_does_not_take_is_told(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", [2])
    write, room = os.write, [9]

    def write_what_fits(descriptor, data):
        if not room[0]:
            raise OSError(28, "No space left on device")
        room[0] -= (written := write(descriptor, data[: room[0]]))
        return written

    with monkeypatch.context() as full:
        full.setattr(os, "write", write_what_fits)
        with pytest.raises(DumpgymError, match=r"metrics.jsonl' cannot be written: No space left on device; when it"):
            run.append("metrics.jsonl", {"step": 3, "reward": 1.0})
    assert (run.path / "metrics.jsonl").read_text() == '{"step": 2}\n{"step": '
    run.load_checkpoint()
    assert steps(run) == [2]


def test_a_file_is_replaced_as_a_whole(tmp_path, monkeypatch):
    file = tmp_path / "summary.json"
    write_file(file, "first")

    def killed(source, target):
        assert (source.read_text(), target.read_text()) == ("second", "first")
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_file(file, "second")
    assert file.read_text() == "first"


def test_all_of_a_checkpoint_and_of_the_logs_reaches_the_disk_before_it_counts(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run")
    append_line(run.path / "metrics.jsonl", "{}")
    synced, fsync, rename = [], os.fsync, os.rename
    counted = []

    def record(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def count(source, target):
        counted.extend(synced)
        rename(source, target)

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(os, "rename", count)
    save(run, 2)
    partial = run.path / "checkpoints" / "step_000002.partial"
    files = ["model", "model/weights", "state.json", "manifest.json"]
    assert {str(partial / name) for name in files} | {str(partial), str(run.path / "metrics.jsonl")} <= set(counted)
    assert str(run.path / "checkpoints") in synced[len(counted) :]


def test_other_processes_of_a_run_call_the_learner_and_write_nothing(tmp_path):
    run = make_run(tmp_path / "run", [2])
    run.append("metrics.jsonl", {"step": 3})
    before = contents(run.path)
    other, asked = RunDirectory(run.path, writes=False), []
    assert other.load_checkpoint()[0]["step"] == 2
    other.append("metrics.jsonl", {"step": 4})
    other.write_json("summary.json", {})
    other.save_checkpoint(4, {}, asked.append)
    other.write_folder("model", asked.append)
    RunDirectory.create(TrainConfig(output=run.path), writes=False)
    assert contents(run.path) == before
    assert [path.name for path in asked] == ["step_000004.partial", "model.partial"]


def test_a_folder_is_replaced(tmp_path):
    run = make_run(tmp_path / "run")
    for text in ("first", "second"):
        run.write_folder("model", lambda partial, text=text: (partial / text).write_text(text))
    assert sorted(path.name for path in (run.path / "model").iterdir()) == ["manifest.json", "second"]


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '"text"'])
def test_a_configuration_that_cannot_be_read_is_no_run(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidValueError, match="accepted: with --resume, the directory of a run"):
        RunDirectory.stored_config(tmp_path)
