"""How far a command has come: a bar on a terminal, and elsewhere a line now and then."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_FIRST, _LARGEST = 10.0, 300.0  # seconds between lines
_PART = 0.1  # of the time so far


class Pace:
    """Decides when the next line is due, and estimates the time left.

    Lines become rarer: the gap between two is a tenth of the time so far, but at least 10 seconds and at most 5
    minutes. A run of a minute and one of a night both leave a log that can be read.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.start(0.0)

    def start(self, share: float) -> None:
        """Starts to measure where ``share`` of the work, from 0 to 1, is done already."""
        self.started, self.share = self.clock(), share
        self.latest = self.started

    def is_due(self) -> bool:
        """Whether it is time for a line; if so, the next gap begins."""
        now = self.clock()
        gap = min(max(_FIRST, _PART * (now - self.started)), _LARGEST)
        if now - self.latest < gap:
            return False
        self.latest = now
        return True

    def left(self, share: float) -> str:
        """The time left when ``share`` of the work is done, in words; empty at the end, or if it is not known yet."""
        seconds = self.clock() - self.started
        if not self.share < share < 1 or seconds <= 0:
            return ""
        return f"about {duration(seconds * (1 - share) / (share - self.share))} left"


def duration(seconds: float) -> str:
    """A number of seconds in words, such as "45 s", "12 min" or "3 h 20 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def bar(console: Console, *, transient: bool = False) -> Progress:
    """A progress bar with the time that has passed and the time left."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console, transient=transient)


class CommandProgress:
    """Shows how far a command has come, each time it is called with a text and a share.

    On a terminal it is a bar that disappears at the end. Elsewhere it prints plain lines: the first one at the second
    call, so that bad input, which the first part of the work may still find, is one line; later ones as ``Pace``
    decides.

    Args:
        console: where to show it.
        pace: decides when lines are due.
    """

    def __init__(self, console: Console, pace: Pace | None = None) -> None:
        self.console, self.pace = console, pace or Pace()
        self.bar = bar(console, transient=True)
        self.task = self.bar.add_task("", total=1.0, visible=False)
        self.calls = 0

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar.live.is_started:
            self.bar.stop()

    def __call__(self, text: str, share: float) -> None:
        """Shows what the command is doing, and which share of its work is done, from 0 to 1."""
        self.bar.update(self.task, description=escape(text), completed=share, visible=True)
        self.calls += 1
        if self.calls == 1:
            self.pace.start(share)
        if not self.console.is_terminal and (self.pace.is_due() or self.calls == 2):
            parts = [text, f"{share:.0%}", self.pace.left(share)]
            self.console.print(", ".join(filter(None, parts)), soft_wrap=True, markup=False, highlight=False)
