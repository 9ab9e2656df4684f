"""Alarms ring for what was seen to go wrong, and for nothing else."""

import json
import re

import numpy as np
import pytest

from dumpgym.commands.display import TrainDisplay
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.contracts.student import GroupResults
from dumpgym.runs.config import TrainConfig
from dumpgym.training.policy_alarms import PolicyAlarms, format_alarms

NAMES = [f"arm{i}" for i in range(12)]


def results(arms, successes, size=16):
    arms = np.array(arms, dtype=np.int64)
    zeros = np.zeros_like(arms)
    return GroupResults(arms, np.broadcast_to(successes, arms.shape), size, zeros + 100, zeros)


def watch(guards, steps, requested, draw, success=0.5, unreadable=0.0, seed=0):
    """Lets the guards see steps; success and unreadable are chances by arm."""
    rng = np.random.default_rng(seed)
    success, unreadable = (np.broadcast_to(np.asarray(x, float), len(guards.names)) for x in (success, unreadable))
    found = []
    for step in range(steps):
        arms = draw(rng, step)
        bad = rng.binomial(16, unreadable[arms])
        solved = rng.binomial(16 - bad, success[arms])
        alarms, numbers = guards.observe(np.asarray(requested, float), results(arms, solved), bad)
        found.append(alarms)
    return found, numbers


def uniformly(rng, step):
    return rng.integers(12, size=32)


def test_a_uniform_run_raises_no_alarm():
    """A dose alarm rings by chance less than once in a million windows, and an arm is starved in a window, without one
    of 640 groups, with a chance of 6e-25."""
    for seed in range(5):
        found, numbers = watch(PolicyAlarms(NAMES), 100, np.full(12, 1 / 12), uniformly, seed=seed)
        assert not any(found)
        assert numbers["guards/effective_arms"] > 11
        assert 0 < numbers["guards/dose_mismatch"] < 1


def test_quotas_raise_no_dose_alarm():
    policy = make_policy("uniform", num_arms=12, draw="quota")
    found, numbers = watch(PolicyAlarms(NAMES), 40, np.full(12, 1 / 12), lambda rng, step: policy.select_arms(16))
    assert not any(found)
    assert numbers["guards/dose_mismatch"] < 0.2


def test_an_arm_that_is_never_solved_is_dead():
    success = np.full(12, 0.5)
    success[3] = 0
    found, _ = watch(PolicyAlarms(NAMES), 10, np.full(12, 1 / 12), uniformly, success=success)
    assert found[0] == []  # too few completions to judge
    (alarm,) = found[-1]
    assert alarm.startswith("arm3: dead, none of ")


def test_an_arm_that_cannot_be_read_is_told_from_one_that_is_too_hard():
    unreadable = np.zeros(12)
    unreadable[5] = 0.9
    found, _ = watch(PolicyAlarms(NAMES), 10, np.full(12, 1 / 12), uniformly, success=0.0, unreadable=unreadable)
    kinds = {alarm.partition(",")[0] for alarm in found[-1]}
    assert kinds == {"arm5: wrong format", *(f"{name}: dead" for name in NAMES if name != "arm5")}


def test_an_arm_that_gets_nothing_is_starved():
    requested = np.append(np.full(11, 1 / 11), 0)
    found, _ = watch(PolicyAlarms(NAMES, window=10), 11, requested, lambda rng, step: rng.integers(11, size=32))
    assert found[8] == []
    assert found[9] == found[10] == ["arm11: starved, no group in 10 steps"]


@pytest.mark.parametrize(
    ("requested", "alarm"),
    [
        (np.append(0.6, np.full(11, 0.4 / 11)), "arm0: concentrated, 60% of the last 5 batches"),
        (np.append([0.47, 0.47], np.full(10, 0.006)), "concentrated, 2.8 effective arms of 12 in the last 5 batches"),
    ],
)
def test_a_batch_that_few_arms_take_over_is_concentrated(requested, alarm):
    def draw(rng, step):
        return rng.choice(12, size=32, p=requested)

    found, _ = watch(PolicyAlarms(NAMES), 6, requested, draw)
    assert [alarms for alarms in found if alarms] == [[alarm], [alarm]]


def test_a_sampler_that_does_not_do_what_was_requested_is_found_out():
    requested = np.append(0.45, np.full(11, 0.05))
    found, numbers = watch(PolicyAlarms(NAMES), 20, requested, uniformly)
    assert any(alarm.startswith("arm0: dose, ") for alarm in found[-1])
    assert numbers["guards/dose_mismatch"] > 1


def test_two_arms_may_take_turns_in_a_batch():
    found, _ = watch(PolicyAlarms(["a", "b"]), 20, [0.9, 0.1], lambda rng, step: (rng.random(32) < 0.1).astype(int))
    assert not any(found)


def test_restored_alarms_continue_as_they_were():
    first, second = PolicyAlarms(NAMES), PolicyAlarms(NAMES)
    watch(first, 7, np.full(12, 1 / 12), uniformly)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    again = [watch(g, 9, np.full(12, 1 / 12), uniformly, success=0.0, seed=4) for g in (first, second)]
    assert again[0] == again[1]
    assert first.state_dict() == second.state_dict()
    with pytest.raises(InvalidValueError, match="shape of recent"):
        PolicyAlarms(NAMES[:3]).load_state_dict(first.state_dict())


def test_the_audit_before_training_names_arms_that_cannot_be_read():
    evaluation = {"eval/a/format": 0.05, "eval/b/format": 0.9}
    assert format_alarms(evaluation, ["a", "b"], 100) == [
        "a: wrong format, 95% of 100 completions have no answer to read"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"window": 4}, "window is 4"), ({"enough": 0}, "enough is 0"), ({"largest_share": 2}, "largest_share is 2")],
)
def test_a_threshold_out_of_range_is_named(options, message):
    with pytest.raises(InvalidValueError, match=message):
        PolicyAlarms(NAMES, **options)


# What a person sees of them

ARM = "words[bold]"  # which is markup for rich


def show(display, *alarms):
    """Shows an evaluation with one alarm, and then steps, each with its alarms."""
    display.names = [ARM]
    audited = [f"{ARM}: wrong format, 90% of 100 completions have no answer to read"]
    with display:
        display.start(0.0)
        display.observe(
            "evaluations.jsonl", {"step": 0, "alarms": audited, "eval/success": 0.1, f"eval/{ARM}/success": 0.1}
        )
        for step, found in enumerate(alarms, 1):
            record = {"step": step, "alarms": found, "reward": 0.5, "num_tokens": 10}
            record |= {"time/seconds": 1.0, "time/progress": step / 10}
            display.observe("metrics.jsonl", record)


def test_without_a_terminal_an_alarm_is_printed_when_it_begins(monkeypatch, capsys):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    dead = [f"{ARM}: dead, none of {n} completions solved" for n in (64, 72, 80)]
    show(TrainDisplay(TrainConfig()), [dead[0]], [dead[1]], [], [dead[2]])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("alarm: ")]
    audited = f"alarm: {ARM}: wrong format, 90% of 100 completions have no answer to read"
    assert lines == [audited, f"alarm: {dead[0]}", f"alarm: {dead[2]}"]


def test_on_a_terminal_alarms_stand_under_the_table_of_the_arms(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    starved = f"{ARM}: starved, no group in 20 steps"
    show(TrainDisplay(TrainConfig()), [], [starved])
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    last = shown[shown.rindex("requested") :]  # the table as it was left
    assert re.search(rf"{re.escape(ARM)}.*\n(.*\n)*.*alarm: {re.escape(starved)}", last)
    assert "wrong format" not in last
