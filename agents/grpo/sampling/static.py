"""Sampling on static memory: the keys, values and states of all rows are in fixed buffers that each step writes into.

Each prompt is forwarded once for its group. Its keys and values are then copied into the rows of its completions, in
buffers of shape (rows, heads, columns, head size), and each step writes one column of all rows. A step depends only on
these buffers and on no value that Python reads from a tensor, so on CUDA it is captured as a graph, one for each of a
few numbers of rows and columns. When enough rows have ended, unfinished rows from the end of the batch move into their
places, and the batch becomes smaller.
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
_PREFILL_LENGTH = 2048  # tokens of each prompt forwarded together; longer prompts take several passes


@dataclass(frozen=True, slots=True)
class Layout:
    """Shapes of the batches that suit a device.

    Attributes:
        row_buckets: the numbers of rows that a step may have; empty for any number.
        column_step: the number of columns is a multiple of this.
        check_every: steps between two checks of which rows are unfinished.
        ended_share: rows are regrouped once more than this share of them has ended.
        grows: whether the buffers hold only the columns in use and are moved when they need more. A CPU reads
            contiguous memory faster than rows with gaps for later columns. On CUDA, moving them would invalidate the
            graphs.
    """

    row_buckets: tuple[int, ...]
    column_step: int
    check_every: int
    ended_share: float
    grows: bool

    def rows(self, needed: int) -> int:
        """The number of rows of a step in which at least ``needed`` are used."""
        place = bisect.bisect_left(self.row_buckets, needed)
        return self.row_buckets[place] if place < len(self.row_buckets) else needed

    def columns(self, needed: int) -> int:
        """The number of columns of a step in which at least ``needed`` are used.

        It is at most a quarter larger than needed, or less than ``column_step`` larger. So a long completion has few
        different numbers of columns, hence few graphs, and reads little more than it must.
        """
        step = max(self.column_step, 1 << max(0, needed.bit_length() - 3))
        return -(-needed // step) * step


# Any shape will do and reading a value costs nothing, so ended rows are dropped soon.
ON_CPU = Layout(row_buckets=(), column_step=32, check_every=1, ended_share=1 / 16, grows=True)
# Few shapes, since each is a graph. Which rows are unfinished is read every 8 steps only, since reading makes the host
# wait for the device; the tokens that ended rows draw until then are cut off by ``Sheet.completions``.
ON_CUDA = Layout(
    row_buckets=(8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024),
    column_step=64,
    check_every=8,
    ended_share=0.0,
    grows=False,
)


class StaticDecoder:
    """Decodes rows in lockstep, one token of every row per step.

    Args:
        model: a causal language model that accepts masks of four dimensions.
        ends: what ends a completion.
        layout: shapes of the batches.
        capture: how steps are captured; None runs them without graphs.

    Raises:
        ValueError: if ``AttentionMasks`` does not support the model's attention.
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
        # Both are on the device, so that a replayed graph advances them; the host counts along in ``__call__``. The
        # column is where the next forward pass writes its keys and values; the step is the number of the next token.
        self._column, self._step = self._counters
        self._allocate(0, 0, 0, 0)

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        num_generations: int,
        uniform: NDArray[np.float32],
        limits: Sequence[int],
        temperature: float,
    ) -> Sheet:
        """Completes each prompt ``num_generations`` times; see ``Sheet.fill`` for the other arguments."""
        # uniform is (completions, steps), and completion k of prompt i is row i * num_generations + k. Prompts end
        # before column ``width`` in every row, so token t of a completion is written to column width + t of every row.
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
        """Number of columns that prompts occupy in the rows' memory."""
        return max(map(len, prompts))

    def _begin(self, rows: int) -> None:
        """Is called after the prompts are written and before the first step."""

    def _require(self, rows: int, columns: int, completions: int, longest: int) -> None:
        """Allocates buffers. Those that do not grow are kept if they are large enough, and with them the graphs.

        Args:
            rows: rows of the batch.
            columns: columns of the longest prompt and the longest completion.
            completions: completions on the sheet.
            longest: most tokens of a completion.
        """
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
        # The place of each row on the sheet. Rows are moved, but what they draw and record is addressed by this place,
        # so moving them changes no completion.
        self._row = torch.zeros(rows, dtype=torch.long, device=device)
        self._unfinished = torch.zeros(rows, dtype=torch.bool, device=device)
        self._valid = torch.zeros(rows, columns, dtype=torch.bool, device=device)  # columns that hold a token
        self._graphs = None if self._capture is None else Graphs(self._capture, self._model.config.model_type)

    def _prefill(self, prompts: Sequence[Sequence[int]], repeats: int, width: int, rows: int) -> None:
        """Forwards the prompts, writes them into the rows, and draws the first token of every completion."""
        self._valid.zero_()
        self._unfinished.zero_()
        # Rows that fill up a bucket belong to no completion; they draw into the sheet's extra row.
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
            # (rows of the chunk, vocabulary): all completions of a prompt draw from the same logits.
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
        """Writes prompts where their rows read them.

        Args:
            cache: keys and values of the prompts, in each layer (prompts, heads, longest, head size).
            mask: 1 at tokens and 0 at the padding on the left, (prompts, longest).
            number: index of the first of these prompts in the batch.
            repeats: rows per prompt.
            width: column after the last column of a prompt.
        """
        rows = slice(number * repeats, (number + len(mask)) * repeats)
        self._valid[rows, width - mask.shape[1] : width] = mask.repeat_interleave(repeats, 0).bool()
        sources: list[Any] = cache.layers
        for layer, source in zip(self._layers, sources, strict=True):
            if source.is_initialized:
                layer.write_prompts(number, repeats, width, source.keys, source.values)

    def _filled(self) -> Iterator[ColumnLayer]:
        """The layers that have keys and values; some models have layers without any of their own."""
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
        """Forwards the last token of the first ``rows`` rows, with the first ``columns`` columns, and draws the next.

        This is the function that is captured: it reads and writes buffers at fixed addresses, and ``rows`` and
        ``columns``, which decide its shapes, are in the key of the graph.
        """
        valid = self._valid[: self._rows_of_mask(rows), :columns]
        valid.index_fill_(1, self._column, True)
        logits = self._forward(rows, self._masks(valid, self._column))
        token, unfinished = self._sheet.take(logits, self._row[:rows], self._step)
        self._token[:rows] = token[:, None]
        self._unfinished[:rows] &= unfinished
        self._position[:rows] += 1
        self._counters += 1

    def _forward(self, rows: int, mask: Tensor | dict[str, Tensor]) -> Tensor:
        """The logits of the next token of the first ``rows`` rows, (rows, vocabulary)."""
        with self._attention() as options:
            logits: Tensor = self._model(
                input_ids=self._token[:rows],
                attention_mask=mask,
                position_ids=self._position[:rows],
                **self._cached,
                **options,
            ).logits
        return logits[:, -1]

    def _rows_of_mask(self, rows: int) -> int:
        """Number of rows of the mask; 1 if one mask serves all rows."""
        return rows

    @contextmanager
    def _attention(self) -> Iterator[dict[str, Any]]:
        """A context for the forward pass that yields further arguments for it."""
        yield {}

    def _find_unfinished(self, rows: int, first: int, last: int) -> NDArray[np.bool_]:
        """Whether each row is unfinished, (rows,); checks for stop strings in the steps from first to last - 1."""
        stopped = self._sheet.stopped(self._row[:rows], first, last)
        if stopped is not None:
            self._unfinished[:rows] &= ~stopped
        return np.asarray(self._unfinished[:rows].cpu().numpy())

    def _regroup(self, unfinished: NDArray[np.bool_]) -> int:
        """Moves unfinished rows to the front if the batch can then be smaller, and returns its number of rows.

        Only rows beyond the new size move, into the places of ended rows; sorting all rows would copy all their keys
        and values.
        """
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

    Args:
        model: a causal language model.
        prompts: token ids of each prompt.

    Returns:
        Keys and values of the prompts, left-padded; the mask, 1 at tokens and 0 at padding, (prompts, longest); and the
        logits of the first token of a completion, (prompts, vocabulary).
    """
    ids, mask = left_padded(prompts, model.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    # Without the model's configuration, so that layers with a sliding window keep all columns, as the static memory
    # does; ``AttentionMasks`` hides those outside the window.
    cache = DynamicCache()
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
