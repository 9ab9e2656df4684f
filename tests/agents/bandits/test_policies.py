"""The promises that every registered policy keeps; a new policy is covered without an edit here.

Each policy is made by its id and the number of arms alone, or with the options that all policies have.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dumpgym
from dumpgym.agents.bandits.history import HistoryPolicy, SumHistory
from dumpgym.agents.bandits.recent_history import CompletionWindow
from dumpgym.contracts import policy_registry as registration
from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.policy_registry import make_policy, policy_registry, register_policy
from dumpgym.contracts.registry import Registry
from dumpgym.testing.policy import check_policy, make_feedback, tell_success

NUM_ARMS = 4
ALL = list(policy_registry)
FRESH = {policy_id: make_policy(policy_id, num_arms=NUM_ARMS) for policy_id in ALL}
LEARNING = [policy_id for policy_id in ALL if type(FRESH[policy_id])._observe is not BanditPolicy._observe]
REMEMBERING = [
    policy_id
    for policy_id, policy in FRESH.items()
    if policy.state_fields == HistoryPolicy.state_fields and isinstance(policy.history, SumHistory | CompletionWindow)
]
"""Policies that are their history: sums over training steps, or a window of rollouts."""
NO_WAY_BACK = {
    "adarft": "it draws the arms nearest to a difficulty that moves with success alone",
    "entropy-matched-random": "its weights are random, and may be close to 0",
}


def random_feedback(seed, step, num_runs=None):
    rng = np.random.default_rng((seed, step))
    shape = (8,) if num_runs is None else (num_runs, 8)
    arm = rng.integers(NUM_ARMS, size=shape)
    successes = rng.binomial(8, (arm + 1) / (NUM_ARMS + 1))
    return make_feedback(arm, rng.random(shape), step=step, successes=successes)


def tell(policy, seed, steps):
    for step in steps:
        policy.update(random_feedback(seed, step))
    return policy


@pytest.mark.parametrize("options", [{}, {"floor": 0.05, "cap": 0.6, "draw": "quota", "warmup_steps": 3}])
@pytest.mark.parametrize("policy_id", ALL)
def test_every_policy_keeps_the_contract(policy_id, options):
    def make(num_arms, seed, **runs):
        own = options | {"cap": 1.0} if num_arms == 1 and options else options
        return make_policy(policy_id, num_arms=num_arms, seed=seed, **own, **runs)

    check_policy(make, vectorised=policy_registry[policy_id].vectorised)


@pytest.mark.parametrize("policy_id", [policy_id for policy_id in ALL if policy_registry[policy_id].vectorised])
@given(seed=st.integers(0, 1000), steps=st.lists(st.integers(0, 9), min_size=1, max_size=6), warmup=st.integers(0, 3))
@settings(max_examples=5)
def test_probabilities_sum_to_one_and_stay_between_floor_and_cap_in_every_run(policy_id, seed, steps, warmup):
    bounds = {"floor": [0.1, 0, 0.02, 0.3], "cap": [0.2, 0.6, 0.5, 0.4]}
    policy = make_policy(policy_id, num_arms=NUM_ARMS, num_runs=2, warmup_steps=warmup, **bounds)
    for step in steps:
        tell_success(policy, np.random.default_rng((seed, step)).random((2, NUM_ARMS)))
        policy.update(random_feedback(seed, step, num_runs=2))
        p = policy.probabilities()
        np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=0, atol=1e-12)
        assert (p >= np.array(bounds["floor"]) - 1e-12).all()
        assert (p <= np.array(bounds["cap"]) + 1e-12).all()


@pytest.mark.parametrize(
    "policy_id", [policy_id for policy_id, p in FRESH.items() if p.symmetric and not p.draws_in_update]
)
def test_a_policy_that_knows_nothing_is_uniform(policy_id):
    np.testing.assert_allclose(make_policy(policy_id, num_arms=12).probabilities(), 1 / 12, rtol=1e-9)


@pytest.mark.parametrize("policy_id", REMEMBERING)
@given(seed=st.integers(0, 1000), order=st.permutations(range(7)))
@settings(max_examples=10)
def test_feedback_that_comes_out_of_order_teaches_the_same(policy_id, seed, order):
    in_order, late = (make_policy(policy_id, num_arms=NUM_ARMS) for _ in range(2))
    expected = tell(in_order, seed, range(7)).probabilities()
    np.testing.assert_allclose(tell(late, seed, order).probabilities(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("policy_id", REMEMBERING)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(1, 7), max_size=4))
@settings(max_examples=10)
def test_it_does_not_matter_how_the_groups_of_a_step_are_divided(policy_id, seed, cuts):
    whole, divided = (make_policy(policy_id, num_arms=NUM_ARMS) for _ in range(2))
    feedback = random_feedback(seed, 0)
    whole.update(feedback)
    for part in np.split(np.arange(8), sorted(set(cuts))):
        rows = {"num_generations": feedback.num_generations[part], "successes": feedback.successes[part]}
        divided.update(make_feedback(feedback.arm[part], feedback.signal[part], **rows))
    assert divided.probabilities().tolist() == whole.probabilities().tolist()


FORGETTING = [policy_id for policy_id in ALL if {"discount", "window"} <= policy_registry[policy_id].parameters.keys()]


@pytest.mark.parametrize("policy_id", FORGETTING)
@given(seed=st.integers(0, 1000), steps=st.lists(st.integers(0, 9), min_size=1, max_size=8))
@settings(max_examples=10)
def test_a_discount_of_one_and_a_window_as_long_as_the_run_forget_nothing(policy_id, seed, steps):
    variants = [{"discount": 1}, {"window": 10}]
    if type(FRESH[policy_id].history) is SumHistory:  # it forgets nothing unless told to
        variants.append({})
    policies = [make_policy(policy_id, num_arms=NUM_ARMS, **options) for options in variants]
    expected, *others = (tell(policy, seed, steps).probabilities().tolist() for policy in policies)
    assert all(p == expected for p in others)


@pytest.mark.parametrize("policy_id", [policy_id for policy_id in LEARNING if policy_id not in NO_WAY_BACK])
def test_an_arm_that_failed_once_and_is_never_drawn_keeps_a_way_back(policy_id):
    """After one group without a signal, 200 batches of 16 go to other arms; by p, the arm would have been in them."""
    policy = make_policy(policy_id, num_arms=NUM_ARMS)
    policy.update(make_feedback(range(NUM_ARMS), [0, 0.6, 0.6, 0.6], successes=[0, 4, 4, 4]))
    log_missed = 0.0
    for step in range(1, 201):
        log_missed += 16 * np.log1p(-min(policy.probabilities()[0], 1 - 1e-12))
        policy.update(make_feedback([1, 2, 3] * 5 + [1], [0.6] * 16, step=step, successes=[4] * 16))
    assert np.exp(log_missed) < 0.01


# Your own policy


class Softest(BanditPolicy):
    """Prefers the arm with the smallest signal so far."""

    state_fields = (*BanditPolicy.state_fields, "total")

    def __init__(self, num_arms, *, strength=1.0, **common):
        super().__init__(num_arms, **common)
        self.strength, self.total = strength, np.zeros(num_arms)

    def _weights(self):
        weights = np.exp(-self.strength * (self.total - self.total.min()))
        return weights / weights.sum()

    def _observe(self, feedback):
        np.add.at(self.total, feedback.arm, feedback.signal)


def test_a_policy_of_your_own_is_registered_made_and_checked_like_ours(monkeypatch):
    monkeypatch.setattr(registration, "policy_registry", policy_registry.copy())
    register_policy("softest", Softest)
    check_policy(lambda num_arms, seed: make_policy("softest", num_arms=num_arms, seed=seed, floor=0.1, strength=0.2))
    with pytest.raises(UnknownNameError, match="option of policy 'softest' 'strenght'; did you mean 'strength'"):
        make_policy("softest", num_arms=2, strenght=2)
    with pytest.raises(InvalidValueError, match="policy id is 'softest'; accepted: an id that is not registered yet"):
        register_policy("softest", Softest)
    with pytest.raises(InvalidValueError, match="num_runs is 2; accepted: None, as policy 'softest' serves one run"):
        make_policy("softest", num_arms=2, num_runs=2)


def test_an_entry_point_that_takes_any_option_gets_it(monkeypatch):
    monkeypatch.setattr(registration, "policy_registry", Registry("policy"))
    register_policy("any", lambda num_arms, **options: Softest(num_arms, **options))
    assert make_policy("any", num_arms=2, strength=3.0).strength == 3


class Unnormalised(Softest):
    def _weights(self):
        return np.exp(-self.total)


class Floorless(Softest):
    def probabilities(self):
        return self._weights()


class Capless(Softest):
    def probabilities(self):
        return 0.1 + (1 - 0.1 * self.num_arms) * self._weights()


class DrawsOtherwise(Softest):
    def select_arms(self, size):
        return self.rng.integers(self.num_arms, size=size)


class Unseeded(Softest):
    def __init__(self, num_arms, **options):
        super().__init__(num_arms, **{**options, "seed": None})


class Forgetful(Softest):
    state_fields = BanditPolicy.state_fields


class NotJson(Softest):
    def state_dict(self):
        return {**super().state_dict(), "total": self.total}


class KeepsArrays(Softest):
    state_fields = (*Softest.state_fields, "signal")
    growing_fields = ("signal",)
    signal = np.zeros(0)

    def _observe(self, feedback):
        self.signal = feedback.signal


class AcceptsAll(Softest):
    def update(self, feedback):
        super().update(make_feedback(feedback.arm % self.num_arms, np.nan_to_num(feedback.signal, posinf=0)))


class PrefersAnArm(Softest):
    def _weights(self):
        return np.eye(self.num_arms)[0]


class AcceptsAnyState(Softest):
    def check_state(self, state):
        pass


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Unnormalised, "sum to"),
        (Floorless, "fall below the floor"),
        (Capless, "exceed the cap"),
        (DrawsOtherwise, "drew shares"),
        (Unseeded, "two policies with the same seed"),
        (Forgetful, "restored policy does not resume bit for bit"),
        (NotJson, "not JSON"),
        (KeepsArrays, "shares arrays"),
        (AcceptsAll, r"update\(\) accepted feedback with arms \[0, 4\] of 4"),
        (PrefersAnArm, "permuting"),
        (AcceptsAnyState, r"load_state_dict\(\) accepted a state of 5 arms"),
    ],
)
def test_check_policy_names_what_is_broken(policy, message):
    def make(num_arms, seed):
        return policy(num_arms, seed=seed, floor=0.1, cap=1.0 if num_arms == 1 else 0.5)

    with pytest.raises(AssertionError, match=message):
        check_policy(make)


class SharesRuns(Softest):
    """Its arrays have room for the runs, but all learn from all."""

    def __init__(self, num_arms, **common):
        super().__init__(num_arms, **common)
        self.total = np.zeros(self.shape)

    def _weights(self):
        weights = np.exp(-self.total)
        return weights / weights.sum(axis=-1, keepdims=True)

    def _observe(self, feedback):
        for arm, signal in zip(feedback.arm.ravel(), feedback.signal.ravel(), strict=True):
            self.total[..., arm] += signal


def test_check_policy_finds_runs_that_learn_from_each_other():
    def make(num_arms, seed, **runs):
        return SharesRuns(num_arms, seed=seed, **runs)

    check_policy(make)
    with pytest.raises(AssertionError, match="runs in lockstep have the probabilities"):
        check_policy(make, vectorised=True)


# Errors


def test_an_unknown_policy_or_option_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"unknown policy 'unifrom'; did you mean 'uniform'\? accepted: "):
        make_policy("unifrom", num_arms=2)
    with pytest.raises(UnknownNameError, match=r"option of policy 'dump' 'temprature'; did you mean 'temperature'\?"):
        make_policy("dump", num_arms=2, temprature=1)
    with pytest.raises(InvalidValueError, match="policy is 'nowhere:dump'; accepted: a policy that is registered"):
        make_policy("nowhere:dump", num_arms=2)


@pytest.mark.parametrize("policy_id", ALL)
def test_every_policy_names_a_number_of_arms_that_cannot_be(policy_id):
    with pytest.raises(InvalidValueError, match="num_arms is 0; accepted: a whole number at least 1"):
        make_policy(policy_id, num_arms=0)


def test_the_registry_is_the_package_s():
    assert dumpgym.policy_registry is policy_registry
    assert all(spec.id == policy_id for policy_id, spec in policy_registry.items())
