"""Static memory in which the rows of a group share their prompt: attention reads a prompt once for all of them.

On a CPU decoding is bound by reading keys and values. Rows hold those of their own tokens only; a prompt's are
multiplied with the queries of its whole group at a time.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AttentionInterface, DynamicCache, PreTrainedModel

from dumpgym.agents.grpo.sampling.sheet import Ends
from dumpgym.agents.grpo.sampling.static import Layout, StaticDecoder

_ATTENTION = "dumpgym_shared_prompts"


class SharedPrompts:
    """Keys and values of prompts, and which rows belong to which of them.

    Attributes:
        layers: by layer, keys and values of the prompts, left-padded, each (prompts, heads, longest, head size).
        mask: is added to the scores, 0 or the lowest number, (prompts, 1, 1, longest).
        slots: the row of every place in the groups, (prompts * places,); places without one have row 0.
        places: the place of every row, (rows,).
        numbers: of the prompts that still have rows, among all.
        is_in_order: whether rows and places are the same.
    """

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.slots = self.places = self.numbers = torch.zeros(0, dtype=torch.long)
        self.mask = torch.zeros(0)
        self.is_in_order = False

    def add(self, cache: DynamicCache, mask: Tensor) -> None:
        """Adds prompts that were forwarded, with the mask of their true tokens, (prompts, tokens)."""
        layers: list[Any] = cache.layers
        new = [(layer.keys, layer.values) for layer in layers]
        lowest = torch.finfo(new[0][0].dtype).min
        closed = (1 - mask[:, None, None]).to(new[0][0].dtype) * lowest
        if not self.layers:
            self.layers, self.mask = new, closed
            return
        self.layers = [
            (_stacked(keys, more_keys, 2, 0), _stacked(values, more_values, 2, 0))
            for (keys, values), (more_keys, more_values) in zip(self.layers, new, strict=True)
        ]
        self.mask = _stacked(self.mask, closed, 3, lowest)

    def assign(self, prompts: NDArray[np.int64]) -> None:
        """Says which prompt each row belongs to, (rows,), by its number among all, and forgets those without rows."""
        if not len(self.numbers):
            self.numbers = torch.arange(len(self.mask))
        wanted, of_rows, counts = np.unique(prompts, return_inverse=True, return_counts=True)
        if len(wanted) < len(self.numbers):
            kept = torch.searchsorted(self.numbers, torch.from_numpy(wanted))
            self.layers = [(keys[kept], values[kept]) for keys, values in self.layers]
            self.mask, self.numbers = self.mask[kept], self.numbers[kept]
        order = np.argsort(of_rows, kind="stable")
        places = np.empty_like(order)
        within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        places[order] = of_rows[order] * counts.max() + within
        slots = np.zeros(len(wanted) * counts.max(), dtype=np.int64)
        slots[places] = np.arange(len(order))
        self.slots, self.places = torch.from_numpy(slots), torch.from_numpy(places)
        self.is_in_order = len(slots) == len(places) and bool((places == np.arange(len(places))).all())

    def to_groups(self, states: Tensor) -> Tensor:
        """(rows, heads, n, size) as (prompts, heads, places * n, size)."""
        _, heads, number, size = states.shape
        chosen = states if self.is_in_order else states.index_select(0, self.slots)
        grouped = chosen.view(len(self.mask), -1, heads, number, size)
        return grouped.transpose(1, 2).reshape(len(self.mask), heads, -1, size)

    def to_rows(self, states: Tensor, number: int) -> Tensor:
        """The other way round, with ``number`` for n."""
        prompts, heads, _, size = states.shape
        grouped = states.view(prompts, heads, -1, number, size).transpose(1, 2).reshape(-1, heads, number, size)
        return grouped if self.is_in_order else grouped.index_select(0, self.places)


def _stacked(one: Tensor, other: Tensor, dimension: int, filling: float) -> Tensor:
    """Two tensors along the first dimension, the shorter one padded on the left along another."""
    longest = max(one.shape[dimension], other.shape[dimension])
    trailing = [0, 0] * (one.ndim - 1 - dimension)
    parts = [
        torch.nn.functional.pad(part, [*trailing, longest - part.shape[dimension], 0], value=filling)
        for part in (one, other)
    ]
    return torch.cat(parts)


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float,
    shared_prompts: SharedPrompts,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of one token a row, over its prompt and over its own tokens.

    Args:
        module: the layer's attention.
        query: (rows, heads, 1, size).
        key: of the rows' own tokens, (rows, key heads, columns, size).
        value: likewise.
        attention_mask: is added to their scores, (1, 1, 1, columns).
        scaling: factor of the scores.
        shared_prompts: of all layers.
        kwargs: what else a model tells its attention, which one that is plain does not need.

    Returns:
        (rows, 1, heads, size), as models take it.
    """
    rows, heads, _, size = query.shape
    prompt_keys, prompt_values = shared_prompts.layers[module.layer_idx]
    queries = (query * scaling).view(rows, key.shape[1], -1, size)  # the heads that share a key
    number = queries.shape[2]
    of_prompts = shared_prompts.to_groups(queries) @ prompt_keys.transpose(-1, -2) + shared_prompts.mask
    scores = torch.cat(
        [shared_prompts.to_rows(of_prompts, number), queries @ key.transpose(-1, -2) + attention_mask], -1
    )
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
    on_prompts, on_own = weights.split([prompt_keys.shape[2], key.shape[2]], -1)
    output = shared_prompts.to_rows(shared_prompts.to_groups(on_prompts) @ prompt_values, number) + on_own @ value
    return output.reshape(rows, 1, heads, size), None


