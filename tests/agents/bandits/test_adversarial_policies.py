"""EXP3 and its family, the gradient bandit, and Graves' automated curriculum, against their formulas in plain loops."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.testing.policy import check_policy, make_feedback

VARIANTS = [
    ("exp3", {"gamma": "linear:1:0.01:6"}),
    ("exp3", {"gamma": 1}),
    ("exp3s", {"alpha": 0}),
    ("exp3s", {"alpha": 0.5, "gamma": 0.3, "floor": 0.1}),
    ("exp3-ix", {"eta": 0.3, "gamma": 0.1}),
    ("exp3-ix", {"eta": "exponential:0.5:0.01:9", "floor": 0.1}),
    ("gradient", {"step_size": "cosine:0.4:0.1:5", "baseline": 0.3}),
    ("graves", {"eta": 0.3, "cost": "rollouts", "reservoir": 20}),
    ("graves", {"epsilon": 0.5, "cost": "groups", "floor": 0.1}),
]


@pytest.mark.parametrize(("policy_id", "options"), VARIANTS)
def test_policies_keep_the_contract_with_options_of_their_own(policy_id, options):
    check_policy(
        lambda num_arms, seed, **runs: make_policy(policy_id, num_arms=num_arms, seed=seed, **options, **runs),
        vectorised=True,
    )


NUM_ARMS = 3
batch = st.lists(st.tuples(st.integers(0, NUM_ARMS - 1), st.floats(0, 1)), min_size=1, max_size=4)
batches = st.lists(batch, min_size=1, max_size=12)


def softmax(scores):
    weights = [math.exp(score - max(scores)) for score in scores]
    return [weight / sum(weights) for weight in weights]


def agrees(policy, steps, slow):
    """Plays batches of (arm, signal), and compares the probabilities before each with those of a slow one.

    Args:
        policy: ours.
        steps: the batches.
        slow: a generator that yields its probabilities and is sent the batch.
    """
    expected = next(slow)
    for step, groups in enumerate(steps):
        np.testing.assert_allclose(policy.probabilities(), expected, rtol=0, atol=1e-9)
        policy.update(make_feedback(*zip(*groups, strict=True), step=step))
        expected = slow.send(groups)
    np.testing.assert_allclose(policy.probabilities(), expected, rtol=0, atol=1e-9)


def slow_exp3s(gamma, alpha):
    """The textbook's weights themselves, not their logarithms; with alpha 0 it is EXP3."""
    w = [1.0] * NUM_ARMS
    while True:
        p = [(1 - gamma) * weight / sum(w) + gamma / NUM_ARMS for weight in w]
        groups = yield p
        shared = math.e * alpha / NUM_ARMS * sum(w)
        for arm, signal in groups:
            w[arm] *= math.exp(gamma * (signal / p[arm]) / NUM_ARMS)
        w = [weight + shared for weight in w]


@settings(max_examples=40)
@given(batches, st.floats(0.01, 1))
def test_exp3_has_its_formula(steps, gamma):
    agrees(make_policy("exp3", num_arms=NUM_ARMS, gamma=gamma), steps, slow_exp3s(gamma, 0))


@settings(max_examples=40)
@given(batches, st.floats(0.01, 1), st.floats(0, 0.5))
def test_exp3s_has_its_formula(steps, gamma, alpha):
    agrees(make_policy("exp3s", num_arms=NUM_ARMS, gamma=gamma, alpha=alpha), steps, slow_exp3s(gamma, alpha))


def slow_exp3_ix(eta, gamma):
    losses, pulls = [0.0] * NUM_ARMS, 0
    while True:
        rate = math.sqrt(math.log(NUM_ARMS) / (NUM_ARMS * (pulls + 1))) if eta is None else eta
        bias = rate / 2 if gamma is None else gamma
        p = softmax([-rate * loss for loss in losses])
        groups = yield p
        for arm, signal in groups:
            losses[arm] += (1 - signal) / (p[arm] + bias)
            pulls += 1


@settings(max_examples=40)
@given(batches, st.one_of(st.none(), st.floats(0, 1)), st.one_of(st.none(), st.floats(0.01, 1)))
def test_exp3_ix_has_its_formula(steps, eta, gamma):
    agrees(make_policy("exp3-ix", num_arms=NUM_ARMS, eta=eta, gamma=gamma), steps, slow_exp3_ix(eta, gamma))


def slow_gradient(step_size, baseline):
    h, told = [0.0] * NUM_ARMS, []
    while True:
        p = softmax(h)
        groups = yield p
        signals = [signal for _, signal in groups]
        b = np.mean(told or signals) if baseline == "mean" else baseline
        for arm, signal in groups:
            h = [h[e] + step_size * (signal - b) * ((e == arm) - p[e]) for e in range(NUM_ARMS)]
        told += signals


