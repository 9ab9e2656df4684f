"""Informative shares: the formula, coins that lose their trust, and arms that are tried again."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.testing.policy import make_feedback


def practise(policy, step, arms, successes, size=8, tokens=None):
    feedback = make_feedback(arms, np.zeros(len(arms)), step=step, num_generations=size, successes=successes)
    policy.update(feedback if tokens is None else replace(feedback, tokens=np.array(tokens)))


def expected_trust(groups, weights, size, *, correlation=0.2, floor=0.1):
    total = sum(weights)
    p = (sum(w * x for w, x in zip(weights, groups, strict=True)) + 0.5) / (size * total + 1)
    squares = sum(w * (x - size * p) ** 2 for w, x in zip(weights, groups, strict=True))
    dispersion = squares / (size * p * (1 - p)) / total
    v = 1 + (size - 1) * correlation
    ratio = total / 2 * (dispersion * (1 - 1 / v) - math.log(v)) + math.log(9)
    return floor + (1 - floor) / (1 + math.exp(-ratio))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 8), min_size=3, max_size=3), min_size=1, max_size=12),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.sampled_from([0.0, 1.0]),
)
def test_weights_are_those_of_the_formula(batches, price, ease):
    options = {"discount": 0.8, "memory": 0.9, "prior": 0.5, "sharpness": 1.5, "price": price, "ease": ease}
    policy = make_policy("informative-share", num_arms=3, floor=0.0, **options)
    tokens = [10, 20, 50]
    for step, successes in enumerate(batches):
        practise(policy, step, [0, 1, 2], successes, tokens=tokens)
    last = len(batches) - 1
    recent, remembered = ([rate ** (last - step) for step in range(last + 1)] for rate in (0.8, 0.9))
    scores = []
    for arm in range(3):
        groups = [batch[arm] for batch in batches]
        informative = sum(w for w, x in zip(recent, groups, strict=True) if 0 < x < 8)
        share = (informative + 0.5) / (sum(recent) + 0.5)
        rate = (sum(w * x / 8 for w, x in zip(recent, groups, strict=True)) + 0.5) / (sum(recent) + 0.5)
        cost = tokens[arm] / 8
        scores.append((expected_trust(groups, remembered, 8) * share * rate**ease) ** 1.5 / cost**price)
    assert policy.probabilities() == pytest.approx(np.array(scores) / sum(scores), rel=1e-6)


def test_a_coin_loses_its_trust_and_arms_to_learn_from_keep_theirs():
    rng = np.random.default_rng(0)
    policy = make_policy("informative-share", num_arms=4)
    for step in range(60):
        coin = rng.binomial(8, 0.5)
        unlike = rng.binomial(8, rng.choice([0.2, 0.8]))  # problems of different difficulty
        rising = rng.binomial(8, 0.1 + 0.8 * step / 60)  # the same for all problems, and learned
        practise(policy, step, [0, 1, 2, 3], [coin, unlike, rising, 0])
    coin, unlike, rising, _ = policy.trust()
    assert coin < 0.15
    assert unlike > 0.99
    assert rising > 0.99
    probabilities = policy.probabilities()
    assert probabilities[[1, 2]].min() > 10 * probabilities[[0, 3]].max()
    trusting = make_policy("informative-share", num_arms=4, trust_floor=1.0)
    assert trusting.trust().tolist() == [1.0] * 4


def test_an_arm_that_taught_nothing_is_tried_again_when_its_groups_are_forgotten():
    policy = make_policy("informative-share", num_arms=2, floor=0.0)
    for step in range(5):
        practise(policy, step, [0, 1], [0, 3 + step % 3])
    before = policy.probabilities()[0]
    for step in range(5, 200):
        practise(policy, step, [1], [2 + step % 5])
    assert before < 0.05
    assert policy.probabilities()[0] > 0.3


def test_all_arms_are_alike_before_the_first_groups_and_keep_the_floor_after_them():
    policy = make_policy("informative-share", num_arms=5)
    assert policy.probabilities().tolist() == pytest.approx([0.2] * 5)
    for step in range(50):
        practise(policy, step, [0, 1], [4, 0])
    assert policy.probabilities().min() >= 0.1 / 5 - 1e-12


@pytest.mark.parametrize("price", [0.0, 1.0])
def test_completions_may_be_empty(price):
    policy = make_policy("informative-share", num_arms=3, price=price)
    practise(policy, 0, [0, 1], [3, 3], tokens=[0, 80])
    assert policy.probabilities().sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("option", "value"),
    [("prior", 0), ("sharpness", -1), ("price", -0.1), ("ease", -1), ("memory", 0), ("memory", 1.1), ("discount", 0),
     ("correlation", 0), ("correlation", 2), ("trust_floor", -0.1), ("trust_floor", 1.1)],
)  # fmt: skip
def test_options_out_of_range_are_named(option, value):
    with pytest.raises(InvalidValueError, match=f"{option} is {value}"):
        make_policy("informative-share", num_arms=3, **{option: value})
