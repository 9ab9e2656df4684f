"""Policies that learn nothing: the controls, and the schedules."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import entr

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.testing.policy import check_policy, make_feedback
from dumpgym.training.metrics import policy_metrics


@pytest.mark.parametrize(
    ("policy_id", "options"),
    [
        ("fixed", {"weights": [0, 1, 2, 5]}),
        ("row-proportional", {"rows": "900,900,300,0"}),
        ("entropy-matched-random", {"effective_arms": 1}),
        ("entropy-matched-random", {"effective_arms": 3.9, "period": 2}),
        ("easy-to-hard", {"total_steps": 6, "stage_shares": [3, 0, 1, 1]}),
        ("easy-to-hard", {"total_steps": 6, "review": "linear:0.5:0.1:4", "draw": "quota"}),
        ("hard-to-easy", {"total_steps": 6}),
        ("e2h-cosine", {"total_steps": 5}),
        ("e2h-gaussian", {"total_steps": 5, "beta": 2, "sigma": 0.1, "floor": 0}),
    ],
)
def test_controls_keep_the_contract_with_options_of_their_own(policy_id, options):
    def make(num_arms, seed, **runs):
        lists = {name: v for name, v in options.items() if num_arms == 4 or name not in ("weights", "rows")}
        own = {name: v for name, v in lists.items() if num_arms == 4 or name != "stage_shares"}
        if num_arms == 1:
            own.pop("effective_arms", None)
        return make_policy(policy_id, num_arms=num_arms, seed=seed, **own, **runs)

    check_policy(make, vectorised=True)


# Constant shares


@pytest.mark.parametrize(("policy_id", "option"), [("fixed", "weights"), ("row-proportional", "rows")])
def test_shares_are_amounts_divided_by_their_sum(policy_id, option):
    for amounts in ([1, 2, 5], "1,2,5", (1, 2.0, 5), np.array([1, 2, 5]), [1e300, 2e300, 5e300]):
        policy = make_policy(policy_id, num_arms=3, **{option: amounts})
        assert policy.probabilities() == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    many = make_policy(policy_id, num_arms=3, num_runs=2, **{option: [1, 2, 5]})
    np.testing.assert_allclose(many.probabilities(), [[1 / 8, 2 / 8, 5 / 8]] * 2)
    assert make_policy(policy_id, num_arms=3).probabilities().tolist() == [1 / 3] * 3


@pytest.mark.parametrize(
    ("policy_id", "options", "message"),
    [
        ("fixed", {"weights": [1, 2]}, r"weights is \[1, 2\]; accepted: 3 numbers, as a list or as text"),
        ("fixed", {"weights": 1}, "weights is 1; accepted: 3 numbers"),
        ("fixed", {"weights": "1,2,three"}, "weights is '1,2,three'; accepted: 3 numbers"),
        ("fixed", {"weights": [1, 2, -1]}, "number 3 of weights is -1; accepted: a finite number at least 0"),
        ("fixed", {"weights": [1, math.inf, 1]}, "number 2 of weights is inf; accepted: a finite number at least 0"),
        ("fixed", {"weights": [0, 0, 0]}, r"weights is \[0, 0, 0\]; accepted: numbers of which not all are 0"),
        ("row-proportional", {"rows": "0,0,0"}, "rows is '0,0,0'; accepted: numbers of which not all are 0"),
        ("entropy-matched-random", {"effective_arms": 0.9}, "effective_arms is 0.9; accepted: .* at least 1 and at mo"),
        ("entropy-matched-random", {"effective_arms": 3.1}, "effective_arms is 3.1; accepted: .* at most 3"),
        ("entropy-matched-random", {"period": 0}, "period is 0; accepted: a whole number at least 1"),
        ("easy-to-hard", {"total_steps": 0}, "total_steps is 0; accepted: a whole number at least 1"),
        ("easy-to-hard", {"review": 1.5}, "review is 1.5; accepted: a finite number at least 0 and at most 1"),
        ("easy-to-hard", {"stage_shares": [1, 2]}, r"stage_shares is \[1, 2\]; accepted: 3 numbers"),
        ("easy-to-hard", {"stage_shares": [1, 1, -1]}, "number 3 of stage_shares is -1; accepted: .* at least 0"),
        ("e2h-gaussian", {"beta": 0}, "beta is 0; accepted: a finite number above 0"),
        ("e2h-gaussian", {"sigma": 0}, "sigma is 0; accepted: a finite number above 0"),
        ("e2h-gaussian", {"num_arms": 0}, "num_arms is 0; accepted: a whole number at least 1"),
    ],
)
def test_an_option_out_of_range_is_named_with_what_is_accepted(policy_id, options, message):
    with pytest.raises(InvalidValueError, match=message):
        make_policy(policy_id, **{"num_arms": 3, **options})


# Entropy-matched random weights


def effective_number(p):
    return np.exp(entr(p).sum(axis=-1))


@given(st.integers(2, 15), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=60)
def test_random_weights_have_the_effective_number_of_arms_in_every_run(num_arms, place, seed):
    effective = 1 + place * (num_arms - 1)
    policy = make_policy("entropy-matched-random", num_arms=num_arms, seed=seed, num_runs=3, effective_arms=effective)
    p = policy.probabilities()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(effective_number(p), effective, rtol=1e-8)


def test_random_weights_are_those_of_half_of_the_arms_by_default_and_differ_between_seeds_and_runs():
    one, other = (make_policy("entropy-matched-random", num_arms=12, seed=seed).probabilities() for seed in (0, 1))
    assert effective_number(one) == pytest.approx(6)
    assert not np.allclose(one, other)
    runs = make_policy("entropy-matched-random", num_arms=12, num_runs=2).probabilities()
    assert not np.allclose(runs[0], runs[1])
    assert make_policy("entropy-matched-random", num_arms=1).probabilities().tolist() == [1]


@given(st.integers(3, 12), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=40)
def test_random_probabilities_have_the_effective_number_of_arms_behind_floor_and_cap(num_arms, place, seed):
    options = {"floor": 0.3 / num_arms, "cap": 1.7 / num_arms}

    def make(effective):
        return make_policy("entropy-matched-random", num_arms=num_arms, seed=seed, effective_arms=effective, **options)

    with pytest.raises(
        InvalidValueError, match=r"effective_arms is 1; accepted: from .* with this floor and cap"
    ) as info:
        make(1)
    least = float(re.search("from (.*) to", str(info.value))[1]) + 1e-4
    effective = least + place * (num_arms - least)
    assert effective_number(make(effective).probabilities()) == pytest.approx(effective, rel=1e-8)


def test_the_control_has_the_effective_number_of_arms_that_a_run_realised():
    """The number that a run logs is the one that the option takes, and that the control's own run logs."""
    dump, logged = make_policy("dump", num_arms=6, window=40), []
    rng = np.random.default_rng(0)
    for step in range(30):
        logged.append(policy_metrics(dump.probabilities())["policy/effective_arms"])
        arms = dump.select_arms(16)
        dump.update(make_feedback(arms, rng.random(16) * (arms + 1) / 6, step=step))
    realised = float(np.mean(logged))
    assert 1.5 < realised < 5.9
    control = make_policy("entropy-matched-random", num_arms=6, seed=3, effective_arms=realised)
    logged = []
    for step in range(30):
        logged.append(policy_metrics(control.probabilities())["policy/effective_arms"])
        control.update(make_feedback(control.select_arms(16), rng.random(16), step=step))
    assert np.mean(logged) == pytest.approx(realised, rel=1e-9)