@settings(max_examples=40)
@given(batches, st.floats(0, 2), st.one_of(st.just("mean"), st.floats(-1, 1)))
def test_the_gradient_bandit_has_its_formula(steps, step_size, baseline):
    policy = make_policy("gradient", num_arms=NUM_ARMS, step_size=step_size, baseline=baseline)
    agrees(policy, steps, slow_gradient(step_size, baseline))


def slow_graves(eta, epsilon):
    """With the whole history in place of a reservoir, and costs of 800 tokens."""
    w, history, t = [0.0] * NUM_ARMS, [], 1
    while True:
        p = [(1 - epsilon) * weight + epsilon / NUM_ARMS for weight in softmax(w)]
        groups = yield p
        t += 1
        history += [signal / 800 for _, signal in groups]
        low, high = np.quantile(history, 0.2), np.quantile(history, 0.8)
        v = list(w)
        for arm, signal in groups:
            x = signal / 800
            if low == high:
                r = int(x > low) - int(x < low)
            elif x < low:
                r = -1
            else:
                r = 1 if x > high else 2 * (x - low) / (high - low) - 1
            v[arm] += eta * r / p[arm]
        e = [math.exp(score) for score in v]
        w = [math.log((1 - 1 / t) * e[i] + 1 / t / (NUM_ARMS - 1) * (sum(e) - e[i])) for i in range(NUM_ARMS)]


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 16)), min_size=1, max_size=4), max_size=12))
def test_graves_has_its_formula(steps):
    steps = [[(arm, k / 16) for arm, k in groups] for groups in steps]
    agrees(make_policy("graves", num_arms=NUM_ARMS, eta=0.2, epsilon=0.1), steps, slow_graves(0.2, 0.1))


# What a batch was drawn with

IMPORTANCE_WEIGHTED = ["exp3", "exp3s", "exp3-ix", "graves"]


