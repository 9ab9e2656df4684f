"""Attention of many rows to few prompts: the keys and values of a prompt are read once for all rows of its group.

A function of transformers' own registry of attention functions, so that it runs within the forward pass of any model
that uses the registry. Scores of the prompt and of the row's own tokens are computed apart and normalised together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel

from dumpgym.agents.decoding_cache import ColumnLayer, Memory

_NAME = "dumpgym_shared_prompts"


class SharedPrompts:
    """Which rows read which prompt.

    Queries are laid out by prompt, (prompts, most rows of a prompt), and back again; a place without a row repeats some
    row's query, and its result goes nowhere.

    Args:
        prompts: how many there are.
        device: of the model.
    """

    def __init__(self, prompts: int, device: torch.device) -> None:
        self._held = torch.arange(prompts, device=device)
        self._row_at = self._place_of = self._held
        self.prompts, self._most = prompts, 0

    def assign(self, prompt_of_row: Tensor) -> Tensor:
        """Takes note of the rows' prompts, (rows,), which are all those that are needed from now on.

        Returns:
            The places of these prompts among those that were needed until now.
        """
        held, number = torch.unique(prompt_of_row, return_inverse=True)
        places = torch.searchsorted(self._held, held)
        self._held, self.prompts = held, len(held)
        counts = torch.bincount(number, minlength=self.prompts)
        self._most = int(counts.max())
        by_prompt = number.argsort(stable=True)
        starts = counts.cumsum(0) - counts
        rank = torch.empty_like(number)
        rank[by_prompt] = torch.arange(len(number), device=number.device) - starts[number[by_prompt]]
        self._place_of = number * self._most + rank
        self._row_at = torch.zeros(self.prompts * self._most, dtype=torch.long, device=number.device)
        self._row_at[self._place_of] = torch.arange(len(number), device=number.device)
        return places

    def by_prompt(self, states: Tensor) -> Tensor:
        """(rows, heads, queries, size) to (prompts, heads, most rows of a prompt * queries, size)."""
        _, heads, queries, size = states.shape
        states = states.index_select(0, self._row_at).view(self.prompts, self._most, heads, queries, size)
        return states.transpose(1, 2).reshape(self.prompts, heads, self._most * queries, size)

    def by_row(self, states: Tensor) -> Tensor:
        """The way back from ``by_prompt``."""
        _, heads, _, size = states.shape
        states = states.view(self.prompts, heads, self._most, -1, size).transpose(1, 2)
        return states.reshape(self.prompts * self._most, heads, -1, size).index_select(0, self._place_of)


class SharedPromptLayer(ColumnLayer):
    """A cache layer whose columns are a row's own tokens alone, and which holds each prompt once.

    Args:
        sharing: which rows read which prompt; of all layers.
        place: as for ``ColumnLayer``.
        first: likewise, the number of columns that prompts take.
        room: likewise.
        memory: likewise.
    """

    def __init__(
        self, sharing: SharedPrompts, place: Tensor, first: int, room: tuple[int, int], memory: Memory
    ) -> None:
        super().__init__(place, first, room, memory)
        self.sharing = sharing

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Makes memory for the prompts."""
        super().lazy_initialization(key_states, value_states)
        self.prompt_keys, self.prompt_values = (
            states.new_zeros(self.sharing.prompts, states.shape[1], self.first, states.shape[3])
            for states in (key_states, value_states)
        )

    def write_prompts(self, number: int, repeats: int, width: int, key_states: Tensor, value_states: Tensor) -> None:
        """Writes prompts; see ``ColumnLayer.write_prompts``."""
        for states, new in ((self.prompt_keys, key_states), (self.prompt_values, value_states)):
            states[number : number + len(new), :, width - new.shape[2] : width] = new

    def keep_prompts(self, numbers: Tensor) -> None:
        """Forgets all prompts but these."""
        self.prompt_keys, self.prompt_values = (
            states.index_select(0, numbers) for states in (self.prompt_keys, self.prompt_values)
        )

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Writes one token of the first rows; the keys say which layer's prompts are to be attended to as well."""
        keys, values = super().update(key_states, value_states)
        keys.layer = self  # type: ignore[attr-defined]
        return keys, values


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attends from one token a row, (rows, heads, 1, size), to its prompt and to its own tokens.

    Args:
        module: is not used.
        query: of the tokens.
        key: own keys, (rows, key heads, columns, size), marked by the layer that they come from.
        value: own values.
        attention_mask: what is added to the scores, (rows, 1, 1, columns of the prompt and own).
        scaling: of the scores; one over the root of the size by default.
        softcap: bounds the scores.
        kwargs: what else models hand to their attention.

    Returns:
        (rows, 1, heads, size), and no weights.

    Raises:
        AttributeError: if the keys are not those that a ``SharedPromptLayer`` returned.
    """
    layer: SharedPromptLayer = key.layer  # type: ignore[attr-defined]
    sharing, width = layer.sharing, layer.prompt_keys.shape[2]
    rows, heads, _, size = query.shape
    # Heads that have their keys in common are further queries of one key head.
    query = query.reshape(rows, key.shape[1], -1, size) * (size**-0.5 if scaling is None else scaling)
    scores = torch.cat(
        [
            sharing.by_row(sharing.by_prompt(query) @ layer.prompt_keys.transpose(2, 3)),
            query @ key.transpose(2, 3),
        ],
        -1,
    )
    if softcap is not None:
        scores = (scores / softcap).tanh() * softcap
    weights = (scores + attention_mask).softmax(-1, dtype=torch.float32).to(value.dtype)
    attended = weights[..., width:] @ value
    attended = attended + sharing.by_row(sharing.by_prompt(weights[..., :width]) @ layer.prompt_values)
    return attended.reshape(rows, 1, heads, -1), None


AttentionInterface.register(_NAME, _attention)


@contextmanager
def shared_prompt_attention(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, the model's attention is that of this module."""
    before = model.config._attn_implementation
    model.config._attn_implementation = _NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before
