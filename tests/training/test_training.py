"""The loop: fair to every policy, blind to the evaluation, and resumable to the bit."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

import dumpgym
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.contracts.errors import DumpgymError, InvalidValueError, NonFiniteError, UnknownNameError
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.policy_registry import policy_registry, register_policy
from dumpgym.contracts.success import NeedsSuccess, measuring_seed
from dumpgym.reporting.figures.one_run import training_figure
from dumpgym.runs.checks import check_config
from dumpgym.runs.config import TrainConfig, load_toml
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.files import write_manifest
from dumpgym.runs.finished import read_finished
from dumpgym.runs.validation import validated
from dumpgym.testing.fakes import FakeLearner, reference_completions
from dumpgym.training import launch
from dumpgym.training.loop import Trainer
from tests.fakes.run_files import contents

ARMS = ("dumpgym/KnightsKnaves2-v0", "dumpgym/KnightsKnaves3-v0", "dumpgym/KnightsKnaves4-v0")


def make_config(output, **options):
    few = {"steps": 6, "evaluate_every": 2, "evaluation_problems": 3, "final_evaluation_problems": 5}
    return TrainConfig(
        **{"output": output, "arms": ARMS, "checkpoint_every": 2, "prompts_per_step": 5, **few, **options}
    )


def make_trainer(config, *, learner=None, **options):
    learner = learner or FakeLearner()
    trainer = Trainer(config, learner=learner, **options)
    envs = [arm.env for arm in trainer.arms]
    learner.answers |= reference_completions(*envs, seed=config.seed, num_problems=60)
    if isinstance(trainer.policy, NeedsSuccess):
        learner.answers |= reference_completions(*envs, seed=measuring_seed(config.seed), num_problems=150)
    return trainer


def without_times(lines):
    return [{k: v for k, v in record.items() if not k.startswith("time/")} for record in lines]


def logs(directory):
    run = RunDirectory(directory)
    return [without_times(run.read(log)) for log in ("metrics.jsonl", "evaluations.jsonl", "transcripts.jsonl")]


def test_a_run_leaves_what_its_reader_needs(tmp_path):
    config = make_config(tmp_path / "run")
    records = []
    summary = make_trainer(config, observer=lambda log, record: records.append(log)).run()
    run = RunDirectory(config.output)
    assert [record["step"] for record in run.read("metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
    assert [record["step"] for record in run.read("evaluations.jsonl")] == [0, 2, 4, 6]
    assert records.count("metrics.jsonl") == 6
    assert json.loads((config.output / "summary.json").read_text()) == summary
    last = run.read("metrics.jsonl")[-1]
    for name in ("KnightsKnaves2", "KnightsKnaves3", "KnightsKnaves4"):
        assert {f"arms/{name}/{key}" for key in ("share", "requested_share", "count", "num_tokens")} <= last.keys()
        assert summary["arms"][name]["generated_tokens"] == last[f"arms/{name}/num_tokens"]
    assert sum(last[f"arms/{name}/count"] for name in summary["arms"]) == 6 * 5
    assert sum(arm["generated_tokens"] for arm in summary["arms"].values()) == summary["generated_tokens"]
    low, high = summary["success_difference_interval"]
    assert low <= summary["success_difference"] <= high
    difference = summary["success_after"] - summary["success_before"]
    assert summary["success_difference"] == pytest.approx(difference)
    assert RunDirectory.stored_config(config.output) == config
    assert [path.name for path in sorted((config.output / "checkpoints").iterdir())] == ["step_000004", "step_000006"]
    assert training_figure(config.output).axes


def test_alarms_are_logged(tmp_path):
    """The learner's wrong answers have no answer to read, and at a skill of .2 they are most."""
    make_trainer(make_config(tmp_path / "run", prompts_per_step=12, steps=2)).run()
    run = RunDirectory(tmp_path / "run")
    metrics, format_alarms = run.read("metrics.jsonl")[-1], run.read("evaluations.jsonl")[0]["alarms"]
    assert all(alarm.split(",")[0].endswith(": wrong format") for alarm in [*metrics["alarms"], *format_alarms])
    assert len(format_alarms) == 3
    assert metrics["alarms"]
    assert metrics["arms/KnightsKnaves2/format"] < 0.5
    assert 1 <= metrics["guards/effective_arms"] <= 3
    assert metrics["guards/dose_mismatch"] < 1


