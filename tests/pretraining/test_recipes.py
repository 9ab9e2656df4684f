"""The recipes: their texts are right, come from the training split, and depend on their address alone."""

import re
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.knights_knaves.language.carelessness import SlipChance
from dumpgym.envs.strings.drawing import split_of
from dumpgym.pretraining.config import PretrainConfig
from dumpgym.pretraining.recipe import recipe_registry
from dumpgym.pretraining.recipes import knights_knaves_careless, strings
from dumpgym.pretraining.runner import pretrain

NAMES = sorted(recipe_registry)
SHORT = strings.StringStage(steps=1, short=4, learning_rates=(0, 0))
LEAKY = strings.StringStage(steps=1, short=4, learning_rates=(0, 0), leak=0.5, decay=0.5)


@pytest.mark.parametrize("name", NAMES)
def test_texts_depend_on_seed_stage_and_chunk_alone(name, monkeypatch):
    recipe = recipe_registry[name]
    monkeypatch.setattr(sys.modules[recipe.texts.__module__], "CHUNK_SIZE", 16)
    texts = recipe.texts(recipe.stages, 1000, 1, 0)
    assert texts == recipe.texts(recipe.stages, 1000, 1, 0)
    for other in ((1001, 1, 0), (1000, 0, 0), (1000, 1, 1)):
        assert texts != recipe.texts(recipe.stages, *other)


@pytest.mark.parametrize("name", NAMES)
def test_the_tokenizer_spells_the_answers_of_every_arm_of_the_card(name):
    recipe = recipe_registry[name]
    _, tokenizer = recipe.build(0, None, None, None)
    for arm in make_arms(recipe.arms[:14]):
        answer = arm.env.sample_problem(0, "test", 0).reference_completion
        assert tokenizer.decode(tokenizer(answer)["input_ids"]) == answer


def lengths_of(stage):
    texts = [text for chunk in range(4) for text in strings.example_texts([stage], 7, 0, chunk)]
    copies = [text for text in texts if text[0].startswith("copy ") and "abc" not in text[0]]
    return texts, Counter(len(completion) for _, completion in copies)


def test_strings_are_as_long_as_the_stage_says():
    texts, found = lengths_of(SHORT)
    assert set(found) == {2, 3, 4}
    _, leaky = lengths_of(LEAKY)
    assert leaky[4] > leaky[5] > leaky[7] > 0
    assert leaky[5] / leaky[4] == pytest.approx(0.5, abs=0.15)
    words = {prompt.split()[0] for prompt, _ in texts}
    assert words == {"copy", "reverse", "sort", "total", "flip", "guess"}


def test_strings_come_from_the_training_split():
    texts, _ = lengths_of(LEAKY)
    operands = {prompt.removesuffix("=").split()[-1] for prompt, _ in texts}
    assert {split_of(one) for one in operands} == {"train"}


def test_a_width_that_the_heads_cannot_share_is_refused():
    for recipe in ("embedded", "embedded-strings"):
        with pytest.raises(InvalidValueError, match="hidden_size is 20; accepted: a multiple of twice num_heads, 8"):
            recipe_registry[recipe].build(0, 20, 1, 4)


def test_a_model_without_position_encoding_does_not_see_positions():
    model, _ = recipe_registry["embedded-strings"].build(0, 16, 2, 2)
    ids = torch.tensor([[1, 2, 3, 4]])
    places = torch.tensor([[0, 1, 2, 3]])
    torch.testing.assert_close(
        model(input_ids=ids, position_ids=places).logits, model(input_ids=ids, position_ids=5 * places + 7).logits
    )


def careless_stage(**arguments):
    return knights_knaves_careless.CarelessStage(steps=1, learning_rates=(0, 0), **arguments)


def careless_texts(stage, chunks=1):
    """The texts of a stage by number of people."""
    texts = [text for chunk in range(chunks) for text in knights_knaves_careless.example_texts([stage], 1000, 0, chunk)]
    by_size = {}
    for prompt, completion in texts:
        by_size.setdefault(int(re.search(r"You meet (\d+) inhabitants", prompt)[1]), []).append((prompt, completion))
    return by_size


def test_careful_puzzles_have_the_frequencies_of_the_stage_few_conflicts_and_right_answers(monkeypatch):
    monkeypatch.setattr(knights_knaves_careless, "CHUNK_SIZE", 100)
    by_size = careless_texts(careless_stage(weights=(3.0, 1.0, 0.0, 1.0)), chunks=3)
    assert sorted(by_size) == [2, 3, 5]
    assert len(by_size[2]) / 300 == pytest.approx(0.6, abs=0.12)
    for num_people, texts in by_size.items():
        (arm,) = make_arms([f"dumpgym/KnightsKnaves-v0?num_people={num_people}&max_conflicts=1"])
        problems = {
            problem.prompt: problem
            for index in range(300)
            for problem in [arm.env.sample_problem(100_000, "train", index)]
        }
        assert all(arm.env.verify(problems[prompt], completion).success for prompt, completion in texts)
        assert all(completion.count("conflict") <= 1 for _, completion in texts)


def test_careless_solutions_fail_more_often_the_more_people_there_are(monkeypatch):
    monkeypatch.setattr(knights_knaves_careless, "CHUNK_SIZE", 200)
    rates = (SlipChance("truth", people=(2, 6), chances=(0.05, 0.5)), SlipChance("role", people=(6, 7), chances=(1, 1)))
    careful = careless_texts(careless_stage(weights=(1.0,) * 5))
    careless = careless_texts(careless_stage(weights=(1.0,) * 5, slips=rates))
    right = {
        n: np.mean([one == other for one, other in zip(careful[n], careless[n], strict=True)]) for n in sorted(careful)
    }
    assert right[2] > right[4] > right[6] == 0


@pytest.mark.parametrize("name", ["hidden_size", "num_layers", "num_heads"])
def test_a_model_that_starts_from_another_has_its_sizes(name):
    sizes = {"hidden_size": None, "num_layers": None, "num_heads": None, name: 8}
    with pytest.raises(InvalidValueError, match=f"{name} is 8; accepted: no value, as the recipe starts from the mod"):
        recipe_registry["embedded-careless"].build(0, **sizes)


def test_a_careless_model_is_made_from_the_embedded_one(tmp_path, monkeypatch):
    monkeypatch.setattr(knights_knaves_careless, "CHUNK_SIZE", 8)
    recipe = recipe_registry["embedded-careless"]
    short = replace(
        recipe, arms=("dumpgym/KnightsKnaves-v0?num_people=2&max_conflicts=1",), decoding={"max_completion_length": 48}
    )
    monkeypatch.setitem(recipe_registry._entries, "embedded-careless", short)
    folder = pretrain(PretrainConfig(recipe="embedded-careless", output=tmp_path, scale=0.002, evaluation_problems=2))
    card = (folder / "README.md").read_text()
    assert "`dumpgym pretrain --recipe embedded-careless --seed 0`" in card
    assert "| KnightsKnaves?num_people=2&max_conflicts=1 | " in card
    assert "SlipChance(kind='role'" in card