def test_random_weights_are_drawn_anew_after_every_period():
    policy, weights = make_policy("entropy-matched-random", num_arms=5, effective_arms=2, period=3), []
    for step in (0, 1, 2, 0, 3, 4, 7, 8):
        weights.append(tuple(policy.probabilities()))
        policy.update(make_feedback([0], [1], step=step))
    weights.append(tuple(policy.probabilities()))
    assert [i for i in range(8) if weights[i] != weights[i + 1]] == [2, 6, 7]  # the clock passes 3, 6 and 9
    assert effective_number(np.array(weights)) == pytest.approx(2)


@pytest.mark.parametrize("effective", [1.5, 3])
def test_no_arm_is_preferred_over_the_seeds(effective):
    """The mean share of an arm over 2,000 runs is off by 0.08 with a chance below 1e-9 (Hoeffding: exp(-25.6))."""
    policy = make_policy("entropy-matched-random", num_arms=4, num_runs=2000, effective_arms=effective)
    assert policy.probabilities().mean(axis=0) == pytest.approx([0.25] * 4, abs=0.08)


# Schedules


def path(policy, steps):
    """The probabilities before each of the steps."""
    before = []
    for step in steps:
        before.append(policy.probabilities())
        policy.update(make_feedback([0], [1], step=step))
    return np.array(before)


def stages(policy, steps):
    return path(policy, steps).argmax(axis=-1).tolist()


def test_easy_to_hard_goes_through_the_arms_in_order_and_hard_to_easy_back():
    assert stages(make_policy("easy-to-hard", num_arms=3, total_steps=6), range(8)) == [0, 0, 1, 1, 2, 2, 2, 2]
    assert stages(make_policy("hard-to-easy", num_arms=3, total_steps=6), range(8)) == [2, 2, 1, 1, 0, 0, 0, 0]
    floored = make_policy("easy-to-hard", num_arms=4, floor=0.1)
    np.testing.assert_allclose(floored.probabilities(), [0.7, 0.1, 0.1, 0.1])


