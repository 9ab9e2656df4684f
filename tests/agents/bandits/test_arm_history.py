"""Histories against slow ones that keep every group."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.agents.bandits.history import DiscountedSums, SumHistory, WindowSums, make_sums
from dumpgym.agents.bandits.recent_history import CompletionWindow, ExponentialMean
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.testing.policy import make_feedback

NUM_ARMS = 3
group = st.tuples(st.integers(0, NUM_ARMS - 1), st.floats(0, 1), st.integers(1, 20))
batch = st.tuples(st.integers(0, 12), st.lists(group, min_size=1, max_size=6))
batches = st.lists(batch, min_size=1, max_size=8)
MAKERS = {
    "sums": SumHistory,
    "discounted": lambda shape: DiscountedSums(shape, 0.8),
    "window": lambda shape: WindowSums(shape, 4),
    "exponential": lambda shape: ExponentialMean(shape, 0.3),
    "exponential by batch": lambda shape: ExponentialMean(shape, 0.3, per="batch"),
    "rollouts": lambda shape: CompletionWindow(shape, 25),
    "steps": lambda shape: CompletionWindow(shape, 2, "steps"),
}


def feedback_of(step, groups):
    arm, signal, size = zip(*groups, strict=True)
    return make_feedback(arm, signal, step=step, num_generations=size, successes=[s // 3 for s in size])


def tell(history, told):
    for step, groups in told:
        history.add(feedback_of(step, groups))
    return history


def groups_of(arm, told):
    """Step, signal and size of the groups of an arm, in the order in which they were told."""
    return [(step, signal, size) for step, groups in told for a, signal, size in groups if a == arm]


def check_sums(history, told, weight):
    for arm in range(NUM_ARMS):
        groups = groups_of(arm, told)
        w = np.array([weight(step) for step, _, _ in groups])
        x = np.array([signal for _, signal, _ in groups])
        size = np.array([s for _, _, s in groups])
        assert history.groups[arm] == pytest.approx(w.sum(), abs=1e-9)
        assert history.completions[arm] == pytest.approx((w * size).sum(), abs=1e-9)
        assert history.successes[arm] == pytest.approx((w * (size // 3)).sum(), abs=1e-9)
        assert history.failures[arm] == pytest.approx((w * (size - size // 3)).sum(), abs=1e-9)
        mean = (w * x).sum() / w.sum() if w.sum() > 0 else 0
        assert history.mean()[arm] == pytest.approx(mean, abs=1e-9)
        variance = (w * (x - mean) ** 2).sum() / w.sum() if w.sum() > 0 else 0
        assert history.variance()[arm] == pytest.approx(variance, abs=1e-9)


@given(batches)
def test_sums_are_over_all_groups(told):
    check_sums(tell(SumHistory((NUM_ARMS,)), told), told, lambda step: 1.0)


@given(batches, st.floats(0.1, 1))
def test_a_discount_weighs_a_group_by_the_steps_since(told, discount):
    latest = max(step for step, _ in told)
    history = tell(DiscountedSums((NUM_ARMS,), discount), told)
    check_sums(history, told, lambda step: discount ** (latest - step))


@given(batches, st.integers(1, 14))
def test_a_window_holds_the_groups_of_the_last_steps(told, window):
    latest = max(step for step, _ in told)
    history = tell(WindowSums((NUM_ARMS,), window), told)
    check_sums(history, told, lambda step: float(step > latest - window))


@given(batches)
def test_no_discount_and_a_window_as_long_as_the_run_are_sums_over_all_groups_to_the_bit(told):
    stationary, discounted, window = (
        tell(make_sums((NUM_ARMS,), **options), told) for options in ({}, {"discount": 1}, {"window": 13})
    )
    assert discounted.sums.tolist() == stationary.sums.tolist() == window.sums.tolist()


def test_a_window_leaves_no_rounding_behind():
    history = WindowSums((1,), 2)
    for step, signal in enumerate((0.1, 0.7, 0.3, 1e-17)):
        history.add(make_feedback([0], [signal], step=step))
    history.add(make_feedback([0], [0.0], step=100))
    assert history.sums[:, 0].tolist() == [1, 8, 0, 0, 4]


@given(batches, st.integers(1, 60))
def test_a_rollout_window_is_the_mean_of_the_last_rollouts_by_step(told, window):
    history = tell(CompletionWindow((NUM_ARMS,), window), told)
    for arm in range(NUM_ARMS):
        groups = sorted(groups_of(arm, told), key=lambda group: group[0])
        rollouts = [signal for _, signal, size in groups for _ in range(size)]
        inside = rollouts[-window:]
        assert history.mean()[arm] == pytest.approx(sum(inside) / len(inside) if inside else 0, abs=1e-9)
        assert history.completions[arm] == len(rollouts)  # counts are not windowed
        assert history.groups[arm] == len(groups)


def test_the_rollout_window_counts_the_part_of_the_oldest_group_that_is_inside():
    history = CompletionWindow((2,), window=300)
    history.add(make_feedback([0], [1.0], num_generations=16))
    means = []
    for _ in range(19):
        history.add(make_feedback([0], [0.0], num_generations=16))
        means.append(history.mean()[0])
    assert means[16:] == pytest.approx([16 / 288, 12 / 300, 0])  # 18, 19 and 20 groups of 16
    history.add(make_feedback([0], [0.5], num_generations=1000))
    assert history.mean().tolist() == [0.5, 0]  # a group larger than the window, and an empty window


@given(batches, st.integers(1, 5))
def test_the_window_of_steps_counts_the_latest_steps_with_a_group_of_the_arm(told, window):
    history = tell(CompletionWindow((NUM_ARMS,), window, "steps"), told)
    for arm in range(NUM_ARMS):
        groups = groups_of(arm, told)
        latest = sorted({step for step, _, _ in groups})[-window:]
        inside = [signal for step, signal, size in groups if step in latest for _ in range(size)]
        assert history.mean()[arm] == pytest.approx(sum(inside) / len(inside) if inside else 0, abs=1e-9)
        assert history.groups[arm] == len(groups)


@given(batches, st.floats(0.01, 1), st.floats(-1, 1))
def test_an_exponential_mean_takes_one_step_a_group_or_one_a_batch(told, step_size, initial):
    by_group = tell(ExponentialMean((NUM_ARMS,), step_size, initial=initial), told)
    by_batch = tell(ExponentialMean((NUM_ARMS,), step_size, initial=initial, per="batch"), told)
    for arm in range(NUM_ARMS):
        q = initial
        for _, signal, _ in groups_of(arm, told):
            q += step_size * (signal - q)
        assert by_group.mean()[arm] == pytest.approx(q, abs=1e-9)
        q = initial
        for each in told:
            signals = [signal for _, signal, _ in groups_of(arm, [each])]
            q += step_size * (np.mean(signals) - q) if signals else 0
        assert by_batch.mean()[arm] == pytest.approx(q, abs=1e-9)
        assert by_group.groups[arm] == by_batch.groups[arm] == len(groups_of(arm, told))


@pytest.mark.parametrize("name", MAKERS)
@given(batches, st.integers(0, 7))
def test_runs_in_lockstep_remember_what_they_would_alone_and_resume_from_a_saved_state(name, told, cut):
    """The second run is told the same of the arms in opposite order, and is saved and restored in between."""
    alone = tell(MAKERS[name]((NUM_ARMS,)), told)
    both = MAKERS[name]((2, NUM_ARMS))
    for i, (step, groups) in enumerate(told):
        if i == cut:
            saved, both = both, MAKERS[name]((2, NUM_ARMS))
            both.load_state_dict(json.loads(json.dumps(saved.state_dict())))
        arm, signal, size = (np.array(values) for values in zip(*groups, strict=True))
        rows = {"num_generations": [size, size], "successes": [size // 3, size // 3]}
        both.add(make_feedback([arm, NUM_ARMS - 1 - arm], [signal, signal], step=step, **rows))
    for values, expected in ((both.mean(), alone.mean()), (both.groups, alone.groups)):
        np.testing.assert_allclose(values[0], expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(values[1], expected[::-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_sums((2,), window=3, discount=0.9), "window is 3; accepted: None beside the discount 0.9"),
        (lambda: make_sums((2,), window=0), "window is 0; accepted: a whole number at least 1"),
        (lambda: make_sums((2,), discount=0), "discount is 0; accepted: a finite number above 0 and at most 1"),
        (lambda: make_sums((2,), discount=1.1), "discount is 1.1; accepted"),
        (lambda: CompletionWindow((2,), 0), "window is 0; accepted: a whole number at least 1"),
        (lambda: CompletionWindow((2,), 3, "step"), "window_unit is 'step'; accepted: 'rollouts' or 'steps'"),
        (lambda: ExponentialMean((2,), 0), "step_size is 0; accepted: a finite number above 0 and at most 1"),
        (lambda: ExponentialMean((2,), 0.1, per="step"), "per is 'step'; accepted: 'group' or 'batch'"),
    ],
)
def test_an_option_out_of_range_is_named_with_what_is_accepted(make, message):
    with pytest.raises(InvalidValueError, match=message):
        make()
