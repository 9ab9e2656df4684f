"""The command line: one line for bad input, exit status 2, nothing written."""

import json

import pytest

from dumpgym.commands.main import main
from dumpgym.runs.config import load_toml

TINY = [
    "--steps", "2", "--evaluate-every", "1", "--evaluation-problems", "2", "--final-evaluation-problems", "2",
    "--prompts-per-step", "2", "--num-generations", "2", "--agent.max-completion-length", "40",
    "--arms", "dumpgym/KnightsKnaves2-v0", "dumpgym/KnightsKnaves3-v0",
]  # fmt: skip


def test_list_shows_what_is_registered(capsys):
    assert main(["list"]) == 0
    output = capsys.readouterr().out
    for name in ("dumpgym/KnightsKnaves-v0", "dumpgym/KnightsKnaves14-v0", "dump", "easy-to-hard", "window=300"):
        assert name in output


def test_help_names_the_verbs(capsys):
    assert main([]) == main(["--help"]) == 0
    output = capsys.readouterr().out
    assert all(verb in output for verb in ("list", "play", "simulate", "train", "pretrain"))


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
        (["trian"], "unknown verb 'trian'; did you mean 'train'? accepted: list, play, export, simulate, train"),
        (["list", "all"], "unexpected argument 'all'"),
        (["train", "--stepz", "3"], "unknown flag '--stepz'; did you mean '--steps'?"),
        (["train", "three"], "unexpected argument 'three'"),
        (["train", "--steps", "abc"], "'abc'"),
        (["train", "--steps", "0"], "steps is 0; accepted: greater than or equal to 1"),
        (["train", "--agent.loss-type", "ppo"], "'ppo'"),
        (["train", "--agent.temperature", "-1"], "agent.temperature is -1.0; accepted: greater than 0"),
        (["train", "--policy", "dumb"], "unknown policy 'dumb'; did you mean 'dump'?"),
        (["train", "--policy-options", "windo", "3"], "unknown option of policy 'dump' 'windo'"),
        (["train", "--arms", "dumpgym/KnightsKnave3-v0"], "environment is 'dumpgym/KnightsKnave3-v0'"),
        (["train", "--arms", "dumpgym/KnightsKnaves3-v0?split=test"], "split cannot be chosen in"),
        (["train", "--arms", "dumpgym/KnightsKnaves3-v0?peple=3"], "unknown argument of dumpgym/KnightsKnaves3-v0"),
        (["train", "--agent.model", "no/model here"], "model is 'no/model here'"),
        (["train", "missing.toml"], "configuration file is 'missing.toml'; accepted: a file that can be read"),
        (["train", "--resume"], "accepted: with --resume, the directory of a run"),
        (["pretrain", "--scale", "x"], "'x'"),
        (["pretrain", "--scale", "-1"], "scale is -1.0; accepted: greater than 0"),
        (["pretrain", "--resume"], "accepted: with --resume"),
    ],
)
def test_bad_input_is_one_line_that_names_it(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("dumpgym: ")
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz = 3", "unknown configuration key 'stepz'; accepted: output, seed, steps"),
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


def test_an_interruption_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("dumpgym.training.loop.Trainer.run", interrupted)
    assert main(["train", "--output", str(tmp_path / "run"), *TINY]) == 130
    assert "--resume" in capsys.readouterr().err


def test_a_file_keeps_the_defaults_that_it_leaves_out(tmp_path):
    file = tmp_path / "short.toml"
    file.write_text("steps = 7\n[policy_options]\nwindow = 100\n")
    config = load_toml(file)
    assert (config.steps, config.policy, config.policy_options) == (7, "dump", {"window": 100})


def test_pretraining_makes_a_model_that_training_takes(tmp_path, monkeypatch):
    monkeypatch.setattr("dumpgym.commands.pretrain.CHUNK_SIZE", 32)
    output = tmp_path / "student"
    arguments = ["--scale", "0.001", "--hidden-size", "16", "--num-layers", "1", "--num-heads", "2"]
    assert main(["pretrain", "--output", str(output), *arguments, "--evaluation-problems", "1"]) == 0
    assert "| KnightsKnaves2 | 0.000 | 0.000 |" in (output / "model" / "README.md").read_text()
    assert main(["train", "--output", str(tmp_path / "run"), "--agent.model", str(output / "model"), *TINY]) == 0
    assert main(["pretrain", "--output", str(output), *arguments]) == 2
