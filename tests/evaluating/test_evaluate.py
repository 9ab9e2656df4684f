"""One model, or two, on the problems of arms: the numbers, what they are called, and what is refused beforehand."""

import json
import re

import pytest

import dumpgym
from dumpgym.commands.main import main
from dumpgym.contracts.errors import DumpgymError
from dumpgym.evaluating import runner
from dumpgym.evaluating.source import find_model
from dumpgym.runs.directory import RunDirectory
from dumpgym.testing.fakes import FakeLearner, reference_completions
from tests.fakes.tiny_models import save_tiny_llama

DOUBLING = "dumpgym.testing.fakes:fakes/Doubling-v0"
FINITE = f"{DOUBLING}?num_problems=9"
LETTERS = "tests.fakes.letters:tests/Letters-v0"
NUISANCE = f"{LETTERS}?modulus=89"
NAMES = ["Doubling", "Doubling?num_problems=9"]


class Solver(FakeLearner):
    """Is right on every ``period``-th problem, and in sampling also with the first half of a group."""

    period = 2

    def chance(self, prompt, k):
        number = int(re.search(r"double of (\d+)", prompt)[1])
        return float((number // 2) % self.period == 0 or (self.group > 1 and k < self.group // 2))

    def generate(self, prompts, num_generations, **options):
        self.group = num_generations
        return super().generate(prompts, num_generations, **options)


@pytest.fixture
def models(monkeypatch):
    """Fakes in place of language models, by name: "half" solves every second problem, "third" every third one."""
    made = []

    def make(model, agent, *, seed):
        learner = Solver(reference_completions(dumpgym.make_env(DOUBLING)), seed=seed, wrong="7")
        learner.period = {"half": 2, "third": 3}[model]
        made.append((model, agent, learner))
        return learner

    monkeypatch.setattr(runner, "make_agent", make)
    monkeypatch.setattr(runner, "load_tokenizer", {"third": None, "half": None}.__getitem__)
    return made


def evaluated(**settings):
    return dumpgym.evaluate_model(dumpgym.EvaluateConfig(**{"arms": (DOUBLING, FINITE), "num_problems": 6, **settings}))


def test_greedy_success_has_an_interval_tokens_and_outcomes(models):
    found = evaluated(model="half")
    assert (found["other"], found["difference"], found["model"]["sampled"]) == (None, None, None)
    greedy = found["model"]["greedy"]
    assert list(greedy["arms"]) == NAMES
    assert greedy["solved"]["Doubling"] == [1, 0, 1, 0, 1, 0]
    arm = greedy["arms"]["Doubling"]
    assert (arm["success"], arm["problems"], arm["outcomes"]) == (0.5, 6, {"correct": 3, "wrong": 3})
    assert arm["interval"] == pytest.approx([0.1876, 0.8124], abs=1e-4)  # Wilson's
    assert arm["tokens"] == pytest.approx(
        (2 + 3 + 3 + 3 * 2) / 6
    )  # "2", "10" and "18" are right; each has an end token
    assert greedy["mean"]["success"] == 0.5
    assert greedy["mean"]["outcomes"] == {"correct": 6, "wrong": 6}
    low, high = greedy["mean"]["interval"]
    assert 0.1876 < low < 0.5 < high < 0.8124


def test_sampled_completions_have_pass_at_k_for_every_k(models):
    sampled = evaluated(model="half", sampled=4)["model"]["sampled"]
    assert sampled["num_generations"] == 4
    assert sampled["solved"]["Doubling"] == [4, 2, 4, 2, 4, 2]
    arm = sampled["arms"]["Doubling"]
    assert arm["success"] == 0.75
    values = [arm["pass_at_k"][k]["value"] for k in ("1", "2", "3", "4")]
    assert values == pytest.approx([0.75, (1 + 5 / 6) / 2, 1, 1])  # 1 - C(2, 2) / C(4, 2) = 5 / 6
    assert [sampled["mean"]["pass_at_k"][k]["value"] for k in "1234"] == pytest.approx(values)
    assert sum(arm["outcomes"].values()) == 24
    (_, _, learner), *_ = models
    assert [(call.num_generations, call.greedy) for call in learner.calls] == [(1, True), (4, False)]


def test_two_models_are_paired_on_the_same_problems(models):
    found = evaluated(model="half", compare="third", sampled=2)
    assert [found[key]["name"] for key in ("model", "other")] == ["half", "third"]
    assert found["other"]["greedy"]["solved"]["Doubling"] == [1, 0, 0, 1, 0, 0]
    difference = found["difference"]["greedy"]
    arm = difference["arms"]["Doubling"]
    assert {key: arm[key] for key in ("both", "only_model", "only_other", "neither")} == {
        "both": 1, "only_model": 2, "only_other": 1, "neither": 2,
    }  # fmt: skip
    assert arm["difference"] == pytest.approx(1 / 6)
    assert arm["interval"][0] < 0 < arm["interval"][1]
    assert arm["p"] == 1.0
    assert (difference["mean"]["only_model"], difference["mean"]["only_other"]) == (4, 2)
    assert difference["mean"]["p"] == pytest.approx(44 / 64)
    sampled = found["difference"]["sampled"]["arms"]["Doubling"]
    assert sampled["difference"] == pytest.approx(1 / 12)  # half of the greedy one: one of two samples is always right
    assert [call.prompts for call in models[0][2].calls] == [call.prompts for call in models[1][2].calls]


def test_models_that_never_differ_have_no_interval_of_their_sampled_difference(models):
    found = evaluated(model="half", compare="half", sampled=2)["difference"]
    assert found["sampled"]["mean"] == {"difference": 0.0, "interval": None, "p": None}
    low, high = found["greedy"]["mean"]["interval"]
    assert low < 0 < high


def test_batches_split_and_seed_reach_the_learner(models):
    evaluated(model="half", split="train", sampled=3, batch_size=9, seed=2, max_completion_lengths=(5, 2))
    calls = models[0][2].calls
    assert [len(call.prompts) for call in calls] == [9, 3, 3, 3, 3, 3]  # 9 completions together, 3 of each problem
    assert calls[0].prompts[0] == "What is the double of 0?"  # numbers of the train split are even
    assert calls[0].max_completion_lengths == [5] * 6 + [2] * 3
    assert len({call.seed for call in calls[2:]}) == 4


def test_the_command_prints_tables_and_writes_the_results(models, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    output = tmp_path / "new" / "half.json"
    arguments = ["evaluate", "half", "--arms", DOUBLING, FINITE, "--num-problems", "6", "--sampled", "4"]
    assert main([*arguments, "--compare", "third", "--output", str(output)]) == 0
    captured = capsys.readouterr()
    text = captured.out
    assert "half, greedy: 6 problems per arm" in text
    assert "half, sampled: 6 problems per arm, 4 completions of each" in text
    assert "half minus third, greedy" in text
    assert text.count("0.500 [0.188, 0.812]") == 2
    assert all(text.count(word) for word in ("pass@4", "wrong", "mean over arms", "Wilson's", "McNemar's"))
    assert f"results: {output}" in text
    assert "\x1b" not in text + captured.err
    assert captured.err.splitlines()[0] == "evaluating half, greedy, 0%"
    found = json.loads(output.read_text())
    assert found["model"]["greedy"]["arms"]["Doubling"]["success"] == 0.5
    assert found["config"]["num_problems"] == 6
    assert main([*arguments, "--output", str(output)]) == 2
    assert "the name of a file that does not exist yet" in capsys.readouterr().err
    assert len(models) == 2  # nothing was loaded for a file that exists


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["half", "--num-problems", "0"], "num_problems is 0; accepted: greater than or equal to 1"),
        (["half", "--num-problems", "1000001"], "num_problems is 1000001; accepted: less than or equal to 1000000"),
        (["half", "--sampled", "-1"], "sampled is -1"),
        (["half", "--sampled", "100001"], "sampled is 100001"),
        ([" "], "model is ' '; accepted: the name of a model, a folder or a run"),
        (["half", "--compare", " "], "model is ' '"),
        (["half", "--num-problems", "10"], "index is 9"),
        (["half", "--arms", "fakes/Dubling-v0"], "environment is 'fakes/Dubling-v0'"),
        (["half", "--arms", DOUBLING, "--max-completion-lengths", "3", "4"], "max_completion_lengths has 2 numbers"),
        (["half", "--agent.temperature", "-1"], "agent.temperature is -1.0"),
        (["half", "--agent.model", "third"], "agent.model is 'third'; accepted: none, as the model is 'half'"),
        (["half", "--output", "file/x.json"], "output is 'file/x.json'; accepted: a file"),
        (["half", "--output", "file"], "the name of a file that does not exist yet"),
    ],
)
def test_bad_input_is_one_line_before_a_model_is_loaded(models, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    arms = [] if "--arms" in arguments else ["--arms", FINITE]
    assert main(["evaluate", arguments[0], *arms, *arguments[1:]]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert (captured.out, models) == ("", [])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("arguments", [["no/model here"], ["embedded", "--compare", "no/model here"]])
def test_a_model_that_does_not_exist_is_one_line_before_the_other_is_evaluated(arguments, monkeypatch, capsys):
    monkeypatch.setattr(runner, "evaluate", None)
    assert main(["evaluate", *arguments]) == 2
    captured = capsys.readouterr()
    assert "model is 'no/model here'; accepted:" in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of a tiny model with random weights, with a nuisance arm."""
    folder = tmp_path_factory.mktemp("run")
    save_tiny_llama(folder / "tiny")
    agent = dumpgym.GRPOConfig(model=str(folder / "tiny"), device="cpu", max_completion_length=8, learning_rate=0.01)
    config = dumpgym.TrainConfig(
        output=folder / "run", arms=(NUISANCE, LETTERS), nuisance_arms=(NUISANCE,), max_completion_lengths=(5, 8),
        seed=3, steps=2, prompts_per_step=2, num_generations=2,
        final_evaluation_problems=7, checkpoint_every=1, agent=agent,
    )  # fmt: skip
    dumpgym.train(config)
    return config


def test_a_run_is_evaluated_as_at_its_end(run, tmp_path, capsys):
    output = tmp_path / "run.json"
    arguments = [str(run.output), "--compare", str(run.output / "checkpoints" / "step_000001"), "--output", str(output)]
    assert main(["evaluate", *arguments]) == 0
    found = json.loads(output.read_text())
    logged = RunDirectory(run.output).read("evaluations.jsonl")[-1]
    assert found["model"]["greedy"]["solved"] == logged["eval/solved"]
    assert (found["config"]["seed"], found["config"]["num_problems"]) == (3, 7)
    assert found["config"]["agent"]["max_completion_length"] == 8
    assert "step_000001" in capsys.readouterr().out


def test_flags_come_before_the_settings_of_the_run(run, models, tmp_path, capsys):
    models_of = dumpgym.EvaluateConfig.of_model(str(run.output), num_problems=2, seed=0)
    assert (models_of.num_problems, models_of.seed, models_of.arms) == (2, 0, (LETTERS,))
    assert models_of.max_completion_lengths == (8,)
    assert models_of.agent.max_completion_length == 8
    assert dumpgym.EvaluateConfig.of_model("embedded") == dumpgym.EvaluateConfig(model="embedded")


def test_a_run_a_checkpoint_and_their_models_are_found(run):
    checkpoint = run.output / "checkpoints" / "step_000001"
    for path, folder in ((run.output, "model"), (run.output / "model", "model")):
        assert find_model(str(path)).name == str(run.output / folder)
    for path in (checkpoint, checkpoint / "model"):
        assert find_model(str(path)).name == str(checkpoint / "model")
        assert find_model(str(path)).run.seed == 3
    assert find_model(run.agent.model).name == run.agent.model
    assert find_model(run.agent.model).run is None
    assert find_model("hub/name").name == "hub/name"


def test_a_run_without_its_final_model_names_its_newest_checkpoint(run, tmp_path, capsys):
    unfinished = tmp_path / "run"
    (unfinished / "checkpoints" / "step_000010").mkdir(parents=True)
    (unfinished / "config.json").write_text((run.output / "config.json").read_text())
    assert main(["evaluate", str(unfinished)]) == 2
    error = capsys.readouterr().err
    assert f"accepted: a finished run, or one of its checkpoints: {unfinished / 'checkpoints' / 'step_000010'}" in error
    assert error.count("\n") == 1


def test_a_run_whose_configuration_is_damaged_is_no_model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "versions.json").write_text("{}")
    (tmp_path / "config.json").write_text('{"policy_opt')
    with pytest.raises(DumpgymError, match="the directory of a run"):
        find_model(str(tmp_path))
