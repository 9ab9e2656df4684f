"""Tables that fit a terminal without cutting a name: headings get shorter, then columns go, then rows are stacked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers.

    Attributes:
        heading: the full heading.
        short: the heading where the full one leaves too little room.
        dropped: columns with a higher number are left out first where the room is too small; with 0, never.
    """

    heading: str
    short: str
    dropped: int = 0


class FittingTable:
    """A table whose first column holds names, in the widest layout that the terminal has room for.

    In order: full headings; short headings; without the columns that may be dropped, one after another; and last, each
    name on a line of its own with its numbers below. A name that is longer than the terminal is wide is folded, never
    cut.

    Args:
        first: heading of the names.
        columns: the other columns.
        rows: name and cells of every row.
        title: title of the table.
    """

    def __init__(
        self, first: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, title: str | None = None
    ) -> None:
        self.first, self.columns, self.rows, self.title = first, columns, rows, title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        for table in self._layouts():
            if Measurement.get(console, options.update(width=10_000), table).maximum <= options.max_width:
                yield table
                return
        yield from self._stacked()

    def _layouts(self) -> Iterator[Table]:
        everything = list(range(len(self.columns)))
        yield self._table(everything, full=True)
        for most in sorted({column.dropped for column in self.columns}, reverse=True):
            yield self._table([i for i in everything if self.columns[i].dropped <= most], full=False)

    def _table(self, chosen: Sequence[int], *, full: bool) -> Table:
        table = Table(title=None if self.title is None else Text(self.title), title_justify="left")
        table.add_column(self.first, no_wrap=True)
        for i in chosen:
            column = self.columns[i]
            table.add_column(column.heading if full else column.short, justify="right", no_wrap=True)
        for name, *cells in self.rows:
            table.add_row(Text(name), *(Text(cells[i]) for i in chosen))
        return table

    def _stacked(self) -> Iterator[Any]:
        if self.title:
            yield Text(self.title, style="italic", overflow="fold")
        for name, *cells in self.rows:
            yield Text(name, overflow="fold")
            pairs = zip(self.columns, cells, strict=True)
            yield Text("  " + "  ".join(f"{column.short} {cell}" for column, cell in pairs), overflow="fold")
