"""What an arm's learner is reported as, against plain loops, and alarms that ring for what they say."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.learner import Completions, Learned
from dumpgym.contracts.student import GroupResults
from dumpgym.training.batch import TrainingBatch
from dumpgym.training.learner_alarms import LearnerAlarms
from dumpgym.training.metrics import arm_health

NAMES = ["a", "b", "idle"]
SIZE = 8


def make_lesson(arms=(0, 0, 1, 1), *, truncated=0.2, entropy=0.5, equal=(), by_group=None, known=True, seed=0):
    """A batch; groups of the arms in ``equal`` have equal rewards."""
    rng = np.random.default_rng(seed)
    arms = np.array(arms)
    rewards = np.tile([0.0, 1.0], (len(arms), SIZE // 2))
    rewards[np.isin(arms, equal)] = 1.0
    lengths = rng.integers(1, 9, size=rewards.size)
    log_probs = tuple(
        tuple(-rng.exponential(entropy, size=length)) if entropy else (0.0,) * length for length in lengths
    )
    cut = rng.random(rewards.shape) < truncated
    completions = Completions(
        tuple((1,) for _ in arms),
        tuple((5,) * n for n in lengths),
        ("",) * rewards.size,
        cut,
        log_probs if known else None,
    )
    tokens = completions.num_tokens.sum(axis=1)
    results = GroupResults(arms, rewards.sum(axis=1).astype(int), SIZE, tokens, cut.sum(axis=1), rewards, rewards > 0)
    kept = np.ones(len(rewards), dtype=np.bool_)
    return TrainingBatch((), completions, (), rewards, results, kept, Learned({}, by_group or {}), {})


def test_each_arm_of_the_batch_has_its_own_numbers():
    kl = np.array([0.1, np.nan, 0.3, 0.5])
    batch = make_lesson(equal=[1], by_group={"kl": kl, "clip_ratio": np.array([np.nan, np.nan, 0.0, 0.2])})
    found = arm_health(NAMES, batch)
    tokens = batch.results.tokens
    for arm, name in enumerate("ab"):
        rows = [i for i in range(4 * SIZE) if batch.results.arm[i // SIZE] == arm]
        surprises = [-p for i in rows for p in batch.completions.log_probs[i]]
        assert found[f"arms/{name}/entropy"] == pytest.approx(sum(surprises) / len(surprises))
        cut = [batch.completions.truncated.flat[i] for i in rows]
        assert found[f"arms/{name}/truncated"] == pytest.approx(sum(cut) / len(cut))
    assert found["arms/a/frac_reward_zero_std"] == 0
    assert found["arms/b/frac_reward_zero_std"] == 1
    assert found["arms/a/kl"] == pytest.approx(0.1)  # of the group where it is known
    assert found["arms/b/kl"] == pytest.approx((0.3 * tokens[2] + 0.5 * tokens[3]) / (tokens[2] + tokens[3]))
    assert found["arms/b/clip_ratio"] == pytest.approx(0.2 * tokens[3] / (tokens[2] + tokens[3]))
    assert "arms/a/clip_ratio" not in found
    assert not any("idle" in key for key in found)
    assert all(np.isfinite(value) for value in found.values())


def test_without_log_probabilities_there_is_no_entropy():
    batch = make_lesson(known=False, entropy=0)
    assert {key.rpartition("/")[2] for key in arm_health(NAMES, batch)} == {"truncated", "frac_reward_zero_std"}
    assert watch(LearnerAlarms(NAMES), 10, known=False, entropy=0) == [[]] * 10


def test_the_entropy_is_that_of_the_distribution_in_the_mean():
    rng = np.random.default_rng(0)
    distribution = np.array([0.7, 0.2, 0.1])
    drawn = rng.choice(3, p=distribution, size=(4 * SIZE, 500))
    batch = make_lesson()
    log_probs = tuple(tuple(np.log(distribution[row])) for row in drawn)
    completions = replace(batch.completions, log_probs=log_probs, token_ids=tuple((5,) * 500 for _ in drawn))
    results = replace(batch.results, tokens=completions.num_tokens.sum(axis=1))
    found = arm_health(NAMES, replace(batch, completions=completions, results=results))
    entropy = -(distribution * np.log(distribution)).sum()
    assert found["arms/a/entropy"] == pytest.approx(entropy, abs=4 * np.log(7) / np.sqrt(16 * 500))


def watch(health, steps, **options):
    return [health.observe(make_lesson(seed=step, **options)) for step in range(steps)]


def test_a_healthy_run_raises_no_alarm():
    kl = np.full(4, 0.02)
    assert watch(LearnerAlarms(NAMES), 30, by_group={"kl": kl}) == [[]] * 30


@pytest.mark.parametrize(
    ("options", "alarms"),
    [
        ({"truncated": 1.0}, [f"{name}: truncated, 100% of 64 completions reached the limit" for name in "ab"]),
        ({"equal": [1]}, ["b: without variance, the rewards of each of 8 groups are equal"]),
        ({"entropy": 0}, [f"{name}: collapsed, an entropy of 0.0e+00 nats a token" for name in "ab"]),
        (
            {"by_group": {"kl": np.array([0.1, np.nan, 3.0, 2.0])}},
            ["b: diverged, "],
        ),
    ],
)
def test_an_alarm_names_the_arm_once_there_is_enough_of_it(options, alarms):
    found = watch(LearnerAlarms(NAMES), 4, **options)
    assert found[:3] == [[], [], []]  # 16 completions a step, and 64 are enough
    assert len(found[3]) == len(alarms)
    assert all(text.startswith(alarm) for text, alarm in zip(found[3], alarms, strict=True))


def test_an_alarm_ends_when_its_cause_has_left_the_window():
    health = LearnerAlarms(NAMES, window=5)
    assert watch(health, 5, truncated=1.0)[-1]
    assert watch(health, 5, truncated=0.0)[-1] == []


def test_one_group_with_variance_is_enough():
    health = LearnerAlarms(NAMES)
    watch(health, 3, equal=[0, 1])
    assert watch(health, 1) == [[]]


def test_restored_health_resumes_as_it_was():
    first, second = LearnerAlarms(NAMES), LearnerAlarms(NAMES)
    watch(first, 3, equal=[0])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert [health.observe(make_lesson(equal=[0])) for health in (first, second)] == [
        ["a: without variance, the rewards of each of 8 groups are equal"]
    ] * 2
    assert first.state_dict() == second.state_dict()
    with pytest.raises(InvalidValueError, match="shape of recent"):
        LearnerAlarms(NAMES[:2]).load_state_dict(first.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window is 0"),
        ({"enough": 0}, "enough is 0"),
        ({"least_entropy": -1}, "least_entropy is -1"),
        ({"largest_kl": 0}, "largest_kl is 0"),
    ],
)
def test_a_threshold_out_of_range_is_named(options, message):
    with pytest.raises(InvalidValueError, match=message):
        LearnerAlarms(NAMES, **options)
