"""Keys and values of the texts that are being written, and what goes with them into a model's forward pass."""

from typing import Any

from torch import Tensor
from transformers.cache_utils import CacheLayerMixin


class Memory:
    """Pieces of memory of one size, of which each holds a tensor that grows.

    A tensor grows from one piece into another that is spare, and stays in one piece. What is not touched of a piece
    costs nothing on the CPU, so pieces are as large as the tensors may ever become.
    """

    def __init__(self) -> None:
        self._spare: dict[int, Tensor] = {}

    def grown(self, states: Tensor, rows: int, columns: int, size: int) -> Tensor:
        """The tensor with other numbers of rows and columns, both of which it may have fewer or more of.

        Args:
            states: (rows, heads, columns, head size), made by this function or empty.
            rows: that are wanted.
            columns: that are wanted.
            size: of the piece, in elements; as of the piece that the tensor is in.
        """
        _, heads, _, width = states.shape
        piece = self._spare.pop(size, None)
        if piece is None:
            piece = states.new_empty(size)
        wanted = piece[: rows * heads * columns * width].view(rows, heads, columns, width)
        shared_rows, shared_columns = min(rows, states.shape[0]), min(columns, states.shape[2])
        wanted[:shared_rows, :, :shared_columns] = states[:shared_rows, :, :shared_columns]
        # What is not written yet must be finite, since attention multiplies it by its weight of zero.
        wanted[:, :, shared_columns:] = 0
        wanted[shared_rows:] = 0
        if states.numel():
            self._spare[size] = states.as_strided((size,), (1,), 0)
        return wanted


class ColumnLayer(CacheLayerMixin):
    """A cache layer of fixed memory, (rows, heads, columns, head size), into which each step writes one column.

    All rows write into the same column, so texts of different length end at the same column and begin at different
    ones; a mask tells them from what lies before. A step reads no value of the host and changes no address, so that it
    can be captured as a graph.

    Args:
        column: the one that is written next, (1,); its owner moves it on.
        room: how many rows and columns there may ever be.
        memory: of all layers.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, column: Tensor, room: tuple[int, int], memory: Memory) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._column, self._room, self._memory = column, room, memory
        self._length = 0  # columns that attention looks at

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Takes over the number of heads, the sizes and the type of states."""
        self.keys = key_states.new_empty(0, key_states.shape[1], 0, key_states.shape[3])
        self.values = value_states.new_empty(0, value_states.shape[1], 0, value_states.shape[3])
        self.is_initialized = True

    def reserve(self, rows: int, columns: int) -> None:
        """Changes how many rows and columns there are, keeping what is written."""
        if self.keys.shape[0] == rows and self.keys.shape[2] == columns:
            return
        room = self._room[0] * self._room[1]
        self.keys, self.values = (
            self._memory.grown(states, rows, columns, room * states.shape[1] * states.shape[3])
            for states in (self.keys, self.values)
        )

    def look_at(self, columns: int) -> None:
        """Lets attention look at so many columns from now on."""
        self._length = columns

    def write_prompts(self, number: int, repeats: int, width: int, key_states: Tensor, value_states: Tensor) -> None:
        """Writes prompts into the rows of their groups.

        Args:
            number: of the first prompt.
            repeats: rows a group.
            width: the prompts end before this column.
            key_states: (prompts, heads, tokens, head size).
            value_states: likewise.
        """
        for states, new in ((self.keys, key_states), (self.values, value_states)):
            rows = slice(number * repeats, (number + len(new)) * repeats)
            states[rows, :, width - new.shape[2] : width] = new.repeat_interleave(repeats, 0)

    def move(self, sources: Tensor, targets: Tensor) -> None:
        """Overwrites some rows, (targets,), by others, as far as attention looks."""
        for states in (self.keys[:, :, : self._length], self.values[:, :, : self._length]):
            states.index_copy_(0, targets, states.index_select(0, sources))

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Writes one token of the first rows, (rows, heads, 1, head size), and returns all that these rows hold."""
        rows = len(key_states)
        self.keys[:rows].index_copy_(2, self._column, key_states)
        self.values[:rows].index_copy_(2, self._column, value_states)
        return self.keys[:rows, :, : self._length], self.values[:rows, :, : self._length]

    def get_seq_length(self) -> int:
        """Columns that attention looks at."""
        return self._length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Columns that attention looks at, and the first of them."""
        return self.get_seq_length(), 0

    def get_max_length(self) -> int:
        """Columns for which there may be memory."""
        return self._room[1]
