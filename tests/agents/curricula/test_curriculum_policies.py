"""The policies of curriculum papers, each against its formula written out."""

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

NUM_ARMS = 4
# arm, signal, successes of 8
group = st.tuples(st.integers(0, NUM_ARMS - 1), st.floats(0, 1), st.integers(0, 8))
batches = st.lists(st.lists(group, min_size=1, max_size=8), min_size=1, max_size=8)


def tell(policy, groups, step=0, size=8):
    arm, signal, successes = zip(*groups, strict=True)
    policy.update(make_feedback(arm, signal, step=step, num_generations=size, successes=successes))


def tell_all(policy, told):
    for step, groups in enumerate(told):
        tell(policy, groups, step)
    return policy


def softmax(scores, temperature):
    weights = [math.exp((score - max(scores)) / temperature) for score in scores]
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize(
    ("policy_id", "options"),
    [
        ("dump", {"count_unit": "prompts", "window": 40, "temperature": 0, "exploration": 0.5}),
        ("dump", {"prior_count": 100, "temperature": "exponential:1:0.01:5", "exploration": "linear:2:0:5"}),
        ("sec", {"step_size": 1, "temperature": "linear:1:0:3"}),
        ("sfl", {"discount": 0.9, "rho": 1}),
        ("sfl", {"step_size": 0.2, "top_share": 0.5}),
        ("sfl", {"window": 2, "rho": "linear:0:1:5"}),
        ("tscl-online", {"choice": "boltzmann", "temperature": 0.1, "step_size": 0.5}),
        ("tscl-window", {"choice": "boltzmann", "temperature": 0.1}),
        ("tscl-window", {"window": 2, "epsilon": "linear:1:0:5"}),
        ("grade-adaptive", {"patience": 1, "threshold": 1, "current_share": "linear:0.9:0.5:5"}),
        ("mastery-learning", {"threshold": 0.3, "window": 3, "review": "linear:0.5:0:5"}),
        ("adarft", {"eta": 0.1, "start": 0.4, "beta": 0.2}),
    ],
)
def test_curriculum_policies_keep_the_contract_with_options_of_their_own(policy_id, options):
    def make(num_arms, seed, **runs):
        return make_policy(policy_id, num_arms=num_arms, seed=seed, **options, **runs)

    check_policy(make, vectorised=True)


# DUMP


def slow_dump(groups, window, exploration, temperature, count_unit, prior_count):
    """The formula, with a value for every rollout."""
    rollouts, count = [[] for _ in range(NUM_ARMS)], [0] * NUM_ARMS
    for arm, signal, size in groups:
        rollouts[arm] += [signal] * size
        count[arm] += size if count_unit == "rollouts" else 1
    scores = []
    for values, n in zip(rollouts, count, strict=True):
        inside = values[-window:]
        learnability = sum(inside) / len(inside) if inside else 0
        scores.append(learnability + exploration * math.sqrt(2 * math.log(sum(count) + 1) / (n + prior_count)))
    return softmax(scores, temperature)


sized = st.lists(st.tuples(st.integers(0, NUM_ARMS - 1), st.floats(0, 2), st.integers(1, 20)), min_size=1, max_size=12)


@given(
    told=st.lists(sized, min_size=1, max_size=8),
    window=st.integers(1, 60),
    exploration=st.floats(0, 3),
    temperature=st.floats(0.05, 2),
    count_unit=st.sampled_from(["rollouts", "prompts"]),
    prior_count=st.sampled_from([1, 0.5, 100]),
)
def test_dump_has_its_formula(told, **options):
    policy, groups = make_policy("dump", num_arms=NUM_ARMS, **options), []
    for each in told:
        arm, signal, size = zip(*each, strict=True)
        policy.update(make_feedback(arm, signal, num_generations=size, successes=np.zeros(len(arm))))
        groups += each
        np.testing.assert_allclose(policy.probabilities(), slow_dump(groups, **options), rtol=1e-9, atol=1e-12)


