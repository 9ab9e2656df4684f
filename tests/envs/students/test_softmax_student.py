"""The softmax student: its violations are the puzzles', its gradients are exact, and what it learns carries over."""

import json

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.knights_knaves.logic.generator import Distribution, sample_block
from dumpgym.envs.knights_knaves.logic.puzzle import is_true
from dumpgym.envs.students.softmax import (
    SoftmaxStudent,
    assignment_probabilities,
    expected_gradient,
    sampled_gradient,
    violations_of_block,
)
from dumpgym.simulating.lockstep import SimulationPlan, run_seeds

KINDS = {"telling-truth": 0, "lying": 0, "not": 1, "and": 2, "or": 3, "->": 4, "<=>": 5}
weights_of_kinds = st.lists(st.floats(-1, 3), min_size=6, max_size=6).map(np.array)


def some_puzzles(num_people, rows):
    return violations_of_block(num_people, 0, "train", 0).take(np.array(rows))


@given(st.integers(2, 7), st.integers(0, 255), st.data())
@settings(max_examples=40)
def test_violations_are_the_statements_that_do_not_fit_the_roles(num_people, row, data):
    assignment = data.draw(st.integers(0, 2**num_people - 1))
    roles = [bool(assignment >> person & 1) for person in range(num_people)]
    expected = [0] * 6
    statements = sample_block(Distribution(num_people), 0, "train", 0).puzzle(row).statements
    for person, statement in enumerate(statements):
        expected[KINDS[statement[0]]] += is_true(statement, roles) != roles[person]
    assert some_puzzles(num_people, [row]).counts[0, :, assignment].tolist() == expected


@pytest.mark.parametrize("num_people", [2, 3, 7, 10])
def test_only_the_solution_violates_nothing(num_people):
    block = violations_of_block(num_people, 3, "test", 0)
    puzzles, solutions = np.nonzero(block.counts.sum(axis=1) == 0)
    assert puzzles.tolist() == list(range(256))
    assert solutions.tolist() == block.solution.tolist()


def test_an_arm_s_problems_are_those_of_the_environment():
    env = gym.make("dumpgym/KnightsKnaves3-v0", disable_env_checker=True).unwrapped
    student, arms = SoftmaxStudent((2, 3), seed=5), np.ones(300, dtype=np.int64)  # more than a block of puzzles
    student.parameters[:6] = 1000  # it finds the only assignment that violates nothing
    assert student.practise(arms, 2).solved.all()
    roles = env.sample_puzzle(5, "train", 299).solution
    block = violations_of_block(3, 5, "train", 1)
    assert block.solution[299 - 256] == sum(knight << person for person, knight in enumerate(roles))


def test_at_the_start_it_guesses_uniformly_and_later_it_solves_everything():
    student = SoftmaxStudent((2, 3, 5, 10))
    np.testing.assert_allclose(student.success(), [1 / 4, 1 / 8, 1 / 32, 1 / 1024])
    student.parameters[:6] = 30
    np.testing.assert_allclose(student.success(), 1, atol=1e-9)


@given(weights_of_kinds, st.integers(2, 5), st.integers(0, 255), st.integers(2, 9), st.data())
@settings(max_examples=40)
def test_the_sampled_gradient_is_that_of_the_log_probability_times_the_advantage(weights, n, row, size, data):
    puzzles = some_puzzles(n, [row])
    chosen = np.array([data.draw(st.lists(st.integers(0, 2**n - 1), min_size=size, max_size=size))])
    rewards = (chosen[0] == puzzles.solution[0]).astype(float)
    advantages = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-6)

    def surrogate(w):
        return (advantages * log_softmax(-w @ puzzles.counts[0].astype(float))[chosen[0]]).mean()

    step = 1e-5 * np.eye(6)
    slopes = [(surrogate(weights + e) - surrogate(weights - e)) / 2e-5 for e in step]
    found = sampled_gradient(puzzles, assignment_probabilities(puzzles, weights), chosen)[0]
    np.testing.assert_allclose(found, slopes, atol=1e-7)


@given(weights_of_kinds, st.integers(0, 255))
@settings(max_examples=10)
def test_the_expected_gradient_is_the_mean_over_all_groups(weights, row):
    """Two people have four assignments: all 4^4 groups of four completions, each with its chance."""
    puzzles = some_puzzles(2, [row])
    p = assignment_probabilities(puzzles, weights)
    groups = np.stack(np.meshgrid(*[np.arange(4)] * 4), axis=-1).reshape(1, -1, 4)
    gradients = [sampled_gradient(puzzles, p, groups[:, i])[0] for i in range(groups.shape[1])]
    expected = p[0][groups[0]].prod(axis=1) @ np.array(gradients)
    np.testing.assert_allclose(expected_gradient(puzzles, p, 4)[0], expected, atol=1e-12)


def test_many_sampled_steps_have_the_expected_gradient_as_their_mean():
    """One of 18 means is more than 5.5 standard errors off with a chance below 1e-6."""
    puzzles = some_puzzles(7, [0, 1, 2])
    p = assignment_probabilities(puzzles, np.full(6, 0.7))
    rng = np.random.default_rng(0)
    chosen = np.stack([rng.choice(128, size=(4000, 8), p=row / row.sum()) for row in p])
    sampled = np.stack([sampled_gradient(puzzles, p, chosen[:, i]) for i in range(4000)])
    error = sampled.std(axis=0, ddof=1) / np.sqrt(4000)
    assert (np.abs(sampled.mean(axis=0) - expected_gradient(puzzles, p, 8)) <= 5.5 * error + 1e-12).all()
    assert (error < 0.05 * np.abs(expected_gradient(puzzles, p, 8)).max()).all()


