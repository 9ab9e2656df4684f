"""Policies that draw from beliefs: Thompson sampling, MoPPS, and Thompson sampling for informative groups."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import norm

from dumpgym.agents.bandits.beta_selection import probability_of_largest_beta, probability_of_nearest_beta
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.testing.policy import check_policy, make_feedback

VARIANTS = [
    ("thompson", {"prior_mean": 0, "prior_std": 10, "noise_std": 0.01}),
    ("thompson", {"window": 2, "floor": 0.1}),
    ("thompson", {"discount": 0.7}),
    ("thompson-beta", {"prior_a": 0.1, "prior_b": 0.1}),
    ("thompson-beta", {"prior_a": 30, "prior_b": 0.5, "window": 3}),
    ("thompson-beta", {"discount": 0.8, "floor": "linear:0.2:0:5"}),
    ("mopps", {"target": 0.2, "discount": 1}),
    ("mopps", {"target": 0.9, "prior_a": 0.1, "prior_b": 3, "floor": 0.1}),
    ("informative-thompson", {"prior_success": "grades", "reversion_mass": 0.5}),
    ("informative-thompson", {"discount": 1, "floor": 0}),
]


@pytest.mark.parametrize(("policy_id", "options"), VARIANTS)
def test_policies_keep_the_contract_with_options_of_their_own(policy_id, options):
    check_policy(
        lambda num_arms, seed, **runs: make_policy(policy_id, num_arms=num_arms, seed=seed, **options, **runs),
        vectorised=True,
    )


step_of_groups = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1), st.integers(0, 8)), min_size=1, max_size=6)
steps_of_groups = st.lists(step_of_groups, min_size=1, max_size=6)


def tell(policy, steps):
    """Tells groups (arm, signal, successes of 8), one list a training step."""
    for step, groups in enumerate(steps):
        arm, signal, successes = zip(*groups, strict=True)
        policy.update(make_feedback(arm, signal, step=step, successes=successes))
    return policy


def weight(age, window, discount):
    """The weight of a group of this age in steps."""
    return float(age < window) if window else (discount or 1) ** age


forgetting = st.sampled_from([{}, {"window": 1}, {"window": 3}, {"discount": 0.5}, {"discount": 0.9}])

# Thompson


@given(steps_of_groups, forgetting)
@settings(max_examples=25)
def test_thompson_has_its_posterior(steps, options):
    policy = tell(make_policy("thompson", num_arms=3, prior_mean=0.2, prior_std=0.7, noise_std=0.3, **options), steps)
    means, variances = [], []
    for arm in range(3):
        precision, total = 1 / 0.49, 0.2 / 0.49
        for step, groups in enumerate(steps):
            w = weight(len(steps) - 1 - step, options.get("window"), options.get("discount"))
            for a, signal, _ in groups:
                precision += w / 0.09 * (a == arm)
                total += w * signal / 0.09 * (a == arm)
        means.append(total / precision)
        variances.append(1 / precision)

    def density_of_largest(x, arm):
        spreads = np.sqrt(variances)
        others = np.arange(3) != arm
        return norm.pdf(x, means[arm], spreads[arm]) * norm.cdf(x, np.array(means)[others], spreads[others]).prod()

    expected = quad(density_of_largest, -5, 6, args=(0,), points=sorted(means), epsabs=1e-10, limit=200)[0]
    assert policy.probabilities()[0] == pytest.approx(expected, abs=1e-8)


@given(steps_of_groups, forgetting)
@settings(max_examples=25)
def test_thompson_beta_counts_signals_as_fractions_of_a_success(steps, options):
    policy = tell(make_policy("thompson-beta", num_arms=3, prior_a=0.5, prior_b=2, **options), steps)
    a, b = np.full(3, 0.5), np.full(3, 2.0)
    for step, groups in enumerate(steps):
        w = weight(len(steps) - 1 - step, options.get("window"), options.get("discount"))
        for arm, signal, _ in groups:
            a[arm] += w * signal
            b[arm] += w * (1 - signal)
    np.testing.assert_allclose(policy.probabilities(), probability_of_largest_beta(a, b), rtol=0, atol=1e-9)


def test_thompson_beta_is_the_textbooks_for_signals_of_zero_and_one():
    """P(X > Y) of two Beta distributions with whole parameters is a sum of betas."""
    policy = tell(
        make_policy("thompson-beta", num_arms=2), [[(0, 1.0, 0)] * 4 + [(0, 0.0, 0), (1, 0.0, 0), (1, 1.0, 0)]]
    )
    a, b, c, d = 5, 2, 2, 2
    above = sum(math.exp(betaln(c + i, b + d) - betaln(1 + i, b) - betaln(c, d)) / (b + i) for i in range(a))
    assert policy.probabilities()[0] == pytest.approx(above, abs=1e-10)


def test_thompson_beta_clips_signals():
    outside, clipped = (make_policy("thompson-beta", num_arms=2) for _ in range(2))
    tell(outside, [[(0, 7.5, 0), (1, -3.0, 0)]])
    tell(clipped, [[(0, 1.0, 0), (1, 0.0, 0)]])
    assert outside.probabilities().tolist() == clipped.probabilities().tolist()


@pytest.mark.parametrize("policy_id", ["thompson", "thompson-beta", "mopps"])
def test_every_slot_of_every_run_draws_for_itself(policy_id):
    """Of 20,000 draws, a share is off by 0.03 with a chance below 1e-15 (Hoeffding)."""
    policy = make_policy(policy_id, num_arms=3, num_runs=2, floor=[0.3, 0, 0.1])
    arm, signal = [[0, 1, 2, 2], [0, 0, 1, 2]], [[0.9, 0.3, 0.6, 0.7], [0.1, 0.2, 0.9, 0.5]]
    policy.update(make_feedback(arm, signal, successes=[[4, 1, 5, 6], [1, 7, 5, 3]]))
    arms, p = policy.select_arms(20_000), policy.probabilities()
    assert np.abs(p[0] - p[1]).max() > 0.1
    np.testing.assert_allclose((arms[..., None] == np.arange(3)).mean(axis=1), p, rtol=0, atol=0.03)


# MoPPS


@given(steps_of_groups, st.sampled_from([1.0, 0.9, 0.5]), st.sampled_from([0.5, 0.3]))
@settings(max_examples=40)
def test_mopps_has_its_recursion(steps, discount, target):
    policy = tell(make_policy("mopps", num_arms=3, discount=discount, target=target, prior_a=2, prior_b=1), steps)
    a, b = np.full(3, 2.0), np.full(3, 1.0)
    for groups in steps:
        a, b = discount * a + (1 - discount) * 2, discount * b + (1 - discount) * 1
        for arm, _, successes in groups:
            a[arm] += successes
            b[arm] += 8 - successes
    np.testing.assert_allclose(policy.probabilities(), probability_of_nearest_beta(a, b, target), rtol=0, atol=1e-8)


@pytest.mark.parametrize(("target", "nearest"), [(0.5, 1), (0.95, 2), (0.05, 0)])
def test_mopps_goes_to_the_arm_whose_success_is_nearest_to_the_target(target, nearest):
    policy = make_policy("mopps", num_arms=3, target=target)
    tell(policy, [[(0, 0.0, 1), (1, 0.0, 4), (2, 0.0, 7)] * 20] * 3)
    assert policy.probabilities()[nearest] > 0.99


@pytest.mark.parametrize("policy_id", ["mopps", "thompson-beta"])
def test_what_is_known_of_an_arm_left_alone_goes_back_to_the_prior(policy_id):
    told, never = (make_policy(policy_id, num_arms=2, discount=0.5) for _ in range(2))
    others = [[(1, 0.5, 3)]] * 60
    tell(told, [[(0, 0.0, 0)] * 50, *others])
    tell(never, [[(1, 0.5, 3)], *others])
    assert told.probabilities() == pytest.approx(never.probabilities(), abs=1e-6)


# Informative groups


class RecordedDraws:
    """Draws means, and remembers of what."""

    def beta(self, a, b):
        self.a, self.b = a, b
        return a / (a + b)


@given(steps_of_groups, st.sampled_from([1.0, 0.95, 0.5]), st.sampled_from([None, "0.9,0.4,0.1", "grades"]))
@settings(max_examples=40)
def test_informative_thompson_has_its_recursion(steps, discount, prior_success):
    policy = make_policy("informative-thompson", num_arms=3, discount=discount, prior_success=prior_success, floor=0)
    policy.rng = RecordedDraws()
    tell(policy, steps)
    rates = {None: [0.5, 0.5, 0.5], "0.9,0.4,0.1": [0.9, 0.4, 0.1], "grades": [0.85, 0.45, 0.05]}[prior_success]
    mass = 2 if prior_success is None else 8
    for arm, rate in enumerate(rates):
        a, b = mass * rate, mass * (1 - rate)
        for groups in steps:
            a = discount * a + (1 - discount) * 2 * rate + sum(s for d, _, s in groups if d == arm)
            b = discount * b + (1 - discount) * 2 * (1 - rate) + sum(8 - s for d, _, s in groups if d == arm)
        assert policy.rng.a[arm] == pytest.approx(a)
        assert policy.rng.b[arm] == pytest.approx(b)
    p = policy.rng.a / (policy.rng.a + policy.rng.b)
    informs = 1 - p**8 - (1 - p) ** 8
    assert policy.probabilities() == pytest.approx(informs / informs.sum())


def test_informative_thompson_draws_once_a_step_and_knows_the_size_of_its_groups():
    policy = make_policy("informative-thompson", num_arms=3, floor=0)
    before = policy.probabilities()
    policy.select_arms(5)
    assert policy.probabilities().tolist() == before.tolist()
    policy.update(make_feedback([0, 1], [0, 0], num_generations=2))
    p = policy.success
    assert policy.probabilities() == pytest.approx(p * (1 - p) / (p * (1 - p)).sum())  # 1 - p^2 - (1 - p)^2
    first = policy.probabilities()
    policy.update(make_feedback([0, 1], [0, 0], num_generations=2, step=1))
    assert np.abs(policy.probabilities() - first).max() > 1e-3


def test_informative_thompson_has_a_floor_and_is_uniform_where_no_draw_informs():
    policy = make_policy("informative-thompson", num_arms=5)
    assert policy.floor.tolist() == [0.01] * 5
    policy.success = np.array([0.0, 1.0, 1.0, 0.0, 0.0])
    assert policy.probabilities() == pytest.approx([0.2] * 5)
    policy.success = np.array([0.0, 1.0, 1.0, 0.5, 0.0])
    assert policy.probabilities() == pytest.approx([0.01] * 3 + [0.96, 0.01])


def test_grades_expect_less_of_later_arms():
    """The mean of 4,000 draws is off by 0.05 with a chance below 1e-8 (Hoeffding)."""
    policy = make_policy("informative-thompson", num_arms=5, num_runs=4000, prior_success="grades")
    assert policy.success.mean(axis=0) == pytest.approx(np.linspace(0.85, 0.05, 5), abs=0.05)


@pytest.mark.parametrize(
    ("policy_id", "options", "message"),
    [
        ("thompson", {"prior_mean": math.inf}, "prior_mean is inf; accepted: a finite number"),
        ("thompson", {"prior_std": 0}, "prior_std is 0; accepted: a finite number above 0"),
        ("thompson", {"noise_std": 0}, "noise_std is 0; accepted: a finite number above 0"),
        ("thompson", {"window": 3, "discount": 0.5}, "window is 3; accepted: None beside the discount 0.5"),
        ("thompson-beta", {"prior_a": 0.05}, "prior_a is 0.05; accepted: a finite number at least 0.1"),
        ("thompson-beta", {"prior_b": 0}, "prior_b is 0; accepted: a finite number at least 0.1"),
        ("thompson-beta", {"discount": 0}, "discount is 0; accepted: a finite number above 0 and at most 1"),
        ("thompson-beta", {"window": 0}, "window is 0; accepted: a whole number at least 1"),
        ("mopps", {"target": 1}, "target is 1; accepted: a finite number at least 0.001 and at most 0.999"),
        ("mopps", {"prior_a": 0}, "prior_a is 0; accepted: a finite number at least 0.1"),
        ("mopps", {"discount": 1.1}, "discount is 1.1; accepted: a finite number above 0 and at most 1"),
        ("informative-thompson", {"prior_success": [0.5]}, r"prior_success is \[0.5\]; accepted: 3 numbers"),
        ("informative-thompson", {"prior_success": "0,0.5,1"}, "number 1 of prior_success is 0.0; accepted"),
        ("informative-thompson", {"prior_mass": 0}, "prior_mass is 0; accepted: a finite number above 0"),
        ("informative-thompson", {"reversion_mass": 0}, "reversion_mass is 0; accepted: a finite number above 0"),
        ("informative-thompson", {"discount": 0}, "discount is 0; accepted: a finite number above 0 and at most 1"),
    ],
)
def test_an_option_out_of_range_is_named_with_what_is_accepted(policy_id, options, message):
    with pytest.raises(InvalidValueError, match=message):
        make_policy(policy_id, num_arms=3, **options)