def test_dump_with_a_window_of_two_steps_remembers_what_the_paper_does_at_any_scale():
    """With 171 completions an arm and step, 300 completions are about the last two steps, whatever the batch here."""
    policy = make_policy("dump", num_arms=2, window=2, window_unit="steps")
    for step, signal in enumerate((1.0, 0.5, 0.25)):
        policy.update(make_feedback([0, 0, 1], [signal, signal, signal], step=step, num_generations=4))
    policy.update(make_feedback([1], [0.75], step=3, num_generations=4))
    assert policy.history.mean() == pytest.approx([0.375, 0.5])
    assert policy.history.completions.tolist() == [24, 16]
    with pytest.raises(InvalidValueError, match="window_unit is 'epochs'; accepted: 'rollouts' or 'steps'"):
        make_policy("dump", num_arms=2, window_unit="epochs")


@given(told=batches, window=st.integers(1, 60), cut=st.integers(0, 8))
def test_dump_saved_at_any_time_resumes_bit_for_bit(told, window, cut):
    policy, restored = (make_policy("dump", num_arms=NUM_ARMS, window=window, seed=seed) for seed in (1, 2))
    tell_all(policy, told[:cut])
    restored.load_state_dict(json.loads(json.dumps(policy.state_dict())))
    for groups in told[cut:]:
        tell(policy, groups)
        tell(restored, groups)
    assert restored.state_dict() == policy.state_dict()
    assert restored.probabilities().tolist() == policy.probabilities().tolist()


def log_odds(policy):
    p = policy.probabilities()
    return math.log(p[0] / p[1])


def test_dump_counts_rollouts_or_prompts():
    rollouts, prompts = (
        make_policy("dump", num_arms=2, temperature=1, count_unit=unit) for unit in ("rollouts", "prompts")
    )
    for policy in (rollouts, prompts):
        tell(policy, [(0, 0.7, 8)] * 4, size=16)
    assert log_odds(rollouts) == pytest.approx(0.7 + math.sqrt(2 * math.log(65)) * (math.sqrt(1 / 65) - 1))
    assert log_odds(prompts) == pytest.approx(0.7 + math.sqrt(2 * math.log(5)) * (math.sqrt(1 / 5) - 1))


def test_dump_at_temperature_zero_gives_every_slot_to_the_best_arm_and_lets_slots_draw_among_ties():
    policy = make_policy("dump", num_arms=3, temperature=0, seed=5)
    assert policy.probabilities().tolist() == [1 / 3] * 3
    tell(policy, [(0, 0.5, 4), (1, 0.5, 4), (2, 0.1, 4)])
    assert policy.probabilities().tolist() == [0.5, 0.5, 0]
    assert set(policy.select_arms(50)) == {0, 1}
    tell(policy, [(0, 0.4, 4), (1, 0.5, 4), (2, 0.1, 4)])
    assert policy.select_arms(50).tolist() == [1] * 50


def test_dump_gives_its_second_batch_to_an_arm_that_the_first_left_out_unless_told_otherwise():
    first = [(1 + i % 11, 0.5, 8) for i in range(128)]
    share = {}
    for name, options in (
        ("published", {}),
        ("prior count", {"prior_count": 100}),
        ("cap", {"cap": 0.3}),
        ("warm-up", {"warmup_steps": 2}),
    ):
        policy = make_policy("dump", num_arms=12, **options)
        tell(policy, first, size=16)
        share[name] = policy.probabilities()[0]
    assert share["published"] > 1 - 1e-9
    assert 0.001 < share["prior count"] < 1 / 12
    assert share["cap"] == pytest.approx(0.3)
    assert share["warm-up"] == pytest.approx(1 / 12)
    for seed in range(20):
        quotas = make_policy("dump", num_arms=12, draw="quota", seed=seed)
        assert set(quotas.select_arms(12)) == set(range(12))


# SEC


@given(batches, st.floats(0.05, 1), st.floats(0.1, 2))
def test_sec_has_its_formula(told, step_size, temperature):
    policy = make_policy("sec", num_arms=NUM_ARMS, step_size=step_size, temperature=temperature)
    q = [0.0] * NUM_ARMS
    for step, groups in enumerate(told):
        tell(policy, groups, step)
        for arm in {arm for arm, _, _ in groups}:
            reward = np.mean([signal for a, signal, _ in groups if a == arm])
            q[arm] = step_size * reward + (1 - step_size) * q[arm]
        np.testing.assert_allclose(policy.probabilities(), softmax(q, temperature), rtol=1e-9)


@given(batches)
def test_at_its_default_temperature_sec_prefers_no_arm_by_more_than_e(told):
    p = tell_all(make_policy("sec", num_arms=NUM_ARMS), told).probabilities()
    assert p.max() <= math.e * p.min() * (1 + 1e-9)