def test_all_policies_meet_the_same_problems_of_an_arm(tmp_path):
    """Arm d's i-th problem is the same whatever the policy."""
    seen = {}
    for policy in ("uniform", "easy-to-hard"):
        trainer = make_trainer(make_config(tmp_path / policy, policy=policy))
        trainer.run()
        seen[policy] = {prompt for call in trainer.learner.calls if call.trains for prompt in call.prompts}
        for arm, drawn in zip(trainer.arms, trainer.student.drawn, strict=True):
            expected = {arm.env.sample_problem(0, "train", i).prompt for i in range(drawn)}
            assert expected <= seen[policy]
    assert len(seen["uniform"]) == len(seen["easy-to-hard"]) == 30


class Recorder(BanditPolicy):
    def __init__(self, num_arms, *, seed=0):
        super().__init__(num_arms, seed=seed)
        self.feedback = []

    def _weights(self):
        return np.full(self.num_arms, 1 / self.num_arms)

    def _observe(self, feedback):
        self.feedback.append(feedback)


def test_the_bandit_sees_training_rollouts_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(dumpgym.contracts.policy_registry, "policy_registry", policy_registry.copy())
    register_policy("recorder", Recorder)
    trainer = make_trainer(make_config(tmp_path / "run", policy="recorder"))
    trainer.run()
    feedback = trainer.policy.feedback
    assert [f.step for f in feedback] == list(range(6))
    assert all(len(f.arm) == 5 and (f.num_generations == 8).all() for f in feedback)
    assert all(f.probabilities.tolist() == [1 / 3] * 3 for f in feedback)
    metrics = RunDirectory(tmp_path / "run").read("metrics.jsonl")
    for f, record in zip(feedback, metrics, strict=True):
        for i, name in enumerate(trainer.recorder.names):
            if (f.arm == i).any():
                assert record[f"arms/{name}/learnability"] == pytest.approx(f.signal[f.arm == i].mean())
                assert record[f"arms/{name}/success"] == pytest.approx(f.successes[f.arm == i].mean() / 8)


def test_options_of_a_policy_may_be_lists_and_schedules(tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text('[policy_options]\nfloor = [0.1, 0.2, 0.3]\ntemperature = "linear:1000:0.1:6"\n')
    options = load_toml(file).policy_options
    make_trainer(make_config(tmp_path / "run", policy_options=options)).run()
    metrics = RunDirectory(tmp_path / "run").read("metrics.jsonl")
    shares = [[record[f"arms/KnightsKnaves{n}/requested_share"] for n in (2, 3, 4)] for record in metrics]
    assert (np.array(shares) >= [0.1, 0.2, 0.3]).all()
    assert shares[1] == pytest.approx([0.1 + 0.4 / 3, 0.2 + 0.4 / 3, 0.3 + 0.4 / 3], abs=1e-3)  # hot, so nearly alike
    assert RunDirectory.stored_config(tmp_path / "run").policy_options == options


def test_a_schedule_lasts_as_long_as_the_run(tmp_path):
    make_trainer(make_config(tmp_path / "run", policy="easy-to-hard")).run()
    metrics = RunDirectory(tmp_path / "run").read("metrics.jsonl")
    hardest = [record["arms/KnightsKnaves4/requested_share"] for record in metrics]
    assert hardest == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("policy", "signal", "stop_after"),
    [
        *(("dump", "mean_absolute_advantage", stop_after) for stop_after in (0, 1, 5)),
        *(("dump", signal, 3) for signal in ("learning_progress", "reward_gain_absolute_per_token")),
        *((policy, "mean_absolute_advantage", 3) for policy in sorted(policy_registry)),
    ],
)
def test_an_interrupted_run_resumes_bit_for_bit(tmp_path, policy, signal, stop_after):
    whole = make_config(tmp_path / "whole", policy=policy, signal=signal)
    make_trainer(whole).run()
    cut = make_config(tmp_path / "cut", policy=policy, signal=signal)

    def interrupt(log, record):
        if log == "metrics.jsonl" and record["step"] == stop_after + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_trainer(cut, observer=interrupt).run()
    make_trainer(cut, resume=True).run()
    assert logs(cut.output) == logs(whole.output)


