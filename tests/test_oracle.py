"""The best allocation: exact where all can be tried, never worse than the obvious ones where not."""

import numpy as np
import pytest

from dumpgym.envs.oracle import best_allocation, best_sequence, expected_area
from dumpgym.envs.skills_student import SkillsStudent
from dumpgym.errors import InvalidValueError


def area(student, shares):
    return float(expected_area(student, shares, 16))


def test_gradient_ascent_is_as_good_as_trying_every_sequence():
    student = SkillsStudent(2, learning_rate=1.0)
    sequence = best_sequence(student, 10, 16)
    assert set(sequence) == {0, 1}  # neither arm alone is best
    allocation = best_allocation(student, 10, 16, segments=10)
    assert area(student, allocation) > area(student, np.eye(2)[sequence]) - 1e-4


def test_trying_every_sequence_finds_the_largest():
    student, rng = SkillsStudent(3, learning_rate=1.0), np.random.default_rng(0)
    best = area(student, np.eye(3)[best_sequence(student, 6, 16)])
    assert all(area(student, np.eye(3)[rng.integers(3, size=6)]) <= best + 1e-12 for _ in range(50))


@pytest.mark.parametrize("nuisance", ["", "noisy,mastered"])
def test_the_allocation_beats_the_obvious_ones(nuisance):
    student, steps = SkillsStudent(6, nuisance=tuple(filter(None, nuisance.split(",")))), 40
    num_arms = len(student.counts)
    allocation = best_allocation(student, steps, 16, segments=5, iterations=30)
    np.testing.assert_allclose(allocation.sum(axis=1), 1)
    assert allocation.min() >= 0
    easy_to_hard = np.eye(num_arms)[np.arange(steps) * 6 // steps]
    alone = [np.tile(row, (steps, 1)) for row in np.eye(num_arms)]
    others = [np.full((steps, num_arms), 1 / num_arms), easy_to_hard, *alone]
    assert area(student, allocation) > max(area(student, shares) for shares in others)
    assert allocation[:, 6:].sum() < 0.05 * steps  # next to nothing for nuisance arms


def test_too_many_sequences_are_refused():
    with pytest.raises(InvalidValueError, match="number of sequences is 1048576; accepted: at most 100000"):
        best_sequence(SkillsStudent(4), 10, 16)