# SFL


def slow_sfl(p, num_top, rho):
    scores = [round(x * (1 - x), 9) for x in p]
    top = [score >= sorted(scores)[-num_top] for score in scores]
    return [rho * is_top / sum(top) + (1 - rho) / len(p) for is_top in top]


@given(batches, st.sampled_from([None, 3, 100]), st.sampled_from([0.25, 0.5, 0.8]), st.floats(0, 1))
def test_sfl_draws_a_share_from_the_arms_with_the_largest_variance_of_success(told, window, top_share, rho):
    policy = make_policy("sfl", num_arms=NUM_ARMS, window=window, top_share=top_share, rho=rho)
    tell_all(policy, told)
    recent = [each for groups in told[-(window or 20) :] for each in groups]
    solved = [[successes / 8 for arm, _, successes in recent if arm == d] for d in range(NUM_ARMS)]
    p = [np.mean(shares) if shares else 0.5 for shares in solved]
    np.testing.assert_allclose(policy.probabilities(), slow_sfl(p, round(top_share * NUM_ARMS), rho), atol=1e-9)


def test_sfl_remembers_success_by_a_discount_or_a_step_as_told():
    told = [[(0, 0, 0)], [(0, 0, 8)], [(0, 0, 8)]]
    for options, p in (({}, 2 / 3), ({"discount": 1}, 2 / 3), ({"discount": 0.5}, 6 / 7), ({"step_size": 0.5}, 0.75)):
        policy = tell_all(make_policy("sfl", num_arms=2, **options), told)
        assert policy.history.mean()[0] == pytest.approx(p)


def test_sfl_tries_an_arm_of_which_it_knows_nothing_and_one_it_has_forgotten():
    policy = make_policy("sfl", num_arms=3, rho=1, top_share=0.3, window=5)
    tell(policy, [(0, 0, 3), (1, 0, 2)])
    assert policy.probabilities().tolist() == [0, 0, 1]
    tell(policy, [(2, 0, 0)])
    assert policy.probabilities().tolist() == [1, 0, 0]
    tell(policy, [(0, 0, 3), (1, 0, 2)], step=5)
    assert policy.probabilities().tolist() == [0, 0, 1]


# TSCL


def score(groups, arm):
    """The mean success of an arm in a batch, or None."""
    solved = [successes / 8 for a, _, successes in groups if a == arm]
    return np.mean(solved) if solved else None


@given(batches, st.floats(0.05, 1), st.floats(0, 1))
def test_tscl_online_follows_the_smoothed_differences_of_successive_scores(told, step_size, epsilon):
    soft = make_policy("tscl-online", num_arms=NUM_ARMS, step_size=step_size, choice="boltzmann", temperature=0.3)
    hard = make_policy("tscl-online", num_arms=NUM_ARMS, step_size=step_size, epsilon=epsilon)
    q, last = [0.0] * NUM_ARMS, [0.0] * NUM_ARMS
    for step, groups in enumerate(told):
        tell(soft, groups, step)
        tell(hard, groups, step)
        for arm in {arm for arm, _, _ in groups}:
            q[arm] = step_size * (score(groups, arm) - last[arm]) + (1 - step_size) * q[arm]
            last[arm] = score(groups, arm)
        np.testing.assert_allclose(soft.probabilities(), softmax([abs(x) for x in q], 0.3), rtol=1e-9)
        *_, second, largest = sorted(abs(x) for x in q)
        if largest - second > 1e-9:  # rounding does not decide
            best = np.array([abs(x) == largest for x in q])
            np.testing.assert_allclose(hard.probabilities(), epsilon / NUM_ARMS + (1 - epsilon) * best, rtol=1e-9)


@given(batches, st.integers(2, 5))
def test_tscl_window_follows_the_slopes_of_the_last_scores(told, window):
    policy = make_policy("tscl-window", num_arms=NUM_ARMS, window=window, choice="boltzmann", temperature=0.3)
    tell_all(policy, told)
    slopes = []
    for arm in range(NUM_ARMS):
        points = [(t, score(groups, arm)) for t, groups in enumerate(told) if score(groups, arm) is not None][-window:]
        slopes.append(abs(np.polyfit(*zip(*points, strict=True), 1)[0]) if len(points) > 1 else 1)
    np.testing.assert_allclose(policy.probabilities(), softmax(slopes, 0.3), rtol=1e-7)


