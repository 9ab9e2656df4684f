"""Signals: exact for finite groups, 0 where nothing is learned, saved with the run, and also per cost."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import dumpgym
from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.student import GroupResults
from dumpgym.signals.of_a_group import binary_mean_absolute_advantage, mean_absolute_advantage
from dumpgym.signals.signal import (
    GroupSignal,
    by_successes,
    expected_signal,
    make_signal,
    register_signal,
    signal_registry,
)
from tests.fakes.cases import case

ADVANTAGE_OF_16 = [0, 0.469, 0.640, 0.756, 0.839, 0.898, 0.938, 0.961, 0.968]  # for 0 to 8 successes
GROUP = [name for name in signal_registry if isinstance(make_signal(name, (2,)), GroupSignal)]
PROGRESS = [name for name in signal_registry if name not in GROUP]
shapes = st.tuples(st.integers(0, 4), st.integers(1, 9))


def groups_with(successes, size):
    return np.arange(size) < np.array(successes)[..., None]


def results(arm, successes, size=8, **options):
    arm, successes = np.array(arm, dtype=np.int64), np.array(successes, dtype=np.int64)
    given_tokens = options.pop("tokens", np.full(arm.shape, 1000))
    return GroupResults(arm, successes, size, given_tokens, np.zeros_like(arm), **options)


def of_completions(rewards, solved):
    """A batch of one arm with given rewards."""
    arm = np.zeros(solved.shape[:-1], dtype=np.int64)
    return results(arm, solved.sum(axis=-1), solved.shape[-1], rewards=rewards, solved=solved)


def values(name, rewards, solved):
    return make_signal(name, (1,))(of_completions(rewards, solved))


def test_there_are_stateless_signals_and_signals_of_progress():
    assert len(GROUP) == 6
    assert len(PROGRESS) == 6


@pytest.mark.parametrize("pair", [(0, 1), (-0.5, 3), (-3, 3)])
def test_mean_absolute_advantage_has_the_published_values_for_any_two_rewards(pair):
    solved = groups_with(range(17), 16)
    signal = values("mean_absolute_advantage", np.where(solved, pair[1], pair[0]).astype(float), solved)
    np.testing.assert_allclose(signal, ADVANTAGE_OF_16 + ADVANTAGE_OF_16[-2::-1], atol=6e-4)


def test_mean_absolute_advantage_is_that_of_advantages_written_out():
    rewards = np.random.default_rng(0).normal(size=(5, 8))
    expected = [np.abs((r - r.mean()) / (r.std(ddof=1) + 1e-6)).mean() for r in rewards]
    np.testing.assert_allclose(mean_absolute_advantage(rewards, rewards > 0), expected, rtol=1e-12)
    clipped = [np.minimum(np.abs((r - r.mean()) / (r.std(ddof=1) + 1e-6)), 1).mean() for r in rewards]
    np.testing.assert_allclose(values("clipped_absolute_advantage", rewards, rewards > 0), clipped, rtol=1e-12)


def test_rewards_that_differ_by_rounding_are_equal_to_a_signal():
    found = case("numbers", "g02")
    rewards = np.array([found["rewards"]])
    for name in GROUP:
        assert np.abs(values(name, rewards, np.zeros_like(rewards, dtype=bool))).max() <= found["largest"], name


def test_mean_absolute_deviation_keeps_the_scale_of_the_rewards():
    rewards = np.array([[0.0, 0.0, 0.0, 4.0], [0.0, 0.0, 0.0, 8.0]])
    assert values("mean_absolute_deviation", rewards, rewards > 0).tolist() == [1.5, 3.0]


def test_success_signals_have_their_formulas():
    solved = groups_with([0, 1, 2, 4], 4)
    rewards = np.zeros((4, 4))  # not looked at
    np.testing.assert_allclose(values("success_variance", rewards, solved), [0, 3 / 16, 1 / 4, 0])
    informative = [0, 1 - 1 / 256 - 81 / 256, 1 - 2 / 16, 0]
    np.testing.assert_allclose(values("informative_group", rewards, solved), informative)
    np.testing.assert_allclose(values("pass_at_n_gap", rewards, solved), [0, 1.5, 1.0, 0])


@pytest.mark.parametrize("name", GROUP)
@settings(max_examples=30)
@given(shape=shapes, reward=st.floats(-1e6, 1e6), solved=st.booleans())
def test_a_group_of_equal_rewards_gives_exactly_zero(name, shape, reward, solved):
    signal = values(name, np.full(shape, reward), np.full(shape, solved))
    assert signal.tolist() == [0.0] * shape[0]


@pytest.mark.parametrize("name", GROUP)
@settings(max_examples=30)
@given(data=st.data(), shape=shapes)
def test_signals_are_one_finite_number_a_group_whatever_the_order_of_its_completions(name, data, shape):
    rewards = data.draw(arrays(float, shape, elements=st.floats(-100, 100)))
    solved = data.draw(arrays(bool, shape))
    signal = values(name, rewards, solved)
    assert signal.shape == shape[:1]
    assert signal.dtype == np.float64
    assert np.isfinite(signal).all()
    assert (signal >= 0).all()
    np.testing.assert_allclose(values(name, rewards[:, ::-1], solved[:, ::-1]), signal, atol=1e-6)


@pytest.mark.parametrize("name", GROUP)
def test_a_batch_that_tells_successes_alone_has_the_signal_of_rewards_of_one_and_zero(name):
    successes = np.random.default_rng(0).integers(9, size=(3, 7))  # three runs in lockstep
    solved = groups_with(successes, 8)
    arm = np.zeros((3, 7), dtype=np.int64)
    signal = make_signal(name, (3, 2))
    full = signal(results(arm, successes, rewards=solved.astype(float), solved=solved))
    np.testing.assert_allclose(signal(results(arm, successes)), full, rtol=0, atol=1e-12)


def test_the_expected_signal_is_the_mean_over_the_groups_that_can_happen():
    expected = expected_signal("mean_absolute_advantage", np.array([0.05, 0.5, 0.0, 1.0]), 8)
    assert expected[0] == pytest.approx(0.220, abs=5e-4)  # not the .44 of 2 sqrt(p (1 - p))
    assert expected[0] * np.sqrt(8 / 7) == pytest.approx(0.235, abs=5e-4)  # where the std divides by n
    assert expected[2:].tolist() == [0, 0]
    k = np.random.default_rng(0).binomial(8, 0.5, size=200_000)
    assert expected[1] == pytest.approx(by_successes(mean_absolute_advantage, 8)[k].mean(), abs=0.003)


@pytest.mark.parametrize("name", GROUP)
def test_the_expected_signal_keeps_the_shape_of_the_chances(name):
    p = np.linspace(0, 1, 12).reshape(3, 4)
    expected = expected_signal(name, p, 4)
    assert expected.shape == (3, 4)
    assert expected[1, 2] == pytest.approx(float(expected_signal(name, p[1, 2], 4)))
    np.testing.assert_allclose(expected_signal(name, np.array([0.0, 1.0]), 4), 0, atol=1e-12)


def test_what_has_no_expectation_is_named():
    for name in ("reward_gain", "success_variance_per_token"):
        with pytest.raises(InvalidValueError, match=f"signal is '{name}'; accepted: one of the group alone"):
            expected_signal(name, 0.5, 8)
    with pytest.raises(InvalidValueError, match=r"success is 1.5; accepted: chances from 0 to 1"):
        expected_signal("success_variance", np.array([0.5, 1.5]), 8)
    with pytest.raises(InvalidValueError, match="success is nan"):
        expected_signal("success_variance", np.nan, 8)


@pytest.mark.parametrize("name", GROUP)
def test_rewards_count_also_where_only_the_number_of_successes_is_known(name):
    successes = np.array([[1, 3, 0, 4]])
    solved = groups_with(successes, 4)
    rewards = np.where(solved, 3.0, [-3.0, -1.0, -0.5, 0.0])
    arm = np.zeros((1, 4), dtype=np.int64)
    signal = make_signal(name, (1, 1))
    full = signal(results(arm, successes, 4, rewards=rewards, solved=solved))
    assert signal(results(arm, successes, 4, rewards=rewards)).tolist() == full.tolist()


# Progress


def told(name, batches, shape=(3,)):
    """The signal's values, batch by batch; a batch is its arms and their successes of 8."""
    signal = make_signal(name, shape)
    return [signal(results(arm, successes)).tolist() for arm, successes in batches]


