"""``dumpgym compare``: an experiment's runs, in parallel processes, each of them resumed where it was left.

The directory holds ``experiment.json``, ``logs``, and a folder for every cell with its runs: ``seed0``, ``seed1``, ...
Runs are started seed by seed, so that what is there at any time can be compared. What ends this process ends the runs,
and the same command goes on with them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt
from filelock import FileLock, Timeout
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dumpgym.comparing.experiment import EXPERIMENT, Experiment, PlannedCell, cells_of, load_experiment, to_record
from dumpgym.comparing.planned_runs import PlannedRun, last_lines, plan
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.runs.config import config_json
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.files import write_file, writing


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareConfig:
    """How an experiment is run, and what of its file is replaced.

    Attributes:
        output: directory of the runs; by default runs/ and the experiment's name.
        seeds: paired runs of every cell.
        first_seed: the seeds are first_seed, first_seed + 1, ...
        steps: batches in a run, at most.
        budget_tokens: tokens generated in training after which a run ends.
        budget_seconds: seconds of training after which a run ends.
        processes: runs at a time; 0 for as many as there are cores, or one where there is a GPU.
        threads: of each run. Results may differ in rounding with their number.
        dry_run: say what would be run and what it would cost.
    """

    output: Path | None = None
    seeds: Annotated[int, Ge(1)] | None = None
    first_seed: Annotated[int, Ge(0)] | None = None
    steps: Annotated[int, Ge(1)] | None = None
    budget_tokens: Annotated[int, Ge(1)] | None = None
    budget_seconds: Annotated[float, Gt(0)] | None = None
    processes: Annotated[int, Ge(0)] = 0
    threads: Annotated[int, Ge(1)] = 1
    dry_run: bool = False


def compare(path: Path, config: CompareConfig, console: Console, command: Sequence[str] | None = None) -> Path:
    """Runs what is left to run of an experiment.

    Args:
        path: of the experiment's file.
        config: how.
        console: for what a person watches.
        command: that the runs' files name as what made them; by default that of this process.

    Returns:
        The directory of the runs.

    Raises:
        DumpgymError: if the experiment cannot be run, the directory holds another one or is in use, or a run failed,
            after all others have ended.
    """
    experiment, output = _experiment(path, config)
    cells = cells_of(experiment)
    runs = _runs(experiment, cells, output)
    _refuse_other_runs(experiment, runs, output)
    if config.dry_run:
        console.print(plan(experiment, cells, runs))
        return output
    with writing(output):
        (output / "logs").mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(output / "logs" / "lock", timeout=0):
            with writing(output / EXPERIMENT):
                write_file(output / EXPERIMENT, json.dumps(to_record(experiment), indent=2) + "\n")
            failed = _Pool(config, runs, console, list(command or sys.argv)).run()
    except Timeout as error:
        raise InvalidValueError("output", str(output), "a directory in which no other comparison is at work") from error
    if failed:
        raise DumpgymError("\n".join([f"{len(failed)} of {len(runs)} runs failed:", *map(last_lines, failed)]))
    return output


def _experiment(path: Path, config: CompareConfig) -> tuple[Experiment, Path]:
    limits = ("steps", "budget_tokens", "budget_seconds")
    changes = {name: getattr(config, name) for name in limits if getattr(config, name) is not None}
    experiment = load_experiment(path, changes)
    if config.seeds is not None:
        experiment = replace(experiment, seeds=config.seeds)
    if config.first_seed is not None:
        experiment = replace(experiment, first_seed=config.first_seed)
    return experiment, config.output or Path("runs") / experiment.name


def _runs(experiment: Experiment, cells: Sequence[PlannedCell], output: Path) -> list[PlannedRun]:
    seeds = range(experiment.first_seed, experiment.first_seed + experiment.seeds)
    return [
        PlannedRun(
            f"{cell.label}-seed{seed}", replace(cell.config, seed=seed, output=output / cell.label / f"seed{seed}")
        )
        for seed in seeds
        for cell in cells
    ]


def _refuse_other_runs(experiment: Experiment, runs: Sequence[PlannedRun], output: Path) -> None:
    accepted = "a directory that is new, empty or of this experiment with the same settings"
    if (output / EXPERIMENT).exists():
        name = json.loads((output / EXPERIMENT).read_text(encoding="utf-8"))["name"]
        if name != experiment.name:
            raise InvalidValueError("output", str(output), f"{accepted}, not of {name!r}")
    elif output.exists() and (not output.is_dir() or any(p.name != "logs" for p in output.iterdir())):
        raise InvalidValueError("output", str(output), accepted)
    for run in runs:
        path = run.config.output
        if (path / "config.json").exists() and config_json(RunDirectory.stored_config(path)) != config_json(run.config):
            raise InvalidValueError("output", str(output), f"{accepted}; {run.name} has others")


class _Pool:
    """Starts runs and waits for them."""

    def __init__(self, config: CompareConfig, runs: Sequence[PlannedRun], console: Console, command: list[str]) -> None:
        self.config, self.runs, self.console, self.command = config, runs, console, command
        self.waiting = [run for run in runs if not run.is_finished]
        self.finished = len(runs) - len(self.waiting)
        self.active: dict[subprocess.Popen[bytes], PlannedRun] = {}
        self.failed: list[PlannedRun] = []
        self.started = time.monotonic()

    def run(self) -> list[PlannedRun]:
        """Returns the runs that failed."""
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left"))
        with Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True) as bar:
            task = bar.add_task("comparing", total=float(len(self.runs)))
            try:
                while self.waiting or self.active:
                    while self.waiting and len(self.active) < self._processes():
                        self._start(self.waiting.pop(0))
                    time.sleep(0.2)
                    self._collect()
                    under_way = sum(run.progress() for run in self.active.values())
                    done = self.finished + len(self.failed)
                    text = f"{done} of {len(self.runs)} runs, {len(self.active)} under way"
                    bar.update(task, completed=done + under_way, description=text)
            finally:
                self._stop()
        return self.failed

    def _processes(self) -> int:
        if self.config.processes:
            return self.config.processes
        if any(run.config.agent.device != "cpu" for run in self.runs):
            import torch

            if torch.cuda.is_available():
                return 1
        return max(1, (os.cpu_count() or 1) // self.config.threads)

    def _start(self, run: PlannedRun) -> None:
        request: dict[str, Any] = {
            "config": json.loads(config_json(run.config)),
            "threads": self.config.threads,
            "lock": str(run.log("lock")),
            "command": self.command,
        }
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.config.threads)}
        with run.log().open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dumpgym.comparing.worker"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
            )
        self.active[process] = run
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()

    def _collect(self) -> None:
        for process, run in list(self.active.items()):
            if process.poll() is None:
                continue
            del self.active[process]
            if process.stdin is not None:
                process.stdin.close()
            if process.returncode == 0:
                self.finished += 1
            else:
                self.failed.append(run)
            self._tell(run, process.returncode)

    def _tell(self, run: PlannedRun, status: int) -> None:
        """One line for each run that has ended, on a terminal above the bar."""
        done, minutes = self.finished + len(self.failed), (time.monotonic() - self.started) / 60
        outcome = "finished" if status == 0 else f"failed with status {status}, see {run.log()}"
        self.console.print(
            f"{escape(run.name)} {escape(outcome)}; {done} of {len(self.runs)} runs after {minutes:.0f} min",
            soft_wrap=True,
            highlight=False,
        )

    def _stop(self) -> None:
        """Ends what is under way, which goes on another time."""
        for process in self.active:
            process.terminate()
        for process in self.active:
            process.wait()
