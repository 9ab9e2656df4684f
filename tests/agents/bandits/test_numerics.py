"""No option and no signal makes a probability NaN: it is finite, or the value is refused in one line.

The streams of signals are those of case b01 in ``tests/cases/bandits.jsonl``.
"""

import json
from contextlib import suppress

import numpy as np
import pytest

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.policy_registry import make_policy, policy_registry
from dumpgym.testing.policy import make_feedback, tell_success
from tests.fakes.cases import case

NUM_ARMS, GROUPS = 4, 8
EXTREMES = (0, 1e-308, 1e-100, 1e-30, 1e-18, 1e-9, 1e9, 1e18, 1e30, 1e100, 1e308, -1e308, 10**9, 10**18)
LISTS = {"weights", "rows", "stage_shares", "difficulties", "prior_success"}
CASE = case("bandits", "b01")
STREAMS = {name: np.array(signals, dtype=np.float64) for name, signals in CASE["signals"].items()}


def play(policy: BanditPolicy, signals, *, one_arm: bool = False, num_generations: int = 8) -> None:
    """Plays steps with a signal, and checks after each that the policy can draw and be saved."""
    rng = np.random.default_rng(0)
    for step in (0, 1, 2, 1_000_000):
        tell_success(policy, [0, 0.5, 1, step % 2])
        p = policy.probabilities()
        assert np.isfinite(p).all()
        assert (p >= 0).all()
        assert p.sum() == pytest.approx(1)
        assert np.isin(policy.select_arms(GROUPS), range(NUM_ARMS)).all()
        arms = np.zeros(GROUPS) if one_arm else np.arange(GROUPS) % NUM_ARMS
        solved = rng.integers(0, num_generations + 1, GROUPS)
        policy.update(
            make_feedback(arms, np.roll(signals, step), step=step, num_generations=num_generations, successes=solved)
        )
        json.dumps(policy.state_dict(), allow_nan=False)
    assert np.isfinite(policy.probabilities()).all()


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("policy_id", policy_registry)
def test_probabilities_stay_finite_whatever_the_signals(policy_id):
    for signals in STREAMS.values():
        play(make_policy(policy_id, num_arms=NUM_ARMS), signals)
        play(make_policy(policy_id, num_arms=NUM_ARMS), signals, one_arm=True)
        play(make_policy(policy_id, num_arms=NUM_ARMS), signals, num_generations=10**8)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("policy_id", policy_registry)
def test_an_extreme_option_is_refused_or_gives_finite_probabilities(policy_id):
    for option in policy_registry[policy_id].parameters:
        for value in EXTREMES:
            options = {option: [value, 0.5, 0.5, 0.5] if option in LISTS else value}
            for stream in ("usual", "huge"):
                with suppress(InvalidValueError):
                    play(make_policy(policy_id, num_arms=NUM_ARMS, **options), STREAMS[stream])


@pytest.mark.parametrize("policy_id", policy_registry)
@pytest.mark.parametrize("signal", [float(text) for text in CASE["refused"]])
def test_a_signal_that_is_not_a_usual_number_is_refused(policy_id, signal):
    policy = make_policy(policy_id, num_arms=NUM_ARMS)
    before = json.dumps(policy.state_dict())
    with pytest.raises(InvalidValueError, match=r"feedback.signal is .*; accepted: finite numbers"):
        policy.update(make_feedback([0, 1], [0.5, signal]))
    assert json.dumps(policy.state_dict()) == before


class Broken(BanditPolicy):
    """A policy whose weights overflow once it has seen a signal."""

    scale = 1.0

    def _weights(self):
        with np.errstate(all="ignore"):
            scores = np.exp(np.arange(self.num_arms) * self.scale)
            return scores / scores.sum()

    def _observe(self, feedback: Feedback):
        self.scale = 1e3


def test_a_probability_that_is_not_finite_is_named_before_it_is_drawn():
    policy = Broken(NUM_ARMS)
    policy.update(make_feedback([0], [0.5]))
    for ask in (policy.probabilities, lambda: policy.select_arms(3)):
        with pytest.raises(InvalidValueError, match="a probability of Broken is nan; accepted: finite numbers"):
            ask()


@pytest.mark.parametrize(
    ("policy_id", "option", "message"),
    [
        ("thompson", {"prior_std": 1e-101}, "prior_std is 1e-101; accepted: a finite number at least 1e-100"),
        ("ucb-v", {"c": 1e101}, r"c is 1e\+101; accepted: a finite number at least 0 and in size at most 1e\+100"),
        ("sw-ucb", {"window": 10**9}, "window is 1000000000; accepted: a whole number at least 1 and at most 10000"),
        ("graves", {"reservoir": 10**9}, "reservoir is 1000000000; accepted: a whole number at least 2 and at most"),
        ("mopps", {"prior_a": 1e18}, r"prior_a is 1e\+18; accepted: a finite number at least 0.1 and at most 1e\+09"),
    ],
)
def test_an_extreme_option_is_named_with_what_is_accepted(policy_id, option, message):
    with pytest.raises(InvalidValueError, match=message):
        make_policy(policy_id, num_arms=3, **option)


def test_thompson_agrees_with_its_draws_when_spreads_differ_by_many_orders():
    """Two arms with many pulls are points; the prior of the third is wide, and wins if it draws above the better."""
    policy = make_policy("thompson", num_arms=3, prior_std=1e6, noise_std=1e-6, prior_mean=0.0)
    policy.update(make_feedback([0, 1], [0.3, 0.7]))
    assert policy.probabilities() == pytest.approx([0, 0.5, 0.5], abs=1e-6)


def test_noise_far_below_the_gaps_leaves_the_best_arm():
    policy = make_policy("boltzmann-gumbel", num_arms=3, exploration=1e-18)
    policy.update(make_feedback([0, 1, 2], [0.3, 0.7, 0.5]))
    assert policy.probabilities() == pytest.approx([0, 1, 0], abs=1e-12)
    policy = make_policy("thompson", num_arms=3, noise_std=1e-30, prior_std=1e-18)
    policy.update(make_feedback([0, 1, 2], [3e29, 7e29, 5e29]))
    assert policy.probabilities() == pytest.approx([0, 1, 0], abs=1e-12)
