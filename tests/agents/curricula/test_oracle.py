"""The oracle draws by the success that it is told, and by nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.contracts.success import NeedsSuccess, must_be_told
from dumpgym.testing.policy import make_feedback

successes = st.lists(st.integers(0, 64).map(lambda k: k / 64), min_size=1, max_size=6)


def told(success, **options):
    policy = make_policy("oracle", num_arms=len(success), **options)
    policy.tell_success(np.array(success, dtype=float))
    return policy


@given(successes, st.integers(0, 32), st.integers(32, 64))
def test_arms_whose_success_lies_between_the_bounds_share_the_batch(success, low, high):
    p = told(success, low=low / 64, high=high / 64).probabilities()
    chosen = [low / 64 <= each <= high / 64 for each in success]
    if not any(chosen):
        chosen = [round(each * (1 - each), 9) == max(round(x * (1 - x), 9) for x in success) for each in success]
    assert p.tolist() == pytest.approx([is_chosen / sum(chosen) for is_chosen in chosen])


@pytest.mark.parametrize(
    ("success", "expected"),
    [
        ([1, 0.95, 0.02, 0], [0, 1, 0, 0]),  # what is nearly mastered has more mixed groups than what is nearly never
        ([1, 0.96, 0.04, 0], [0, 0.5, 0.5, 0]),
        ([1, 1, 0], [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_without_such_an_arm_it_draws_those_whose_completions_differ_most(success, expected):
    assert told(success).probabilities().tolist() == pytest.approx(expected)


def test_runs_in_lockstep_are_told_their_own_success():
    policy = make_policy("oracle", num_arms=2, num_runs=2)
    policy.tell_success(np.array([[0.5, 1], [0, 0.5]]))
    assert policy.probabilities().tolist() == [[1, 0], [0, 1]]


def test_it_forgets_what_it_was_told_before_and_learns_nothing_from_the_batches():
    policy = told([0.5, 1, 0])
    policy.tell_success(np.array([1, 0.5, 0.0]))
    policy.update(make_feedback([0, 1, 2], [0.9, 0, 0.9], successes=[4, 0, 4]))
    assert policy.probabilities().tolist() == [0, 1, 0]


def test_a_loop_that_does_not_tell_it_is_stopped_at_the_first_batch():
    policy = make_policy("oracle", num_arms=3)
    before = policy.state_dict()
    with pytest.raises(InvalidValueError, match="success that the oracle was told is None; accepted: one number per"):
        policy.update(make_feedback([0], [0.5]))
    assert policy.state_dict() == before


@pytest.mark.parametrize(
    ("success", "message"),
    [
        ([0.5, 0.5], r"shape of the success is \(2,\); accepted: \(3,\)"),
        ([0.5, 1.5, 0], "success of an arm is 1.5; accepted: 0 to 1"),
        ([0.5, np.nan, 0], "success of an arm is nan; accepted: 0 to 1"),
    ],
)
def test_a_success_that_cannot_be_is_refused_and_changes_nothing(success, message):
    policy = told([0.5, 1, 0])
    with pytest.raises(InvalidValueError, match=message):
        policy.tell_success(np.array(success))
    assert policy.success.tolist() == [0.5, 1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0.95}, "high is 0.9; accepted: a finite number at least 0.95 and at most 1"),
        ({"low": -0.1}, "low is -0.1; accepted: a finite number at least 0 and at most 1"),
        ({"refresh": 0}, "refresh is 0; accepted: a whole number at least 1"),
        ({"problems": 0}, "problems is 0; accepted: a whole number at least 1"),
    ],
)
def test_an_option_out_of_range_is_named(options, message):
    with pytest.raises(InvalidValueError, match=message):
        make_policy("oracle", num_arms=3, **options)


def test_it_must_be_told_when_it_begins_and_then_at_every_interval():
    policy = make_policy("oracle", num_arms=2, refresh=3)
    assert isinstance(policy, NeedsSuccess)
    assert [step for step in range(8) if must_be_told(policy, step)] == [0, 3, 6]
    assert not must_be_told(make_policy("dump", num_arms=2), 0)
