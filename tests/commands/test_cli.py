"""The command line: help for every verb, clear errors with exit status 2, nothing written."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dumpgym.commands import verb_registry
from dumpgym.commands.flags import parse
from dumpgym.commands.main import main
from dumpgym.contracts.version import __version__
from dumpgym.runs.config import TrainConfig, config_json, load_toml
from dumpgym.runs.validation import validated

ROOT = Path(__file__).parents[2]
TINY = [
    "--steps", "2", "--evaluate-every", "1", "--evaluation-problems", "2", "--final-evaluation-problems", "2",
    "--prompts-per-step", "2", "--num-generations", "2", "--agent.max-completion-length", "40",
    "--arms", "dumpgym/KnightsKnaves2-v0", "dumpgym/KnightsKnaves3-v0",
]  # fmt: skip
VERBS = ["compare", "describe", "evaluate", "export", "list", "play", "pretrain", "report", "show", "simulate", "train"]


def test_list_shows_what_is_registered(capsys):
    assert main(["list"]) == 0
    output = capsys.readouterr().out
    for name in (
        "dumpgym/KnightsKnaves-v0",
        "dumpgym/KnightsKnaves14-v0",
        "dump",
        "easy-to-hard",
        "window=300",
        "skills",
    ):
        assert name in output


def test_list_as_json_has_the_same(capsys):
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["environments"]["dumpgym/KnightsKnaves5-v0"] == {"num_people": 5}
    assert found["policies"]["dump"]["window"] == 300
    assert "mean_absolute_advantage" in found["signals"]
    assert found["students"] == ["replay", "skills", "softmax"]
    assert "floor" in found["policy_options"]


def test_help_names_every_verb(capsys):
    assert sorted(verb_registry) == VERBS
    assert main([]) == main(["--help"]) == main(["-h"]) == main(["help"]) == 0
    output = capsys.readouterr().out
    assert output.count("usage: dumpgym ") == 4
    assert all(f"• {verb}" in output for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_has_it_in_the_usage_line(capsys, verb):
    assert main([verb, "--help"]) == main(["help", verb]) == 0
    one, other = capsys.readouterr().out.split(f"usage: dumpgym {verb} ")[1:]
    assert one == other


def test_the_version_is_shown(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"dumpgym {__version__}\n"


def test_a_completion_script_is_printed(capsys):
    assert main(["--tyro-print-completion", "bash"]) == 0
    output = capsys.readouterr().out
    assert all(verb in output for verb in VERBS)
    assert "--budget-tokens" in output


def test_a_reader_that_has_gone_is_no_error():
    """As in ``dumpgym list | head``: the pipe is closed before the first line is written."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "dumpgym", "list"]
    finished = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writing)
    assert finished.stderr == ""
    assert finished.returncode == 141


