"""Inputs of a model's forward pass in the form that the model's own code expects: padded tokens, masks and caches."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

# Errors that models' own code is known to raise for a cache, masks or positions that it does not support. Callers that
# probe a model catch these and choose another way to run it, or refuse it.
UNSUITED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def vocabulary_size(model: PreTrainedModel) -> int:
    """Number of tokens that a model can both read and write; the rest of its larger embedding is padding."""
    embeddings: Any = (model.get_input_embeddings(), model.get_output_embeddings())
    return min(len(embedding.weight) for embedding in embeddings if embedding is not None)


def rotary_boundary(model: PreTrainedModel) -> int | None:
    """Length in tokens beyond which a model changes the positions of all tokens in a batch; None if it never does.

    "longrope" and "dynamic" choose their frequencies by the longest text in the batch, also for tokens that are cached.
    """
    parameters = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    kinds = [parameters, *(value for value in parameters.values() if isinstance(value, dict))]
    lengths = [
        kind["original_max_position_embeddings"]
        for kind in kinds
        if kind.get("rope_type") in ("longrope", "dynamic") and kind.get("original_max_position_embeddings")
    ]
    return min(lengths, default=None)


def cache_argument(module: torch.nn.Module, cache: Cache) -> dict[str, Cache]:
    """The cache as a keyword argument of a model's forward pass, whose name is ``cache`` since transformers 5.24."""
    return {"cache" if "cache" in signature(module.forward).parameters else "past_key_values": cache}


def last_logits_only(module: torch.nn.Module) -> dict[str, int]:
    """The keyword argument that makes a model compute the logits of the last token only, for models that have one."""
    return {"logits_to_keep": 1} if "logits_to_keep" in signature(module.forward).parameters else {}


def left_padded(sequences: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids, padded on the left with 0, and the mask, 1 at tokens and 0 at padding, both (batch, longest)."""
    length = max(map(len, sequences))
    ids = torch.zeros(len(sequences), length, dtype=torch.long)
    mask = torch.zeros(len(sequences), length, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, length - len(sequence) :] = torch.tensor(sequence)
        mask[row, length - len(sequence) :] = 1
    return ids.to(device), mask.to(device)
