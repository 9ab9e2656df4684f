"""What a run has spent, by arm and by phase, and the limits that end it."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from dumpgym.contracts.learner import Learned
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.finished import TOKEN_COLUMNS, read_ledger
from dumpgym.testing.fakes import FakeLearner
from dumpgym.training.ledger import Ledger
from tests.training.test_training import make_config, make_trainer

PHASES = ("generate", "verify", "learn", "evaluate", "other")


def generated(learner, *, trains):
    """Tokens of all training steps, or of all evaluations."""
    return sum(int(call.completions.num_tokens.sum()) for call in learner.calls if call.trains == trains)


def run(directory, **options):
    learner = FakeLearner()
    summary = make_trainer(make_config(directory, **options), learner=learner).run()
    return learner, summary


def test_every_token_is_counted_by_arm_and_in_all(tmp_path):
    learner, summary = run(tmp_path / "run")
    ledger = read_ledger(RunDirectory(tmp_path / "run"))
    assert summary["ledger"] == ledger
    assert ledger["tokens"]["num_tokens"] == generated(learner, trains=True) == summary["generated_tokens"]
    assert ledger["tokens"]["evaluation_tokens"] == generated(learner, trains=False) == summary["evaluation_tokens"]
    assert ledger["tokens"]["redrawn_tokens"] == 0
    with_variance = sum(
        int(rewarded.completions.num_tokens[np.ptp(rewarded.rewards, axis=1) > 0].sum()) for rewarded in learner.lessons
    )
    assert 0 < ledger["tokens"]["trained_tokens"] == with_variance < generated(learner, trains=True)
    for column in TOKEN_COLUMNS:
        assert sum(arm[column] for arm in ledger["arms"].values()) == ledger["tokens"][column]
    assert tuple(ledger["seconds"]) == PHASES
    assert all(seconds > 0 for seconds in ledger["seconds"].values())
    assert summary["seconds"] == pytest.approx(sum(ledger["seconds"].values()))


def test_what_the_group_filter_leaves_out_is_counted_as_redrawn(tmp_path):
    learner, summary = run(tmp_path / "run", max_redraws=2)
    given = sum(int(rewarded.completions.num_tokens.sum()) for rewarded in learner.lessons)
    tokens = summary["ledger"]["tokens"]
    assert 0 < tokens["redrawn_tokens"] == generated(learner, trains=True) - given
    assert tokens["trained_tokens"] <= given
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    counts = sum(metrics[-1][f"arms/KnightsKnaves{n}/count"] for n in (2, 3, 4))
    assert counts > 6 * 5


@pytest.mark.parametrize("budget", [1, 4000, 7000])
def test_a_run_ends_with_the_step_in_which_its_tokens_are_spent(tmp_path, budget):
    _, summary = run(tmp_path / "run", steps=50, budget_tokens=budget)
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    spent = [0, *(record["num_tokens"] for record in metrics)]
    assert spent[-2] < budget <= spent[-1]
    assert summary["steps"] == len(metrics) < 50
    evaluations = (tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()
    assert "eval_sampled/success" in json.loads(evaluations[-1])  # the last evaluation is the full one
    assert json.loads(evaluations[-1])["num_tokens"] == spent[-1]


def test_a_run_ends_when_its_time_is_over(tmp_path):
    _, summary = run(tmp_path / "run", steps=50, budget_seconds=1e-9)
    assert summary["steps"] == 1


def test_a_budget_may_be_raised_when_a_run_resumes(tmp_path):
    run(tmp_path / "short", steps=50, budget_tokens=3000)
    make_trainer(make_config(tmp_path / "short", steps=50, budget_tokens=9000), resume=True).run()
    run(tmp_path / "long", steps=50, budget_tokens=9000)
    ledgers = [read_ledger(RunDirectory(tmp_path / name)) for name in ("short", "long")]
    assert ledgers[0]["steps"] == ledgers[1]["steps"]
    assert ledgers[0]["tokens"]["num_tokens"] == ledgers[1]["tokens"]["num_tokens"]


@pytest.mark.parametrize("reported", [True, False])
def test_a_batch_and_an_evaluation_are_added_to_what_was_spent(reported):
    """Without a report of the learner, groups whose rewards differ count as trained on."""
    ledger = Ledger(["a", "b"])
    batch = SimpleNamespace(
        results=SimpleNamespace(arm=np.array([1, 1, 0]), tokens=np.array([5, 7, 11])),
        kept=np.array([True, False, True]),
        without_variance=np.array([False, True, True]),
        learned=Learned({}, {"num_tokens": np.array([4.0, np.nan, 0.0])} if reported else {}),
        seconds={"generate": 3.0, "verify": 1.0, "learn": 2.0},
    )
    for _ in range(2):
        ledger.add_batch(batch, 7.0)
        ledger.add_evaluation({"a": 30, "b": 20}, 10.0)
    assert ledger.seconds == {"generate": 6, "verify": 2, "learn": 4, "evaluate": 20, "other": 2}
    assert ledger.training_seconds == 14
    record = ledger.record()
    assert [record[f"arms/{name}/num_tokens"] for name in "ab"] == [22, 24]
    assert [record[f"arms/{name}/redrawn_tokens"] for name in "ab"] == [0, 14]
    assert [record[f"arms/{name}/trained_tokens"] for name in "ab"] == [0, 8 if reported else 10]
    assert [record[f"arms/{name}/evaluation_tokens"] for name in "ab"] == [60, 40]
    assert (record["num_tokens"], record["time/learn"], record["time/seconds"]) == (46, 4, 34)


def test_the_seconds_of_a_run_that_resumes_are_those_of_one_that_was_not_stopped(tmp_path, monkeypatch):
    """The clock advances by a second at every look, and the run looks at it the same number of times."""
    clock = itertools.count().__next__
    for module in ("loop", "puzzle_student"):
        monkeypatch.setattr(f"dumpgym.training.{module}.perf_counter", clock)

    def stop(log, record):
        if log == "metrics.jsonl" and record["step"] == 4:
            raise KeyboardInterrupt

    learner, whole = run(tmp_path / "whole", max_redraws=2)
    with pytest.raises(KeyboardInterrupt):
        make_trainer(make_config(tmp_path / "cut", max_redraws=2), observer=stop).run()
    cut = make_trainer(make_config(tmp_path / "cut", max_redraws=2), resume=True).run()
    seconds = whole["ledger"]["seconds"]
    assert cut["ledger"]["seconds"] == seconds
    attempts = sum(call.trains for call in learner.calls)
    assert attempts > 6
    assert seconds == {"generate": attempts, "verify": attempts, "learn": 6, "evaluate": 4, "other": attempts + 12}
