import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import make_policy
from dumpgym.contracts.schedules import KINDS, Schedule
from dumpgym.testing.policy import make_feedback

MOVING = [kind for kind in KINDS if kind != "constant"]
values = st.floats(0.001, 10)


@pytest.mark.parametrize(
    ("kind", "half_way"), [("linear", 0.55), ("cosine", 0.55), ("exponential", math.sqrt(0.1)), ("constant", 1)]
)
def test_a_schedule_has_its_formula(kind, half_way):
    schedule = Schedule(kind, 1.0, 0.1, 10)
    assert schedule.at(0) == 1
    assert schedule.at(5) == pytest.approx(half_way)
    assert schedule.at(10) == pytest.approx(1 if kind == "constant" else 0.1)


def test_a_cosine_is_slow_at_both_ends():
    schedule = Schedule("cosine", 0.0, 1.0, 100)
    assert schedule.at(10) == pytest.approx((1 - math.cos(math.pi / 10)) / 2)
    assert schedule.at(10) == pytest.approx(1 - schedule.at(90))


@pytest.mark.parametrize("kind", MOVING)
@given(start=values, end=values, steps=st.integers(1, 50), at=st.integers(0, 80))
def test_a_schedule_stays_between_its_ends_moves_one_way_and_then_rests(kind, start, end, steps, at):
    schedule = Schedule(kind, start, end, steps)
    here, there = schedule.at(at), schedule.at(at + 1)
    assert min(start, end) * (1 - 1e-12) <= here <= max(start, end) * (1 + 1e-12)
    assert (there - here) * (end - start) >= -1e-12
    assert schedule.at(steps + at) == schedule.at(steps)
    assert schedule.at(steps) == pytest.approx(end)


@given(kind=st.sampled_from(MOVING), start=values, end=values, steps=st.integers(1, 50))
def test_text_is_read_as_the_schedule_that_it_names(kind, start, end, steps):
    expected = Schedule(kind, start, end, steps)
    assert Schedule.parse("rate", f"{kind}:{start}:{end}:{steps}") == expected
    assert Schedule.parse("rate", expected) is expected


@pytest.mark.parametrize("value", [0, 0.3, 2])
def test_a_number_is_a_schedule_that_rests(value):
    assert {Schedule.parse("rate", value).at(step) for step in (0, 7, 1000)} == {value}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0.1", "rate is '0.1'; accepted: a number, or KIND:START:END:STEPS with KIND one of linear, cosine, exponen"),
        ("linear:1:2", "rate is 'linear:1:2'; accepted: a number, or KIND"),
        ("linear:1:x:3", "rate is 'linear:1:x:3'; accepted: a number, or KIND"),
        ("linear:1:0.5:2.5", "rate is 'linear:1:0.5:2.5'; accepted"),
        ("step:1:0.5:2", "kind of schedule is 'step'; accepted: constant, linear, cosine, exponential"),
        ("linear:1:0.5:0", "steps of the schedule is 0; accepted: a whole number at least 1"),
        ("exponential:0:1:3", "start of the schedule is 0.0; accepted: a finite number above 0"),
        ("exponential:1:0:3", "end of the schedule is 0.0; accepted: a finite number above 0"),
        ("linear:0.5:nan:3", "end of the schedule is nan; accepted: a finite number"),
        ("linear:0.5:1.5:3", "rate is 1.5; accepted: a finite number at least 0 and at most 1"),
        (Schedule("linear", -1, 1, 3), "rate is -1; accepted: a finite number at least 0 and at most 1"),
        (-0.1, "rate is -0.1; accepted"),
        (True, "rate is True; accepted"),
        (None, "rate is None; accepted"),
    ],
)
def test_what_cannot_be_read_or_is_out_of_range_at_any_step_is_named(value, message):
    with pytest.raises(InvalidValueError, match=message):
        Schedule.parse("rate", value, low=0, high=1)


def test_the_options_of_a_policy_follow_the_training_step_and_not_the_number_of_updates():
    policy = make_policy("epsilon-greedy", num_arms=2, epsilon="linear:1:0:4")
    exploring = []
    for step in (0, 1, 2, 0, 3, 3):
        policy.update(make_feedback([0], [1.0], step=step))
        exploring.append(policy.probabilities()[1])
    assert exploring == pytest.approx([3 / 8, 2 / 8, 1 / 8, 1 / 8, 0, 0])
