"""The frontier of a comparison while it runs: success and share of every arm under each policy, side by side."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live

from dumpgym.commands.charts import sparkline
from dumpgym.commands.progress import CommandProgress
from dumpgym.commands.tables import Column, FittingTable
from dumpgym.comparing.planned_runs import PlannedRun
from dumpgym.runs.directory import RunDirectory

_REFRESH = 1.0  # seconds between two looks at the logs
_SPARKS = 12  # most characters of a curve


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
            means = [record["eval/success"] for record in found]
            cells[-1]["mean"] = (_curve(means, plain=plain), f"{shares.get('num_tokens', 0):,}")
        shown = [*what_differs(arms), "mean"]
        rows = [
            [short, *(cell for run in cells for cell in run[name])]
            for short, name in zip(shown, [*arms, "mean"], strict=True)
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
