"""Runs share their luck: a problem is completed with the same random numbers under every policy."""

import numpy as np
import pytest

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.contracts.arms import Arm, make_arms
from dumpgym.testing.fakes import FakeLearner, reference_completions
from dumpgym.training.evaluation import evaluate
from dumpgym.training.puzzle_student import PuzzleStudent
from tests.fakes.tiny_models import save_tiny_llama
from tests.training.test_practice import Numbers

ARMS = tuple(f"dumpgym/KnightsKnaves{n}-v0" for n in (2, 3, 4))


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """Does not learn, so that its weights are the same all the time."""
    folder = save_tiny_llama(tmp_path_factory.mktemp("model"))
    return GRPOAgent(GRPOConfig(model=str(folder), device="cpu", max_completion_length=8, learning_rate=0.0), seed=3)


def completions_by_problem(student, batches, size):
    """The token ids of every group of some batches, by arm and index of its problem."""
    found = {}
    for arms in batches:
        batch = student.practise_batch(np.array(arms), size)
        for group, (arm, problem) in enumerate(zip(arms, batch.problems, strict=True)):
            rows = batch.completions.token_ids[group * size : (group + 1) * size]
            found[student.arm_names[arm], problem.address[2]] = rows
    return found


def test_two_policies_that_draw_the_same_problem_get_the_same_completions(agent):
    """The problems come in other steps, orders, batch sizes, group sizes and beside other arms."""
    one = completions_by_problem(PuzzleStudent(agent, make_arms(ARMS), seed=3), [[0, 0, 1], [1, 2], [0]], 4)
    other = completions_by_problem(PuzzleStudent(agent, make_arms(ARMS[1::-1]), seed=3), [[1], [0, 1, 0, 1, 1]], 3)
    shared = one.keys() & other.keys()
    assert len(shared) == 5
    assert all(one[problem][:3] == other[problem] for problem in shared)
    assert len(set(one.values())) == len(one)


def test_another_seed_or_arm_name_has_other_luck(agent):
    arms = make_arms(ARMS[:1])
    renamed = [Arm("renamed", arms[0].env)]
    students = [PuzzleStudent(agent, arms, seed=3), PuzzleStudent(agent, arms, seed=4), PuzzleStudent(agent, renamed)]
    found = [tuple(completions_by_problem(student, [[0, 0]], 4).values()) for student in students]
    assert len(set(found)) == 3


def test_a_problem_that_returns_is_completed_with_new_random_numbers():
    """In a finite set that starts over, so that a second pass brings new completions."""
    learner = FakeLearner({"train 0": "0"}, skill=0.5, gain=0.0)

    student = PuzzleStudent(learner, [Arm("single", Numbers(1))])
    for _ in range(2):
        student.practise(np.array([0]), 40)
    first, second = (call.completions.texts for call in learner.calls)
    assert first != second


def test_sampled_evaluations_share_their_luck_whatever_else_is_evaluated(agent):
    arms = make_arms(ARMS)
    whole = evaluate(agent, arms, 6, seed=3, greedy=False).completions
    agent.generate(["a"], 2)
    part = evaluate(agent, arms[2:], 4, seed=3, greedy=False).completions
    name = arms[2].name
    texts = [one.completion for one in whole[name]]
    assert texts[:4] == [one.completion for one in part[name]]
    assert texts[:4] != [one.completion for one in evaluate(agent, arms[2:], 4, seed=4, greedy=False).completions[name]]


def test_the_keys_of_problems_are_the_same_on_every_machine_and_differ():
    arm = make_arms(ARMS[1:2])[0]
    assert arm.key(0, "train", 0) == 17_415_920_968_342_609_079
    keys = {arm.key(seed, split, i) for seed in range(3) for split in ("train", "test") for i in range(50)}
    assert len(keys) == 300
    assert max(keys) < 2**64


def test_a_learner_that_takes_no_keys_is_given_none():
    class Older(FakeLearner):
        def generate(self, prompts, num_generations, *, greedy=False, seed=None, max_completion_lengths=None):
            options = {"greedy": greedy, "seed": seed, "max_completion_lengths": max_completion_lengths}
            return super().generate(prompts, num_generations, **options)

    arms = make_arms(ARMS)
    learner = Older(reference_completions(*(arm.env for arm in arms)))
    student = PuzzleStudent(learner, arms, evaluation_problems=2)
    student.practise(np.array([0, 1]), 2)
    student.success()
    assert [call.keys for call in learner.calls] == [None, None]
