"""Two processes that train one model come to what one process comes to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dumpgym.commands.main import main
from tests.fakes.tiny_models import save_tiny_llama

STEPS = 4
JOB = [
    "--checkpoint-every", "2", "--evaluate-every", "2", "--evaluation-problems", "2", "--final-evaluation-problems",
    "3", "--prompts-per-step", "5", "--num-generations", "4", "--agent.device", "cpu",
    "--policy", "tests.fakes.told_policies:told-thompson",  # all processes must tell it the same
    "--agent.max-completion-length", "8", "--agent.learning-rate", "0.003", "--agent.beta", "0.01",
    "--agent.num-iterations", "2", "--arms", "tests.fakes.letters:tests/Letters-v0",
    "tests.fakes.letters:tests/Letters-v0?modulus=31",
]  # fmt: skip
TOGETHER = ["loss", "grad_norm", "entropy", "kl", "reward", "num_tokens"]


def launch(*arguments, **environment):
    """Runs the command in two processes, each of one thread."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "dumpgym"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    ended = subprocess.run(
        [*launcher, *arguments], env=environment, cwd=Path(__file__).parents[3], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr


def read(run, log):
    return [json.loads(line) for line in (run / log).read_text().splitlines()]


def bandit(run):
    return json.loads((run / f"checkpoints/step_{STEPS:06d}/state.json").read_text())["policy"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds a tiny model, and the runs."""
    folder = tmp_path_factory.mktemp("processes")
    save_tiny_llama(folder / "model")
    return folder


@pytest.fixture(scope="module")
def alone(folder, own_policies):
    """The run of one process."""
    run = folder / "alone"
    assert (
        main(["train", "--output", str(run), "--steps", str(STEPS), "--agent.model", str(folder / "model"), *JOB]) == 0
    )
    return run


def assert_same_run(run, alone):
    for mine, its in zip(read(run, "metrics.jsonl"), read(alone, "metrics.jsonl"), strict=True):
        assert [mine[key] for key in TOGETHER] == pytest.approx([its[key] for key in TOGETHER], rel=1e-4, abs=1e-6)
    for mine, its in zip(read(run, "evaluations.jsonl"), read(alone, "evaluations.jsonl"), strict=True):
        assert mine["eval/success"] == its["eval/success"]
    assert bandit(run) == bandit(alone)
    weights, expected = (load_file(path / "model/model.safetensors") for path in (run, alone))
    assert weights.keys() == expected.keys()
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, expected[name], atol=2e-5)


def test_two_processes_have_the_losses_and_the_bandit_of_one(folder, alone):
    run = folder / "together"
    launch("train", "--output", str(run), "--steps", str(STEPS), "--agent.model", str(folder / "model"), *JOB)
    assert json.loads((run / "versions.json").read_text())["processes"] == 2
    assert_same_run(run, alone)


def test_an_optimizer_state_in_parts_is_saved_whole_and_one_process_resumes_from_it(folder, alone):
    run = folder / "parts"
    arguments = [
        "train",
        "--output",
        str(run),
        "--steps",
        str(STEPS // 2),
        "--agent.model",
        str(folder / "model"),
        *JOB,
    ]
    launch(*arguments, ACCELERATE_USE_FSDP="true")
    assert json.loads((run / "versions.json").read_text())["divides_optimizer_state"]
    state = load_file(run / f"checkpoints/step_{STEPS // 2:06d}/optimizer.safetensors")
    one = load_file(alone / f"checkpoints/step_{STEPS // 2:06d}/optimizer.safetensors")
    assert state.keys() == one.keys()
    assert main(["train", "--output", str(run), "--steps", str(STEPS), "--resume"]) == 0
    assert_same_run(run, alone)
