"""Graves' automated curriculum: progress per cost, rescaled by its own history."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.agents.curricula.graves import Reservoir
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.testing.policy import check_policy, make_feedback


def test_graves_treats_arms_alike_while_its_reservoir_holds_the_history():
    def make(num_arms, seed, **runs):
        return make_policy("graves", num_arms=num_arms, seed=seed, eta=0.1, **runs)

    check_policy(make, symmetric=True)


def test_graves_does_not_care_for_the_unit_of_progress():
    one, other = (make_policy("graves", num_arms=3, eta=0.1) for _ in range(2))
    for step in range(8):
        feedback = make_feedback([0, 1, 2, step % 3], [0.1, 0.2 + step / 10, 0.3, 0.4], step=step)
        one.update(feedback)
        other.update(replace(feedback, signal=1000 * feedback.signal))
    assert other.probabilities() == pytest.approx(one.probabilities(), abs=1e-9)
    assert np.ptp(one.probabilities()) > 0.01


@pytest.mark.parametrize(("cost", "best"), [("tokens", 0), ("rollouts", 1), ("groups", 2)])
def test_graves_divides_progress_by_its_cost(cost, best):
    policy = make_policy("graves", num_arms=3, eta=0.05, cost=cost)
    sizes, tokens = np.array([8, 2, 32]), np.array([1, 40, 9000])
    for step in range(30):
        feedback = make_feedback([0, 1, 2], [0.2, 0.3, 0.8], step=step, num_generations=sizes)
        policy.update(replace(feedback, tokens=tokens))
    assert policy.probabilities().argmax() == best


def test_graves_moves_nowhere_while_progress_is_the_same_everywhere():
    policy = make_policy("graves", num_arms=3, eta=1)
    for step in range(5):
        policy.update(make_feedback([0, 0, 1, 2], [0.4] * 4, step=step))
    assert policy.probabilities() == pytest.approx([1 / 3] * 3)


def test_graves_follows_the_sign_of_what_is_rare_while_most_progress_is_the_same():
    policy = make_policy("graves", num_arms=3, eta=1)
    for step in range(4):
        policy.update(make_feedback([0, 1, 2] * 3 + [0, 2], [0.4] * 9 + [0.9, 0.1], step=step))
    first, second, third = policy.probabilities()
    assert first > second > third


def test_graves_shares_its_weights_once_a_step():
    policy = make_policy("graves", num_arms=3)
    policy.update(make_feedback([0, 1, 2], [0.4] * 3, step=3))
    policy.log_weights = np.array([0.0, -1.0, -2.0])
    policy.update(make_feedback([0, 1, 2], [0.4] * 3, step=2))
    assert policy.log_weights.tolist() == [0, -1, -2]
    policy.update(make_feedback([0, 1, 2], [0.4] * 3, step=4))
    weights = np.exp([0, -1, -2])
    shared = 5 / 6 * weights + 1 / 6 * (weights.sum() - weights) / 2
    assert policy.log_weights == pytest.approx(np.log(shared / shared[0]))


@given(st.lists(st.lists(st.floats(-5, 5), min_size=1, max_size=7), min_size=1, max_size=6))
def test_a_reservoir_as_long_as_the_history_has_its_percentiles(told):
    reservoir, rng = Reservoir((), 50, (0.2, 0.8)), np.random.default_rng(0)
    for values in told:
        reservoir.add(np.array(values), rng)
    history = [value for values in told for value in values]
    np.testing.assert_allclose(reservoir.bounds[:, 0], np.quantile(history, [0.2, 0.8]), rtol=0, atol=1e-12)


def test_a_reservoir_is_a_uniform_sample_of_the_history():
    """A value's count in 4,000 runs is within 6 standard deviations of 4,000 / 5 (all 50: chance below 1e-6)."""
    reservoir, rng = Reservoir((4000,), 10, (0.2, 0.8)), np.random.default_rng(0)
    for first in range(0, 50, 5):
        reservoir.add(np.tile(np.arange(first, first + 5.0), (4000, 1)), rng)
    counts = np.bincount(reservoir.values.astype(int).ravel(), minlength=50)
    np.testing.assert_allclose(counts, 800, atol=6 * math.sqrt(4000 * 0.2 * 0.8))
    assert (np.diff(np.sort(reservoir.values, axis=-1), axis=-1) > 0).all()  # no value is kept twice
    np.testing.assert_allclose(reservoir.bounds[..., 0], np.quantile(reservoir.values, [0.2, 0.8], axis=-1))
