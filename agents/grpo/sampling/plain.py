"""Sampling through the ordinary interface of a model, for models that cannot use the static memory of ``static.py``.

These are models with state-space layers, with their own kind of cache, or with attention that does not take our masks.
``PlainDecoder`` lets the model create its cache, and passes it back at every step. ``FullPassDecoder`` uses no cache at
all: it works for every causal language model, and is the slowest way.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from dumpgym.agents.grpo.model_inputs import last_logits_only, left_padded
from dumpgym.agents.grpo.sampling.sheet import Ends, Sheet

_REGROUP_BELOW = 0.8  # ended rows are dropped once less than this share of the rows is unfinished
_CACHES = ("cache", "past_key_values", "cache_params")  # the names that models use for their cache


class PlainDecoder:
    """Decodes rows by a plain loop.

    Args:
        model: a causal language model that returns a cache whose rows can be selected.
        ends: what ends a completion.
        pads: whether prompts of different lengths are left-padded and decoded together. Otherwise each length is
            decoded separately, and the model receives only tokens and its cache, no masks and no positions.
    """

    def __init__(self, model: PreTrainedModel, ends: Ends, *, pads: bool) -> None:
        self._model, self._ends, self._pads = model, ends, pads

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        num_generations: int,
        uniform: NDArray[np.float32],
        limits: Sequence[int],
        temperature: float,
    ) -> Sheet:
        """Completes each prompt ``num_generations`` times; see ``Sheet.fill`` for the other arguments."""
        rows, length = uniform.shape
        sheet = Sheet(rows, length, self._ends, self._model.device)
        sheet.fill(uniform, limits, temperature)
        for length in [0] if self._pads else sorted(set(map(len, prompts))):
            chosen = [i for i, prompt in enumerate(prompts) if length in (0, len(prompt))]
            self._complete([prompts[i] for i in chosen], chosen, num_generations, sheet)
        return sheet

    def _complete(self, prompts: Sequence[Sequence[int]], places: Sequence[int], repeats: int, sheet: Sheet) -> None:
        device = self._model.device
        ids, mask = left_padded(prompts, device)
        position = (mask.cumsum(-1) - 1).clamp(min=0)
        options = {"attention_mask": mask, "position_ids": position} if self._pads else {}
        output = self._model(input_ids=ids, use_cache=True, **last_logits_only(self._model), **options)
        name = next((name for name in _CACHES if output.get(name) is not None), None)
        if name is None:
            raise ValueError(f"models of type {self._model.config.model_type} return no cache")
        cache: Any = output[name]
        selected = torch.arange(len(prompts), device=device).repeat_interleave(repeats)
        cache.reorder_cache(selected)
        logits, mask, position = output.logits[selected, -1], mask[selected], position[selected, -1:]
        rows = (torch.tensor(places, device=device)[:, None] * repeats + torch.arange(repeats, device=device)).flatten()
        unfinished = torch.ones_like(rows, dtype=torch.bool)
        for number in range(sheet.size[1]):
            step = torch.tensor([number], device=device)
            token, continues = sheet.take(logits, rows, step)
            unfinished &= continues
            stopped = sheet.stopped(rows, number, number + 1)
            if stopped is not None:
                unfinished &= ~stopped
            num_unfinished = int(unfinished.sum())
            if num_unfinished == 0:
                return
            if num_unfinished < _REGROUP_BELOW * len(rows):
                kept = unfinished.nonzero().squeeze(-1)
                cache.reorder_cache(kept)
                rows, mask, position, token, unfinished = (x[kept] for x in (rows, mask, position, token, unfinished))
            position = position + 1
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], -1)
            options = {"attention_mask": mask, "position_ids": position} if self._pads else {}
            output = self._model(input_ids=token[:, None], use_cache=True, **options, **{name: cache})
            cache, logits = output[name], output.logits[:, -1]


class FullPassDecoder:
    """Decodes rows by a forward pass over the whole text for each token.

    Completions of prompts of the same length are decoded together. Their texts have the same length at every step, so
    the model receives only tokens: no cache, no masks, no positions and no padding.

    Args:
        model: a causal language model.
        ends: what ends a completion.
    """

    def __init__(self, model: PreTrainedModel, ends: Ends) -> None:
        self._model, self._ends = model, ends

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        num_generations: int,
        uniform: NDArray[np.float32],
        limits: Sequence[int],
        temperature: float,
    ) -> Sheet:
        """Completes each prompt ``num_generations`` times; see ``Sheet.fill`` for the other arguments."""
        completions, longest = uniform.shape
        sheet = Sheet(completions, longest, self._ends, self._model.device)
        sheet.fill(uniform, limits, temperature)
        for length in sorted(set(map(len, prompts))):
            places = [i for i, prompt in enumerate(prompts) if len(prompt) == length]
            rows = [i * num_generations + k for i in places for k in range(num_generations)]
            texts = [prompts[row // num_generations] for row in rows]
            self._complete(torch.tensor(texts).to(self._model.device), torch.tensor(rows).to(self._model.device), sheet)
        return sheet

    def _complete(self, ids: Tensor, rows: Tensor, sheet: Sheet) -> None:
        # ids (rows, length) are texts that grow by a token at each step, and rows (rows,) their places on the sheet.
        for number in range(sheet.size[1]):
            logits = self._model(input_ids=ids, use_cache=False, **last_logits_only(self._model)).logits[:, -1]
            token, continues = sheet.take(logits, rows, torch.tensor([number], device=ids.device))
            stopped = sheet.stopped(rows, number, number + 1)
            if stopped is not None:
                continues &= ~stopped
            ids, rows = torch.cat([ids, token[:, None]], -1)[continues], rows[continues]
            if not len(rows):
                return
