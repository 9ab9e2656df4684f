"""A recipe: the stages, the texts and the shape of an embedded model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.registry import Registry
from dumpgym.pretraining.pretrainer import Stage

Text = tuple[str, str]
"""A prompt and its completion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an embedded model is made.

    Attributes:
        stages: the stages of the training, in order.
        texts: returns the texts of one chunk of one stage for (stages, seed, stage number, chunk number). They depend
            on these arguments alone and come from the training split.
        build: makes the untrained model and its tokenizer for (seed, hidden_size, num_layers, num_heads), where None is
            the recipe's own size. Raises ``InvalidValueError`` for a size that it cannot make.
        arms: specifications of the environments in the card's table, easiest first.
        description: what the model is, in the card.
        limits: what the model cannot do, in the card.
        tags: the card's tags on the Hugging Face hub.
        tokens_per_batch: most tokens in a batch, padding included. The default is small, since for a given amount of
            text the number of steps matters most.
        max_completion_length: longest completion in tokens.
        decoding: settings of the agent that completes the held-out problems of the card.
    """

    stages: tuple[Stage, ...]
    texts: Callable[[Sequence[Any], int, int, int], list[Text]]
    build: Callable[[int, int | None, int | None, int | None], tuple[PreTrainedModel, PreTrainedTokenizerFast]]
    arms: tuple[str, ...]
    description: str
    limits: str
    tags: tuple[str, ...] = ()
    tokens_per_batch: int = 1024
    max_completion_length: int = 768
    decoding: Mapping[str, Any] = field(default_factory=dict)


def chosen_sizes(
    sizes: tuple[int | None, int | None, int | None], defaults: tuple[int, int, int]
) -> tuple[int, int, int]:
    """Replaces sizes that were not chosen by a recipe's own.

    Args:
        sizes: hidden size, number of layers and number of attention heads; None for the recipe's own.
        defaults: the recipe's own.

    Raises:
        InvalidValueError: if the heads cannot share the width evenly. The share of each is an even number, because
            rotary positions turn pairs of a head's numbers.
    """
    width, layers, heads = (default if size is None else size for size, default in zip(sizes, defaults, strict=True))
    if width % (2 * heads):
        raise InvalidValueError("hidden_size", width, f"a multiple of twice num_heads, {2 * heads}")
    return width, layers, heads


recipe_registry = Registry[Recipe]("recipe", rooms=("dumpgym.pretraining.recipes",), key="name")
"""All recipes, by the names of their models."""