@given(batches, st.permutations(range(8)), st.integers(2, 5))
def test_tscl_window_puts_late_scores_in_their_place(told, order, window):
    in_order, late = (make_policy("tscl-window", num_arms=NUM_ARMS, window=window) for _ in range(2))
    tell_all(in_order, told)
    for step in order:
        if step < len(told):
            tell(late, told[step], step)
    assert late.probabilities().tolist() == in_order.probabilities().tolist()


@pytest.mark.parametrize("policy_id", ["tscl-online", "tscl-window"])
def test_tscl_comes_back_to_an_arm_that_is_being_forgotten(policy_id):
    policy = make_policy(policy_id, num_arms=3)
    for step in range(30):
        forgetting = 8 if step < 20 else 28 - step
        tell(policy, [(0, 0, 4), (1, 0, max(forgetting, 0)), (2, 0, 0)], step)
    np.testing.assert_allclose(policy.probabilities(), [0.1 / 3, 1 - 0.2 / 3, 0.1 / 3])


def test_tscl_window_tries_every_arm_twice_first():
    policy = make_policy("tscl-window", num_arms=2, epsilon=0)
    tell(policy, [(0, 0, 1), (1, 0, 8)], 0)
    assert policy.probabilities().tolist() == [0.5, 0.5]
    tell(policy, [(0, 0, 2)], 1)
    assert policy.probabilities().tolist() == [0, 1]


# Grade-adaptive


def grades(policy, told):
    seen = []
    for step, groups in enumerate(told):
        tell(policy, groups, step)
        seen.append(int(policy.probabilities().argmax()))
    return seen


def test_the_grade_has_its_share_and_the_rest_is_even():
    policy = make_policy("grade-adaptive", num_arms=5)
    np.testing.assert_allclose(policy.probabilities(), [0.8, 0.05, 0.05, 0.05, 0.05])
    assert make_policy("grade-adaptive", num_arms=1).probabilities().tolist() == [1]


def test_the_grade_advances_after_enough_batches_in_a_row_that_no_longer_inform():
    mastered, impossible, informs, elsewhere = [(0, 0, 8)], [(0, 0, 0)], [(0, 0, 5)], [(2, 0, 8)]
    policy = make_policy("grade-adaptive", num_arms=3, patience=3)
    told = [mastered, impossible, informs, mastered, elsewhere, mastered, elsewhere, mastered]
    assert grades(policy, told) == [0, 0, 0, 0, 0, 0, 0, 1]
    assert grades(make_policy("grade-adaptive", num_arms=3), [mastered] * 12) == [0] * 9 + [1] * 3


def test_a_tenth_of_informative_groups_keeps_the_grade_and_less_does_not():
    tenth, less = [(0, 0, 8)] * 9 + [(0, 0, 1)], [(0, 0, 8)] * 10 + [(0, 0, 1)]
    assert grades(make_policy("grade-adaptive", num_arms=2, patience=1), [tenth] * 3) == [0, 0, 0]
    assert grades(make_policy("grade-adaptive", num_arms=2, patience=1), [less] * 3) == [1, 1, 1]


def test_the_last_grade_stays_and_runs_advance_by_themselves():
    policy = make_policy("grade-adaptive", num_arms=2, patience=1, num_runs=2)
    for step in range(4):
        arm = [[step % 2] * 2, [0, 1]]
        policy.update(make_feedback(arm, np.zeros((2, 2)), step=step, successes=[[8, 8], [4, 4]]))
    assert policy.grade.tolist() == [[1], [0]]


# Mastery learning


def slow_mastery(told, threshold, window):
    """The current arm after every batch, with a list of the successes on it."""
    current, recent, path = 0, [], []
    for groups in told:
        recent += [successes / 8 for arm, _, successes in groups if arm == current]
        if len(recent) >= window and sum(recent[-window:]) / window >= threshold - 1e-9:
            current, recent = min(current + 1, NUM_ARMS - 1), []
        path.append(current)
    return path


