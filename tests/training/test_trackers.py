"""What TensorBoard and Weights & Biases hold of a run is what its logs hold."""

import json
import os
import struct
import subprocess
import sys
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto.wandb_internal_pb2 import Record

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.validation import validated
from dumpgym.training import trackers
from dumpgym.training.trackers import Trackers
from tests.training.test_training import make_config, make_trainer


def tracked(output, *names, resume=False, **options):
    config = make_config(output, trackers=names, **options)
    with Trackers(config) as found:
        trainer = make_trainer(config, resume=resume, observer=found.observe)
        found.start(trainer.step, trainer.begun)
        trainer.run()
    return config


def logged(directory):
    """The numbers of a run's metrics, and of its evaluations' successes, by name, as pairs of step and value."""
    numbers = {}
    for log in ("metrics.jsonl", "evaluations.jsonl"):
        for record in RunDirectory(directory).read(log):
            for key, value in record.items():
                shown = log == "metrics.jsonl" or key.startswith(("eval/", "eval_sampled/"))
                if shown and key != "step" and isinstance(value, int | float):
                    numbers.setdefault(key, []).append((record["step"], value))
    return numbers


def in_tensorboard(directory):
    events = EventAccumulator(str(directory / "trackers" / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {key: [(point.step, point.value) for point in events.Scalars(key)] for key in events.Tags()["scalars"]}


def wandb_records(path):
    """The records of an offline run's file: a LevelDB log of blocks of 32 KiB after a header of seven bytes."""
    data, place, record = path.read_bytes(), 7, b""
    while place < len(data):
        if 0 < (rest := -place % 2**15) < 7:
            place += rest
            continue
        if place + 7 > len(data):  # not all of it is written yet
            return
        size, kind = struct.unpack_from("<HB", data, place + 4)
        if place + 7 + size > len(data):
            return
        record += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(record)
            record = b""


def in_wandb(directory):
    """Likewise, of all the files of offline runs in the order of their beginning."""
    numbers, names = {}, set()
    for path in sorted((directory / "trackers").glob("wandb/offline-run-*/*.wandb"), key=os.path.getmtime):
        deadline = time.monotonic() + 60
        records = list(wandb_records(path))
        while not any(record.HasField("exit") for record in records):  # its process writes on after the run
            assert time.monotonic() < deadline
            time.sleep(0.05)
            records = list(wandb_records(path))
        for record in records:
            if record.run.run_id:
                names.add((record.run.run_id, record.run.display_name))
            row = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            for key, value in row.items():
                if not key.startswith("_"):
                    numbers.setdefault(key, []).append((row["_step"], value))
    return numbers, names


def same(found, expected):
    assert found.keys() == expected.keys()
    for key, points in expected.items():
        assert [step for step, _ in found[key]] == [step for step, _ in points], key
        assert [value for _, value in found[key]] == pytest.approx(
            [value for _, value in points], rel=1e-6, nan_ok=True
        )


def test_tensorboard_holds_the_logs(tmp_path):
    tracked(tmp_path / "run", "tensorboard")
    expected = logged(tmp_path / "run")
    assert {"reward", "success_rate", "loss"} & expected.keys()
    same(in_tensorboard(tmp_path / "run"), expected)


@pytest.mark.parametrize(("log", "step"), [("metrics.jsonl", 3), ("metrics.jsonl", 1), ("evaluations.jsonl", 0)])
def test_tensorboard_forgets_what_a_resumed_run_does_again(tmp_path, log, step):
    whole = tracked(tmp_path / "whole", steps=6, checkpoint_every=2)
    assert not (whole.output / "trackers").exists()

    class Stopped(Exception):
        pass

    config = make_config(tmp_path / "run", trackers=("tensorboard",), steps=6, checkpoint_every=2)

    def stop(what, record):
        found.observe(what, record)
        if (what, record["step"]) == (log, step):
            raise Stopped

    trainer = make_trainer(config, observer=stop)
    with Trackers(config) as found:
        found.start(trainer.step, trainer.begun)
        with pytest.raises(Stopped):
            trainer.run()
    assert any(step in dict(points) for points in in_tensorboard(config.output).values())
    time.sleep(1)  # files of events are read in the order of the seconds in their names
    tracked(tmp_path / "run", "tensorboard", resume=True, steps=6, checkpoint_every=2)
    same(in_tensorboard(config.output), logged(config.output))


def test_wandb_holds_the_logs_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    tracked(tmp_path / "run", "wandb")
    found, names = in_wandb(tmp_path / "run")
    same(found, logged(tmp_path / "run"))
    assert len(names) == 1


@pytest.mark.parametrize(("name", "key"), [("wandb", "id"), ("trackio", "name")])
def test_a_run_keeps_its_identity_and_a_new_one_in_its_place_has_another(tmp_path, name, key):
    def identity(output):
        found = Trackers(make_config(output, trackers=()))
        return found._options(name, 0)[1][key]

    (tmp_path / "run").mkdir()
    first = identity(tmp_path / "run")
    assert identity(tmp_path / "run") == first
    (tmp_path / "run").rename(tmp_path / "moved")
    if name == "wandb":
        assert identity(tmp_path / "moved") == first
    (tmp_path / "run").mkdir()
    assert identity(tmp_path / "run") != first


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_tracker_that_is_not_installed_is_refused_with_what_to_install(tmp_path, monkeypatch, name):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(InvalidValueError, match=rf"{name}.*pip install 'dumpgym\[{name}\]'"):
        Trackers(make_config(tmp_path / "run", trackers=(name,)))
    assert Trackers(make_config(tmp_path / "run", trackers=(name,)), is_main=False).names == ()


def test_an_unknown_tracker_is_refused(tmp_path):
    with pytest.raises(InvalidValueError, match=r"'mlflow'.*tensorboard.*wandb.*trackio"):
        validated({"output": tmp_path, "trackers": ("mlflow",)}, TrainConfig)


def test_the_command_line_tracks(tmp_path):
    output = tmp_path / "run"
    subprocess.run(
        [sys.executable, "-m", "dumpgym", "train", "--output", output, "--arms", "dumpgym/KnightsKnaves2-v0",
         "--steps", "1", "--prompts-per-step", "2", "--num-generations", "2", "--evaluation-problems", "2",
         "--final-evaluation-problems", "2", "--agent.max-completion-length", "8", "--trackers", "tensorboard"],
        check=True, capture_output=True,
    )  # fmt: skip
    same(in_tensorboard(output), logged(output))
