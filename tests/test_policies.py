import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from dumpgym import registration
from dumpgym.agents.arm_history import RolloutWindow
from dumpgym.agents.policies import Dump, boltzmann, probability_of_largest
from dumpgym.errors import InvalidValueError, UnknownNameError
from dumpgym.policy import BanditPolicy, Feedback
from dumpgym.registration import make_policy, policy_registry, register_policy
from dumpgym.testing import check_policy, make_feedback

SHIPPED = ["uniform", "dump", "ucb", "epsilon-greedy", "thompson", "easy-to-hard"]
LEARNING = ["dump", "ucb", "epsilon-greedy", "thompson"]
VARIANTS = [
    *((policy_id, {}) for policy_id in SHIPPED),
    *((policy_id, {"floor": 0.05}) for policy_id in SHIPPED),
    ("dump", {"count_unit": "prompts", "window": 40, "temperature": 0, "exploration": 0.5}),
    ("ucb", {"exploration": 0}),
    ("epsilon-greedy", {"step_size": 0.2}),
    ("epsilon-greedy", {"epsilon": 0}),
    ("thompson", {"prior_mean": 0, "prior_std": 10, "noise_std": 0.01}),
    ("easy-to-hard", {"total_steps": 6}),
]

batches_of_groups = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 2), st.integers(1, 20)), max_size=12), max_size=8
)


def tell(policy, groups, step=0):
    arm, signal, size = zip(*groups, strict=True) if groups else ((), (), ())
    size = np.array(size, dtype=np.int64)
    none = np.zeros_like(size)
    policy.update(Feedback(step, np.array(arm, dtype=np.int64), np.array(signal, dtype=float), none, size, none, none))


def test_the_six_policies_are_registered():
    assert set(SHIPPED) <= set(policy_registry)


@pytest.mark.parametrize(("policy_id", "options"), VARIANTS)
def test_every_policy_keeps_the_contract(policy_id, options):
    check_policy(
        lambda num_arms, seed: make_policy(policy_id, num_arms=num_arms, seed=seed, **options),
        symmetric=policy_id != "easy-to-hard",
    )


@pytest.mark.parametrize("policy_id", [policy_id for policy_id in SHIPPED if policy_id != "easy-to-hard"])
def test_a_policy_that_knows_nothing_is_uniform(policy_id):
    np.testing.assert_allclose(make_policy(policy_id, num_arms=12).probabilities(), 1 / 12, rtol=1e-12)