@given(st.lists(batches, min_size=2, max_size=2), st.sampled_from([0.3, 0.5, 0.8, 1]), st.integers(1, 12))
@settings(max_examples=60)
def test_the_order_advances_when_the_success_of_its_last_groups_passes_the_threshold(told, threshold, window):
    runs = min(map(len, told))
    told = [[(groups * 8)[:8] for groups in one[:runs]] for one in told]  # batches of lockstep have one size
    options = {"threshold": threshold, "window": window, "review": 0.3}
    both = make_policy("mastery-learning", num_arms=NUM_ARMS, num_runs=2, **options)
    slow = [slow_mastery(one, threshold, window) for one in told]
    for step, groups in enumerate(zip(*told, strict=True)):
        arm, signal, successes = np.moveaxis(np.array(groups), -1, 0)
        both.update(make_feedback(arm, signal, step=step, successes=successes))
        for row, p in enumerate(both.probabilities()):
            current = slow[row][step]
            passed = [0.3 / current] * current if current else []
            expected = [*passed, 1 - sum(passed), *[0] * (NUM_ARMS - 1 - current)]
            assert p.tolist() == pytest.approx(expected)


def test_groups_of_before_an_arm_became_the_current_one_do_not_count():
    policy = make_policy("mastery-learning", num_arms=3, window=4)
    tell(policy, [(1, 0, 8)] * 8)
    tell(policy, [(0, 0, 8)] * 3)
    assert policy.current.item() == 0  # the window is not full
    tell(policy, [(0, 0, 0), (1, 0, 8), (0, 0, 8), (0, 0, 8), (0, 0, 8)])
    assert policy.current.item() == 0  # three of the last four are solved
    tell(policy, [(0, 0, 8), (1, 0, 8), (1, 0, 8), (1, 0, 8)])
    assert policy.current.item() == 1
    tell(policy, [(1, 0, 8)] * 3 + [(2, 0, 8)] * 9)
    assert policy.current.item() == 1


def test_a_batch_advances_by_one_arm_and_the_last_arm_is_final():
    policy, path = make_policy("mastery-learning", num_arms=3, window=1, threshold=0.625), []
    for groups in [[(0, 0, 5), (1, 0, 8)], [(1, 0, 4)], [(1, 0, 5)], [(2, 0, 8)], [(2, 0, 0)]]:
        tell(policy, groups)
        path.append(policy.current.item())
    assert path == [1, 1, 2, 2, 2]


# The cheapest arm


def test_the_cheapest_arm_has_the_shortest_completions_after_each_was_tried():
    policy = make_policy("cheapest-arm", num_arms=3)
    assert policy.probabilities().tolist() == [1 / 3] * 3
    for arm, tokens, size, expected in [
        ([0, 0], [80, 160], 8, [0, 0.5, 0.5]),  # 15 tokens a completion
        ([1], [40], 4, [0, 0, 1]),  # 10
        ([2], [160], 8, [0, 1, 0]),  # 20
        ([1, 1], [200, 100], 8, [1, 0, 0]),  # 17: of 20 completions, whatever the groups' size
        ([0], [1000], 8, [0, 1, 0]),
    ]:
        feedback = make_feedback(arm, np.ones(len(arm)), num_generations=size)
        policy.update(replace(feedback, tokens=np.array(tokens)))
        assert policy.probabilities().tolist() == expected


# AdaRFT


@given(batches, st.floats(0, 1), st.floats(0, 4), st.floats(0, 1), st.floats(0, 1), st.integers(1, NUM_ARMS))
@settings(max_examples=60)
def test_adarft_follows_its_target_difficulty(told, eta, alpha, beta, start, num_nearest):
    difficulties = [0.1, 0.9, 0.3, 0.35]
    own = {"difficulties": difficulties, "eta": eta, "alpha": alpha, "beta": beta, "start": start}
    policy = make_policy("adarft", num_arms=NUM_ARMS, num_nearest=num_nearest, **own)
    target = min(max(start, 0.1), 0.9)
    for step, groups in enumerate(told):
        tell(policy, groups, step)
        reward = np.mean([successes / 8 for _, _, successes in groups])
        target = min(max(target + eta * math.tanh(alpha * (reward - beta)), 0.1), 0.9)
        assert policy.target[0] == pytest.approx(target)
    nearest = sorted(abs(d - target) for d in difficulties)
    p = policy.probabilities()
    edge = nearest[num_nearest - 1]
    if num_nearest == NUM_ARMS or nearest[num_nearest] - edge > 1e-9:
        assert p.tolist() == [1 / num_nearest if abs(d - target) <= edge + 1e-10 else 0 for d in difficulties]


