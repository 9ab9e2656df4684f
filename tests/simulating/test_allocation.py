"""The best allocation: exact where all can be tried, never worse than the obvious ones where not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.students.skills import SkillsStudent
from dumpgym.simulating.allocation import best_allocation, best_sequence, expected_score


def score(student, shares, objective="area"):
    return float(expected_score(student, shares, 16, objective))


@pytest.mark.parametrize("objective", ["area", "final"])
@pytest.mark.parametrize(("num_arms", "steps"), [(2, 10), (3, 7)])
def test_the_allocation_is_as_good_as_trying_every_sequence(num_arms, steps, objective):
    student = SkillsStudent(num_arms, learning_rate=1.0)
    sequence = best_sequence(student, steps, 16, objective=objective)
    assert len(set(sequence)) > 1  # no arm alone is best
    allocation = best_allocation(student, steps, 16, segments=steps, objective=objective)
    best = score(student, np.eye(num_arms)[sequence], objective)
    assert score(student, allocation, objective) > best - 1e-4


def test_the_score_is_the_mean_over_steps_or_the_end():
    student, shares = SkillsStudent(2, nuisance="mastered"), np.full((4, 3), 1 / 3)
    mean = student.expected_path(shares, 16)[:, :2].mean(axis=1)
    assert score(student, shares) == pytest.approx(np.trapezoid(mean) / 4)
    assert score(student, shares, "final") == mean[-1]
    with pytest.raises(InvalidValueError, match="objective is 'end'; accepted: 'area' or 'final'"):
        score(student, shares, "end")


@settings(max_examples=15, deadline=None)
@given(
    num_arms=st.integers(1, 4),
    steps=st.integers(1, 12),
    segments=st.integers(1, 15),
    learning_rate=st.floats(0.05, 3),
    forgetting=st.floats(0, 0.3),
    nuisance=st.sampled_from(["", "spurious", "noisy,duplicate"]),
)
def test_the_allocation_is_never_worse_than_uniform_or_an_arm_alone(steps, segments, **options):
    student = SkillsStudent(**options)
    num_arms = len(student.counts)
    allocation = best_allocation(student, steps, 8, segments=segments)
    np.testing.assert_allclose(allocation.sum(axis=1), 1)
    assert allocation.min() >= -1e-12
    rows = [np.full(num_arms, 1 / num_arms), *np.eye(num_arms)]
    others = expected_score(student, np.stack([np.tile(row, (steps, 1)) for row in rows]), 8)
    assert expected_score(student, allocation, 8) >= others.max() - 1e-12


def test_trying_every_sequence_finds_the_largest():
    student, rng = SkillsStudent(3, learning_rate=1.0), np.random.default_rng(0)
    best = score(student, np.eye(3)[best_sequence(student, 6, 16)])
    assert all(score(student, np.eye(3)[rng.integers(3, size=6)]) <= best + 1e-12 for _ in range(50))


@pytest.mark.parametrize("nuisance", ["", "noisy,mastered"])
def test_the_allocation_beats_the_obvious_ones(nuisance):
    student, steps = SkillsStudent(6, nuisance=tuple(filter(None, nuisance.split(",")))), 40
    num_arms = len(student.counts)
    allocation = best_allocation(student, steps, 16, segments=10)
    easy_to_hard = np.eye(num_arms)[np.arange(steps) * 6 // steps]
    alone = [np.tile(row, (steps, 1)) for row in np.eye(num_arms)]
    others = [np.full((steps, num_arms), 1 / num_arms), easy_to_hard, *alone]
    assert score(student, allocation) > max(score(student, shares) for shares in others)
    assert allocation[:, 6:].sum() < 0.05 * steps  # next to nothing for nuisance arms


def test_too_many_sequences_are_refused():
    with pytest.raises(InvalidValueError, match="number of sequences is 1048576; accepted: at most 100000"):
        best_sequence(SkillsStudent(4), 10, 16)