@pytest.mark.parametrize("floor", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("policy_id", SHIPPED)
@settings(max_examples=10)
@given(batches=batches_of_groups)
def test_probabilities_sum_to_one_and_respect_the_floor(policy_id, floor, batches):
    policy = make_policy(policy_id, num_arms=4, floor=floor)
    for step, groups in enumerate(batches):
        tell(policy, groups, step)
        assert policy.probabilities().sum() == pytest.approx(1)
        assert policy.probabilities().min() >= floor - 1e-12


@pytest.mark.parametrize("options", [{}, {"floor": 0.02}])
@pytest.mark.parametrize("policy_id", LEARNING)
def test_a_learning_policy_finds_the_best_arm(policy_id, options):
    policy, rng = make_policy(policy_id, num_arms=3, seed=1, **options), np.random.default_rng(0)
    for step in range(100):
        arms = policy.select_arms(16)
        policy.update(make_feedback(arms, np.array([0.1, 0.9, 0.5])[arms] + rng.normal(0, 0.1, 16), step=step))
    assert policy.probabilities()[1] > 0.8


@pytest.mark.parametrize("policy_id", LEARNING)
def test_an_arm_never_drawn_keeps_a_way_back(policy_id):
    policy = make_policy(policy_id, num_arms=2)
    for step in range(100):
        policy.update(make_feedback([0] * 8, [0.3] * 8, step=step))
    assert policy.probabilities()[1] > 0.04


@pytest.mark.parametrize("policy_id", LEARNING)
@settings(max_examples=10)
@given(batches=batches_of_groups)
def test_it_does_not_matter_how_groups_are_divided_into_batches(policy_id, batches):
    whole, divided = make_policy(policy_id, num_arms=4), make_policy(policy_id, num_arms=4)
    tell(whole, [group for groups in batches for group in groups])
    for groups in batches:
        tell(divided, groups)
    assert whole.probabilities().tolist() == divided.probabilities().tolist()


# DUMP


def slow_dump(groups, num_arms, window, exploration, temperature, count_unit):
    """The formula, with a value for every rollout."""
    rollouts, count = [[] for _ in range(num_arms)], [0] * num_arms
    for arm, signal, size in groups:
        rollouts[arm] += [signal] * size
        count[arm] += size if count_unit == "rollouts" else 1
    scores = []
    for values, n in zip(rollouts, count, strict=True):
        inside = values[-window:]
        learnability = sum(inside) / len(inside) if inside else 0
        scores.append(learnability + exploration * math.sqrt(2 * math.log(sum(count) + 1) / (n + 1)))
    weights = [math.exp((score - max(scores)) / temperature) for score in scores]
    return [weight / sum(weights) for weight in weights]


@given(
    batches=batches_of_groups,
    window=st.integers(1, 60),
    exploration=st.floats(0, 3),
    temperature=st.floats(0.05, 2),
    count_unit=st.sampled_from(["rollouts", "prompts"]),
)
def test_dump_has_its_formula(batches, **options):
    policy, told = Dump(4, **options), []
    for groups in batches:
        tell(policy, groups)
        told += groups
        np.testing.assert_allclose(policy.probabilities(), slow_dump(told, 4, **options), rtol=1e-9, atol=1e-12)


@given(batches=batches_of_groups, window=st.integers(1, 60), cut=st.integers(0, 8))
def test_dump_saved_at_any_time_goes_on_bit_for_bit(batches, window, cut):
    policy, restored = Dump(4, window=window, seed=1), Dump(4, window=window, seed=2)
    for groups in batches[:cut]:
        tell(policy, groups)
    restored.load_state_dict(json.loads(json.dumps(policy.state_dict())))
    for groups in batches[cut:]:
        tell(policy, groups)
        tell(restored, groups)
    assert restored.state_dict() == policy.state_dict()
    assert restored.probabilities().tolist() == policy.probabilities().tolist()


def test_the_window_counts_the_part_of_the_oldest_group_that_is_inside():
    history = RolloutWindow(2, window=300)
    history.add(make_feedback([0], [1.0], group_size=16))
    means = []
    for _ in range(19):
        history.add(make_feedback([0], [0.0], group_size=16))
        means.append(history.mean()[0])
    assert means[16:] == pytest.approx([16 / 288, 12 / 300, 0])  # 18, 19 and 20 groups of 16
    assert history.mean()[1] == 0  # an empty window
    assert history.rollouts.tolist() == [320, 0]  # counts are not windowed
    history.add(make_feedback([0], [0.5], group_size=1000))
    assert history.mean()[0] == 0.5  # a group larger than the window


def log_odds(policy):
    p = policy.probabilities()
    return math.log(p[0] / p[1])


def test_dump_counts_rollouts_or_prompts():
    rollouts, prompts = Dump(2, temperature=1), Dump(2, temperature=1, count_unit="prompts")
    for policy in (rollouts, prompts):
        tell(policy, [(0, 0.7, 16)] * 4)
    assert log_odds(rollouts) == pytest.approx(0.7 + math.sqrt(2 * math.log(65)) * (math.sqrt(1 / 65) - 1))
    assert log_odds(prompts) == pytest.approx(0.7 + math.sqrt(2 * math.log(5)) * (math.sqrt(1 / 5) - 1))


def test_dump_at_temperature_zero_gives_every_slot_to_the_best_arm_and_lets_slots_draw_among_ties():
    policy = Dump(3, temperature=0, seed=5)
    assert policy.probabilities().tolist() == [1 / 3] * 3
    tell(policy, [(0, 0.5, 8), (1, 0.5, 8), (2, 0.1, 8)])
    assert policy.probabilities().tolist() == [0.5, 0.5, 0]
    assert set(policy.select_arms(50)) == {0, 1}
    tell(policy, [(0, 0.4, 8), (1, 0.5, 8), (2, 0.1, 8)])
    assert policy.select_arms(50).tolist() == [1] * 50


def test_a_softmax_is_stable_and_tends_to_the_best_arm():
    scores = np.array([1e6, 1e6 + 1, -1e6])
    assert boltzmann(scores, 1e-300).tolist() == [0, 1, 0]
    np.testing.assert_allclose(boltzmann(scores, 1), [1 / (1 + math.e), math.e / (1 + math.e), 0])


# The others


def test_ucb_visits_every_arm_and_then_follows_the_bound():
    policy = make_policy("ucb", num_arms=3, exploration=2)
    tell(policy, [(0, 0.9, 8)])
    assert policy.probabilities().tolist() == [0, 0.5, 0.5]
    tell(policy, [(0, 0.9, 8), (1, 0.1, 8), (2, 0.2, 8)])
    bounds = [mean + 2 * math.sqrt(2 * math.log(4) / n) for mean, n in ((0.9, 2), (0.1, 1), (0.2, 1))]
    assert policy.select_arms(5).tolist() == [np.argmax(bounds)] * 5 == [2] * 5


def test_epsilon_greedy_follows_the_sample_mean_or_the_recent_one():
    groups = [(0, 1.0, 8)] * 4 + [(0, 0.0, 8)] + [(1, 0.5, 8)] * 5
    mean, recent = (make_policy("epsilon-greedy", num_arms=2, epsilon=0.2, step_size=s) for s in (None, 0.5))
    for policy in (mean, recent):
        tell(policy, groups)
    np.testing.assert_allclose(mean.probabilities(), [0.9, 0.1])  # means .8 and .5
    np.testing.assert_allclose(recent.probabilities(), [0.1, 0.9])  # .469 and .484


def test_thompson_draws_each_slot_from_the_posterior():
    policy = make_policy("thompson", num_arms=2, prior_mean=0.2, prior_std=0.5, noise_std=0.25)
    tell(policy, [(0, 0.6, 8), (0, 0.8, 8)])
    precision = 1 / 0.25 + 2 / 0.0625
    mean, variance = (0.2 / 0.25 + 1.4 / 0.0625) / precision, 1 / precision
    assert policy.probabilities()[0] == pytest.approx(norm.cdf((mean - 0.2) / math.sqrt(variance + 0.25)), rel=1e-10)


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(-4, 0)), min_size=2, max_size=6))
@settings(max_examples=30)
def test_the_probability_of_the_largest_is_exact_for_two_and_the_share_of_draws_for_more(arms):
    mean = np.array([m for m, _ in arms])
    std = 10 ** np.array([s for _, s in arms])
    first = norm.cdf((mean[0] - mean[1]) / np.hypot(std[0], std[1]))
    np.testing.assert_allclose(probability_of_largest(mean[:2], std[:2]), [first, 1 - first], rtol=0, atol=1e-11)
    draws = np.random.default_rng(0).normal(mean, std, (20_000, len(mean))).argmax(axis=1)
    share = np.bincount(draws, minlength=len(mean)) / 20_000
    np.testing.assert_allclose(probability_of_largest(mean, std), share, rtol=0, atol=0.03)


