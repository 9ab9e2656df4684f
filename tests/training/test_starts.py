"""What a second start of a run may do: resume it, extend it, or say why not. Nothing is lost and nothing relabelled."""

import json
import shutil
import sys
from dataclasses import replace

import pytest
import torch

import dumpgym.training.loop
from dumpgym.agents.grpo import processes
from dumpgym.commands.main import main
from dumpgym.comparing.loading import load_comparison
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.reporting.page import page
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.finished import find_runs
from dumpgym.runs.resuming import resume_point
from dumpgym.runs.versions import mixed_versions, read_starts
from dumpgym.training import launch
from tests.fakes.run_files import contents
from tests.training.test_training import Publisher, logs, make_config, make_trainer

STEPS = 4


def tiny(output, **options):
    return make_config(output, steps=STEPS, policy="uniform", **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The directory of a finished run."""
    config = tiny(tmp_path_factory.mktemp("whole") / "run")
    make_trainer(config, learner=Publisher()).run()
    return config.output


@pytest.fixture
def config(whole, tmp_path):
    """The configuration of a copy of it."""
    shutil.copytree(whole, tmp_path / "run")
    return tiny(tmp_path / "run")


def resume(config, **options):
    return make_trainer(config, learner=Publisher(), resume=True, **options)


def stopped(config, log, step):
    """Makes a run that is stopped when it has logged a step."""

    class Stopped(Exception):
        pass

    def stop(what, record):
        if (what, record["step"]) == (log, step):
            raise Stopped

    with pytest.raises(Stopped):
        make_trainer(config, learner=Publisher(), observer=stop).run()
    return config


@pytest.mark.parametrize("kept", [True, False], ids=["with checkpoints", "without"])
def test_a_finished_run_is_left_as_it_is(config, kept, capsys):
    if not kept:
        shutil.rmtree(config.output / "checkpoints")
    before = contents(config.output)
    trainer = resume(config)
    assert (trainer.progress, trainer.step) == (1.0, STEPS)
    assert trainer.run() == json.loads((config.output / "summary.json").read_text())
    assert launch.train(config, resume=True) == trainer.summary
    for _ in range(2):
        assert main(["train", "--output", str(config.output), "--resume"]) == 0
        assert f"run in {config.output} has finished after 4 steps; nothing is changed" in capsys.readouterr().out
    assert contents(config.output) == before


def test_a_finished_run_without_checkpoints_is_not_extended(config, capsys):
    shutil.rmtree(config.output / "checkpoints")
    before = contents(config.output)
    with pytest.raises(DumpgymError, match=r"run' has no checkpoint, and metrics\.jsonl goes beyond the first one"):
        resume(replace(config, steps=6))
    assert main(["train", "--output", str(config.output), "--resume", "--steps", "6"]) == 2
    assert "has no checkpoint" in capsys.readouterr().err
    assert contents(config.output) == before


def damage_log(run):
    file = run / "metrics.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))


STATES = {
    "the logs of a finished run are cut": (
        damage_log,
        "has finished, and metrics.jsonl holds 3 steps, and summary.json counts 4; accepted: the file as the run wrote",
    ),
    "the logs of a finished run are gone": (lambda run: (run / "metrics.jsonl").unlink(), "metrics.jsonl is missing"),
    "the summary is damaged": (lambda run: (run / "summary.json").write_text("{"), "summary.json is damaged"),
    "the summary and the checkpoints are gone": (
        lambda run: ((run / "summary.json").unlink(), shutil.rmtree(run / "checkpoints")),
        "has no checkpoint, and metrics.jsonl goes beyond the first one",
    ),
    "the summary and the logs are gone": (
        lambda run: [(run / name).unlink() for name in ("summary.json", "metrics.jsonl")],
        "metrics.jsonl is shorter than it was then",
    ),
    "the record of starts is damaged": (lambda run: (run / "versions.json").write_text("[]"), "versions.json"),
    "the configuration is damaged": (lambda run: (run / "config.json").write_text("[]"), "the directory of a run"),
}


@pytest.mark.filterwarnings("ignore:checkpoint .* is left out")
@pytest.mark.parametrize("state", STATES)
def test_a_run_that_lost_a_part_is_refused_and_left_as_it_is(config, state, capsys):
    harm, message = STATES[state]
    harm(config.output)
    before = contents(config.output)
    for steps in (STEPS, STEPS + 2):
        with pytest.raises(DumpgymError, match=message) as told:
            resume(replace(config, steps=steps))
        assert "\n" not in str(told.value)
    assert main(["train", "--output", str(config.output), "--resume"]) == 2
    assert contents(config.output) == before


def test_a_run_killed_before_its_summary_gets_the_same_one(config):
    before = logs(config.output), json.loads((config.output / "summary.json").read_text())
    (config.output / "summary.json").unlink()
    summary = resume(config).run()
    assert (logs(config.output), summary) == before
    assert (config.output / "model" / "weights").exists()


def test_a_run_that_is_extended_is_unfinished_until_it_ends(config):
    class Stopped(Exception):
        pass

    def stop(log, record):
        raise Stopped

    with pytest.raises(Stopped):
        resume(replace(config, steps=8), observer=stop).run()
    with pytest.raises(InvalidValueError, match="left out: not finished, 62% of it is there"):
        find_runs([config.output])
    resume(replace(config, steps=8)).run()
    assert [run.config.steps for run in find_runs([config.output])[0]] == [8]


def test_an_extension_can_be_given_up(config):
    """The run had ended at the checkpoint from which its extension was to continue."""
    before = logs(config.output), json.loads((config.output / "summary.json").read_text())
    resume(replace(config, steps=8))
    assert RunDirectory.stored_config(config.output).steps == 8
    with pytest.raises(InvalidValueError, match="steps is 3; accepted: with --resume, at least 4, which the run has d"):
        resume(replace(config, steps=3))
    summary = resume(config).run()
    assert (logs(config.output), summary) == before
    assert RunDirectory.stored_config(config.output).steps == STEPS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 2}, "steps is 2; accepted: with --resume, at least 4, which the run has done"),
        ({"steps": 3}, "at least 4"),
        ({"budget_tokens": 10}, r"budget_tokens is 10; accepted: with --resume, at least \d+, which the run has spent"),
        ({"budget_seconds": 1e-9}, r"budget_seconds is 1e-09; accepted: with --resume, at least [\d.]+, which the run"),
        ({"steps": 9, "budget_tokens": 10}, "budget_tokens is 10"),
    ],
)
def test_a_limit_below_what_the_run_has_done_is_refused(config, changes, message):
    before = contents(config.output)
    with pytest.raises(InvalidValueError, match=message):
        resume(replace(config, **changes))
    with pytest.raises(InvalidValueError, match=message):
        launch.make_trainer(replace(config, **changes), resume=True)
    assert contents(config.output) == before


def test_the_command_refuses_fewer_steps(config, capsys):
    before = contents(config.output)
    assert main(["train", "--output", str(config.output), "--resume", "--steps", "2"]) == 2
    assert capsys.readouterr().err == (
        "dumpgym: steps is 2; accepted: with --resume, at least 4, which the run has done\n"
    )
    assert contents(config.output) == before


def test_a_run_that_has_not_ended_needs_a_step_for_its_last_evaluation(tmp_path):
    config = stopped(tiny(tmp_path / "run"), "metrics.jsonl", 3)  # the checkpoint is of step 2
    before = contents(config.output)
    for steps in (1, 2):
        with pytest.raises(InvalidValueError, match=f"steps is {steps}; accepted: with --resume, more than 2, which"):
            resume(replace(config, steps=steps))
    assert contents(config.output) == before
    summary = resume(replace(config, steps=3)).run()
    assert summary["steps"] == 3
    assert summary["sampled"]
    make_trainer(replace(config, output=tmp_path / "short", steps=3)).run()
    assert logs(config.output) == logs(tmp_path / "short")


def test_a_run_whose_budget_was_overspent_is_finished(tmp_path):
    config = tiny(tmp_path / "run", budget_tokens=100)
    make_trainer(config, learner=Publisher()).run()
    spent = RunDirectory(config.output).read("metrics.jsonl")[-1]["num_tokens"]
    assert spent > 100
    before = contents(config.output)
    assert resume(config).run()["generated_tokens"] == spent
    assert resume(replace(config, steps=9)).run()["generated_tokens"] == spent  # the budget has ended it
    with pytest.raises(InvalidValueError, match=f"budget_tokens is 101; accepted: with --resume, at least {spent}"):
        resume(replace(config, budget_tokens=101))
    assert contents(config.output) == before
    assert resume(replace(config, budget_tokens=None)).run()["steps"] == STEPS


def test_a_schedule_that_lasts_as_long_as_the_run_does_not_change_its_length(tmp_path):
    config = replace(tiny(tmp_path / "run"), policy="easy-to-hard")
    make_trainer(config, learner=Publisher()).run()
    before = contents(config.output)
    with pytest.raises(InvalidValueError, match="steps is 6; accepted: with --resume, 4, because the schedule of poli"):
        resume(replace(config, steps=6))
    assert contents(config.output) == before
    own = replace(config, output=tmp_path / "own", policy_options={"total-steps": 8})
    make_trainer(own, learner=Publisher()).run()
    assert resume(replace(own, steps=6)).run()["steps"] == 6


def test_two_processes_do_not_train_one_run(tmp_path):
    config = stopped(tiny(tmp_path / "run"), "metrics.jsonl", 3)
    first = resume(config)
    before = contents(config.output)
    with pytest.raises(InvalidValueError, match=r"run'; accepted: a directory in which no other run is at work"):
        resume(config)
    assert contents(config.output) == before
    assert first.run() == resume(config).run()


def test_a_trainer_that_is_refused_or_stopped_lets_go_of_the_directory(tmp_path):
    config = stopped(tiny(tmp_path / "run"), "metrics.jsonl", 1)
    (config.output / "versions.json").rename(config.output / "aside")
    (config.output / "versions.json").write_text("[]")
    with pytest.raises(DumpgymError, match=r"versions\.json") as kept:
        resume(config)
    (config.output / "aside").rename(config.output / "versions.json")
    assert resume(config).run()["steps"] == STEPS
    assert kept.tb  # holds the trainer that was refused


def at_versions(monkeypatch, command, **versions):
    """Lets a start find other versions, and a command of its own."""
    found = {"dumpgym": "1", "python": "3", "torch": "2.12.0", "command": command, **versions}
    monkeypatch.setattr(dumpgym.training.loop, "versions", lambda: dict(found))


def test_every_start_is_recorded_and_the_card_shows_the_commands_in_order(tmp_path, monkeypatch):
    config = tiny(tmp_path / "run")
    at_versions(monkeypatch, ["dumpgym", "train", "--policy", "uniform"])
    stopped(config, "metrics.jsonl", 3)
    for _ in range(2):
        at_versions(monkeypatch, ["dumpgym", "train", "--resume"])
        resume(config)
    resume(config).run()
    at_versions(monkeypatch, ["dumpgym", "train", "--resume", "--steps", "6"])
    resume(replace(config, steps=6)).run()
    starts = read_starts(config.output)
    assert [(start["step"], start["command"][2:]) for start in starts] == [
        (0, ["--policy", "uniform"]), *[(2, ["--resume"])] * 3, (4, ["--resume", "--steps", "6"]),
    ]  # fmt: skip
    card = (config.output / "model" / "README.md").read_text()
    commands = card.partition("```bash\n")[2].partition("```")[0].splitlines()
    assert commands == [
        "dumpgym train --policy uniform",
        "dumpgym train --resume  # from step 2",
        "dumpgym train --resume --steps 6  # from step 4",
    ]


def test_other_versions_are_recorded_and_told(tmp_path, monkeypatch):
    config = tiny(tmp_path / "run")
    at_versions(monkeypatch, ["dumpgym", "train"])
    stopped(config, "metrics.jsonl", 3)
    at_versions(monkeypatch, ["dumpgym", "train", "--resume"], torch="2.13.0", python="4")
    changes = "python 4 after 3, torch 2.13.0 after 2.12.0"
    with pytest.warns(UserWarning, match=f"resumes under other versions, so it may not .*bit for bit: {changes}"):
        trainer = resume(config)
    trainer.run()
    assert mixed_versions(read_starts(config.output)) == [f"from step 2, {changes}"]
    record = json.loads((config.output / "versions.json").read_text())
    assert (record["torch"], record["resumed"][0]["torch"]) == ("2.12.0", "2.13.0")
    assert f"torch 2.12.0; from step 2, {changes}." in (config.output / "model" / "README.md").read_text()
    comparison = load_comparison([tmp_path])
    assert f"{config.output} ran under mixed versions: from step 2, {changes}" in comparison.notes
    assert "ran under mixed versions" in page(comparison, {})


class Threaded(Publisher):
    """Says how many threads it has, as the GRPO agent does."""

    def describe(self):
        return {**super().describe(), "threads": torch.get_num_threads()}


@pytest.fixture
def started_with_three_threads(tmp_path, monkeypatch):
    """A run that started on a machine with three CPUs; this one gives it a single thread."""
    before, cpus = torch.get_num_threads(), [3]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(launch, "GRPOAgent", lambda config, *, seed: Threaded())
    monkeypatch.setattr(processes, "threads_per_process", lambda: cpus[0])
    config = tiny(tmp_path / "run")
    torch.set_num_threads(3)
    launch.make_trainer(config).directory.unlock()
    cpus[0] = 1
    torch.set_num_threads(1)
    yield config
    torch.set_num_threads(before)


def test_a_run_that_resumes_keeps_its_number_of_threads(started_with_three_threads):
    config = started_with_three_threads
    launch.make_trainer(config, resume=True).directory.unlock()
    assert torch.get_num_threads() == 3
    assert [start["threads"] for start in read_starts(config.output)] == [3, 3]
    assert read_starts(config.output)[0]["cpus"] > 0


def test_another_number_of_threads_is_the_users_choice_and_told(started_with_three_threads, monkeypatch):
    config = started_with_three_threads
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.warns(UserWarning, match="may not continue bit for bit: threads 1 after 3"):
        launch.make_trainer(config, resume=True).directory.unlock()
    assert [(start["threads"], start.get("omp_num_threads")) for start in read_starts(config.output)] == [
        (3, None),
        (1, "1"),
    ]


def test_the_report_names_the_runs_whose_versions_differ(whole, tmp_path):
    for seed in range(4):
        shutil.copytree(whole, tmp_path / f"seed{seed}")
        for name, changes in {
            "config.json": {"seed": seed},
            "summary.json": {"seed": seed},
            "versions.json": {"torch": "9.9.9"} if seed == 3 else {},
        }.items():
            file = tmp_path / f"seed{seed}" / name
            file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    torch = read_starts(whole)[0]["torch"]
    runs = ", ".join(str(tmp_path / f"seed{seed}") for seed in range(3))
    notes = load_comparison([tmp_path]).notes
    assert f"runs differ in torch: {torch} in {runs}; 9.9.9 in {tmp_path / 'seed3'}" in notes
    (tmp_path / "seed1" / "versions.json").unlink()
    assert f"{tmp_path / 'seed1'} has no versions.json: its versions are unknown" in load_comparison([tmp_path]).notes


def test_a_record_of_one_start_as_earlier_versions_wrote_it_is_read(config):
    (config.output / "versions.json").write_text(json.dumps({"torch": "2.12.0", "command": ["dumpgym", "train"]}))
    assert read_starts(config.output) == [{"step": 0, "torch": "2.12.0", "command": ["dumpgym", "train"]}]
    (config.output / "versions.json").unlink()
    assert resume_point(config).starts == []
    assert resume(replace(config, steps=5)).run()["steps"] == 5
    assert [start["step"] for start in read_starts(config.output)] == [4]
    assert sys.argv[1:] == read_starts(config.output)[0]["command"][1:]
