"""Chances of many arms against the integrals that few arms have, and policies at sizes where only these are fast."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpgym.agents.bandits import beta_selection, many_arms, selection
from dumpgym.agents.bandits.ucb import largest_bernoulli_mean
from dumpgym.contracts.policy_registry import make_policy, policy_registry
from dumpgym.testing.policy import make_feedback, tell_success

POSTERIORS = ("thompson", "thompson-beta", "mopps", "boltzmann-gumbel")
seeds = st.integers(0, 10_000)


def drawn(seed, low, high, spread=1.0):
    """Parameters of up to 32 arms, of which some agree."""
    rng = np.random.default_rng(seed)
    num_arms = rng.integers(2, many_arms.MOST_EXACT + 1)
    values = np.clip(np.exp(spread * rng.normal(size=(2, num_arms))), low, high)
    values[:, : num_arms // 3] = values[:, :1]
    return rng, *values


@given(seeds, st.sampled_from([0.1, 1, 5]))
@settings(max_examples=30, deadline=None)
def test_the_largest_of_normals_and_of_gumbels_agrees_with_the_integral(seed, gap):
    rng, std, scale = drawn(seed, 0.01, 100)
    location = gap * rng.normal(size=len(std))
    normal = many_arms.chances_of_largest_normal(location, std)
    assert normal == pytest.approx(selection.probability_of_largest_normal(location, std), abs=0.02)
    gumbel = many_arms.chances_of_largest_gumbel(location, scale)
    assert gumbel == pytest.approx(selection.probability_of_largest_gumbel(location, scale), abs=0.02)
    assert normal.sum() == pytest.approx(1)


@given(seeds, st.sampled_from([0.5, 0.3, 0.9]), st.sampled_from([0.3, 1, 2]))
@settings(max_examples=30, deadline=None)
def test_the_largest_and_the_nearest_of_betas_agree_with_the_integral(seed, target, spread):
    _, a, b = drawn(seed, 0.1, 1000, spread)
    largest = many_arms.chances_of_largest_beta(a, b)
    assert largest == pytest.approx(beta_selection.probability_of_largest_beta(a, b), abs=0.02)
    nearest = many_arms.chances_of_nearest_beta(a, b, target)
    assert nearest == pytest.approx(beta_selection.probability_of_nearest_beta(a, b, target), abs=0.02)


def test_classes_of_alike_arms_change_little(monkeypatch):
    """Three times as many arms as have a class of their own, against one class an arm."""
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=300), rng.uniform(0.2, 0.4, 300)
    a, b = rng.uniform(1, 30, (2, 300))

    def chances():
        return np.stack([many_arms.chances_of_largest_normal(mean, std), many_arms.chances_of_nearest_beta(a, b, 0.5)])

    own = chances()
    monkeypatch.setattr(many_arms, "_OWN", 50)
    monkeypatch.setattr(many_arms, "_CLASSES", (12, 4))
    classed = chances()
    assert not np.array_equal(own, classed)
    assert 0.5 * np.abs(own - classed).sum(axis=1) == pytest.approx([0, 0], abs=0.15)  # total variation


@pytest.mark.parametrize("policy_id", POSTERIORS)
def test_many_arms_agree_with_their_draws(policy_id):
    num_arms, rng = 60, np.random.default_rng(1)
    policy = make_policy(policy_id, num_arms=num_arms)
    for step in range(3):
        arms = np.arange(num_arms)
        solved = rng.binomial(8, (arms + 1) / (num_arms + 1))
        policy.update(make_feedback(arms, rng.random(num_arms), step=step, successes=solved))
    winners = np.bincount(policy._draw_scores(20_000).argmax(axis=-1), minlength=num_arms) / 20_000
    assert np.abs(policy.probabilities() - winners).max() < 0.015
    assert np.abs(np.bincount(policy.select_arms(20_000), minlength=num_arms) / 20_000 - winners).max() < 0.02


@pytest.mark.parametrize("policy_id", POSTERIORS)
def test_a_policy_of_many_arms_resumes_bit_for_bit(policy_id):
    def play(policy, steps):
        rng, record = np.random.default_rng(steps[0]), []
        for step in steps:
            record += [policy.probabilities(), policy.select_arms(16)]
            policy.update(make_feedback(rng.integers(100, size=16), rng.random(16), step=step))
        return record

    policy, restored = (make_policy(policy_id, num_arms=100, seed=seed) for seed in (1, 2))
    play(policy, (0, 1, 2))
    restored.load_state_dict(json.loads(json.dumps(policy.state_dict())))
    for mine, its in zip(play(policy, (3, 4, 5)), play(restored, (3, 4, 5)), strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("policy_id", policy_registry)
def test_every_policy_decides_on_a_hundred_thousand_arms(policy_id):
    """Anything that takes the square of the number of arms, in memory or in steps, would not fit here."""
    num_arms, rng = 100_000, np.random.default_rng(0)
    policy = make_policy(policy_id, num_arms=num_arms)
    tell_success(policy, np.linspace(0, 1, num_arms))
    policy.update(make_feedback(np.arange(0, num_arms, 10), rng.random(num_arms // 10), step=0))
    p = policy.probabilities()
    assert p.shape == (num_arms,)
    assert p.sum() == pytest.approx(1)
    arms = policy.select_arms(16)
    assert ((arms >= 0) & (arms < num_arms)).all()
    policy.update(make_feedback(arms, rng.random(16), step=1))
    assert np.isfinite(policy.probabilities()).all()


def test_kl_ucb_solves_only_arms_that_may_be_the_best():
    num_arms, rng = 200, np.random.default_rng(0)
    policy = make_policy("kl-ucb", num_arms=num_arms)
    policy.update(make_feedback(np.arange(num_arms), rng.random(num_arms), step=0))
    for step in range(1, 20):
        arms = rng.integers(num_arms, size=16)
        policy.update(make_feedback(arms, rng.random(16), step=step))
        groups = policy.history.groups
        index = largest_bernoulli_mean(policy.history.mean(), np.log(groups.sum()) / groups)
        assert index[policy.probabilities() > 0].min() >= index.max() - 1e-8
