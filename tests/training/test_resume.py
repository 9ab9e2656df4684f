"""A run that was killed, interrupted or out of disk ends as if nothing had happened, to the bit."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dumpgym.runs.directory import LOGS, RunDirectory
from tests.fakes.tiny_models import save_tiny_llama

STEPS = 4
JOB = [
    "--steps", str(STEPS), "--checkpoint-every", "1", "--evaluate-every", "2", "--evaluation-problems", "1",
    "--final-evaluation-problems", "2", "--prompts-per-step", "3", "--num-generations", "3", "--policy", "thompson",
    "--agent.max-completion-length", "8", "--agent.learning-rate", "0.01", "--agent.device", "cpu",
    "--arms", "tests.fakes.letters:tests/Letters-v0", "tests.fakes.letters:tests/Letters-v0?modulus=31",
    "--max-completion-lengths", "8", "6",
]  # fmt: skip


class Runner:
    """Commands in forks of one process; see killed_runs.py."""

    def __init__(self):
        command = [sys.executable, "-m", "tests.fakes.killed_runs"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, **pipes, text=True, cwd=Path(__file__).parents[2])

    def __call__(self, output, *arguments, **request):
        """Resumes a run, or starts it if there is none yet."""
        begun = (output / "config.json").exists()
        own = ["--resume"] if begun else ["--agent.model", str(output.parent / "model"), *JOB]
        request["arguments"] = ["train", "--output", str(output), *own, *arguments]
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"{request} ended the runner"
        return SimpleNamespace(**json.loads(answer))

    def finish(self, output):
        ended = self(output)
        assert ended.status == 0, ended.errors
        return ended

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(timeout=60) == 0


@pytest.fixture(scope="module")
def runner():
    runner = Runner()
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds a tiny model, and the runs."""
    folder = tmp_path_factory.mktemp("runs")
    save_tiny_llama(folder / "model")
    return folder


@pytest.fixture(scope="module")
def unbroken(runner, folder):
    """A run that nothing happened to, its results, and how long and how many calls it takes."""
    runner.finish(folder / "warm")  # what is loaded late is loaded
    started = time.perf_counter()
    ended = runner.finish(folder / "unbroken")
    seconds = time.perf_counter() - started
    steps = [folder / "unbroken" / "checkpoints" / f"step_{step:06d}" for step in (STEPS - 1, STEPS)]
    models = [folder, *steps]
    weights = {(model / "model" / "model.safetensors").read_bytes() for model in models}
    assert len(weights) == 3  # every step taught something
    return SimpleNamespace(results=results(folder / "unbroken"), seconds=seconds, calls=ended.calls)