def test_reward_gain_compares_with_the_arms_last_batch():
    batches = [([0, 0, 1], [2, 4, 8]), ([2], [1]), ([0, 1], [7, 4]), ([0], [7])]
    assert told("reward_gain", batches) == [[0, 0, 0], [0], [0.5, -0.5], [0]]
    assert told("reward_gain_absolute", batches)[2] == [0.5, 0.5]


def test_learning_progress_is_a_fast_mean_less_a_slow_one():
    rewards = [0.5, 1.0, 0.25]
    fast = slow = rewards[0]
    expected = [0.0]
    for reward in rewards[1:]:
        fast, slow = fast + 0.3 * (reward - fast), slow + 0.05 * (reward - slow)
        expected.append(fast - slow)
    found = told("learning_progress", [([1, 1], [8 * r, 8 * r]) for r in rewards])
    np.testing.assert_allclose(found, [[x, x] for x in expected])


def test_the_slope_is_that_of_a_line_through_the_last_five_batches():
    rewards = np.random.default_rng(0).integers(9, size=9) / 8
    found = [x for (x,) in told("learning_progress_slope", [([2], [8 * r]) for r in rewards])]
    expected = [np.polyfit(range(len(r)), r, 1)[0] for r in (rewards[max(0, i - 4) : i + 1] for i in range(1, 9))]
    np.testing.assert_allclose(found, [0, *expected], atol=1e-12)


