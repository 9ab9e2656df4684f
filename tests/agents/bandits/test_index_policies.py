"""Policies that take the arm with the largest index: upper confidence bounds, change detection, and the greedy ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr

from dumpgym.agents.bandits.cusum_ucb import CusumHistory
from dumpgym.agents.bandits.ucb import largest_bernoulli_mean
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.testing.policy import check_policy, make_feedback

UCB = ("ucb1", "ucb-v", "kl-ucb", "sw-ucb", "d-ucb")
NUM_ARMS = 3

group = st.tuples(st.integers(0, NUM_ARMS - 1), st.sampled_from([0.0, 0.1, 0.25, 0.7, 1.0]) | st.floats(0, 1))
batches = st.lists(st.lists(group, min_size=1, max_size=6), min_size=1, max_size=8)


def tell(policy, batches):
    """One batch of (arm, signal) a training step."""
    for step, batch in enumerate(batches):
        policy.update(make_feedback([arm for arm, _ in batch], [signal for _, signal in batch], step=step))
    return policy


def told(policy_id, batches, **options):
    return tell(make_policy(policy_id, num_arms=NUM_ARMS, **options), batches)


@pytest.mark.parametrize(
    ("policy_id", "options"),
    [
        ("ucb1", {"exploration": "linear:2:0:5"}),
        ("ucb-v", {"zeta": "cosine:2:0:4", "c": 0, "bound": 2}),
        ("kl-ucb", {"c": 3}),
        ("sw-ucb", {"window": 2, "xi": 2, "bound": 0.5}),
        ("d-ucb", {"discount": 0.5, "xi": "linear:1:0:5", "bonus_factor": 1}),
        ("cusum-ucb", {"num_reference": 2, "drift": 0, "threshold": 0.3, "alpha": "linear:1:0:6", "xi": 2}),
        ("epsilon-greedy", {"epsilon": 0, "initial_value": 2}),
        ("epsilon-greedy", {"epsilon": 0.3, "step_size": 0.5, "initial_value": -1}),
        ("epsilon-decreasing", {"c": 0.01, "d": 0.5}),
    ],
)
def test_they_keep_the_contract_with_options_of_their_own(policy_id, options):
    def make(num_arms, seed, **runs):
        return make_policy(policy_id, num_arms=num_arms, seed=seed, **options, **runs)

    check_policy(make, vectorised=True)


# The formulas, beside a second computation of them


def indices(policy_id, batches):
    """The index of every arm by the textbook, group by group; infinite for an arm of which nothing is known."""
    last = len(batches) - 1
    rows = [(step, arm, signal) for step, batch in enumerate(batches) for arm, signal in batch]
    weight = {
        "sw-ucb": lambda step: float(step > last - 3),
        "d-ucb": lambda step: 0.7 ** (last - step),
    }.get(policy_id, lambda step: 1.0)
    known = [[(weight(s), x) for s, a, x in rows if a == arm and weight(s) > 0] for arm in range(NUM_ARMS)]
    t = max(sum(w for arm in known for w, _ in arm), 1)
    found = []
    for arm in known:
        if not arm:
            found.append(math.inf)
            continue
        n = sum(w for w, _ in arm)
        mean = sum(w * x for w, x in arm) / n
        variance = sum(w * (x - mean) ** 2 for w, x in arm) / n
        found.append(
            {
                "ucb1": lambda n, m, v: m + 0.6 * math.sqrt(2 * math.log(t) / n),
                "ucb-v": lambda n, m, v: m + math.sqrt(2 * v * 1.2 * math.log(t) / n) + 3 * 1.2 * math.log(t) / n,
                "kl-ucb": lambda n, m, v: bernoulli_bound(m, (math.log(t) + 3 * math.log(max(math.log(t), 1))) / n),
                "sw-ucb": lambda n, m, v: m + 0.9 * math.sqrt(0.5 * math.log(t) / n),
                "d-ucb": lambda n, m, v: m + 2 * 0.9 * math.sqrt(0.5 * math.log(t) / n),
            }[policy_id](n, mean, variance)
        )
    return np.array(found)


def bernoulli_bound(p, divergence):
    """Bisection for the largest q with kl(p, q) <= divergence."""
    low, high = p, 1.0
    for _ in range(100):
        q = (low + high) / 2
        low, high = (q, high) if rel_entr(p, q) + rel_entr(1 - p, 1 - q) <= divergence else (low, q)
    return low


OPTIONS = {
    "ucb1": {"exploration": 0.6},
    "kl-ucb": {"c": 3},
    "sw-ucb": {"window": 3, "bound": 0.9},
    "d-ucb": {"discount": 0.7, "bound": 0.9},
}


@pytest.mark.parametrize("policy_id", UCB)
@given(batches)
@settings(max_examples=100)
def test_all_slots_go_to_the_arm_with_the_largest_index_of_the_textbook(policy_id, batches):
    p = told(policy_id, batches, **OPTIONS.get(policy_id, {})).probabilities()
    expected = indices(policy_id, batches)
    near = expected >= expected.max() - 1e-7  # a rounding may decide between these
    assert p[~near].sum() == 0
    if near.sum() == 1 or np.isinf(expected.max()):
        assert p.tolist() == (near / near.sum()).tolist()


@given(batches)
@settings(max_examples=50)
def test_what_forgets_nothing_is_ucb1(batches):
    expected = told("ucb1", batches, exploration=0.5).probabilities().tolist()
    assert told("sw-ucb", batches, window=len(batches)).probabilities().tolist() == expected
    assert told("d-ucb", batches, discount=1, bonus_factor=1).probabilities().tolist() == expected
    assert told("cusum-ucb", batches, alpha=0, threshold=1e9).probabilities().tolist() == expected


def test_the_bonus_of_d_ucb_is_twice_the_bound_unless_told_otherwise():
    batches = [[(0, 1), (1, 0.3), (2, 0)]] + [[(0, 1)]] * 20
    twice = told("d-ucb", batches, discount=0.9)
    assert told("d-ucb", batches, discount=0.9, bound=2, bonus_factor=1).width == twice.width == 2
    assert twice.probabilities().tolist() == [0, 1, 0]  # 2 sqrt(ln n / 2 / n_d) is above 5 for arms 1 and 2
    assert told("d-ucb", batches, discount=0.9, bound=0.01).probabilities().tolist() == [1, 0, 0]


def test_an_arm_that_has_left_the_window_comes_first_again():
    policy = tell(make_policy("sw-ucb", num_arms=NUM_ARMS, window=2), [[(0, 1), (1, 1), (2, 1)], [(0, 1)]])
    assert policy.probabilities()[0] == 0
    policy.update(make_feedback([0], [1], step=2))
    assert policy.probabilities().tolist() == [0, 0.5, 0.5]


def test_slots_are_drawn_among_all_unknown_arms_and_ties_are_shared():
    for policy_id in (*UCB, "cusum-ucb"):
        policy = make_policy(policy_id, num_arms=12, num_runs=2)
        assert policy.probabilities().tolist() == [[1 / 12] * 12] * 2
        assert len(np.unique(policy.select_arms(200))) == 12
    assert told("ucb1", [[(0, 0.5), (1, 0.5), (2, 0.4)]]).probabilities().tolist() == [0.5, 0.5, 0]


# KL-UCB


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.0, 1e-300, 0.5]) | st.floats(0, 1), st.just(0.0) | st.floats(1e-12, 1e3)),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=300)
def test_the_largest_bernoulli_mean_has_the_divergence(pairs):
    p, divergence = np.array(pairs).T
    found = largest_bernoulli_mean(p, divergence)
    expected = [bernoulli_bound(*pair) for pair in pairs]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    assert ((found >= p - 1e-9) & (found <= 1)).all()


def test_kl_ucb_takes_signals_outside_of_the_unit_interval_as_0_or_1():
    outside, inside = ([[(0, low), (1, 0.5), (2, high)]] * 4 for low, high in ((-3, 7), (0, 1)))
    assert told("kl-ucb", outside).probabilities().tolist() == told("kl-ucb", inside).probabilities().tolist()


# CUSUM-UCB


def cusum(signals, **options):
    """Groups of arm 0 since its last alarm, and its alarms, after the signals one a step."""
    history = CusumHistory((2,), **({"num_reference": 4, "drift": 0.1, "threshold": 2} | options))
    for step, signal in enumerate(signals):
        history.add(make_feedback([0], [signal], step=step))
    return history.groups[0], history.alarms[0]


@pytest.mark.parametrize(("before", "after"), [(0.2, 1.0), (0.9, 0.1)])
def test_a_rise_and_a_fall_give_the_alarm_when_their_sum_reaches_the_threshold(before, after):
    """Each later signal is 0.8 from the reference and adds 0.7: the third one makes 2.1."""
    assert cusum([before] * 9) == (9, 0)
    assert cusum([before] * 9 + [after] * 2) == (11, 0)
    assert cusum([before] * 9 + [after] * 3) == (0, 1)
    assert cusum([before] * 9 + [after] * 20) == (17, 1)  # the new level is the new reference
    assert cusum([before] * 9 + [after] * 20 + [before] * 3) == (0, 2)


def test_no_alarm_for_changes_within_the_drift_or_while_the_reference_is_learned():
    assert cusum([0.5] * 4 + [0.6, 0.4] * 100) == (204, 0)
    assert cusum([0.5] * 4 + [0.6] * 100, drift=0.09) == (104, 0)
    assert cusum([0.5] * 4 + [0.6] * 300, drift=0.09)[1] == 1
    assert cusum([0, 1] * 20, num_reference=40) == (40, 0)


def test_after_its_alarm_an_arm_is_unknown_but_for_the_uniform_share():
    policy = make_policy("cusum-ucb", num_arms=NUM_ARMS, num_reference=2, threshold=0.5, alpha=0.3)
    tell(policy, [[(0, 0.9), (1, 0.5), (2, 0.5)]] * 4)
    np.testing.assert_allclose(policy.probabilities(), [0.8, 0.1, 0.1])
    policy.update(make_feedback([2], [1.1], step=4))
    np.testing.assert_allclose(policy.probabilities(), [0.1, 0.1, 0.8])
    assert policy.history.mean().tolist() == [pytest.approx(0.9), 0.5, 0]


@given(st.lists(group, min_size=1, max_size=30))
def test_cusum_takes_the_groups_of_a_batch_one_after_another(groups):
    options = {"num_reference": 2, "threshold": 0.4}
    at_once = told("cusum-ucb", [groups], **options)
    one_by_one = make_policy("cusum-ucb", num_arms=NUM_ARMS, **options)
    for pair in groups:
        tell(one_by_one, [[pair]])
    assert at_once.state_dict() == one_by_one.state_dict()


def test_cusum_ucb_finds_the_arm_that_has_become_the_best():
    """After the change, the third arm is drawn with a chance of 0.1 / 3 a step at least, and 5 draws give the alarm.

    A run has fewer in 400 steps with a chance of 0.0026, and 12 of 40 runs have with one below 1e-20.
    """
    options = {"num_reference": 20, "threshold": 1.9, "alpha": 0.1}
    policy = make_policy("cusum-ucb", num_arms=NUM_ARMS, num_runs=40, **options)
    for step in range(1200):
        arms = policy.select_arms(1)
        means = np.array([0.5, 0.3, 0.4 if step < 800 else 0.9])
        policy.update(make_feedback(arms, means[arms], step=step))
    assert (policy.probabilities().argmax(axis=1) == 2).sum() > 28


# The greedy ones


@given(batches, st.floats(0.01, 2), st.floats(0.1, 1))
@settings(max_examples=50)
def test_epsilon_decreases_with_the_groups_told(batches, c, d):
    policy = told("epsilon-decreasing", batches, c=c, d=d)
    t = 1 + sum(len(batch) for batch in batches)
    epsilon = min(1, c * NUM_ARMS / (d * d * t))
    p, best = policy.probabilities(), policy.history.mean() == policy.history.mean().max()
    np.testing.assert_allclose(p, epsilon / NUM_ARMS + (1 - epsilon) * best / best.sum())


@pytest.mark.parametrize("step_size", [None, 0.1])
def test_optimistic_initial_values_try_every_arm_first(step_size):
    options = {"epsilon": 0, "initial_value": 5, "step_size": step_size}
    policy = make_policy("epsilon-greedy", num_arms=12, num_runs=3, **options)
    drawn = []
    for step in range(12):
        drawn.append(policy.select_arms(1))
        policy.update(make_feedback(drawn[-1], np.ones((3, 1)), step=step))
    assert np.sort(np.concatenate(drawn, axis=1)).tolist() == [list(range(12))] * 3


def test_optimism_lasts_with_a_step_size_and_ends_with_the_first_group_without_one():
    batches = [[(0, 0.5)], [(1, 0.4)], [(2, 0.3)]]
    assert told("epsilon-greedy", batches, epsilon=0, initial_value=5).probabilities().tolist() == [1, 0, 0]
    slow = told("epsilon-greedy", [*batches, [(0, 0.5)]], epsilon=0, initial_value=5, step_size=0.1)
    assert slow.probabilities().tolist() == [0, 1, 0]
    np.testing.assert_allclose(slow.history.mean(), [0.9 * (0.9 * 5 + 0.05) + 0.05, 4.54, 4.53])


def test_a_pessimistic_initial_value_stays_with_what_is_known():
    assert told("epsilon-greedy", [[(1, 0)]], epsilon=0, initial_value=-1).probabilities().tolist() == [0, 1, 0]


# Errors


@pytest.mark.parametrize(
    ("policy_id", "options", "message"),
    [
        ("ucb1", {"exploration": -1}, "exploration is -1; accepted: a finite number at least 0"),
        ("ucb-v", {"zeta": -1}, "zeta is -1; accepted: a finite number at least 0"),
        ("ucb-v", {"c": -1}, "c is -1; accepted: a finite number at least 0"),
        ("ucb-v", {"bound": 0}, "bound is 0; accepted: a finite number above 0"),
        ("kl-ucb", {"c": -1}, "c is -1; accepted: a finite number at least 0"),
        ("sw-ucb", {"window": 0}, "window is 0; accepted: a whole number at least 1"),
        ("sw-ucb", {"xi": "linear:1:-1:5"}, "xi is -1.0; accepted: a finite number at least 0"),
        ("sw-ucb", {"bound": 0}, "bound is 0; accepted: a finite number above 0"),
        ("d-ucb", {"discount": 0}, "discount is 0; accepted: a finite number above 0 and at most 1"),
        ("d-ucb", {"bonus_factor": 0}, "bonus_factor is 0; accepted: a finite number above 0"),
        ("cusum-ucb", {"num_reference": 0}, "num_reference is 0; accepted: a whole number at least 1"),
        ("cusum-ucb", {"drift": -0.1}, "drift is -0.1; accepted: a finite number at least 0"),
        ("cusum-ucb", {"threshold": 0}, "threshold is 0; accepted: a finite number above 0"),
        ("cusum-ucb", {"alpha": 1.5}, "alpha is 1.5; accepted: a finite number at least 0 and at most 1"),
        ("epsilon-greedy", {"epsilon": 1.5}, "epsilon is 1.5; accepted: a finite number at least 0 and at most 1"),
        ("epsilon-greedy", {"step_size": 0}, "step_size is 0; accepted: a finite number above 0 and at most 1"),
        ("epsilon-greedy", {"initial_value": math.nan}, "initial_value is nan; accepted: a finite number"),
        ("epsilon-decreasing", {"c": 0}, "c is 0; accepted: a finite number above 0"),
        ("epsilon-decreasing", {"d": 1.1}, "d is 1.1; accepted: a finite number above 0 and at most 1"),
    ],
)
def test_an_option_out_of_range_is_named_with_what_is_accepted(policy_id, options, message):
    with pytest.raises(InvalidValueError, match=message):
        make_policy(policy_id, num_arms=NUM_ARMS, **options)


def test_late_feedback_counts_for_cusum_when_it_arrives():
    feedback = make_feedback([0], [0.5], step=5)
    policy = make_policy("cusum-ucb", num_arms=NUM_ARMS)
    policy.update(feedback)
    policy.update(replace(feedback, step=2))
    assert policy.history.groups.tolist() == [2, 0, 0]