def test_the_expected_gradient_is_finite_for_a_student_who_is_sure():
    puzzles = some_puzzles(3, range(256))
    for weight in (-1000, 1000):
        p = assignment_probabilities(puzzles, np.full(6, weight))
        gradient = expected_gradient(puzzles, p, 8)
        assert np.isfinite(gradient).all()
        np.testing.assert_allclose(gradient, 0, atol=1e-12)


def test_a_batch_is_followed_in_the_direction_of_its_expected_gradient():
    arms = np.repeat([0, 1], 64)
    student = SoftmaxStudent((2, 3), learning_rate=1.0)
    expected = student.expected_gradient(arms, 16)
    student.practise(arms, 16)
    cosine = student.parameters @ expected / np.linalg.norm(student.parameters) / np.linalg.norm(expected)
    assert cosine > 0.95
    assert student.parameters[6:] == pytest.approx(expected[6:], rel=0.25)


def test_practice_on_one_arm_helps_the_others():
    student = SoftmaxStudent((2, 3, 4))
    before = student.success()
    for _ in range(40):
        student.practise(np.full(16, 1), 8)
    gain = student.success() / before
    assert gain[1] > 2.5
    assert (gain[[0, 2]] > 1.3).all()
    assert (gain[1] > gain[[0, 2]]).all()


def test_a_group_that_is_all_wrong_teaches_nothing():
    student = SoftmaxStudent((12,), test_problems=1)
    results = student.practise(np.zeros(2, dtype=np.int64), 2)
    assert results.successes.tolist() == [0, 0]  # of 4,096 assignments
    assert not student.parameters.any()


def test_outcomes_count_what_was_solved():
    student = SoftmaxStudent((2, 4), tokens_per_person=10)
    arms = np.array([1, 0, 1, 0, 0])
    results = student.practise(arms, 32)
    assert results.arm is arms
    assert results.successes.tolist() == results.solved.sum(axis=1).tolist()
    assert (results.successes > 0).any()
    assert results.tokens.tolist() == [1280, 640, 1280, 640, 640]
    assert student.drawn.tolist() == [3, 2]


def test_an_arm_has_the_same_problems_and_luck_whatever_is_practised_beside_it():
    alone, beside = SoftmaxStudent((3, 4), seed=5), SoftmaxStudent((2, 3), seed=5)
    first = alone.practise(np.zeros(300, dtype=np.int64), 8)  # more than a block of puzzles
    second = beside.practise(np.array([0, 1] * 300), 8)
    assert second.solved[1::2].tolist() == first.solved.tolist()
    other = SoftmaxStudent((3, 4), seed=6).practise(np.zeros(300, dtype=np.int64), 8)
    assert other.solved.tolist() != first.solved.tolist()


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=6), st.data())
@settings(max_examples=15)
def test_saved_at_any_time_it_resumes_bit_for_bit(batches, data):
    cut = data.draw(st.integers(0, len(batches)))
    student, restored = SoftmaxStudent((2, 3, 4), seed=1), SoftmaxStudent((2, 3, 4), seed=2)
    for batch in batches[:cut]:
        student.practise(np.array(batch), 4)
    restored.load_state_dict(json.loads(json.dumps(student.state_dict())))
    for batch in batches[cut:]:
        expected = student.practise(np.array(batch), 4)
        assert restored.practise(np.array(batch), 4).solved.tolist() == expected.solved.tolist()
    assert restored.state_dict() == student.state_dict()
    assert restored.success().tolist() == student.success().tolist()


def test_a_state_of_other_arms_is_refused():
    student = SoftmaxStudent((2, 3))
    with pytest.raises(InvalidValueError, match=r"people in the state of SoftmaxStudent is \[2, 4\]"):
        student.load_state_dict(SoftmaxStudent((2, 4)).state_dict())


def test_it_can_be_simulated_by_its_specification():
    plan = SimulationPlan(steps=3, prompts_per_step=8, num_generations=4)
    trajectories = run_seeds("uniform", "softmax?people=2,3&learning_rate=1", [0, 1], plan)
    assert trajectories.success.shape == (2, 4, 2)
    assert (trajectories.mean_success[:, -1] > trajectories.mean_success[:, 0]).all()
    assert trajectories.success[0].tolist() != trajectories.success[1].tolist()


@pytest.mark.parametrize(
    "options",
    [
        {"people": ()},
        {"people": (3, 2)},
        {"people": (2, 2)},
        {"people": (1, 2)},
        {"people": (2, 13)},
        {"people": (2.5,)},
        {"seed": -1},
        {"learning_rate": 0},
        {"test_problems": 0},
        {"tokens_per_person": 0},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InvalidValueError, match=f"^{next(iter(options))} is "):
        SoftmaxStudent(**options)


@pytest.mark.parametrize(
    ("arms", "size", "name"),
    [([], 8, "shape of arms"), ([[0]], 8, "shape of arms"), ([2], 8, "arm"), ([-1], 8, "arm"), ([0], 1, "num_gen")],
)
def test_a_batch_that_nobody_can_practise_is_refused_and_changes_nothing(arms, size, name):
    student = SoftmaxStudent((2, 3))
    before = student.state_dict()
    with pytest.raises(InvalidValueError, match=f"^{name}"):
        student.practise(np.array(arms, dtype=np.int64), size)
    assert student.state_dict() == before