def test_adarft_moves_half_of_the_range_times_the_hyperbolic_tangent_as_in_the_paper():
    policy = make_policy("adarft", num_arms=101)
    tell(policy, [(0, 0, 8)])
    assert 100 * policy.target[0] == pytest.approx(50 * math.tanh(2 * 0.5))
    assert policy.probabilities().argmax() == round(50 * math.tanh(1))
    tell(policy, [(0, 0, 0)])
    assert policy.target[0] == pytest.approx(0)


def test_adarft_shares_a_batch_among_arms_that_are_equally_near():
    policy = make_policy("adarft", num_arms=3, start=0.25)
    assert policy.probabilities().tolist() == [0.5, 0.5, 0]
    assert make_policy("adarft", num_arms=3, num_nearest=2).probabilities().tolist() == [0.5, 0.5, 0]
    text = make_policy("adarft", num_arms=3, difficulties="0.8,0.2,0.9")
    assert text.probabilities().tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("policy_id", "options", "message"),
    [
        ("dump", {"window": 0}, "window is 0; accepted: a whole number at least 1"),
        ("dump", {"window": 2.5}, "window is 2.5; accepted: a whole number"),
        ("dump", {"window": True}, "window is True; accepted: a whole number"),
        ("dump", {"temperature": -1}, "temperature is -1; accepted: a finite number at least 0"),
        ("dump", {"temperature": math.nan}, "temperature is nan; accepted: a finite number"),
        ("dump", {"exploration": "1"}, "exploration is '1'; accepted: a number, or KIND:START:END:STEPS"),
        ("dump", {"count_unit": "tokens"}, "count_unit is 'tokens'; accepted: 'rollouts' or 'prompts'"),
        ("dump", {"prior_count": 0}, "prior_count is 0; accepted: a finite number above 0"),
        ("sec", {"step_size": 0}, "step_size is 0; accepted: a finite number above 0 and at most 1"),
        ("sec", {"temperature": -1}, "temperature is -1; accepted: a finite number at least 0"),
        ("sfl", {"rho": 2}, "rho is 2; accepted: a finite number at least 0 and at most 1"),
        ("sfl", {"top_share": 0}, "top_share is 0; accepted: a finite number above 0 and at most 1"),
        ("sfl", {"window": 3, "discount": 0.5}, "window is 3; accepted: None beside the discount 0.5"),
        ("sfl", {"window": 3, "step_size": 0.5}, "step_size is 0.5; accepted: None beside a window or a discount"),
        ("tscl-online", {"step_size": 0}, "step_size is 0; accepted: a finite number above 0 and at most 1"),
        ("tscl-window", {"window": 1}, "window is 1; accepted: a whole number at least 2"),
        ("tscl-window", {"choice": "thompson"}, "choice is 'thompson'; accepted: 'epsilon-greedy' or 'boltzmann'"),
        ("tscl-online", {"epsilon": 1.1}, "epsilon is 1.1; accepted: a finite number at least 0 and at most 1"),
        ("grade-adaptive", {"patience": 0}, "patience is 0; accepted: a whole number at least 1"),
        ("grade-adaptive", {"threshold": 2}, "threshold is 2; accepted: a finite number at least 0 and at most 1"),
        ("grade-adaptive", {"current_share": -1}, "current_share is -1; accepted: a finite number at least 0"),
        ("mastery-learning", {"threshold": 0}, "threshold is 0; accepted: a finite number above 0 and at most 1"),
        ("mastery-learning", {"window": 0}, "window is 0; accepted: a whole number at least 1 and at most 10000"),
        ("mastery-learning", {"review": -0.1}, "review is -0.1; accepted: a finite number at least 0 and at most 1"),
        ("adarft", {"difficulties": [0, 1]}, r"difficulties is \[0, 1\]; accepted: 4 numbers"),
        ("adarft", {"difficulties": "0,1,2,3"}, "number 3 of difficulties is 2.0; accepted: .* at most 1"),
        ("adarft", {"num_nearest": 5}, "num_nearest is 5; accepted: a whole number at least 1 and at most 4"),
        ("adarft", {"start": -0.1}, "start is -0.1; accepted: a finite number at least 0 and at most 1"),
    ],
)
def test_an_option_out_of_range_is_named_with_what_is_accepted(policy_id, options, message):
    with pytest.raises(InvalidValueError, match=message):
        make_policy(policy_id, num_arms=NUM_ARMS, **options)