def without_times(value):
    """A record, or a part of it, except what is measured with a clock."""
    if isinstance(value, list):
        return [without_times(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_times(item)
        for key, item in value.items()
        if key not in ("seconds", "log_sizes") and not key.startswith("time/")
    }


def results(directory):
    """Everything that a run leaves, except the times in it."""
    run = RunDirectory(directory)
    last = directory / "checkpoints" / f"step_{STEPS:06d}"
    return {
        "weights": (last / "model" / "model.safetensors").read_bytes(),
        "optimizer": (last / "optimizer.safetensors").read_bytes(),
        "learner": json.loads((last / "learner.json").read_text()),
        "state": without_times(json.loads((last / "state.json").read_text())),
        "model": (directory / "model" / "model.safetensors").read_bytes(),
        "summary": without_times(json.loads((directory / "summary.json").read_text())),
        "checkpoints": sorted(path.name for path in (directory / "checkpoints").iterdir()),
        "files": sorted(path.name for path in directory.iterdir()),
        "logs": {log: without_times(run.read(log)) for log in LOGS},
    }


def test_a_run_killed_at_any_time_resumes_bit_for_bit(runner, folder, unbroken):
    """Chains of kills and resumed runs; each chain ends with one that was done before it was killed."""
    rng = np.random.default_rng(0)
    kills = chain = 0
    while kills < 12:
        chain += 1
        output, ended = folder / f"killed_{chain}", None
        while ended is None or ended.status < 0:
            after = rng.uniform(0, unbroken.seconds) if kills < 12 else None
            ended = runner(output, signal=signal.SIGKILL, after=after)
            assert ended.status in (0, -signal.SIGKILL), ended.errors
            kills += ended.status < 0
        assert results(output) == unbroken.results


def test_a_run_killed_while_it_writes_resumes_bit_for_bit(runner, folder, unbroken):
    rng = np.random.default_rng(1)
    for number, call in enumerate(rng.choice(unbroken.calls, size=10, replace=False) + 1):
        output = folder / f"written_{number}"
        assert runner(output, signal=signal.SIGKILL, call=int(call)).status == -signal.SIGKILL
        again = runner(output, signal=signal.SIGKILL, call=int(rng.integers(1, 30)))  # while it finds its way back
        assert again.status in (0, -signal.SIGKILL), again.errors
        runner.finish(output)
        assert results(output) == unbroken.results


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_resume_and_does(runner, folder, unbroken, number):
    output = folder / f"interrupted_{number}"
    rng = np.random.default_rng(number)
    for call in rng.integers(unbroken.calls // 4, unbroken.calls // 2, size=2):
        ended = runner(output, signal=number, call=int(call))
        assert (ended.status, ended.errors.strip()) == (130, INTERRUPTED)
    runner.finish(output)
    assert results(output) == unbroken.results


INTERRUPTED = "dumpgym: interrupted; the same command with --resume continues from the last checkpoint"


def expect_full(ended, what, reason):
    assert ended.status == 2
    assert re.fullmatch(rf"dumpgym: '.*/full_\w+/{what}' cannot be written: .*{reason}.*", ended.errors.strip())


@pytest.mark.parametrize(("largest_file", "what"), [(300, "config.json"), (20000, "checkpoints/step_000000")])
def test_a_file_that_the_disk_does_not_take_is_named(runner, folder, unbroken, largest_file, what):
    output = folder / f"full_{largest_file}"
    expect_full(runner(output, largest_file=largest_file), what, "File too large")
    assert not list(output.glob("checkpoints/*"))
    runner.finish(output)
    assert results(output) == unbroken.results


def test_a_run_on_a_full_disk_resumes_when_there_is_space(runner, folder, unbroken):
    """A full disk takes a part of a line, and nothing more."""
    rng = np.random.default_rng(2)
    for number, call in enumerate(rng.integers(unbroken.calls // 4, unbroken.calls // 2, size=3)):
        output = folder / f"full_disk_{number}"
        ended = runner(output, full=int(call))
        expect_full(ended, "(metrics|evaluations|transcripts).jsonl", "No space left on device; .* --resume continues")
        logs = [(output / log).read_text() for log in LOGS]
        assert sum(log.endswith("\n") for log in logs) == 2  # of the third, a line was begun
        before = sorted(path.name for path in (output / "checkpoints").iterdir())
        expect_full(runner(output, full=1), "config.json", "No space left on device")
        assert sorted(path.name for path in (output / "checkpoints").iterdir()) == before
        runner.finish(output)
        assert results(output) == unbroken.results


def test_a_run_resumes_from_the_checkpoint_before_a_broken_one(runner, folder, unbroken):
    output = folder / "damaged"
    runner(output, signal=signal.SIGKILL, call=unbroken.calls * 3 // 4)
    newest = max((output / "checkpoints").glob("step_??????"))
    weights = newest / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    ended = runner.finish(output)
    assert f"{newest.name}' is left out: model/model.safetensors was altered" in ended.errors
    found = results(output)
    aside = f"{newest.name}.broken1"
    assert found["checkpoints"] == sorted([aside, *unbroken.results["checkpoints"]])
    assert found | {"checkpoints": None} == unbroken.results | {"checkpoints": None}
