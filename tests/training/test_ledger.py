"""What a run has spent, by arm and by phase, and the limits that end it."""

import json

import numpy as np
import pytest

from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.finished import TOKEN_COLUMNS, read_ledger
from dumpgym.testing.fakes import FakeLearner
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
