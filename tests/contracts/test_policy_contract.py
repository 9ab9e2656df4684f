"""What ``BanditPolicy`` itself does: floors, caps, warm-up, quotas, draws, feedback and states."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dumpgym.agents.bandits.history import HistoryPolicy, SumHistory
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.contracts.slots import draw_arms
from dumpgym.contracts.student import GroupResults
from dumpgym.testing.policy import make_feedback


class Given(BanditPolicy):
    """Its weights are what the test says."""

    def __init__(self, num_arms, *, weights=None, **common):
        super().__init__(num_arms, **common)
        self.weights = np.full(self.shape, 1 / num_arms) if weights is None else np.array(weights, dtype=float)

    def _weights(self):
        return self.weights


def normalised(amounts):
    amounts = np.array(amounts, dtype=float)
    total = amounts.sum(axis=-1, keepdims=True)
    return np.where(total > 0, amounts / np.where(total > 0, total, 1), 1 / amounts.shape[-1])


amount = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1e-310, 5e-324, 1e-20]))
share = st.floats(0, 1)


def amounts(num_arms):
    return st.lists(amount, min_size=num_arms, max_size=num_arms)


@st.composite
def bounded_weights(draw):
    """Weights of two runs, floors and caps that can be kept."""
    num_arms = draw(st.integers(1, 7))
    weights = normalised(draw(st.lists(amounts(num_arms), min_size=2, max_size=2)))
    floor = normalised(draw(amounts(num_arms))) * draw(share)
    cap = floor + (1 - floor) * np.array(draw(st.lists(share, min_size=num_arms, max_size=num_arms)))
    cap = np.minimum(cap + max(1 - cap.sum(), 0) / num_arms, 1)
    return weights, floor.tolist(), cap.tolist()


# Floors and caps


@given(bounded_weights())
@settings(max_examples=300)
def test_probabilities_sum_to_one_between_floor_and_cap_in_every_run(drawn):
    weights, floor, cap = drawn
    policy = Given(len(floor), weights=weights, num_runs=2, floor=floor, cap=cap)
    p = policy.probabilities()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=0, atol=1e-12)
    assert (p >= policy.floor - 1e-12).all()
    assert (p <= policy.cap + 1e-12).all()
    for row, alone in zip(p, weights, strict=True):
        expected = Given(len(floor), weights=alone, floor=floor, cap=cap).probabilities()
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-12)


@given(bounded_weights())
def test_below_the_cap_arms_keep_the_ratios_that_floor_and_weights_give_them(drawn):
    weights, floor, cap = drawn
    p = Given(len(floor), weights=weights[0], floor=floor, cap=cap).probabilities()
    wanted = np.array(floor) + (1 - sum(floor)) * weights[0]
    free = (p < np.array(cap) - 1e-9) & (wanted > 1e-9)
    if free.any():
        ratio = p[free] / wanted[free]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
        assert ratio[0] >= 1 - 1e-9


def test_a_floor_is_what_every_arm_has_and_the_rest_goes_by_the_weights():
    floored = Given(3, weights=[1, 0, 0], floor=0.1)
    np.testing.assert_allclose(floored.probabilities(), [0.8, 0.1, 0.1])
    own = Given(3, weights=[0.5, 0.5, 0], floor=[0, 0.1, 0.3])
    np.testing.assert_allclose(own.probabilities(), [0.3, 0.4, 0.3])
    assert Given(3, weights=[1, 0, 0], floor=1 / 3).probabilities() == pytest.approx([1 / 3] * 3)


def test_what_a_cap_takes_goes_to_the_others_in_proportion_and_evenly_where_they_have_nothing():
    assert Given(3, weights=[0.7, 0.2, 0.1], cap=0.4).probabilities() == pytest.approx([0.4, 0.4, 0.2])
    assert Given(4, weights=[0.6, 0.3, 0.1, 0], cap=0.5).probabilities() == pytest.approx([0.5, 0.375, 0.125, 0])
    assert Given(3, weights=[1, 0, 0], cap=0.5).probabilities() == pytest.approx([0.5, 0.25, 0.25])
    assert Given(3, weights=[1, 0, 1e-310], cap=0.5).probabilities().sum() == pytest.approx(1)
    assert Given(3, weights=[1, 0, 0], cap=[0.2, 1, 0.5]).probabilities() == pytest.approx([0.2, 0.8 / 1.5, 0.4 / 1.5])


def test_a_floor_may_be_a_schedule():
    policy, floors = Given(4, weights=[1, 0, 0, 0], floor="linear:0.25:0:5"), []
    for step in range(7):
        floors.append(policy.probabilities()[1])
        assert (policy.floor == floors[-1]).all()
        policy.update(make_feedback([0], [1], step=step))
    assert floors == pytest.approx([0.25, 0.2, 0.15, 0.1, 0.05, 0, 0])


def test_floors_and_caps_of_the_arms_may_be_text():
    policy = Given(3, weights=[1, 0, 0], floor="0, 0.05,0.1", cap="0.5,1,1")
    assert policy.floor.tolist() == [0, 0.05, 0.1]
    assert policy.cap.tolist() == [0.5, 1, 1]
    assert policy.probabilities() == pytest.approx([0.5, 0.5 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"floor": 0.3}, "floor is 0.3; accepted: a finite number at least 0 and at most 0.25"),
        ({"floor": -0.1}, "floor is -0.1; accepted: a finite number at least 0"),
        ({"floor": "linear:0.1:0.3:9"}, "floor is 0.3; accepted"),
        ({"floor": [0.1, 0.1, 0.1]}, r"floor is \[0.1, 0.1, 0.1\]; accepted: 4 numbers"),
        ({"floor": "0.1,0.1,0.1,x"}, "floor is '0.1,0.1,0.1,x'; accepted: 4 numbers"),
        ({"floor": [0.5, 0.5, 0.1, 0]}, "floor is .*; accepted: numbers of sum at most 1"),
        ({"floor": [-0.5, 0.5, 0.1, 0]}, "number 1 of floor is -0.5; accepted: a finite number at least 0 and at mo"),
        ({"floor": None}, "floor is None; accepted: 4 numbers"),
        ({"cap": 0.2}, "cap is 0.2; accepted: a finite number at least 0.25 and at most 1"),
        ({"cap": 1.5}, "cap is 1.5; accepted"),
        ({"cap": [0.2, 0.2, 0.2, 0.2]}, "cap is .*; accepted: numbers of sum at least 1, none below its arm's floor"),
        ({"cap": [0.1, 1, 1, 1], "floor": 0.2}, "cap is .* none below its arm's floor"),
        ({"cap": [0.1, 1, 1, 1], "floor": "linear:0:0.2:9"}, "cap is .* none below its arm's floor"),
        ({"cap": 0.5, "floor": [0.6, 0, 0, 0]}, "cap is 0.5; .* none below its arm's floor"),
        ({"warmup_steps": -1}, "warmup_steps is -1; accepted: a whole number at least 0"),
        ({"draw": "random"}, "draw is 'random'; accepted: 'independent' or 'quota'"),
        ({"num_runs": 0}, "num_runs is 0; accepted: a whole number at least 1"),
    ],
)
def test_an_option_out_of_range_is_named_with_what_is_accepted(options, message):
    with pytest.raises(InvalidValueError, match=message):
        Given(4, **options)


def test_during_warm_up_all_arms_have_the_same_weight_whatever_the_policy_says():
    policy, shares = Given(2, weights=[1, 0], warmup_steps=3, floor=[0.2, 0], cap=[0.75, 1]), []
    for step in (0, 1, 0, 2):
        shares.append(policy.probabilities()[0])
        policy.update(make_feedback([0], [1], step=step))
    assert [*shares, policy.probabilities()[0]] == pytest.approx([0.6, 0.6, 0.6, 0.6, 0.75])


# Draws


@given(bounded_weights(), st.integers(1, 40))
def test_an_independent_draw_is_the_inverse_of_the_distribution_function(drawn, size):
    p = drawn[0]
    arms = draw_arms(np.random.default_rng(1), p, size)
    u = np.random.default_rng(1).random((2, size))
    for row in range(2):
        expected = np.searchsorted(p[row].cumsum() / p[row].sum(), u[row], side="right")
        assert arms[row].tolist() == expected.tolist()
        assert (p[row][arms[row]] > 0).all()


def test_every_run_draws_by_its_own_probabilities():
    """Of 20,000 draws, a share is off by 0.03 with a chance below 1e-15 (Hoeffding)."""
    p = np.array([[0.5, 0.5, 0], [0.1, 0.2, 0.7]])
    arms = Given(3, weights=p, num_runs=2).select_arms(20_000)
    assert arms.dtype == np.int64
    np.testing.assert_allclose(slots_of(arms, 3) / 20_000, p, rtol=0, atol=0.03)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_a_batch_of_no_size_is_refused(size):
    with pytest.raises(InvalidValueError, match=f"size of the batch is {size}; accepted: a whole number at least 1"):
        Given(2).select_arms(size)


# Quotas


def slots_of(arms, num_arms):
    return (arms[..., None] == np.arange(num_arms)).sum(axis=-2)


@st.composite
def batches_of_quotas(draw):
    """A size and weights for two runs, for every batch."""
    num_arms = draw(st.integers(1, 7))
    row = st.lists(st.one_of(st.integers(0, 3), share), min_size=num_arms, max_size=num_arms)
    batch = st.tuples(st.integers(1, 12), st.lists(row, min_size=2, max_size=2))
    return [(size, normalised(rows)) for size, rows in draw(st.lists(batch, min_size=1, max_size=12))]


HALF_OF_TWELVE = normalised(np.ones((2, 12)))
ONLY_FIRST = normalised(np.eye(12)[[0, 0]])


@given(batches_of_quotas())
@example([(6, HALF_OF_TWELVE), (2, ONLY_FIRST), (1, ONLY_FIRST), (1, ONLY_FIRST), (12, ONLY_FIRST)])
@settings(max_examples=200)
def test_quotas_keep_every_arm_within_its_credit_however_probabilities_change(batches):
    """The slots of an arm are its expectation, and what it had too few is bounded: below ln K, and above -1."""
    num_arms = batches[0][1].shape[-1]
    policy = Given(num_arms, num_runs=2, draw="quota")
    owed = np.zeros((2, num_arms))
    for size, weights in batches:
        policy.weights = weights
        slots = slots_of(policy.select_arms(size), num_arms)
        assert (slots.sum(axis=-1) == size).all()
        owed += size * weights - slots
        np.testing.assert_allclose(owed, policy.credit, rtol=0, atol=1e-9)
        assert owed.min() > -1 - 1e-6
        assert owed.max() <= sum(1 / i for i in range(2, num_arms + 1)) + 1e-6 <= math.log(num_arms) + 1e-6


@given(bounded_weights(), st.integers(1, 40))
def test_the_first_quota_is_the_expectation_rounded_by_the_largest_remainder(drawn, size):
    p = drawn[0][0]
    slots = slots_of(Given(len(p), weights=p, draw="quota").select_arms(size), len(p))
    expected = size * p
    assert ((slots >= np.floor(expected + 1e-9) - 0.5) & (slots <= np.ceil(expected - 1e-9) + 0.5)).all()
    up = slots > expected + 1e-6
    down = slots < expected - 1e-6
    if up.any() and down.any():
        remainder = expected - np.floor(expected + 1e-9)
        assert remainder[up].min() >= remainder[down].max() - 1e-6


def test_over_many_batches_the_share_of_a_quota_is_exact():
    p = np.array([0.05, 0.15, 0.3, 0.5])
    policy = Given(4, weights=p, draw="quota")
    slots = sum(slots_of(policy.select_arms(3), 4) for _ in range(200))
    np.testing.assert_allclose(slots, 600 * p, rtol=0, atol=1 / 2 + 1 / 3 + 1 / 4)
    assert all(len(set(policy.select_arms(20).tolist())) == 4 for _ in range(20))


def test_quotas_are_shuffled_and_ties_fall_to_all_arms():
    policy = Given(4, draw="quota", seed=3)
    assert len({tuple(Given(4, draw="quota", seed=seed).select_arms(1)) for seed in range(40)}) == 4
    orders = {tuple(policy.select_arms(4).tolist()) for _ in range(40)}
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len(orders) > 10


# Feedback


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arm": np.array([0, 2])}, "feedback.arm is 2; accepted: 0 to 1"),
        ({"arm": np.array([0, -1])}, "feedback.arm is -1; accepted: 0 to 1"),
        ({"signal": np.array([0.1, math.nan])}, "feedback.signal is nan; accepted: finite numbers"),
        ({"num_generations": np.array([8, 0])}, "feedback.num_generations is 0; accepted: at least 1"),
        ({"successes": np.array([9, 0])}, "feedback.successes is 9; accepted: 0 to the group's size"),
        ({"successes": np.array([0, -1])}, "feedback.successes is -1; accepted: 0 to the group's size"),
        ({"step": -1}, "feedback.step is -1; accepted: a whole number at least 0"),
        ({"step": 0.5}, "feedback.step is 0.5; accepted: a whole number at least 0"),
        ({"probabilities": np.array([1.0])}, r"feedback.probabilities is \[1.0\]; accepted: finite numbers of shape"),
        ({"probabilities": np.array([1.0, math.inf])}, "feedback.probabilities is .*inf"),
    ],
)
def test_feedback_that_cannot_be_is_refused_and_changes_nothing(change, message):
    policy = make_policy("dump", num_arms=2)
    before = policy.state_dict()
    with pytest.raises(InvalidValueError, match=message):
        policy.update(replace(make_feedback([0, 1], [0.1, 0.2]), **change))
    assert policy.state_dict() == before


def test_feedback_has_one_shape_and_that_of_the_policy():
    with pytest.raises(InvalidValueError, match=r"shape of feedback.signal is \(1,\); accepted: .* \(2,\)"):
        make_feedback([0, 1], [0.1])
    for runs, arm in ((None, [[0, 1]]), (2, [0, 1]), (2, [[0], [1], [0]]), (2, [[], []])):
        policy = Given(2, num_runs=runs)
        with pytest.raises(InvalidValueError, match=r"shape of feedback.arm is .*; accepted: \(.*groups\) with at le"):
            policy.update(make_feedback(arm, np.zeros(np.shape(arm))))


def test_late_feedback_does_not_turn_the_clock_back():
    policy, clocks = Given(2), []
    for step in (0, 3, 1, 3, 4):
        policy.update(make_feedback([0], [1], step=step))
        clocks.append(policy.clock)
    assert clocks == [1, 4, 4, 4, 5]


def test_the_feedback_of_a_batch_is_what_came_of_it():
    arm, k, tokens, truncated = (np.array(values) for values in ([1, 0], [1, 2], [7, 11], [1, 2]))
    results = GroupResults(arm, k, 4, tokens, truncated)
    feedback = Feedback.of_results(5, results, np.array([0.5, 0.0]), np.array([0.25, 0.75]))
    assert feedback.step == 5
    assert feedback.num_generations.tolist() == [4, 4]
    assert feedback.probabilities.tolist() == [0.25, 0.75]
    for mine, theirs in (("arm", arm), ("successes", k), ("tokens", tokens), ("truncated", truncated)):
        assert getattr(feedback, mine) is theirs


# States


class Remembers(HistoryPolicy):
    """A state of every kind: arrays, a generator, a number, and an object with a state of its own."""

    def __init__(self, num_arms, **common):
        super().__init__(num_arms, **common)
        self.history = SumHistory(self.shape)

    def _weights(self):
        return np.full(self.shape, 1 / self.num_arms)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_arms": 3}, "num_arms in the state of Remembers is 3; accepted: 2"),
        ({"type": "Other"}, "type of the state is 'Other'; accepted: 'Remembers'"),
        ({"clock": None}, "fields of the state of Remembers is .*; accepted: 'clock' among them"),
        ({"credit": [[0.0, 0.0]]}, r"shape of credit in the state of Remembers is \(1, 2\); accepted: \(2,\)"),
        ({"history": {"type": "SumHistory", "sums": [0.0]}}, "shape of sums in the state of SumHistory is"),
        ({"history": {"type": "Window"}}, "type of the state is 'Window'; accepted: 'SumHistory'"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change, message):
    other = Remembers(2, seed=1)
    other.update(make_feedback([0], [1], step=4))
    other.select_arms(5)
    state = {name: value for name, value in (other.state_dict() | change).items() if value is not None}
    policy = Remembers(2)
    before = policy.state_dict()
    with pytest.raises(InvalidValueError, match=message):
        policy.load_state_dict(state)
    assert policy.state_dict() == before


@pytest.mark.parametrize(("mine", "theirs"), [(None, 2), (2, None), (2, 3)])
def test_a_state_of_another_number_of_runs_is_refused(mine, theirs):
    state = Remembers(2, num_runs=theirs).state_dict()
    with pytest.raises(InvalidValueError, match="shape of credit in the state of Remembers"):
        Remembers(2, num_runs=mine).load_state_dict(state)


@pytest.mark.parametrize("runs", [None, 3])
def test_quotas_that_are_saved_and_restored_resume_bit_for_bit(runs):
    policy, restored = (Given(3, seed=seed, num_runs=runs, draw="quota") for seed in (1, 2))
    policy.weights = restored.weights = policy.weights * np.array([0.3, 1.2, 1.5])
    for _ in range(3):
        policy.select_arms(5)
    restored.load_state_dict(json.loads(json.dumps(policy.state_dict())))
    for _ in range(5):
        assert restored.select_arms(4).tolist() == policy.select_arms(4).tolist()
    assert restored.state_dict() == policy.state_dict()
