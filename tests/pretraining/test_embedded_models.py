"""The embedded models: complete, small, and each with a card that a recipe wrote."""

import re

import pytest
import torch

from dumpgym.agents.embedded.names import EMBEDDED_MODELS
from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.models import load_model
from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.pretraining.recipe import recipe_registry
from dumpgym.training.evaluation import evaluate

NAMES = sorted(EMBEDDED_MODELS)
STRINGS = [name for name in NAMES if name.startswith("embedded-strings")]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_loads_is_small_and_has_a_card_of_a_recipe(name):
    load_model(name, torch.float32)
    folder = EMBEDDED_MODELS[name]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4_000_000
    card = (folder / "README.md").read_text()
    recipe = re.search(r"dumpgym pretrain (?:--recipe (\S+) )?--seed \d", card)
    assert (recipe[1] or "embedded") in recipe_registry


@pytest.mark.parametrize("name", STRINGS)
def test_a_model_of_strings_solves_short_ones_and_none_of_the_longest(name):
    agent = GRPOAgent(GRPOConfig(model=name, device="cpu", max_completion_length=16))
    arms = make_arms(["dumpgym/Copy-v0?length=3", "dumpgym/Copy-v0?length=13", "dumpgym/Coin-v0?length=4"])
    found = evaluate(agent, arms, 40, seed=3, greedy=False)
    short, longest, coin = (sum(solved) for solved in found.successes.values())
    assert short >= 38
    assert longest == 0
    assert 8 <= coin <= 32
    answers = {one.completion for one in found.completions["Coin?length=4"]}
    assert len(answers) >= 30  # so that the verdicts of a group look like coins


def test_a_model_of_strings_cannot_be_trained_on_an_arm_that_it_cannot_answer():
    agent = GRPOAgent(GRPOConfig(model="embedded-strings", device="cpu", max_completion_length=2040))
    with pytest.raises(InvalidValueError, match="at most 2048, the model's context"):
        agent.check_arms(make_arms(["dumpgym/Copy-v0?length=50"]))


def test_the_careless_model_solves_most_small_puzzles_and_hardly_any_large_ones():
    agent = GRPOAgent(GRPOConfig(model="embedded-careless", device="cpu", max_completion_length=220))
    arms = make_arms([f"dumpgym/KnightsKnaves-v0?num_people={n}&max_conflicts=1" for n in (2, 8)])
    small, large = (sum(solved) for solved in evaluate(agent, arms, 20, seed=3).successes.values())
    assert small >= 11
    assert large <= 8
