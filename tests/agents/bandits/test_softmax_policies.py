"""Boltzmann exploration with and without Gumbel noise, and the chance of each arm to have the largest random score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from dumpgym.agents.bandits.history import SumHistory
from dumpgym.agents.bandits.random_scores import RandomScorePolicy
from dumpgym.agents.bandits.selection import boltzmann, probability_of_largest_gumbel, probability_of_largest_normal
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.testing.policy import check_policy, make_feedback

location = st.floats(-3, 3)
scale = st.floats(0.01, 3)


@pytest.mark.parametrize(
    ("policy_id", "options"),
    [
        ("boltzmann", {"temperature": 0}),
        ("boltzmann", {"temperature": "exponential:1:0.01:6", "window": 2}),
        ("boltzmann", {"discount": 0.5}),
        ("boltzmann-gumbel", {"exploration": "linear:1:0:5"}),
        ("boltzmann-gumbel", {"exploration": 0}),
    ],
)
def test_they_keep_the_contract_with_options_of_their_own(policy_id, options):
    def make(num_arms, seed, **runs):
        return make_policy(policy_id, num_arms=num_arms, seed=seed, **options, **runs)

    check_policy(make, vectorised=True)


@pytest.mark.parametrize(
    ("policy_id", "options", "message"),
    [
        ("boltzmann", {"temperature": -1}, "temperature is -1; accepted: a finite number at least 0"),
        ("boltzmann", {"window": 0}, "window is 0; accepted: a whole number at least 1"),
        ("boltzmann", {"window": 3, "discount": 0.5}, "window is 3; accepted: None beside the discount 0.5"),
        ("boltzmann-gumbel", {"exploration": -1}, "exploration is -1; accepted: a finite number at least 0"),
    ],
)
def test_an_option_out_of_range_is_named_with_what_is_accepted(policy_id, options, message):
    with pytest.raises(InvalidValueError, match=message):
        make_policy(policy_id, num_arms=3, **options)


# Boltzmann


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5), st.floats(0.05, 5))
def test_boltzmann_is_a_softmax_of_mean_signals(rounds, temperature):
    policy = make_policy("boltzmann", num_arms=4, temperature=temperature)
    for step, signals in enumerate(rounds):
        policy.update(make_feedback([0, 1, 2], signals, step=step))
    means = [*np.mean(rounds, axis=0), 0]  # the last arm was never drawn
    np.testing.assert_allclose(policy.probabilities(), special.softmax(np.array(means) / temperature), rtol=1e-9)


def test_the_temperature_follows_its_schedule_to_the_best_arms():
    policy = make_policy("boltzmann", num_arms=3, temperature="linear:1:0:2")
    policy.update(make_feedback([0, 1], [0.4, 0.4]))
    np.testing.assert_allclose(policy.probabilities(), special.softmax([0.8, 0.8, 0]))
    policy.update(make_feedback([0, 1], [0.4, 0.4], step=1))
    assert policy.probabilities().tolist() == [0.5, 0.5, 0]


def test_boltzmann_remembers_as_it_is_told_to():
    for options, mean in (({}, 0.5), ({"window": 1}, 0.0), ({"discount": 0.5}, 1 / 3)):
        policy = make_policy("boltzmann", num_arms=2, temperature=1, **options)
        policy.update(make_feedback([0], [1]))
        policy.update(make_feedback([0], [0], step=1))
        np.testing.assert_allclose(policy.probabilities(), special.softmax([mean, 0]))


# Boltzmann-Gumbel


def test_the_noise_of_an_arm_shrinks_with_the_root_of_its_groups():
    policy = make_policy("boltzmann-gumbel", num_arms=3, exploration=0.8)
    policy.update(make_feedback([0] * 4 + [1] * 9 + [2], [0.5] * 4 + [0.6] * 9 + [0.1]))
    expected = probability_of_largest_gumbel(np.array([0.5, 0.6, 0.1]), 0.8 / np.array([2, 3, 1]))
    np.testing.assert_allclose(policy.probabilities(), expected, rtol=1e-9)


def test_arms_without_feedback_come_first_in_every_run_for_itself():
    policy = make_policy("boltzmann-gumbel", num_arms=3, num_runs=2, exploration=1e-3)
    policy.update(make_feedback([[0, 0, 0], [0, 1, 2]], [[0.9] * 3, [0.1, 0.9, 0.2]]))
    np.testing.assert_allclose(policy.probabilities(), [[0, 0.5, 0.5], [0, 1, 0]], atol=1e-12)
    drawn = policy.select_arms(100)
    assert [set(row) for row in drawn.tolist()] == [{1, 2}, {1}]


def test_without_noise_arms_that_tie_are_all_drawn():
    policy = make_policy("boltzmann-gumbel", num_arms=4, exploration=0)
    policy.update(make_feedback(range(4), [0.3, 0.7, 0.1, 0.7]))
    np.testing.assert_allclose(policy.probabilities(), [0, 0.5, 0, 0.5], atol=1e-12)
    assert set(policy.select_arms(100).tolist()) == {1, 3}


# The chance to have the largest score


@given(st.lists(location, min_size=1, max_size=6), scale)
def test_gumbel_noise_of_one_scale_is_a_softmax(locations, scale):
    found = probability_of_largest_gumbel(np.array(locations), np.full(len(locations), scale))
    np.testing.assert_allclose(found, boltzmann(np.array(locations), scale), rtol=0, atol=1e-12)


@given(*[st.lists(location, min_size=1, max_size=3)] * 2, scale)
@settings(max_examples=200)
def test_gumbel_noise_of_two_scales_of_which_one_is_twice_the_other_has_a_closed_form(wide, narrow, scale):
    """The largest of several Gumbel scores of one scale is one itself, and which it is does not depend on its value.

    For one arm of scale 2 s at a and one of scale s at b, the first is the larger with the chance of the integral over
    v > 0 of exp(-v - c v^2), where c = exp((b - a) / s).
    """
    a, b = (s * special.logsumexp(np.array(m) / s) for m, s in ((wide, 2 * scale), (narrow, scale)))
    c = np.exp((b - a) / scale)
    chance = np.sqrt(np.pi / (4 * c)) * special.erfcx(1 / (2 * np.sqrt(c)))
    shares = special.softmax(np.array(wide) / (2 * scale)), special.softmax(np.array(narrow) / scale)
    scales = [2 * scale] * len(wide) + [scale] * len(narrow)
    found = probability_of_largest_gumbel(np.array(wide + narrow), np.array(scales))
    np.testing.assert_allclose(found, [*(chance * shares[0]), *((1 - chance) * shares[1])], rtol=0, atol=1e-12)


@given(location, scale, location, scale)
def test_of_two_normal_scores_the_chance_is_known(mean, std, other_mean, other_std):
    found = probability_of_largest_normal(np.array([mean, other_mean]), np.array([std, other_std]))
    first = stats.norm.cdf((mean - other_mean) / np.hypot(std, other_std))
    np.testing.assert_allclose(found, [first, 1 - first], rtol=0, atol=1e-10)


@pytest.mark.parametrize("chance", [probability_of_largest_gumbel, probability_of_largest_normal])
@given(pairs=st.lists(st.tuples(location, scale), min_size=3, max_size=3), order=st.permutations(range(3)))
@settings(max_examples=30)
def test_chances_go_with_their_arms_in_every_run(chance, pairs, order):
    locations, scales = np.array(pairs).T
    both = chance(np.stack([locations, locations[order]]), np.stack([scales, scales[order]]))
    np.testing.assert_allclose(both[1], both[0][order], rtol=0, atol=1e-11)


def test_an_arm_far_below_or_not_in_the_race_has_no_chance():
    found = probability_of_largest_gumbel(np.array([0.0, -np.inf, -200.0, 0.0]), np.array([1.0, 1e-3, 1.0, 1.0]))
    np.testing.assert_allclose(found, [0.5, 0, 0, 0.5], atol=1e-12)


# Policies that draw their scores


class Scores(RandomScorePolicy):
    """The first arm has the largest score, but its chance says the last arm."""

    def __init__(self, num_arms, **common):
        super().__init__(num_arms, **common)
        self.history = SumHistory(self.shape)

    def _draw_scores(self, size):
        return np.broadcast_to(-np.arange(self.num_arms, dtype=float), (*self.shape[:-1], size, self.num_arms))

    def _weights(self):
        return np.broadcast_to(np.eye(self.num_arms)[-1], self.shape)


@pytest.mark.parametrize("num_runs", [None, 2])
def test_scores_are_drawn_where_nothing_else_is_asked_for_and_chances_are_used_elsewhere(num_runs):
    shape = (8,) if num_runs is None else (2, 8)
    drawn = Scores(3, num_runs=num_runs).select_arms(8)
    assert drawn.tolist() == np.zeros(shape, dtype=int).tolist()
    assert drawn.dtype == np.int64
    for options in ({"draw": "quota"}, {"cap": 1 - 1e-12}):
        assert (Scores(3, num_runs=num_runs, **options).select_arms(8) == 2).all()


@pytest.mark.parametrize("num_runs", [None, 2])
@pytest.mark.parametrize("floor", [[0, 0.5, 0], "0,0.5,0"])
def test_a_floor_takes_its_share_of_the_slots_from_the_scores(num_runs, floor):
    """Of 2,000 slots, the share is off by 0.1 with a chance below 1e-16 (Hoeffding)."""
    drawn = Scores(3, num_runs=num_runs, floor=floor).select_arms(2000)
    for row in np.atleast_2d(drawn):
        assert set(row.tolist()) == {0, 1}
        assert row.mean() == pytest.approx(0.5, abs=0.1)


def test_in_warm_up_no_scores_are_drawn():
    policy = Scores(3, warmup_steps=1)
    assert set(policy.select_arms(100).tolist()) == {0, 1, 2}
    policy.update(make_feedback([0], [1]))
    assert set(policy.select_arms(100).tolist()) == {0}