def test_the_probability_of_the_largest_is_the_integral():
    mean, std = np.array([0.1, 0.3, 0.0]), np.array([0.3, 0.1, 1.0])

    def integrand(x, arm):
        others = [other for other in range(3) if other != arm]
        return norm.pdf(x, mean[arm], std[arm]) * norm.cdf(x, mean[others], std[others]).prod()

    expected = [quad(integrand, -9, 9, args=(arm,), points=[0, 0.3], epsabs=1e-12)[0] for arm in range(3)]
    np.testing.assert_allclose(probability_of_largest(mean, std), expected, rtol=0, atol=1e-10)


def stages(policy, steps):
    drawn = []
    for step in steps:
        drawn.append(int(policy.probabilities().argmax()))
        policy.update(make_feedback([], [], step=step))
    return drawn


def test_easy_to_hard_goes_through_the_arms_in_order():
    assert stages(make_policy("easy-to-hard", num_arms=3, total_steps=6), range(8)) == [0, 0, 1, 1, 2, 2, 2, 2]
    uneven = make_policy("easy-to-hard", num_arms=3, total_steps=6, stage_shares=[3, 0, 1])
    assert stages(uneven, range(7)) == [0, 0, 0, 0, 2, 2, 2]
    floored = make_policy("easy-to-hard", num_arms=4, floor=0.1)
    np.testing.assert_allclose(floored.probabilities(), [0.7, 0.1, 0.1, 0.1])


