"""Sampling from any causal language model.

Each prompt is computed once for its whole group of completions, keys and values are written in place, and rows that
have ended leave the batch.
"""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

_GROWTH = 64  # positions by which a cache layer grows at a time
_REGROUP_BELOW = 0.8  # ended rows are dropped once less than this share of the rows is still going on


class GrowingLayer(DynamicLayer):
    """A cache layer that writes in place into memory kept in reserve, where DynamicLayer copies all at each token."""

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reserve: list[Tensor] = []
        self._room = 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends keys and values (batch, heads, tokens, head size) and returns all so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[..., :0, :], value_states[..., :0, :]
        length, added = self.keys.shape[-2], key_states.shape[-2]
        if self._room < added:
            self._reserve = [_with_room(t, added + _GROWTH) for t in (self.keys, self.values)]
            self._room = added + _GROWTH
        for reserve, states in zip(self._reserve, (key_states, value_states), strict=True):
            reserve[..., length : length + added, :] = states
        self._room -= added
        self.keys, self.values = (reserve[..., : length + added, :] for reserve in self._reserve)
        return self.keys, self.values

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats each row ``repeats`` times."""
        super().batch_repeat_interleave(repeats)
        self._room = 0

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps some rows only."""
        super().batch_select_indices(indices)
        self._room = 0


def _with_room(states: Tensor, extra: int) -> Tensor:
    shape = (*states.shape[:-2], states.shape[-2] + extra, states.shape[-1])
    roomy = states.new_empty(shape)
    roomy[..., : states.shape[-2], :] = states
    return roomy


def growing_cache(model: PreTrainedModel) -> DynamicCache:
    """A cache for the model's layers; those that hold plain attention grow in place."""
    cache = DynamicCache(config=model.config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def cache_argument(module: torch.nn.Module, cache: DynamicCache) -> dict[str, DynamicCache]:
    """The cache as the keyword argument of a model's forward pass: ``cache`` since transformers 5.24."""
    return {"cache" if "cache" in signature(module.forward).parameters else "past_key_values": cache}


def select_rows(cache: DynamicCache, indices: Tensor) -> None:
    """Makes the cache's rows those of the given indices, some perhaps several times.

    What ``cache.batch_select_indices`` does, but the gradients of a row's copies are added up in a fixed order, whereas
    threads add up those of its indexing as they come.
    """
    layers: list[Any] = cache.layers  # the base class of layers declares neither keys nor values
    for layer in layers:
        layer.keys, layer.values = (states.index_select(0, indices) for states in (layer.keys, layer.values))


def left_padded(sequences: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids padded on the left with 0, and the mask of the true tokens, both (batch, longest)."""
    length = max(map(len, sequences))
    ids = torch.zeros(len(sequences), length, dtype=torch.long)
    mask = torch.zeros(len(sequences), length, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, length - len(sequence) :] = torch.tensor(sequence)
        mask[row, length - len(sequence) :] = 1
    return ids.to(device), mask.to(device)


@torch.no_grad()
def sample_completions(
    model: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    num_generations: int,
    *,
    max_completion_length: int,
    end_token_ids: Sequence[int],
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """Completes each prompt ``num_generations`` times.

    Args:
        model: a causal language model; it should be in evaluation mode.
        prompt_ids: token ids of each prompt, none of them empty.
        num_generations: completions per prompt.
        max_completion_length: most tokens in a completion, its end token included.
        end_token_ids: a completion ends with the first of these.
        temperature: divides the logits; 0 takes the most probable token.
        generator: on the CPU; one number is drawn for every row at every step, ended or not, so that a row's draws
            depend on nothing but its place. Not needed for temperature 0.

    Returns:
        Token ids of the completions, group after group, each with its end token unless it was cut off.
    """
    device = model.device
    input_ids, mask = left_padded(prompt_ids, device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = growing_cache(model)
    cached = cache_argument(model, cache)
    logits = model(input_ids=input_ids, attention_mask=mask, position_ids=positions, logits_to_keep=1, **cached).logits
    logits = logits[:, -1]
    cache.batch_repeat_interleave(num_generations)
    logits = logits.repeat_interleave(num_generations, 0)
    mask = mask.repeat_interleave(num_generations, 0)
    position = positions[:, -1:].repeat_interleave(num_generations, 0)
    num_rows = len(prompt_ids) * num_generations
    tokens = torch.full((num_rows, max_completion_length), -1, dtype=torch.long, device=device)
    ends = torch.tensor(list(end_token_ids), device=device)
    rows = torch.arange(num_rows, device=device)  # the rows of the answer that the batch still holds
    going_on = torch.ones(num_rows, dtype=torch.bool, device=device)  # of these rows
    for step in range(max_completion_length):
        if temperature == 0:
            token = logits.argmax(-1)
        else:
            uniform = torch.rand(num_rows, generator=generator).to(device)[rows]
            token = _draw(logits.float() / temperature, uniform)
        tokens[rows[going_on], step] = token[going_on]
        going_on &= ~torch.isin(token, ends)
        num_going_on = int(going_on.sum())
        if num_going_on == 0 or step + 1 == max_completion_length:
            break
        if num_going_on < _REGROUP_BELOW * len(rows):
            kept = going_on.nonzero().squeeze(-1)
            cache.batch_select_indices(kept)
            rows, mask, position, token = rows[kept], mask[kept], position[kept], token[kept]
            going_on = going_on[kept]
        position = position + 1
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], -1)
        logits = model(input_ids=token[:, None], attention_mask=mask, position_ids=position, **cached).logits[:, -1]
    return [[token for token in row if token >= 0] for row in tokens.tolist()]


def _draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Inverts the cumulative distribution: logits (rows, vocabulary) and numbers in [0, 1) (rows,) to ids (rows,)."""
    cumulative = logits.softmax(-1).cumsum(-1)
    threshold = (uniform * cumulative[:, -1])[:, None]
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)
