"""The runs that an experiment plans: how far each has come, and what remains to run and to spend."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from rich.markup import escape
from rich.table import Table

from dumpgym.comparing.experiment import Experiment, PlannedCell
from dumpgym.comparing.warm_starts import warm_start_of
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import SUMMARY
from dumpgym.runs.files import read_object

_SHOWN_LINES = 5  # lines of a failed run's log
_TAIL = 2**18  # bytes at the end of a log, more than its last two records take


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of a comparison.

    Attributes:
        name: label of the cell and the seed.
        config: configuration of the run.
    """

    name: str
    config: TrainConfig

    @property
    def is_finished(self) -> bool:
        """Whether the run has finished."""
        return (self.config.output / SUMMARY).exists()

    def progress(self) -> float:
        """How far the run has come, from 0 to 1."""
        return min(1.0, float(self.is_finished or self.last_record().get("time/progress", 0.0)))

    def last_record(self) -> dict[str, Any]:
        """The last record of ``metrics.jsonl``; empty if there is none yet."""
        path = self.config.output / "metrics.jsonl"
        if not path.exists():
            return {}
        with path.open("rb") as file:  # its end only, as this is called several times a second
            start = max(0, path.stat().st_size - _TAIL)
            file.seek(start)
            lines = file.read().split(b"\n")[:-1]  # what follows the last line break is still being written
        whole = lines[1:] if start else lines
        record: dict[str, Any] = json.loads(whole[-1]) if whole else {}
        return record

    def log(self, kind: str = "log") -> Path:
        """The path of what the run prints, or of its lock."""
        return self.config.output.parents[1] / "logs" / f"{self.name}.{kind}"


def runs_of(experiment: Experiment, cells: Sequence[PlannedCell], output: Path) -> list[PlannedRun]:
    """The runs of an experiment, in the order in which they start.

    Args:
        experiment: the experiment.
        cells: its cells.
        output: directory of the comparison.
    """
    # Seed by seed, not cell by cell. Whenever the comparison stops, all cells have about the same seeds, so what exists
    # can be compared in pairs. Cell by cell, the last cells would have no runs at all.
    seeds = range(experiment.first_seed, experiment.first_seed + experiment.seeds)
    return [
        PlannedRun(f"{cell.label}-seed{seed}", _config_of(cell, seed, experiment.warm_starts, output))
        for seed in seeds
        for cell in cells
    ]


def _config_of(cell: PlannedCell, seed: int, warm_starts: Sequence[str], output: Path) -> TrainConfig:
    config = replace(cell.config, seed=seed, output=output / cell.label / f"seed{seed}")
    if not warm_starts:
        return config
    return replace(config, agent=replace(config.agent, model=warm_start_of(warm_starts, seed)))


def plan(experiment: Experiment, cells: Sequence[PlannedCell], runs: Sequence[PlannedRun]) -> Table:
    """A table of what is left to run and what it will cost, estimated from the runs that have finished."""
    warm_starts = f", {len(experiment.warm_starts)} warm starts" if experiment.warm_starts else ""
    table = Table(title=f"{escape(experiment.name)}: {len(cells)} cells, {experiment.seeds} paired seeds{warm_starts}")
    table.add_column("cell", overflow="fold")
    for column in ("done", "begun", "new", "tokens", "hours"):
        table.add_column(column, justify="right", no_wrap=True)
    done = {run.name: run.progress() for run in runs}
    seconds = _seconds_of_a_run(runs)
    rest_of_all = 0.0
    for cell in cells:
        mine = [run for run in runs if run.config.output.parent.name == cell.label]
        progress = [done[run.name] for run in mine]
        rest = sum(1 - share for share in progress)
        rest_of_all += rest
        finished = sum(run.is_finished for run in mine)
        begun = sum((run.config.output / "config.json").exists() for run in mine) - finished
        budget = cell.config.budget_tokens
        tokens = "?" if budget is None else f"{rest * budget:,.0f}"
        counts = map(str, (finished, begun, len(mine) - finished - begun))
        table.add_row(escape(cell.label), *counts, tokens, _hours(rest, seconds))
    table.caption = f"tokens and hours that are left, for one process; {_hours(rest_of_all, seconds)} hours in all"
    if seconds is None:
        table.caption += "; hours are estimated once a run has finished"
    return table


def _hours(runs: float, seconds: float | None) -> str:
    return "?" if seconds is None else f"{runs * seconds / 3600:.1f}"


def _seconds_of_a_run(runs: Sequence[PlannedRun]) -> float | None:
    summaries = [read_object(run.config.output / SUMMARY) for run in runs if run.is_finished]
    seconds = [summary["seconds"] for summary in summaries if "seconds" in summary]
    return median(seconds) if seconds else None


def last_lines(run: PlannedRun) -> str:
    """A run's name and the last lines that it printed, for an error message."""
    lines = run.log().read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
    return "\n".join([f"{run.name}, {run.log()}:", *(f"    {line}" for line in lines)])