def test_late_feedback_does_not_turn_easy_to_hard_back():
    assert stages(make_policy("easy-to-hard", num_arms=3, total_steps=6), [0, 3, 1, 2, 0, 4]) == [0, 0, 2, 2, 2, 2]


# A policy of one's own


class Softest(BanditPolicy):
    """Prefers the arm with the smallest signal so far."""

    def __init__(self, num_arms, *, seed=0, floor=0.0, strength=1.0):
        super().__init__(num_arms, seed=seed, floor=floor)
        self.strength, self.total = strength, np.zeros(num_arms)

    def _weights(self):
        weights = np.exp(-self.strength * (self.total - self.total.min()))
        return weights / weights.sum()

    def _observe(self, feedback):
        np.add.at(self.total, feedback.arm, feedback.signal)

    def state_dict(self):
        return {**super().state_dict(), "total": self.total.tolist()}

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.total = np.array(state["total"])


def test_a_policy_of_ones_own_is_registered_made_and_checked_like_ours(monkeypatch):
    monkeypatch.setattr(registration, "policy_registry", dict(policy_registry))
    register_policy("softest", Softest)
    check_policy(lambda num_arms, seed: make_policy("softest", num_arms=num_arms, seed=seed, floor=0.1, strength=0.2))
    with pytest.raises(UnknownNameError, match="option of policy 'softest' 'strenght'; did you mean 'strength'"):
        make_policy("softest", num_arms=2, strenght=2)
    with pytest.raises(InvalidValueError, match="policy id is 'softest'; accepted: an id that is not registered yet"):
        register_policy("softest", Softest)


def test_an_entry_point_that_takes_any_option_gets_it(monkeypatch):
    monkeypatch.setattr(registration, "policy_registry", {})
    register_policy("any", lambda num_arms, **options: Softest(num_arms, **options))
    assert make_policy("any", num_arms=2, strength=3.0).strength == 3


class Unnormalised(Softest):
    def _weights(self):
        return np.exp(-self.total)


class Floorless(Softest):
    def probabilities(self):
        return self._weights()


class DrawsOtherwise(Softest):
    def select_arms(self, size):
        return self.rng.integers(self.num_arms, size=size)


class Unseeded(Softest):
    def __init__(self, num_arms, **options):
        super().__init__(num_arms, **{**options, "seed": None})


class Forgetful(Softest):
    def state_dict(self):
        return {**super().state_dict(), "total": [0] * self.num_arms}


class NotJson(Softest):
    def state_dict(self):
        return {**super().state_dict(), "total": self.total}


class KeepsArrays(Softest):
    signal = np.zeros(0)

    def _observe(self, feedback):
        self.signal = feedback.signal

    def state_dict(self):
        return {**super().state_dict(), "signal": self.signal.tolist()}

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.signal = np.array(state["signal"])


class AcceptsAll(Softest):
    def update(self, feedback):
        super().update(make_feedback(feedback.arm % self.num_arms, np.nan_to_num(feedback.signal, posinf=0)))


class PrefersAnArm(Softest):
    def _weights(self):
        return np.eye(self.num_arms)[0]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Unnormalised, "sum to"),
        (Floorless, "below the floor 0.1"),
        (DrawsOtherwise, "drew shares"),
        (Unseeded, "same seed"),
        (Forgetful, "bit for bit"),
        (NotJson, "not JSON"),
        (KeepsArrays, "shares arrays"),
        (AcceptsAll, "not refused"),
        (PrefersAnArm, "permuting"),
    ],
)
def test_check_policy_names_what_is_broken(policy, message):
    with pytest.raises(AssertionError, match=message):
        check_policy(lambda num_arms, seed: policy(num_arms, seed=seed, floor=0.1))


