"""What ``dumpgym train`` shows while it runs: a progress bar, a table of the arms, and alarms."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from dumpgym.contracts.arms import make_arms
from dumpgym.runs.config import TrainConfig


class TrainDisplay:
    """An observer that shows the progress of a training run.

    Without a terminal it prints a line per evaluation and one for every tenth step.

    Args:
        config: configuration of the run.
        quiet: print nothing, as in all processes of a run except the main one.
    """

    def __init__(self, config: TrainConfig, *, quiet: bool = False) -> None:
        self.config = config
        self.console = Console(quiet=quiet)
        self.names = [arm.name for arm in make_arms(config.arms)]
        self.latest: dict[str, Any] = {}
        self.success: dict[str, tuple[float, float]] = {}  # per arm, at the start and now
        self.alarms: list[str] = []
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=self.console)
        self.task = self.progress.add_task("evaluating", total=1.0)
        self.live = Live(self._render(), console=self.console, refresh_per_second=2)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def start(self, progress: float) -> None:
        """Sets the bar to the point where the run starts or resumes, from 0 to 1."""
        self.progress.update(self.task, completed=progress)

    def observe(self, log: str, record: Mapping[str, Any]) -> None:
        """Shows a record that the run logged."""
        if log == "metrics.jsonl":
            self.latest.update(record)
            self._take_alarms(record["alarms"])
            self.progress.update(self.task, completed=record["time/progress"], description=f"step {record['step']}")
            if not self.console.is_terminal and record["step"] % 10 == 0:
                self.console.print(
                    f"step {record['step']}, {record['time/progress']:.0%}  reward {record['reward']:.2f}  "
                    f"tokens {record['num_tokens']:,}  {record['time/seconds']:.0f} s",
                    soft_wrap=True,
                )
        elif log == "evaluations.jsonl":
            if record["step"] == 0:
                self._take_alarms(record["alarms"])
            for name in self.names:
                now = record[f"eval/{name}/success"]
                self.success[name] = (self.success.get(name, (now, now))[0], now)
            if not self.console.is_terminal:
                arms = "  ".join(f"{escape(name)} {now:.2f}" for name, (_, now) in self.success.items())
                line = f"step {record['step']}  held-out success {record['eval/success']:.3f}  {arms}"
                self.console.print(line, soft_wrap=True)
        if self.live.is_started:
            self.live.update(self._render())

    def _take_alarms(self, alarms: list[str]) -> None:
        if not self.console.is_terminal:
            kinds = {_kind(alarm) for alarm in self.alarms}
            for alarm in alarms:
                if _kind(alarm) not in kinds:  # only when it starts, not at every step while it lasts
                    self.console.print(f"alarm: {escape(alarm)}", soft_wrap=True)
        self.alarms = alarms

    def _render(self) -> Group:
        table = Table("arm", "requested", "share", "signal", "success in training", "held-out success, start -> now")
        for name in self.names:
            cells = [
                _cell(self.latest.get(f"arms/{name}/{key}")) for key in ("requested_share", "share", "learnability")
            ]
            first, now = self.success.get(name, (None, None))
            trained = _cell(self.latest.get(f"arms/{name}/success"))
            table.add_row(escape(name), *cells, trained, f"{_cell(first)} -> {_cell(now)}")
        return Group(table, *(f"[bold red]alarm:[/] {escape(alarm)}" for alarm in self.alarms), self.progress)

    def show_summary(self, summary: Mapping[str, Any], figure: Path) -> None:
        """Prints the results of a finished run."""
        low, high = summary["success_difference_interval"]
        self.console.print(
            f"held-out success {summary['success_before']:.3f} -> {summary['success_after']:.3f}, difference "
            f"{summary['success_difference']:+.3f} [{low:+.3f}, {high:+.3f}] (95 %), "
            f"{summary['generated_tokens']:,} tokens, {summary['seconds']:.0f} s, one seed\n"
            f"figure: {figure}\nsummary: {figure.with_name('summary.json')}",
            soft_wrap=True,
        )


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _kind(alarm: str) -> str:
    """The arm and what is wrong, without the numbers."""
    return alarm.partition(",")[0]
