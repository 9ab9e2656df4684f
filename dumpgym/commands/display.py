"""What ``dumpgym train`` shows while it runs: a progress bar, a table of the arms, and alarms."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape

from dumpgym.commands.progress import Pace, bar
from dumpgym.commands.tables import Column, FittingTable
from dumpgym.contracts.arms import arms_that_count, make_arms
from dumpgym.runs.config import TrainConfig
from dumpgym.training.policy_alarms import alarm_kind

_STEPS = 10  # from one line about a step to the next, where there is no terminal
_COLUMNS = (
    Column("requested", "req.", 2),
    Column("share", "share", 1),
    Column("signal", "signal", 3),
    Column("success in\ntraining", "train", 4),
    Column("held-out success,\nstart -> now", "held-out"),
)


class TrainDisplay:
    """An observer that shows the progress of a training run.

    Without a terminal it prints lines: one per evaluation, one for every tenth step, and more where steps are slow.

    Args:
        config: configuration of the run.
        quiet: print nothing, as in all processes of a run except the main one.
        console: where to show it; by default standard output.
    """

    def __init__(self, config: TrainConfig, *, quiet: bool = False, console: Console | None = None) -> None:
        self.config = config
        self.console = console or Console(quiet=quiet)
        arms = make_arms(config.arms, nuisance=config.nuisance_arms)
        self.names = [arm.name for arm in arms_that_count(arms)]
        self.nuisance = [arm.name for arm in arms if arm.is_nuisance]
        self.latest: dict[str, Any] = {}
        self.success: dict[str, tuple[float, float]] = {}  # per arm, at the start and now
        self.alarms: list[str] = []
        self.pace = Pace()
        self.progress = bar(self.console)
        self.task = self.progress.add_task("evaluating", total=1.0)
        self.live = Live(console=self.console, refresh_per_second=2, get_renderable=self._render)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.transient = not self._has_records()  # an error before the first record leaves nothing behind
        self.live.stop()

    def start(self, progress: float) -> None:
        """Starts to show a run at the point where it begins or resumes, from 0 to 1.

        Until then nothing is drawn, so that a model that cannot be loaded leaves one line and no empty table.
        """
        self.progress.update(self.task, completed=progress)
        self.pace.start(progress)
        if self.console.is_terminal:
            self.live.start()
        elif progress == 0:
            self.console.print("evaluating before training", soft_wrap=True)
        else:
            self.console.print(f"resuming at {progress:.0%}", soft_wrap=True)

    def observe(self, log: str, record: Mapping[str, Any]) -> None:
        """Shows a record that the run logged."""
        if log == "metrics.jsonl":
            self.latest.update(record)
            self._take_alarms(record["alarms"])
            self.progress.update(self.task, completed=record["time/progress"], description=f"step {record['step']}")
            if not self.console.is_terminal and (self.pace.is_due() or record["step"] % _STEPS == 0):
                self._print_step(record)
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
            self.live.refresh()

    def _print_step(self, record: Mapping[str, Any]) -> None:
        parts = [
            f"step {record['step']}, {record['time/progress']:.0%}",
            f"reward {record['reward']:.2f}",
            f"tokens {record['num_tokens']:,}",
            f"{record['time/seconds']:.0f} s",
            self.pace.left(record["time/progress"]),
        ]
        self.console.print("  ".join(filter(None, parts)), soft_wrap=True)

    def _take_alarms(self, alarms: list[str]) -> None:
        if not self.console.is_terminal:
            kinds = {alarm_kind(alarm) for alarm in self.alarms}
            for alarm in alarms:
                if alarm_kind(alarm) not in kinds:  # only when it starts, not at every step while it lasts
                    self.console.print(f"alarm: {escape(alarm)}", soft_wrap=True)
        self.alarms = alarms

    def _has_records(self) -> bool:
        return bool(self.latest or self.success)

    def _render(self) -> RenderableType:
        if not self._has_records():
            return self.progress
        rows = []
        for name in self.names:
            first, now = self.success.get(name, (None, None))
            keys = ("requested_share", "share", "learnability", "success")
            cells = [_cell(self.latest.get(f"arms/{name}/{key}")) for key in keys]
            rows.append([name, *cells, f"{_cell(first)} -> {_cell(now)}"])
        if self.nuisance and self.latest:
            requested, realised = (
                sum(self.latest.get(f"arms/{name}/{key}", 0.0) for name in self.nuisance)
                for key in ("requested_share", "share")
            )
            rows.append(["nuisance arms", _cell(requested), _cell(realised), *["-"] * 3])
        alarms = (f"[bold red]alarm:[/] {escape(alarm)}" for alarm in self.alarms)
        return Group(FittingTable("arm", _COLUMNS, rows), *alarms, self.progress)

    def show_summary(self, summary: Mapping[str, Any], directory: Path, figure: str) -> None:
        """Prints the results of a finished run.

        Args:
            summary: summary of the run.
            directory: directory of the run.
            figure: path of the figure, or why there is none.
        """
        self.console.print(
            f"{_results(summary)}\nfigure: {escape(figure)}\nsummary: {escape(str(directory / 'summary.json'))}",
            soft_wrap=True,
        )

    def show_finished(self, summary: Mapping[str, Any]) -> None:
        """Prints the results of a run that had finished before and is left as it is."""
        self.console.print(
            f"the run in {escape(str(self.config.output))} has finished after {summary['steps']} steps; nothing is "
            f"changed. A larger limit, such as --steps, extends it.\n{_results(summary)}",
            soft_wrap=True,
        )


def _results(summary: Mapping[str, Any]) -> str:
    low, high = summary["success_difference_interval"]
    return (
        f"held-out success {summary['success_before']:.3f} -> {summary['success_after']:.3f}, difference "
        f"{summary['success_difference']:+.3f} [{low:+.3f}, {high:+.3f}] (95 %), "
        f"{summary['generated_tokens']:,} tokens, {summary['seconds']:.0f} s, one seed"
    )


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