@pytest.mark.parametrize("policy_id", ["exp3", "exp3s", "exp3-ix"])
@given(batch, st.lists(st.floats(0.05, 1), min_size=3, max_size=3))
@settings(max_examples=30)
def test_late_feedback_is_weighted_by_the_probabilities_that_it_was_drawn_with(policy_id, groups, p):
    """Its log odds move by the estimates with those probabilities; the policy's own have changed meanwhile."""
    policy = make_policy(policy_id, num_arms=NUM_ARMS, **({"eta": 0.1} if policy_id == "exp3-ix" else {"gamma": 0.3}))
    policy.update(make_feedback([0, 1], [0.9, 0.2], step=4))
    before = -0.1 * policy.losses if policy_id == "exp3-ix" else policy.log_weights
    p = np.array(p) / sum(p)
    policy.update(replace(make_feedback(*zip(*groups, strict=True), step=2), probabilities=p))
    after = -0.1 * policy.losses if policy_id == "exp3-ix" else policy.log_weights
    moved = np.zeros(NUM_ARMS)
    for arm, signal in groups:
        moved[arm] += -0.1 * (1 - signal) / (p[arm] + 0.05) if policy_id == "exp3-ix" else 0.3 * signal / p[arm] / 3
    np.testing.assert_allclose(after - after[0], before - before[0] + moved - moved[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("policy_id", IMPORTANCE_WEIGHTED)
def test_floor_and_warm_up_are_part_of_the_probabilities_that_a_batch_was_drawn_with(policy_id):
    """The first batch comes in the warm-up, all later ones with a floor: telling the probabilities changes nothing."""
    silent, told = (make_policy(policy_id, num_arms=3, floor=0.2, warmup_steps=2) for _ in range(2))
    for step in range(6):
        feedback = make_feedback([0, 1, step % 3], [0.9, 0.1, step / 6], step=step)
        told.update(replace(feedback, probabilities=told.probabilities()))
        silent.update(feedback)
    assert told.probabilities().tolist() == silent.probabilities().tolist()


@pytest.mark.parametrize("policy_id", ["exp3", "exp3s", "graves"])
@pytest.mark.parametrize("p", [[0.5, 0.5, 0], [0.7, 0.5, -0.2]])
def test_an_arm_that_could_not_be_drawn_is_refused(policy_id, p):
    policy = make_policy(policy_id, num_arms=3)
    before = policy.state_dict()
    with pytest.raises(
        InvalidValueError, match=rf"probability of an arm in the batch is .*{p[2]}.*; accepted: above 0"
    ):
        policy.update(replace(make_feedback([0, 2], [0.3, 0.4]), probabilities=np.array(p)))
    assert policy.state_dict() == before


def test_exp3_ix_is_bounded_by_its_bias_where_an_arm_was_all_but_impossible():
    policy = make_policy("exp3-ix", num_arms=2, eta=1, gamma=0.25)
    policy.update(replace(make_feedback([1], [0.0]), probabilities=np.array([1.0, 0.0])))
    assert policy.losses.tolist() == [0, 4]


@pytest.mark.parametrize("policy_id", ["exp3", "exp3s", "exp3-ix"])
def test_signals_outside_of_the_unit_interval_are_clipped(policy_id):
    outside, clipped = (make_policy(policy_id, num_arms=3) for _ in range(2))
    outside.update(make_feedback([0, 1, 2], [5.0, 0.5, -2.0]))
    clipped.update(make_feedback([0, 1, 2], [1.0, 0.5, 0.0]))
    assert outside.probabilities().tolist() == clipped.probabilities().tolist()


# In the long run


@pytest.mark.parametrize("policy_id", ["exp3", "exp3s", "exp3-ix", "gradient", "graves"])
def test_weights_stay_finite_over_ten_thousand_steps_and_find_the_arm_that_gives(policy_id):
    options = {"reservoir": 100} if policy_id == "graves" else {}
    policy, rng = make_policy(policy_id, num_arms=3, num_runs=2, seed=1, **options), np.random.default_rng(0)
    for step in range(10_000):
        arms = policy.select_arms(1)
        policy.update(make_feedback(arms, (rng.random((2, 1)) < 0.8) * (arms == 1), step=step))
    json.dumps(policy.state_dict(), allow_nan=False)
    p = policy.probabilities()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=0, atol=1e-12)
    assert (p[:, 1] > (0.5 if policy_id == "exp3s" else 0.85)).all()  # EXP3.S shares its weights at every step


def test_exp3s_comes_back_to_an_arm_sooner_than_exp3():
    share = {}
    for policy_id, options in (("exp3", {}), ("exp3s", {"alpha": 0.001})):
        policy = make_policy(policy_id, num_arms=2, num_runs=100, **options)
        for step in range(1500):
            arms = policy.select_arms(1)
            policy.update(make_feedback(arms, arms == (step >= 1000), step=step))
        share[policy_id] = policy.probabilities()[:, 1].mean()
    assert share["exp3s"] > 0.9
    assert share["exp3"] < 0.1


def test_exp3s_shares_its_weights_once_a_step_however_the_feedback_is_divided():
    whole, divided = (make_policy("exp3s", num_arms=2, alpha=0.2) for _ in range(2))
    p = whole.probabilities()
    whole.update(make_feedback([0, 1], [1.0, 0.0]))
    for arm, signal in ((0, 1.0), (1, 0.0)):
        divided.update(replace(make_feedback([arm], [signal]), probabilities=p))
    assert divided.probabilities() == pytest.approx(whole.probabilities(), abs=1e-12)


@pytest.mark.parametrize(
    ("policy_id", "options", "message"),
    [
        ("exp3", {"gamma": 1.5}, "gamma is 1.5; accepted: a finite number at least 0 and at most 1"),
        ("exp3s", {"alpha": -0.1}, "alpha is -0.1; accepted: a finite number at least 0 and at most 1"),
        ("exp3-ix", {"eta": -1}, "eta is -1; accepted: a finite number at least 0"),
        ("exp3-ix", {"gamma": "linear:0:-1:5"}, "gamma is -1.0; accepted: a finite number at least 0"),
        ("gradient", {"step_size": -1}, "step_size is -1; accepted: a finite number at least 0"),
        ("gradient", {"baseline": "median"}, "baseline is 'median'; accepted: 'mean' or a number"),
        ("gradient", {"baseline": math.nan}, "baseline is nan; accepted: a finite number"),
        ("graves", {"eta": -1}, "eta is -1; accepted: a finite number at least 0"),
        ("graves", {"epsilon": 2}, "epsilon is 2; accepted: a finite number at least 0 and at most 1"),
        ("graves", {"cost": "time"}, "cost is 'time'; accepted: 'tokens' or 'rollouts' or 'groups'"),
        ("graves", {"reservoir": 1}, "reservoir is 1; accepted: a whole number at least 2"),
    ],
)
def test_an_option_out_of_range_is_named_with_what_is_accepted(policy_id, options, message):
    with pytest.raises(InvalidValueError, match=message):
        make_policy(policy_id, num_arms=3, **options)