def test_stage_shares_belong_to_the_arms_in_both_directions():
    for shares in ([3, 0, 1], "3,0,1"):
        uneven = {"num_arms": 3, "total_steps": 8, "stage_shares": shares}
        assert stages(make_policy("easy-to-hard", **uneven), range(9)) == [0] * 6 + [2] * 3
        assert stages(make_policy("hard-to-easy", **uneven), range(9)) == [2] * 2 + [0] * 7


def test_a_review_goes_to_the_arms_of_earlier_stages():
    shares = path(make_policy("easy-to-hard", num_arms=4, total_steps=4, review=0.3), range(4))
    np.testing.assert_allclose(
        shares, [[1, 0, 0, 0], [0.3, 0.7, 0, 0], [0.15, 0.15, 0.7, 0], [0.1, 0.1, 0.1, 0.7]], atol=1e-12
    )
    back = path(make_policy("hard-to-easy", num_arms=4, total_steps=4, review=0.3), range(4))
    np.testing.assert_allclose(back, shares[:, ::-1])
    scheduled = path(make_policy("easy-to-hard", num_arms=2, total_steps=2, review="linear:0:1:4"), range(5))
    assert scheduled[:, 0].tolist() == [1, 0.25, 0.5, 0.75, 1]


def test_an_arm_without_a_stage_is_not_reviewed():
    uneven = make_policy("easy-to-hard", num_arms=3, total_steps=4, stage_shares=[1, 0, 1], review=0.5)
    assert path(uneven, range(4))[-1].tolist() == [0.5, 0, 0.5]


def test_with_quotas_the_review_is_a_share_of_every_batch():
    policy = make_policy("easy-to-hard", num_arms=3, total_steps=3, review=0.2, draw="quota")
    path(policy, range(2))
    for _ in range(4):
        assert np.bincount(policy.select_arms(10), minlength=3).tolist() == [1, 1, 8]


@pytest.mark.parametrize("policy_id", ["easy-to-hard", "hard-to-easy", "e2h-cosine", "e2h-gaussian"])
def test_late_feedback_does_not_turn_a_schedule_back_and_after_its_end_it_rests(policy_id):
    policy = make_policy(policy_id, num_arms=3, total_steps=6)
    late = path(policy, [0, 3, 1, 2, 0, 4])
    in_order = path(make_policy(policy_id, num_arms=3, total_steps=6), [0, 1, 2, 3, 4, 5, 6, 7])
    assert late.tolist() == in_order[[0, 1, 4, 4, 4, 4]].tolist()
    assert in_order[6].tolist() == in_order[7].tolist()


@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 50))
def test_the_cosine_mixes_easy_heavy_into_hard_heavy_weights(num_arms, total, step):
    policy = make_policy("e2h-cosine", num_arms=num_arms, total_steps=total)
    policy.clock = step
    early = [num_arms - k for k in range(num_arms)]
    alpha = (1 + math.cos(math.pi * min(step, total) / total)) / 2
    slow = [alpha * early[k] + (1 - alpha) * early[::-1][k] for k in range(num_arms)]
    np.testing.assert_allclose(policy.probabilities(), np.array(slow) / sum(early), rtol=1e-12)


@given(st.integers(2, 12), st.integers(1, 40), st.integers(0, 50), st.floats(0.2, 3), st.floats(0.1, 5))
def test_the_bell_curve_wanders_from_the_easiest_arm_to_the_hardest_over_a_floor(num_arms, total, step, beta, sigma):
    policy = make_policy("e2h-gaussian", num_arms=num_arms, total_steps=total, beta=beta, sigma=sigma)
    policy.clock = step
    centre = min(step / total, 1) ** beta * (num_arms - 1)
    bell = [math.exp(-((k - centre) ** 2) / (2 * sigma**2)) for k in range(num_arms)]
    least = 2 / (num_arms * (num_arms + 1))
    expected = [least + (1 - num_arms * least) * value / sum(bell) for value in bell]
    np.testing.assert_allclose(policy.probabilities(), expected, rtol=1e-9)


def test_the_bell_curve_alone_is_the_floor_of_zero():
    policy = make_policy("e2h-gaussian", num_arms=3, total_steps=4, floor=0, sigma=1e-3)
    path(policy, [0])
    assert policy.probabilities() == pytest.approx([0, 1, 0])  # the centre is at 2 (1 / 4)^.5
