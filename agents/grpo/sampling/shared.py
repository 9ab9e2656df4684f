"""Static memory in which the rows of a group share their prompt, for decoding on a CPU.

On a CPU, decoding is bound by reading keys and values. With 8 completions per prompt, ordinary attention reads the keys
and values of the prompt 8 times per step, once in each row. Here they are stored once per prompt, and one matrix
product with the queries of the whole group reads them once. Each row stores only the keys and values of the tokens that
it has drawn itself.
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
    """Keys and values of prompts, and the assignment of rows to them.

    Groups lose rows as completions end, at different times. To multiply the queries of all groups in one batched
    product, each prompt has the same number of places, as many as the largest group that is left has rows, and the
    places of smaller groups are filled up with a row whose result is not used.

    Attributes:
        layers: keys and values of the prompts in each layer, left-padded, each (prompts, heads, longest, head size).
        mask: the mask that is added to the scores, 0 or the lowest number, (prompts, 1, 1, longest).
        slots: the row in each place, (prompts * places,); row 0 in places that are filled up.
        places: the place of each row, (rows,).
        numbers: indices of the prompts that still have rows, among all prompts.
        is_in_order: whether row i is in place i for every i, so that nothing has to be selected.
    """

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.slots = self.places = self.numbers = torch.zeros(0, dtype=torch.long)
        self.mask = torch.zeros(0)
        self.is_in_order = False

    def add(self, cache: DynamicCache, mask: Tensor) -> None:
        """Adds prompts.

        Args:
            cache: keys and values of the prompts.
            mask: 1 at tokens and 0 at the padding on the left, (prompts, tokens).
        """
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
        """Assigns rows to prompts, and drops the prompts that no longer have rows.

        Args:
            prompts: index of the prompt of each row among all prompts, (rows,).
        """
        if not len(self.numbers):
            self.numbers = torch.arange(len(self.mask))
        wanted, of_rows, counts = np.unique(prompts, return_inverse=True, return_counts=True)
        if len(wanted) < len(self.numbers):
            kept = torch.searchsorted(self.numbers, torch.from_numpy(wanted))
            self.layers = [(keys[kept], values[kept]) for keys, values in self.layers]
            self.mask, self.numbers = self.mask[kept], self.numbers[kept]
        # Number the rows of each group 0, 1, ... in their order; the place is prompt * places per prompt + that number.
        order = np.argsort(of_rows, kind="stable")
        places = np.empty_like(order)
        within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        places[order] = of_rows[order] * counts.max() + within
        slots = np.zeros(len(wanted) * counts.max(), dtype=np.int64)
        slots[places] = np.arange(len(order))
        self.slots, self.places = torch.from_numpy(slots), torch.from_numpy(places)
        self.is_in_order = len(slots) == len(places) and bool((places == np.arange(len(places))).all())

    def to_groups(self, states: Tensor) -> Tensor:
        """Rearranges (rows, heads, n, size) to (prompts, heads, places * n, size)."""
        _, heads, number, size = states.shape
        chosen = states if self.is_in_order else states.index_select(0, self.slots)
        grouped = chosen.view(len(self.mask), -1, heads, number, size)
        return grouped.transpose(1, 2).reshape(len(self.mask), heads, -1, size)

    def to_rows(self, states: Tensor, number: int) -> Tensor:
        """Rearranges (prompts, heads, places * number, size) to (rows, heads, number, size)."""
        prompts, heads, _, size = states.shape
        grouped = states.view(prompts, heads, -1, number, size).transpose(1, 2).reshape(-1, heads, number, size)
        return grouped if self.is_in_order else grouped.index_select(0, self.places)


def _stacked(one: Tensor, other: Tensor, dimension: int, filling: float) -> Tensor:
    """Concatenates two tensors along the first dimension, after padding the shorter one on the left along another."""
    longest = max(one.shape[dimension], other.shape[dimension])
    trailing = [0, 0] * (one.ndim - 1 - dimension)
    parts = [
        torch.nn.functional.pad(part, [*trailing, longest - part.shape[dimension], 0], value=filling)
        for part in (one, other)
    ]
    return torch.cat(parts)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float,
    shared_prompts: SharedPrompts,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of one token per row, over the row's prompt and over its own tokens.

    Args:
        module: the layer's attention module.
        query: queries, (rows, heads, 1, size).
        key: keys of the rows' own tokens, (rows, key heads, columns, size).
        value: values of the rows' own tokens, (rows, key heads, columns, size).
        attention_mask: the mask that is added to the scores of the rows' own tokens, (1, 1, 1, columns).
        scaling: factor of the scores.
        shared_prompts: keys and values of the prompts in all layers.
        kwargs: further arguments that models pass to their attention; plain attention needs none of them.

    Returns:
        The output, (rows, 1, heads, size), and no attention weights.
    """
    rows, heads, _, size = query.shape
    prompt_keys, prompt_values = shared_prompts.layers[module.layer_idx]
    # Grouped-query attention: n = heads / key heads queries share a key, (rows, key heads, n, size).
    queries = (query * scaling).view(rows, key.shape[1], -1, size)
    number = queries.shape[2]
    # Scores over the prompt, (prompts, key heads, places * n, longest), back in rows, next to those over the row's own
    # tokens: (rows, key heads, n, longest + columns). One softmax covers both, as if they were one sequence.
    of_prompts = shared_prompts.to_groups(queries) @ prompt_keys.transpose(-1, -2) + shared_prompts.mask
    scores = torch.cat(
        [shared_prompts.to_rows(of_prompts, number), queries @ key.transpose(-1, -2) + attention_mask], -1
    )
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
    on_prompts, on_own = weights.split([prompt_keys.shape[2], key.shape[2]], -1)
    output = shared_prompts.to_rows(shared_prompts.to_groups(on_prompts) @ prompt_values, number) + on_own @ value
    return output.reshape(rows, 1, heads, size), None


AttentionInterface.register(_ATTENTION, attend)


class SharedPromptDecoder(StaticDecoder):
    """A ``StaticDecoder`` whose rows share their prompts.

    Args:
        model: a causal language model with plain attention: "sdpa", without a window, in every layer.
        ends: what ends a completion.
        layout: shapes of the batches.

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
        return 1  # rows hold only their own tokens, which are in the same columns in every row

    def _begin(self, rows: int) -> None:
        self._prompts.assign(self._numbers(rows))

    def _numbers(self, rows: int) -> NDArray[np.int64]:
        """Index of the prompt of each row, (rows,), from the row's place on the sheet."""
        numbers: NDArray[np.int64] = self._row[:rows].numpy() // self._repeats
        return numbers

    def _regroup(self, unfinished: NDArray[np.bool_]) -> int:
        filled = self._valid[0].clone()  # the mask of all rows, which moving rows would overwrite
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
