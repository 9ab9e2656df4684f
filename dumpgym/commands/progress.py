"""How far a command has come: a bar on a terminal, elsewhere a line now and then; and the arms of a comparison."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dumpgym.commands.charts import sparkline
from dumpgym.commands.tables import Column, FittingTable
from dumpgym.comparing.planned_runs import PlannedRun
from dumpgym.runs.directory import RunDirectory

_FIRST, _LARGEST = 10.0, 300.0  # seconds between lines
_PART = 0.1  # of the time so far
_REFRESH = 1.0  # seconds between two looks at the logs
_SPARKS = 12  # most characters of a curve


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


class FrontierProgress(CommandProgress):
    """Shows how far a comparison has come, and on a terminal the arms of some of its runs.

    Elsewhere it prints a line for every evaluation of these runs, besides those of ``CommandProgress``.

    Args:
        console: where to show it.
        runs: the runs whose arms are shown, all with the same arms.
    """

    def __init__(self, console: Console, runs: Sequence[PlannedRun]) -> None:
        super().__init__(console)
        self.runs = runs
        self.evaluations: list[list[dict[str, Any]]] = [[] for _ in runs]
        self.latest = 0.0
        self.live = Live(console=console, auto_refresh=False, get_renderable=self._render)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._look()
        if self.live.is_started:
            self.live.transient = not any(self.evaluations)
            self.live.refresh()
            self.live.stop()

    def __call__(self, text: str, share: float) -> None:
        """Shows what the command is doing, and which share of its work is done, from 0 to 1."""
        super().__call__(text, share)
        if time.monotonic() - self.latest >= _REFRESH:
            self.latest = time.monotonic()
            self._look()
            if self.live.is_started:
                self.live.refresh()

    def _look(self) -> None:
        for place, run in enumerate(self.runs):
            found = RunDirectory(run.config.output).read("evaluations.jsonl")
            if not self.console.is_terminal:
                for record in found[len(self.evaluations[place]) :]:
                    self._print(run, record)
            self.evaluations[place] = found

    def _print(self, run: PlannedRun, record: dict[str, Any]) -> None:
        names = list(record["eval/solved"])
        short = zip(what_differs(names), names, strict=True)
        arms = "  ".join(f"{shown} {record[f'eval/{name}/success']:.2f}" for shown, name in short)
        text = f"{run.name}, {record['num_tokens']:,} tokens: success {record['eval/success']:.3f}  {arms}"
        self.console.print(text, soft_wrap=True, markup=False, highlight=False)

    def _render(self) -> RenderableType:
        if not any(self.evaluations):
            return self.bar
        plain = self.console.options.ascii_only
        arms = next(list(found[0]["eval/solved"]) for found in self.evaluations if found)
        columns, cells = [], []
        for run, found in zip(self.runs, self.evaluations, strict=True):
            cell = run.name.rpartition("-seed")[0]
            columns += [
                Column(f"{cell}\nsuccess, start to now", cell),
                Column("share of the\nlast batches", "share", 1),
            ]
            shares = run.last_record()
            cells.append(
                {
                    name: (
                        _curve([record[f"eval/{name}/success"] for record in found], plain=plain),
                        _number(shares.get(f"arms/{name}/share")),
                    )
                    for name in arms
                }
            )
            rest = 1 - sum(shares.get(f"arms/{name}/share", 0.0) for name in arms)
            cells[-1]["nuisance arms"] = ("-", _number(rest if shares else None))
            means = [record["eval/success"] for record in found]
            cells[-1]["mean"] = (_curve(means, plain=plain), f"{shares.get('num_tokens', 0):,}")
        below = [*(["nuisance arms"] if self.runs[0].config.nuisance_arms else []), "mean"]
        rows = [
            [short, *(cell for run in cells for cell in run[name])]
            for short, name in zip([*what_differs(arms), *below], [*arms, *below], strict=True)
        ]
        return Group(FittingTable("arm", columns, rows), self.bar)


def what_differs(names: Sequence[str]) -> list[str]:
    """Names of arms without the environment and the arguments that all of them have, if the rest tells them apart."""
    split = [name.replace("?", "&").split("&") for name in names]
    shared = set.intersection(*map(set, split))
    short = ["&".join(part for part in parts if part not in shared) for parts in split]
    return short if len(set(short)) == len(names) and all(short) else list(names)


def _curve(values: Sequence[float], *, plain: bool) -> str:
    """A curve in characters, and its last value."""
    if not values:
        return "-"
    chosen = [values[i * (len(values) - 1) // max(1, _SPARKS - 1)] for i in range(_SPARKS)]
    return f"{sparkline(values if len(values) <= _SPARKS else chosen, plain=plain)} {values[-1]:.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