# Errors


@pytest.mark.parametrize(
    ("policy_id", "options", "message"),
    [
        ("uniform", {"num_arms": 0}, "num_arms is 0; accepted: a whole number at least 1"),
        ("dump", {"num_arms": -1}, "num_arms is -1"),
        ("uniform", {"floor": 0.3}, "floor is 0.3; accepted: a finite number at least 0 and at most 0.25"),
        ("dump", {"window": 0}, "window is 0; accepted: a whole number at least 1"),
        ("dump", {"window": 2.5}, "window is 2.5; accepted: a whole number"),
        ("dump", {"window": True}, "window is True; accepted: a whole number"),
        ("dump", {"temperature": -1}, "temperature is -1; accepted: a finite number at least 0"),
        ("dump", {"temperature": math.nan}, "temperature is nan; accepted: a finite number"),
        ("dump", {"exploration": "1"}, "exploration is '1'; accepted: a finite number at least 0"),
        ("dump", {"count_unit": "tokens"}, "count_unit is 'tokens'; accepted: 'rollouts' or 'prompts'"),
        ("ucb", {"exploration": -0.1}, "exploration is -0.1; accepted: a finite number at least 0"),
        ("epsilon-greedy", {"epsilon": 1.5}, "epsilon is 1.5; accepted: a finite number at least 0 and at most 1"),
        ("epsilon-greedy", {"step_size": 0}, "step_size is 0; accepted: a finite number above 0 and at most 1"),
        ("thompson", {"prior_mean": math.inf}, "prior_mean is inf; accepted: a finite number"),
        ("thompson", {"prior_std": 0}, "prior_std is 0; accepted: a finite number above 0"),
        ("thompson", {"noise_std": 0}, "noise_std is 0; accepted: a finite number above 0"),
        ("easy-to-hard", {"total_steps": 0}, "total_steps is 0; accepted: a whole number at least 1"),
        ("easy-to-hard", {"stage_shares": [1, 2]}, r"stage_shares is \[1, 2\]; accepted: 4 numbers"),
        ("easy-to-hard", {"stage_shares": [1, 1, 1, -1]}, "stage share is -1; accepted: a finite number at least 0"),
    ],
)
def test_an_option_out_of_range_is_named_with_what_is_accepted(policy_id, options, message):
    with pytest.raises(InvalidValueError, match=message):
        make_policy(policy_id, **{"num_arms": 4, **options})


def test_an_unknown_policy_or_option_is_answered_with_the_nearest_name():
    with pytest.raises(
        UnknownNameError, match=r"unknown policy 'thomson'; did you mean 'thompson'\? accepted: uniform"
    ):
        make_policy("thomson", num_arms=2)
    with pytest.raises(UnknownNameError, match=r"option of policy 'dump' 'temprature'; did you mean 'temperature'\?"):
        make_policy("dump", num_arms=2, temprature=1)


def test_feedback_that_cannot_be_is_refused():
    policy = make_policy("dump", num_arms=2)
    with pytest.raises(InvalidValueError, match=r"feedback.arm is 2; accepted: 0 to 1"):
        policy.update(make_feedback([0, 2], [0.1, 0.1]))
    with pytest.raises(InvalidValueError, match=r"feedback.signal is nan; accepted: finite numbers"):
        policy.update(make_feedback([0], [math.nan]))
    with pytest.raises(InvalidValueError, match=r"feedback.group_size is 0; accepted: at least 1"):
        policy.update(make_feedback([0], [0.1], group_size=0))
    with pytest.raises(InvalidValueError, match=r"shape of feedback.signal is \(1,\); accepted: \(groups,\) = \(2,\)"):
        make_feedback([0, 1], [0.1])


def test_a_state_of_another_number_of_arms_is_refused():
    with pytest.raises(InvalidValueError, match="number of arms in the state is 3; accepted: 2"):
        make_policy("dump", num_arms=2).load_state_dict(make_policy("dump", num_arms=3).state_dict())
