"""The recipes: their texts are right, come from the training split, and depend on their address alone."""

import sys
from collections import Counter

import pytest
import torch

from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.strings.drawing import split_of
from dumpgym.pretraining.recipe import recipe_registry
from dumpgym.pretraining.recipes import strings

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
