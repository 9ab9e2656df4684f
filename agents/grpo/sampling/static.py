"""Sampling on memory that stays where it is: one step function for a number of rows and of columns.

Each prompt is forwarded once for its group. From then on a step reads and writes these buffers only, and no value of
the host, so that on CUDA it is captured as a graph, one for each of a few numbers of rows and of columns. Rows that
have ended give their place to rows from the end of the batch, and the batch is cut.
"""

import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from dumpgym.agents.grpo.model_inputs import cache_argument, left_padded
from dumpgym.agents.grpo.sampling.graphs import Capture, Graphs
from dumpgym.agents.grpo.sampling.masks import AttentionMasks
from dumpgym.agents.grpo.sampling.memory import ColumnLayer, Memory
from dumpgym.agents.grpo.sampling.sheet import Ends, Sheet

_PREFILL_TOKENS = 8192  # prompt tokens forwarded together, padding included
_PREFILL_LENGTH = 2048  # of each prompt


@dataclass(frozen=True, slots=True)
class Layout:
    """Which batches a device likes.

    Attributes:
        row_buckets: numbers of rows that a step comes in; empty for any number.
        column_step: the number of columns is a multiple of it.
        check_every: steps between two looks at which rows go on.
        ended_share: rows are regrouped once more than this share of them has ended.
        grows: there is memory just for the columns that are checked at, and it is moved to make room. A CPU reads what
            lies in one piece faster than it reads around what is not needed yet.
    """

    row_buckets: tuple[int, ...]
    column_step: int
    check_every: int
    ended_share: float
    grows: bool

    def rows(self, needed: int) -> int:
        """The number of rows of a step for at least so many."""
        place = bisect.bisect_left(self.row_buckets, needed)
        return self.row_buckets[place] if place < len(self.row_buckets) else needed

    def columns(self, needed: int) -> int:
        """The number of columns of a step for at least so many: a quarter more at most, or ``column_step``."""
        step = max(self.column_step, 1 << max(0, needed.bit_length() - 3))
        return -(-needed // step) * step


ON_CPU = Layout(row_buckets=(), column_step=32, check_every=1, ended_share=1 / 16, grows=True)
ON_CUDA = Layout(
    row_buckets=(8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024),
    column_step=64,
    check_every=8,
    ended_share=0.0,
    grows=False,
)


class StaticDecoder:
    """Decodes rows in lockstep.

    Args:
        model: a causal language model that takes masks of four dimensions.
        ends: what ends a completion.
        layout: of the batches.
        capture: how steps are captured; None runs them as they are.

    Raises:
        ValueError: if the model's attention is of a kind for which there are no masks.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        ends: Ends,
        layout: Layout,
        *,
        capture: Capture | None = None,
    ) -> None:
        self._model, self._ends, self._layout, self._capture = model, ends, layout, capture
        self._masks = AttentionMasks(model)
        self._counters = torch.zeros(2, 1, dtype=torch.long, device=model.device)
        self._column, self._step = self._counters  # of the next token: where it is written, and its number
        self._allocate(0, 0, 0, 0)

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        num_generations: int,
        uniform: NDArray[np.float32],
        limits: Sequence[int],
        temperature: float,
    ) -> Sheet:
        """Completes each prompt ``num_generations`` times; see ``Sheet.fill`` for the rest."""
        layout, (num_rows, longest) = self._layout, uniform.shape
        width, rows = self._own_width(prompts), layout.rows(num_rows)
        self._require(rows, layout.columns(width + longest), num_rows, longest)
        self._sheet.fill(uniform, limits, temperature)
        self._prefill(prompts, num_generations, width, rows)
        self._begin(rows)
        checked, step, columns = 0, 1, layout.columns(width + 1)
        self._look_at(rows, columns)
        while True:
            if step % layout.check_every == 0 or step == longest:
                unfinished = self._find_unfinished(rows, checked, step)
                checked = step
                if step == longest or not unfinished.any():
                    return self._sheet
                rows = self._regroup(unfinished)
            if columns < width + step:
                columns = layout.columns(width + step)
                self._look_at(rows, columns)
            self._advance(rows, columns)
            step += 1

    def _own_width(self, prompts: Sequence[Sequence[int]]) -> int:
        """Columns of the rows' memory that prompts take."""
        return max(map(len, prompts))

    def _begin(self, rows: int) -> None:
        """Called when the prompts are written, before the first step."""

    def _require(self, rows: int, columns: int, completions: int, longest: int) -> None:
        """Makes room where there is not enough. Memory of fixed addresses is kept, and with it the graphs."""
        if not self._layout.grows:
            rows, columns = max(rows, self._valid.shape[0]), max(columns, self._valid.shape[1])
            completions, longest = max(completions, self._sheet.size[0]), max(longest, self._sheet.size[1])
            if (rows, columns, completions, longest) == (*self._valid.shape, *self._sheet.size):
                return
        self._allocate(rows, columns, completions, longest)

    def _allocate(self, rows: int, columns: int, completions: int, longest: int) -> None:
        device = self._model.device
        self._layers: list[ColumnLayer] = []
        self._memory = Memory()
        self._sheet = Sheet(completions, longest, self._ends, device)
        self._token = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self._position = torch.zeros_like(self._token)
        self._row = torch.zeros(rows, dtype=torch.long, device=device)  # the place on the sheet
        self._unfinished = torch.zeros(rows, dtype=torch.bool, device=device)
        self._valid = torch.zeros(rows, columns, dtype=torch.bool, device=device)  # columns that hold a token
        self._graphs = None if self._capture is None else Graphs(self._capture, self._model.config.model_type)

    def _prefill(self, prompts: Sequence[Sequence[int]], repeats: int, width: int, rows: int) -> None:
        self._valid.zero_()
        self._unfinished.zero_()
        self._row.fill_(self._sheet.size[0])
        self._step.zero_()
        chunk = max(1, _PREFILL_TOKENS // min(max(map(len, prompts)), _PREFILL_LENGTH))
        for number in range(0, len(prompts), chunk):
            cache, mask, logits = prefill(self._model, prompts[number : number + chunk])
            if not self._layers:
                self._layers = [self._new_layer() for _ in cache.layers]
                self._cached = cache_argument(self._model, Cache(layers=[*self._layers]))
            self._reserve(cache, width, rows)
            self._write_prompts(cache, mask, number, repeats, width)
            mask, logits = mask.repeat_interleave(repeats, 0), logits.repeat_interleave(repeats, 0)
            part = slice(number * repeats, number * repeats + len(mask))
            self._position[part, 0] = mask.sum(-1)
            self._row[part] = torch.arange(part.start, part.stop, device=mask.device)
            self._token[part, 0], self._unfinished[part] = self._sheet.take(logits, self._row[part], self._step)
        self._step.fill_(1)
        self._column.fill_(width)

    def _new_layer(self) -> ColumnLayer:
        return ColumnLayer(self._column, (self._valid.shape[0], self._valid.shape[1]), self._memory)

    def _reserve(self, cache: DynamicCache, width: int, rows: int) -> None:
        sources: list[Any] = cache.layers
        columns = self._layout.columns(width + 1)
        rows, columns = (rows, columns) if self._layout.grows else self._valid.shape
        for layer, source in zip(self._layers, sources, strict=True):
            if source.is_initialized and not layer.is_initialized:
                layer.lazy_initialization(source.keys, source.values)
                layer.reserve(rows, columns)

    def _write_prompts(self, cache: DynamicCache, mask: Tensor, number: int, repeats: int, width: int) -> None:
        """Writes prompts, of which the first has a number, where each of their ``repeats`` rows will look for them."""
        rows = slice(number * repeats, (number + len(mask)) * repeats)
        self._valid[rows, width - mask.shape[1] : width] = mask.repeat_interleave(repeats, 0).bool()
        sources: list[Any] = cache.layers
        for layer, source in zip(self._layers, sources, strict=True):
            if source.is_initialized:
                layer.write_prompts(number, repeats, width, source.keys, source.values)

    def _filled(self) -> Iterator[ColumnLayer]:
        """Some models have layers without keys and values of their own."""
        return (layer for layer in self._layers if layer.is_initialized)

    def _look_at(self, rows: int, columns: int) -> None:
        for layer in self._filled():
            if self._layout.grows:
                layer.reserve(rows, columns)
            layer.look_at(columns)

    def _advance(self, rows: int, columns: int) -> None:
        if self._graphs is None:
            self._decode(rows, columns)
        else:
            self._graphs.run((rows, columns, self._sheet.is_greedy), lambda: self._decode(rows, columns))

    def _decode(self, rows: int, columns: int) -> None:
        """Forwards the last token of the first rows, which look at the first columns, and draws the next one."""
        valid = self._valid[: self._rows_of_mask(rows), :columns]
        valid.index_fill_(1, self._column, True)
        with self._attention() as options:
            logits = self._model(
                input_ids=self._token[:rows],
                attention_mask=self._masks(valid, self._column),
                position_ids=self._position[:rows],
                **self._cached,
                **options,
            ).logits[:, -1]
        token, unfinished = self._sheet.take(logits, self._row[:rows], self._step)
        self._token[:rows] = token[:, None]
        self._unfinished[:rows] &= unfinished
        self._position[:rows] += 1
        self._counters += 1

    def _rows_of_mask(self, rows: int) -> int:
        """How many rows a mask has: 1 where one serves all."""
        return rows

    @contextmanager
    def _attention(self) -> Iterator[dict[str, Any]]:
        """Surrounds a forward pass, and gives it further arguments."""
        yield {}

    def _find_unfinished(self, rows: int, first: int, last: int) -> NDArray[np.bool_]:
        stopped = self._sheet.stopped(self._row[:rows], first, last)
        if stopped is not None:
            self._unfinished[:rows] &= ~stopped
        return np.asarray(self._unfinished[:rows].cpu().numpy())

    def _regroup(self, unfinished: NDArray[np.bool_]) -> int:
        """Moves rows that go on to the front, if that makes the batch smaller, and returns its size."""
        rows, kept = len(unfinished), int(unfinished.sum())
        target = self._layout.rows(kept)
        if target >= rows or rows - kept <= self._layout.ended_share * rows:
            return rows
        movers = np.flatnonzero(unfinished[target:]) + target
        places = np.flatnonzero(~unfinished[:target])[: len(movers)]
        sources, targets = (torch.from_numpy(x).to(self._row.device) for x in (movers, places))
        for states in (self._token, self._position, self._row, self._unfinished, self._valid):
            states.index_copy_(0, targets, states.index_select(0, sources))
        for layer in self._filled():
            layer.move(sources, targets)
        return target


def prefill(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> tuple[DynamicCache, Tensor, Tensor]:
    """Forwards prompts, long ones in parts.

    Returns:
        Their keys and values, left-padded, the mask of the true tokens, (prompts, longest), and the logits of what
        follows, (prompts, vocabulary).
    """
    ids, mask = left_padded(prompts, model.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache()  # without the configuration, so that sliding windows forget nothing: masks hide it
    cached = cache_argument(model, cache)
    for first in range(0, ids.shape[1], _PREFILL_LENGTH):
        part = slice(first, first + _PREFILL_LENGTH)
        logits = model(
            input_ids=ids[:, part],
            attention_mask=mask[:, : part.stop],
            position_ids=positions[:, part],
            logits_to_keep=1,
            **cached,
        ).logits
    return cache, mask, logits[:, -1]
