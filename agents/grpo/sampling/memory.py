"""Memory for the keys and values of the texts that a decoder is writing, as cache layers of a model."""

from typing import Any

from torch import Tensor
from transformers.cache_utils import CacheLayerMixin


class Memory:
    """Pieces of memory for tensors that change their shape and must stay contiguous.

    A tensor is moved from its piece into a spare piece of the same size, and its old piece becomes the spare. A piece
    is as large as its tensor may ever become. On the CPU this costs nothing, since memory that is never touched is
    never allocated.
    """

    def __init__(self) -> None:
        self._spare: dict[int, Tensor] = {}

    def grown(self, states: Tensor, rows: int, columns: int, size: int) -> Tensor:
        """Returns the tensor with other numbers of rows and columns; either may grow or shrink.

        Args:
            states: the tensor, (old rows, heads, old columns, head size), either empty or returned by this method.
            rows: new number of rows.
            columns: new number of columns.
            size: size of a piece in elements, the same for every call with this tensor.

        Returns:
            (rows, heads, columns, head size), contiguous, with zeros where the old tensor had nothing.
        """
        _, heads, _, width = states.shape
        piece = self._spare.pop(size, None)
        if piece is None:
            piece = states.new_empty(size)
        wanted = piece[: rows * heads * columns * width].view(rows, heads, columns, width)
        shared_rows, shared_columns = min(rows, states.shape[0]), min(columns, states.shape[2])
        wanted[:shared_rows, :, :shared_columns] = states[:shared_rows, :, :shared_columns]
        # Masked columns have attention weight 0, but 0 times NaN is NaN: memory that is not written yet must be finite.
        wanted[:, :, shared_columns:] = 0
        wanted[shared_rows:] = 0
        if states.numel():
            self._spare[size] = states.as_strided((size,), (1,), 0)
        return wanted


class ColumnLayer(CacheLayerMixin):
    """A cache layer of fixed memory, (rows, heads, columns, head size), into which each step writes one column.

    All rows write into the same column, so prompts of different lengths begin at different columns and end at the same
    one; a mask hides the columns before a prompt. A write needs no value from the host and moves no memory, so it can
    be captured in a CUDA graph; a cache that is extended by concatenation cannot.

    Args:
        column: the column to write next, (1,); the decoder increments it.
        room: the largest numbers of rows and of columns.
        memory: the memory that all layers share.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, column: Tensor, room: tuple[int, int], memory: Memory) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._column, self._room, self._memory = column, room, memory
        self._length = 0  # columns that attention reads

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Adopts the number of heads, the head sizes, the number format and the device of some states."""
        self.keys = key_states.new_empty(0, key_states.shape[1], 0, key_states.shape[3])
        self.values = value_states.new_empty(0, value_states.shape[1], 0, value_states.shape[3])
        self.is_initialized = True

    def reserve(self, rows: int, columns: int) -> None:
        """Changes the numbers of rows and columns and keeps what is written in those that remain."""
        if self.keys.shape[0] == rows and self.keys.shape[2] == columns:
            return
        room = self._room[0] * self._room[1]
        self.keys, self.values = (
            self._memory.grown(states, rows, columns, room * states.shape[1] * states.shape[3])
            for states in (self.keys, self.values)
        )

    def look_at(self, columns: int) -> None:
        """Sets the number of columns that attention reads from now on."""
        self._length = columns

    def write_prompts(self, number: int, repeats: int, width: int, key_states: Tensor, value_states: Tensor) -> None:
        """Writes prompts into the rows of their groups.

        Args:
            number: index of the first of these prompts in the batch.
            repeats: rows per group.
            width: column after the last column of a prompt.
            key_states: keys, (prompts, heads, tokens, head size).
            value_states: values, (prompts, heads, tokens, head size).
        """
        for states, new in ((self.keys, key_states), (self.values, value_states)):
            rows = slice(number * repeats, (number + len(new)) * repeats)
            states[rows, :, width - new.shape[2] : width] = new.repeat_interleave(repeats, 0)

    def move(self, sources: Tensor, targets: Tensor) -> None:
        """Copies rows over other rows, in the columns that attention reads.

        Args:
            sources: rows to copy, (moved,).
            targets: rows to overwrite, (moved,).
        """
        for states in (self.keys[:, :, : self._length], self.values[:, :, : self._length]):
            states.index_copy_(0, targets, states.index_select(0, sources))

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Writes the keys and values of one token per row, each (rows, heads, 1, head size), into the current column.

        Returns:
            All keys and values of these rows that attention reads, each (rows, heads, columns, head size).
        """
        rows = len(key_states)
        self.keys[:rows].index_copy_(2, self._column, key_states)
        self.values[:rows].index_copy_(2, self._column, value_states)
        return self.keys[:rows, :, : self._length], self.values[:rows, :, : self._length]

    def get_seq_length(self) -> int:
        """Number of columns that attention reads."""
        return self._length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Number of columns that attention reads, and the first of them."""
        return self.get_seq_length(), 0

    def get_max_length(self) -> int:
        """Largest number of columns."""
        return self._room[1]