@pytest.mark.parametrize("name", [name for name in PROGRESS if not name.endswith("absolute")])
@settings(max_examples=15)
@given(seed=st.integers(0, 99))
def test_progress_is_restored_to_the_bit_and_the_same_in_lockstep(name, seed):
    rng = np.random.default_rng(seed)
    batches = [(rng.integers(3, size=(2, 6)), rng.integers(9, size=(2, 6))) for _ in range(8)]
    together = make_signal(name, (2, 3))
    alone = [make_signal(name, (3,)) for _ in range(2)]
    for i, (arm, successes) in enumerate(batches):
        found = together(results(arm, successes))
        each = [signal(results(arm[run], successes[run])) for run, signal in enumerate(alone)]
        np.testing.assert_allclose(found, each, rtol=0, atol=1e-12)
        if i == 4:
            state = json.loads(json.dumps(together.state_dict(), allow_nan=False))
            together = make_signal(name, (2, 3))
            together.load_state_dict(state)


# Per cost


def test_a_signal_per_token_is_per_thousand_tokens_of_the_group():
    batch = results([0, 0], [4, 4], tokens=np.array([500, 4000]))
    plain = make_signal("success_variance", (1,))(batch)
    np.testing.assert_allclose(make_signal("success_variance_per_token", (1,))(batch), plain / [0.5, 4])


def test_a_signal_per_second_divides_the_time_of_the_batch_by_tokens():
    batch = results([0, 0], [4, 4], tokens=np.array([100, 300]), seconds=2.0)
    np.testing.assert_allclose(make_signal("success_variance_per_second", (1,))(batch), [0.25 / 0.5, 0.25 / 1.5])


@pytest.mark.parametrize("name", list(signal_registry))
def test_every_signal_is_there_per_cost(name):
    for unit in ("token", "second"):
        signal = make_signal(f"{name}_per_{unit}", (2,))
        for _ in range(2):
            assert np.isfinite(signal(results([0, 1], [3, 5], seconds=1.0))).all()
        signal.load_state_dict(signal.state_dict())


def test_what_cost_nothing_is_refused():
    with pytest.raises(InvalidValueError, match="tokens of a group is 0; accepted: at least 1"):
        make_signal("success_variance_per_token", (1,))(results([0, 0], [1, 1], tokens=np.array([5, 0])))
    with pytest.raises(InvalidValueError, match=r"seconds of the batch is 0.0; accepted: above 0"):
        make_signal("success_variance_per_second", (1,))(results([0], [1]))


# The registry


def test_an_unknown_signal_is_answered_with_the_nearest_name():
    with pytest.raises(
        UnknownNameError,
        match=r"'sucess_variance'; did you mean 'success_variance'\? accepted: .*mean_absolute",
    ):
        make_signal("sucess_variance", (1,))
    with pytest.raises(UnknownNameError, match="did you mean 'success_variance'"):
        make_signal("sucess_variance_per_token", (1,))


def test_a_signal_of_your_own_is_registered_once(monkeypatch):
    monkeypatch.setattr("dumpgym.signals.signal.signal_registry", signal_registry.copy())
    register_signal("share-solved", lambda rewards, successes: successes.mean(axis=-1))
    assert make_signal("share-solved", (1,))(results([0], [6])).tolist() == [0.75]
    for taken in ("share-solved", "mine_per_token"):
        with pytest.raises(InvalidValueError, match=f"'{taken}'; accepted: a name that is not registered yet"):
            register_signal(taken, mean_absolute_advantage)


def test_a_policy_reads_a_signal_of_progress():
    policy, signal = dumpgym.make_policy("sec", num_arms=2), make_signal("reward_gain_absolute", (2,))
    for step, successes in enumerate(([1, 4], [6, 4])):
        batch = results([0, 1], successes)
        policy.update(dumpgym.Feedback.of_results(step, batch, signal(batch)))
    assert policy.probabilities()[0] > policy.probabilities()[1]


@given(k=st.integers(0, 16), size=st.integers(2, 16))
def test_the_closed_form_is_the_mean_absolute_advantage_of_two_valued_rewards(k, size):
    k = min(k, size)
    expected = by_successes(mean_absolute_advantage, size)[k]
    assert binary_mean_absolute_advantage(np.array(k), size) == pytest.approx(expected, abs=1e-5)