def test_sigterm_is_ctrl_c_unless_the_program_has_a_handler_of_its_own(tmp_path):
    def terminate(log, record):
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        make_trainer(make_config(tmp_path / "run"), observer=terminate).run()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    received = []
    signal.signal(signal.SIGTERM, lambda *_: received.append("mine"))
    try:
        make_trainer(make_config(tmp_path / "own", steps=1), observer=terminate).run()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert set(received) == {"mine"}


def test_a_run_stopped_before_its_first_checkpoint_starts_anew(tmp_path):
    config = make_config(tmp_path / "run")

    def interrupt(log, record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_trainer(config, observer=interrupt).run()
    make_trainer(config, resume=True).run()
    make_trainer(make_config(tmp_path / "whole")).run()
    assert logs(config.output) == logs(tmp_path / "whole")


def test_a_finished_run_can_be_extended(tmp_path):
    short = make_config(tmp_path / "short", steps=4)
    make_trainer(short).run()
    make_trainer(make_config(tmp_path / "short", steps=6), resume=True).run()
    make_trainer(make_config(tmp_path / "long", steps=6)).run()
    assert RunDirectory.stored_config(short.output).steps == 6  # which holds when it is stopped and resumed again
    assert logs(short.output)[0][:4] == logs(tmp_path / "long")[0][:4]
    assert len(logs(short.output)[0]) == 6


@pytest.mark.parametrize("part", ["policy", "signal", "student", "recorder"])
def test_a_checkpoint_of_an_earlier_version_is_refused(tmp_path, part):
    config = make_config(tmp_path / "run", steps=1)
    make_trainer(config).run()
    file = config.output / "checkpoints" / "step_000001" / "state.json"
    state = json.loads(file.read_text())
    del state[part]
    file.write_text(json.dumps(state))
    write_manifest(file.parent)
    before = contents(config.output)
    with pytest.raises(InvalidValueError, match=f"step_000001'; accepted: one with the state of {part}$"):
        make_trainer(replace(config, steps=2), resume=True)
    assert contents(config.output) == before


class Broken:
    """Lets something of an arm's environment or of a learner happen at one step of a run, and counts the steps."""

    def __init__(self, trainer, step):
        self.trainer, self.step = trainer, step

    def now(self):
        return self.trainer.step + 1 == self.step


def with_infinite_reward(trainer, step):
    env, broken = trainer.arms[1].env, Broken(trainer, step)
    verify = env.verify

    def verify_badly(problem, completion):
        verdict = verify(problem, completion)
        training = problem.address[1] == "train"
        return replace(verdict, reward_terms={"answer": -math.inf}) if broken.now() and training else verdict

    env.verify = verify_badly
    return trainer


def with_infinite_gradient(trainer, step):
    learn, broken = trainer.learner.learn, Broken(trainer, step)

    def learn_badly(rewarded):
        if broken.now():
            raise NonFiniteError("gradient")
        return learn(rewarded)

    trainer.learner.learn = learn_badly
    return trainer


@pytest.mark.parametrize(
    ("spoil", "quantity", "arms"),
    [(with_infinite_reward, "reward", "KnightsKnaves3"), (with_infinite_gradient, "gradient", "KnightsKnaves[234].*")],
)
def test_a_number_that_is_not_finite_ends_the_run_and_leaves_its_checkpoint(tmp_path, spoil, quantity, arms):
    whole, config = make_config(tmp_path / "whole"), make_config(tmp_path / "run")
    make_trainer(whole).run()
    message = f"^step 5: {quantity} is not finite, arm {arms}, .*prompt.* 'A very special island .*--resume continues"
    with pytest.raises(DumpgymError, match=message) as told:
        spoil(make_trainer(config), 5).run()
    assert "\n" not in str(told.value)
    run = RunDirectory(config.output)
    assert [record["step"] for record in run.read("metrics.jsonl")] == [1, 2, 3, 4]
    shown = [record for record in run.read("transcripts.jsonl") if "error" in record]
    assert {record["step"] for record in shown} == {5}
    assert len(shown) % 8 == 0
    assert shown[0]["error"] in str(told.value)
    if quantity == "reward":
        assert {(record["arm"], record["reward"]) for record in shown} == {("KnightsKnaves3", "-inf")}
    else:
        assert len(shown) == 5 * 8  # it is not known whose it is
    assert max(path.name for path in (config.output / "checkpoints").iterdir()) == "step_000004"
    make_trainer(config, resume=True).run()
    assert logs(config.output) == logs(whole.output)


def test_transcripts_show_a_few_answers_of_every_arm_at_every_evaluation(tmp_path):
    config = make_config(tmp_path / "run", transcripts_per_arm=2)
    make_trainer(config).run()
    records = RunDirectory(config.output).read("transcripts.jsonl")
    assert [record["step"] for record in records if record["split"] == "train"] == [1, 2, 3, 4, 5, 6]
    for step in (0, 2, 4, 6):
        shown = [(r["arm"], r["address"]) for r in records if r["split"] == "test" and r["step"] == step]
        assert shown == [(f"KnightsKnaves{n}", [0, "test", i]) for n in (2, 3, 4) for i in (0, 1)]
    evaluations = RunDirectory(config.output).read("evaluations.jsonl")
    solved = evaluations[-1]["eval/solved"]["KnightsKnaves4"][:2]
    assert [int(r["outcome"] == "correct") for r in records[-2:]] == solved
    none = make_config(tmp_path / "none", transcripts_per_arm=0)
    make_trainer(none).run()
    assert {record["split"] for record in RunDirectory(none.output).read("transcripts.jsonl")} == {"train"}


def test_limits_of_arms_reach_the_learner(tmp_path):
    trainer = make_trainer(make_config(tmp_path / "run", max_completion_lengths=(5, 6, 7)))
    limits, generate = [], trainer.learner.generate

    def record(prompts, num_generations, **options):
        limits.append(set(options["max_completion_lengths"]))
        return generate(prompts, num_generations, **options)

    trainer.learner.generate = record
    trainer.run()
    assert set().union(*limits) == {5, 6, 7}
    with pytest.raises(DumpgymError, match="2 numbers and there are 3 arms"):
        make_trainer(make_config(tmp_path / "other", max_completion_lengths=(5, 6)))


def test_the_health_of_every_arm_is_logged(tmp_path):
    make_trainer(make_config(tmp_path / "run", prompts_per_step=12)).run()
    for record in RunDirectory(tmp_path / "run").read("metrics.jsonl"):
        shares = {name: record[f"arms/{name}/share"] for name in ("KnightsKnaves2", "KnightsKnaves3", "KnightsKnaves4")}
        equal = [shares[name] * record[f"arms/{name}/frac_reward_zero_std"] for name in shares if shares[name]]
        assert sum(equal) == pytest.approx(record["frac_reward_zero_std"])
        assert all(record[f"arms/{name}/truncated"] == 0 for name in shares if shares[name])


class Publisher(FakeLearner):
    def save_model(self, directory):
        (directory / "weights").write_text(f"{self.skill}")


def test_a_run_leaves_its_model_with_a_card(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/dumpgym", "train", "--policy-options", "window", "30"])
    config = make_config(tmp_path / "run", policy_options={"window": 30})
    trainer = make_trainer(config, learner=Publisher())
    summary = trainer.run()
    assert (config.output / "model" / "weights").read_text() == str(trainer.learner.skill)
    card = (config.output / "model" / "README.md").read_text()
    data = ModelCard(card).data
    assert (data.library_name, data.base_model) == ("transformers", None)
    assert "dumpgym train --policy-options window 30" in card
    low, high = summary["success_difference_interval"]
    assert f"| {summary['success_difference']:+.3f} | [{low:+.3f}, {high:+.3f}] |" in card
    for text in (
        "`dump?window=30`",
        "Seed 0",
        *ARMS,
        f"{summary['generated_tokens']:,}",
        f"torch {version('torch')}",
    ):
        assert text in card
    monkeypatch.setattr(sys, "argv", ["/bin/dumpgym", "train", "--resume"])
    make_trainer(config, learner=Publisher(), resume=True).run()
    assert "--policy-options window 30" in (config.output / "model" / "README.md").read_text()


def test_a_learner_without_a_model_leaves_none(tmp_path):
    make_trainer(make_config(tmp_path / "run")).run()
    assert not (tmp_path / "run" / "model").exists()


def test_of_several_processes_one_writes_and_all_come_to_the_same_decisions(tmp_path):
    """Threads play the processes: each has its own trainer, and they wait for each other."""
    barrier, saved = threading.Barrier(2, timeout=30), []

    class Threads:
        def num_processes(self):
            return 2

        def is_main_process(self):
            return threading.current_thread().name == "main"

        def wait_for_everyone(self):
            barrier.wait()

    class Rank(Publisher):
        def save(self, directory):
            saved.append((threading.current_thread().name, directory.name))
            if Threads().is_main_process():
                super().save(directory)

        def save_model(self, directory):
            if Threads().is_main_process():
                super().save_model(directory)

    def run(resume, summaries):
        trainer = make_trainer(config, learner=Rank(), resume=resume, processes=Threads())
        summaries[threading.current_thread().name] = trainer.run()

    config = make_config(tmp_path / "run")
    for resume in (False, True):
        summaries = {}
        threads = [threading.Thread(target=run, args=(resume, summaries), name=name) for name in ("main", "other")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert summaries["main"] == summaries["other"]
    steps = [f"step_{step:06d}.partial" for step in (0, 2, 4, 6)]
    assert sorted(saved) == [(name, step) for name in ("main", "other") for step in steps]
    make_trainer(make_config(tmp_path / "alone")).run()
    assert logs(config.output) == logs(tmp_path / "alone")


def test_an_existing_run_is_refused_and_left_alone(tmp_path):
    config = make_config(tmp_path / "run")
    make_trainer(config).run()
    before = {path: path.read_bytes() for path in config.output.rglob("*") if path.is_file()}
    with pytest.raises(InvalidValueError, match="accepted: a directory that is new or empty, or --resume"):
        make_trainer(config)
    assert {path: path.read_bytes() for path in config.output.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"policy": "dumb"}, UnknownNameError, "unknown policy 'dumb'; did you mean 'dump'"),
        ({"signal": "joy"}, UnknownNameError, "unknown signal 'joy'"),
        ({"policy_options": {"windw": 3}}, UnknownNameError, "unknown option of policy 'dump' 'windw'.*'window'"),
        ({"policy_options": {"window": 0}}, InvalidValueError, "window is 0; accepted: a whole number at least 1"),
        ({"arms": ("dumpgym/KnightsKnaves99-v0",)}, InvalidValueError, "environment is 'dumpgym/KnightsKnaves99-v0'"),
    ],
)
def test_what_does_not_exist_is_named_before_anything_is_written(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        Trainer(make_config(tmp_path / "run", **options), learner=FakeLearner())
    assert not (tmp_path / "run").exists()


def test_resuming_refuses_another_configuration(tmp_path):
    make_trainer(make_config(tmp_path / "run")).run()
    with pytest.raises(InvalidValueError, match="policy is 'uniform'; accepted: with --resume, the run's own value"):
        make_trainer(make_config(tmp_path / "run", policy="uniform"), resume=True)
    with pytest.raises(InvalidValueError, match="accepted: with --resume, the directory of a run"):
        make_trainer(make_config(tmp_path / "nothing"), resume=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stepz": 3}, "unknown configuration key 'stepz'; accepted: output, seed"),
        ({"agent": {"temperatur": 1}}, "unknown configuration key 'agent.temperatur'; accepted: model, device"),
        ({"steps": 0}, "steps is 0; accepted: greater than or equal to 1"),
        ({"agent": {"loss_type": "x"}}, "agent.loss_type is 'x'; accepted: .*'dapo'"),
        ({"arms": []}, "arms is "),
        ({"num_generations": 1}, "num_generations is 1"),
    ],
)
def test_a_configuration_names_what_it_cannot_take(values, message):
    with pytest.raises(DumpgymError, match=message):
        validated(values, TrainConfig)


