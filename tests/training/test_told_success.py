"""A policy that cheats is told the success on every arm, and nothing else in its run is changed by it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.contracts.success import measuring_seed
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.finished import read_finished
from dumpgym.training.loop import Trainer
from tests.fakes.tiny_models import save_tiny_llama
from tests.training.test_training import make_config, make_trainer, without_times

LETTERS = tuple(f"tests.fakes.letters:tests/Letters-v0?modulus={modulus}" for modulus in (97, 31))
TOLD = "tests.fakes.told_policies:told-thompson"
COSTS = ("evaluation_tokens", "told_success")


pytestmark = pytest.mark.usefixtures("own_policies")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, own_policies):
    """Runs of a language model by the policy that is told the success, and by the same policy without that."""
    folder, found = tmp_path_factory.mktemp("told"), {}
    save_tiny_llama(folder / "model")
    agent = GRPOConfig(model=str(folder / "model"), device="cpu", max_completion_length=8, learning_rate=0.01)
    for name, policy in (("plain", "thompson"), ("told", TOLD)):
        config = make_config(folder / name, policy=policy, arms=LETTERS, steps=4, agent=agent, evaluate_every=3)
        trainer = Trainer(config, GRPOAgent(agent))
        trainer.run()
        found[name] = trainer, read_finished(config.output)
    return found


def without_costs(records):
    return [{k: v for k, v in record.items() if not k.endswith(COSTS)} for record in without_times(records)]


def test_training_and_evaluations_are_as_if_nothing_had_been_measured(runs):
    (_, plain), (_, told) = runs["plain"], runs["told"]
    assert without_costs(told.metrics) == without_costs(plain.metrics)
    assert without_costs(told.evaluations) == without_costs(plain.evaluations)
    assert RunDirectory(told.path).read("transcripts.jsonl") == RunDirectory(plain.path).read("transcripts.jsonl")


def test_what_the_policy_was_told_is_logged_and_says_that_it_cheats(runs):
    trainer, told = runs["told"]
    logged = [
        [record[f"arms/{name}/told_success"] for name in told.arms]
        for record in told.metrics
        if f"arms/{told.arms[0]}/told_success" in record
    ]
    assert [record["step"] for record in told.metrics if f"arms/{told.arms[0]}/told_success" in record] == [1, 3]
    assert logged == trainer.policy.told
    assert told.cheats
    assert not runs["plain"][1].cheats


def test_the_tokens_count_as_evaluation_and_not_towards_the_budget(runs):
    (_, plain), (trainer, told) = runs["plain"], runs["told"]
    mine, its = told.ledger["tokens"], plain.ledger["tokens"]
    assert mine["num_tokens"] == its["num_tokens"]
    extra = mine["evaluation_tokens"] - its["evaluation_tokens"]
    completions = 2 * len(LETTERS) * trainer.policy.problems  # of two measurements
    assert completions <= extra <= 8 * completions


def test_every_measurement_samples_other_training_problems_than_those_of_the_run(tmp_path):
    trainer = make_trainer(make_config(tmp_path / "run", policy=TOLD, steps=5))
    trainer.run()
    calls = [call for call in trainer.learner.calls if not call.trains and not call.greedy][1:-1]  # not evaluations
    expected = [
        [
            arm.env.sample_problem(measuring_seed(0), "train", 3 * number + i).prompt
            for arm in trainer.arms
            for i in range(3)
        ]
        for number in range(3)
    ]
    assert [list(call.prompts) for call in calls] == expected
    assert len({call.seed for call in calls}) == 3
    others = {prompt for call in trainer.learner.calls if call not in calls for prompt in call.prompts}
    assert others.isdisjoint(itertools.chain(*expected))
    solved = np.array([[text != trainer.learner.wrong for text in call.completions.texts] for call in calls])
    assert trainer.policy.told == solved.reshape(3, 3, 3).mean(axis=2).tolist()


def test_the_success_on_a_nuisance_arm_is_told_as_none_without_measuring_it(tmp_path):
    config = make_config(tmp_path / "run", policy=TOLD, steps=3)
    trainer = make_trainer(replace(config, nuisance_arms=config.arms[1:2]))
    trainer.run()
    measured = [call for call in trainer.learner.calls if not call.trains and not call.greedy][1:-1]
    prompts = {prompt for call in measured for prompt in call.prompts}
    seed, problems = measuring_seed(0), range(6)
    for place, arm in enumerate(trainer.arms):
        mine = {arm.env.sample_problem(seed, "train", i).prompt for i in problems}
        assert (prompts >= mine) == (place != 1)
        assert bool(prompts & mine) == (place != 1)
    assert all(told[1] == 0 for told in trainer.policy.told)