def test_train_runs_from_a_file_with_flags_over_it(tmp_path, capsys):
    file = tmp_path / "experiment.toml"
    file.write_text('policy = "uniform"\nseed = 4\n[agent]\nlearning_rate = 3e-4\n')
    output = tmp_path / "run"
    assert main(["train", str(file), "--output", str(output), "--seed", "5", *TINY]) == 0
    stored = json.loads((output / "config.json").read_text())
    assert (stored["policy"], stored["seed"], stored["agent"]["learning_rate"]) == ("uniform", 5, 3e-4)
    assert (output / "figure.png").stat().st_size > 10_000
    assert json.loads((output / "summary.json").read_text())["steps"] == 2
    printed = capsys.readouterr().out
    assert "held-out success" in printed
    assert str(output / "figure.png") in printed
    assert main(["train", "--output", str(output), "--resume"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--steps", "0"], "steps is 0; accepted: greater than or equal to 1"),
        (["train", "--agent.temperature", "-1"], "agent.temperature is -1.0; accepted: greater than 0"),
        (["train", "--policy", "dumb"], "unknown policy 'dumb'; did you mean 'dump'?"),
        (["train", "--policy-options", "windo", "3"], "unknown option of policy 'dump' 'windo'"),
        (["train", "--arms", "dumpgym/KnightsKnave3-v0"], "environment is 'dumpgym/KnightsKnave3-v0'"),
        (["train", "--arms", "dumpgym/KnightsKnaves3-v0?split=test"], "split cannot be chosen in"),
        (["train", "--arms", "dumpgym/KnightsKnaves3-v0?peple=3"], "unknown argument of dumpgym/KnightsKnaves3-v0"),
        (["train", "--agent.model", "no/model here"], "model is 'no/model here'"),
        (["train", "missing.toml"], "configuration file is 'missing.toml'; accepted: a file that can be read"),
        (["train", "--steps", "3", "missing.toml"], "configuration file is 'missing.toml'"),
        (["train", "--resume"], "accepted: with --resume, the directory of a run"),
        (["pretrain", "--scale", "-1"], "scale is -1.0; accepted: greater than 0"),
        (["pretrain", "--resume"], "accepted: with --resume"),
        (["report"], "the runs are missing; accepted: dumpgym report DIR"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("dumpgym: ")
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["trian"], ["trian", *VERBS]),
        (["list", "all"], ["Unrecognized options: all"]),
        (["train", "--stepz", "3"], ["unknown flag '--stepz'; did you mean '--steps'?", "see dumpgym train --help"]),
        (["train", "--steps", "abc"], ["--steps", "'abc'"]),
        (["train", "--agent.loss-type", "ppo"], ["'ppo'", "--agent.loss-type", "'dapo'", "'cispo'"]),
        (["train", "a.toml", "b.toml"], ["Unrecognized options: b.toml"]),
        (["pretrain", "--scale", "x"], ["--scale", "'x'"]),
        (["play"], ["Missing from dumpgym play", "ENV"]),
        (["compare"], ["Missing from dumpgym compare", "EXPERIMENT.toml"]),
    ],
)
def test_a_flag_that_cannot_be_read_is_named(tmp_path, monkeypatch, capsys, arguments, messages):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    text = " ".join(captured.err.replace("│", " ").split())
    assert all(message in text for message in messages)
    assert captured.out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz = 3", "unknown configuration key 'stepz'; accepted: output, seed, steps"),
        ("resume = true", "unknown configuration key 'resume'"),
        ("[agent]\nlearning_rat = 1", "unknown configuration key 'agent.learning_rat'"),
        ("steps = 'many'", "steps is 'many'; accepted: a valid integer"),
        ("steps =", "is not valid TOML"),
    ],
)
def test_a_bad_file_is_one_line_that_names_the_key(tmp_path, capsys, text, message):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    assert main(["train", str(file)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_an_output_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "run"):
        assert main(["train", "--output", str(output), *TINY]) == 2
        captured = capsys.readouterr()
        assert str(output) in captured.err
        assert captured.err.count("\n") == 1
    assert (tmp_path / "file").read_text() == ""


def test_a_dry_run_checks_everything_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--policy", "dump?window=75&temperature=0.5", "--dry-run", *TINY]) == 0
    printed = capsys.readouterr().out
    for part in ("runs/train, a new run", "KnightsKnaves2-v0", "dump?window=75&temperature=0.5", "embedded", "2 steps"):
        assert part in printed
    assert main(["train", "--agent.max-completion-length", "100000", "--dry-run"]) == 2
    assert "max_completion_length is 100000" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_policy_has_one_spelling_and_one_form_in_files(tmp_path):
    file = tmp_path / "short.toml"
    file.write_text('policy = "dump?window=75"\n')
    config = load_toml(file)
    assert (config.policy, config.policy_options, config.policy_spec) == ("dump", {"window": 75}, "dump?window=75")
    assert validated(json.loads(config_json(config)), TrainConfig) == config
    assert parse(["train", str(file)]).policy == "dump?window=75"
    assert parse(["train", str(file), "--policy", "uniform"]).policy_options == {}


def test_output_is_ascii_in_the_c_locale(monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    monkeypatch.delenv("PYTHONUTF8", raising=False)
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="utf-8"))
    assert main(["play", "--help"]) == 0
    assert main(["list"]) == 0
    sys.stdout.write("rüns\n")
    sys.stdout.flush()
    assert shown.getvalue().isascii()
    assert b"r\\xfcns" in shown.getvalue()


def test_an_interruption_says_how_to_continue(tmp_path, capsys, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("dumpgym.training.loop.Trainer.run", interrupted)
    assert main(["train", "--output", str(tmp_path / "run"), *TINY]) == 130
    assert "with --resume continues from the last checkpoint" in capsys.readouterr().err


def test_a_file_keeps_the_defaults_that_it_leaves_out(tmp_path):
    file = tmp_path / "short.toml"
    file.write_text("steps = 7\n[policy_options]\nwindow = 100\n")
    config = load_toml(file)
    assert (config.steps, config.policy, config.policy_options) == (7, "dump", {"window": 100})


def test_pretraining_makes_a_model_that_training_takes(tmp_path, monkeypatch):
    monkeypatch.setattr("dumpgym.pretraining.recipes.knights_knaves.CHUNK_SIZE", 32)
    output = tmp_path / "embedded"
    arguments = ["--scale", "0.001", "--hidden-size", "16", "--num-layers", "1", "--num-heads", "2"]
    assert main(["pretrain", "--output", str(output), *arguments, "--evaluation-problems", "1"]) == 0
    assert "| KnightsKnaves2 | 0.000 | 0.000 |" in (output / "model" / "README.md").read_text()
    assert main(["train", "--output", str(tmp_path / "run"), "--agent.model", str(output / "model"), *TINY]) == 0
    assert main(["pretrain", "--output", str(output), *arguments]) == 2