SMALL_JOB = [
    "--steps", "6", "--checkpoint-every", "2", "--evaluate-every", "5", "--evaluation-problems", "2",
    "--final-evaluation-problems", "3", "--prompts-per-step", "3", "--num-generations", "4",
    "--agent.max-completion-length", "64", "--arms", "dumpgym/KnightsKnaves2-v0", "dumpgym/KnightsKnaves3-v0",
]  # fmt: skip


def dumpgym_train(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "dumpgym", "train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def finish(process):
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return output


def test_a_killed_run_of_the_embedded_model_resumes_bit_for_bit(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(dumpgym_train("--output", str(whole), *SMALL_JOB))  # in a process of its own, as the others
    victim = dumpgym_train("--output", str(killed), *SMALL_JOB)
    give_up = time.monotonic() + 240
    while not (killed / "checkpoints" / "step_000002").exists():
        assert victim.poll() is None, victim.communicate()[0]
        assert time.monotonic() < give_up
        time.sleep(0.005)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    finish(dumpgym_train("--output", str(killed), "--resume"))
    assert logs(killed) == logs(whole)
    assert len(logs(whole)[0]) == 6


def test_mini_batches_that_do_not_divide_the_batch_are_refused_before_anything_is_written(tmp_path):
    config = make_config(tmp_path / "run", prompts_per_step=5, agent=GRPOConfig(mini_batches=2))
    with pytest.raises(InvalidValueError, match="mini_batches is 2; accepted: a divisor of prompts_per_step, 5"):
        launch.make_trainer(config)
    assert not (tmp_path / "run").exists()


def test_a_nuisance_arm_is_practised_and_not_evaluated(tmp_path):
    config = make_config(tmp_path / "run", nuisance_arms=ARMS[1:2], policy="uniform")
    summary = make_trainer(config).run()
    assert list(summary["arms"]) == ["KnightsKnaves2", "KnightsKnaves4"]
    run = read_finished(config.output)
    assert run.arms == ["KnightsKnaves2", "KnightsKnaves4"]
    assert run.metrics[-1]["arms/KnightsKnaves3/count"] > 0
    assert run.metrics[-1]["arms/KnightsKnaves3/num_tokens"] > 0
    assert run.evaluations[-1]["arms/KnightsKnaves3/evaluation_tokens"] == 0
    np.testing.assert_allclose(run.success, run.success_by_arm.mean(axis=1))
    assert run.arms_of_records("share").sum(axis=1).min() < 1


def test_a_nuisance_arm_needs_no_held_out_problems():
    few, many = "dumpgym/KnightsKnaves-v0?num_people=5&puzzles=dump", "dumpgym/Copy-v0?length=10"
    options = {"arms": (few, many), "final_evaluation_problems": 100_000}
    check_config(TrainConfig(nuisance_arms=(few,), **options))
    with pytest.raises(InvalidValueError, match="accepted: an environment with 100000 test problems or more"):
        check_config(TrainConfig(**options))


def logged_means(records, key):
    values = [record[key] for record in records if key in record]
    return pytest.approx(np.mean(values)) if values else None


def test_a_record_of_several_steps_holds_their_means_and_the_totals_after_the_last(tmp_path):
    options = {"steps": 8, "evaluate_every": 5, "checkpoint_every": 7, "seed": 3}
    make_trainer(make_config(tmp_path / "each", **options)).run()
    make_trainer(make_config(tmp_path / "thin", log_every=3, **options)).run()
    each, thin = (read_finished(tmp_path / name) for name in ("each", "thin"))
    assert [record["step"] for record in thin.metrics] == [3, 5, 6, 7, 8]
    totals = ("/count", "_tokens", "step")
    first = 0
    for record in thin.metrics:
        steps = each.metrics[first : record["step"]]
        assert record.keys() == {key for step in steps for key in step}
        for key in record.keys() - {"alarms"}:
            if key.endswith(totals):
                assert record[key] == steps[-1][key]
            elif not key.startswith("time/"):
                assert record[key] == logged_means(steps, key)
        first = record["step"]
    np.testing.assert_allclose(
        thin.mean_of_steps(thin.of_records("reward")), each.mean_of_steps(each.of_records("reward"))
    )
    assert without_times(thin.evaluations) == without_times(each.evaluations)
    assert [r["step"] for r in RunDirectory(tmp_path / "thin").read("transcripts.jsonl") if r["split"] == "train"] == [
        3,
        6,
        8,
    ]