AttentionInterface.register(_ATTENTION, _attend)


class SharedPromptDecoder(StaticDecoder):
    """Decodes rows in lockstep; see ``StaticDecoder``.

    Args:
        model: a causal language model whose attention is plain: "sdpa", over everything, in every layer.
        ends: what ends a completion.
        layout: of the batches.

    Raises:
        ValueError: if the model's attention is of another kind.
    """

    def __init__(self, model: PreTrainedModel, ends: Ends, layout: Layout) -> None:
        config: Any = model.config.get_text_config()
        plain = set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
        if not plain or getattr(config, "sliding_window", None) or model.config._attn_implementation != "sdpa":
            raise ValueError(f"attention of models of type {config.model_type} is not plain")
        super().__init__(model, ends, layout)
        self._prompts = SharedPrompts()

    def _own_width(self, prompts: Sequence[Sequence[int]]) -> int:
        return 0

    def _write_prompts(self, cache: DynamicCache, mask: Tensor, number: int, repeats: int, width: int) -> None:
        if number == 0:
            self._prompts = SharedPrompts()
        self._prompts.add(cache, mask)
        self._repeats = repeats

    def _rows_of_mask(self, rows: int) -> int:
        return 1  # rows hold their own tokens alone, in the same columns

    def _begin(self, rows: int) -> None:
        self._prompts.assign(self._numbers(rows))

    def _numbers(self, rows: int) -> NDArray[np.int64]:
        """The prompts that rows belong to, by their places on the sheet."""
        numbers: NDArray[np.int64] = self._row[:rows].numpy() // self._repeats
        return numbers

    def _regroup(self, unfinished: NDArray[np.bool_]) -> int:
        filled = self._valid[0].clone()  # the row that serves all, whatever is moved into it
        rows = super()._regroup(unfinished)
        if rows < len(unfinished):
            self._valid[0] = filled
            self._prompts.assign(self._numbers(rows))
        return rows

    @contextmanager
    def _attention(self) -> Iterator[dict[str, Any]]:
        config: Any = self._model.config
        before, config._attn_implementation = config._attn_implementation, _ATTENTION
        try:
            yield {"shared_prompts": self._prompts}
        finally:
            config._attn_implementation = before
