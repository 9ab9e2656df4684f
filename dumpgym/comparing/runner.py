"""``dumpgym compare``: the runs of an experiment, in parallel processes, each resumed where it stopped.

The directory holds ``experiment.json``, ``logs``, and a folder for every cell with its runs: ``seed0``, ``seed1``, ...
When this process ends, however it ends, its runs end with it, and the same command continues them.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt
from filelock import FileLock, Timeout
from rich.console import Console

from dumpgym.comparing.experiment import (
    EXPERIMENT,
    Experiment,
    Seeds,
    cells_of,
    load_experiment,
    to_record,
)
from dumpgym.comparing.planned_runs import PlannedRun, last_lines, plan, runs_of
from dumpgym.comparing.pool import Pool
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.contracts.threads import available_cpus
from dumpgym.runs.config import changed_settings
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.files import check_writable, read_object, write_file, writing
from dumpgym.runs.validation import STRICT, PathOfFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareConfig:
    """How an experiment is run, and which settings of its file are overridden.

    Attributes:
        output: directory of the runs; by default runs/NAME with the experiment's name.
        also: policies to run beside those of the file. Runs that have finished stay as they are, so a policy of your
            own takes its place among them at the price of its own runs.
        seeds: paired runs per cell.
        first_seed: the seeds are first_seed, first_seed + 1, ...
        steps: maximum number of batches per run.
        budget_tokens: each run ends after the step in which training has generated this many tokens.
        budget_seconds: each run ends after the step in which it has trained this many seconds.
        processes: runs at the same time; 0 for one run on a GPU, and otherwise as many as the cores allow.
        threads: threads per run; another number may change results by rounding.
        dry_run: print what would be run and what it would cost, and run nothing.
    """

    output: PathOfFiles | None = None
    also: tuple[str, ...] = ()
    seeds: Seeds | None = None
    first_seed: Annotated[int, Ge(0)] | None = None
    steps: Annotated[int, Ge(1)] | None = None
    budget_tokens: Annotated[int, Ge(1)] | None = None
    budget_seconds: Annotated[float, Gt(0)] | None = None
    processes: Annotated[int, Ge(0)] = 0
    threads: Annotated[int, Ge(1)] = 1
    dry_run: bool = False


CompareConfig.__pydantic_config__ = STRICT  # type: ignore[attr-defined]


def compare(
    path: Path,
    config: CompareConfig,
    console: Console,
    command: Sequence[str] | None = None,
    on_progress: Callable[[str, float], None] = lambda text, share: None,
) -> Path:
    """Runs what is left of an experiment.

    Args:
        path: path of the experiment's file.
        config: how to run it.
        console: shows the plan, and a line for every run that ends.
        command: the command that the runs record as the one that started them; by default that of this process.
        on_progress: called several times a second with what is being done, and with the share that is done, 0 to 1.

    Returns:
        The directory of the runs.

    Raises:
        DumpgymError: if the experiment cannot be run, if the directory holds another one or is in use, or, after all
            other runs have ended, if a run failed.
    """
    experiment, output = experiment_of(path, config)
    cells = cells_of(experiment)
    runs = runs_of(experiment, cells, output)
    _refuse_other_runs(experiment, runs, output)
    if config.dry_run:
        console.print(plan(experiment, cells, runs))
        return output
    with writing(output):
        (output / "logs").mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(output / "logs" / "lock", timeout=0):
            pool = Pool(
                runs,
                processes=_processes(config, runs),
                threads=config.threads,
                command=list(command or sys.argv),
                console=console,
            )
            stated = _with_machine_shared(experiment, output, pool)
            with writing(output / EXPERIMENT):
                write_file(output / EXPERIMENT, json.dumps(to_record(stated), indent=2) + "\n")
            failed = pool.work(on_progress)
    except Timeout as error:
        raise InvalidValueError("output", str(output), "a directory in which no other comparison is at work") from error
    if failed:
        raise DumpgymError("\n".join([f"{len(failed)} of {len(runs)} runs failed:", *map(last_lines, failed)]))
    return output


def experiment_of(path: Path, config: CompareConfig) -> tuple[Experiment, Path]:
    """The experiment of a file with what the configuration overrides, and the directory of its runs.

    Raises:
        DumpgymError: if the file cannot be read, or holds a key or a value that is not accepted.
    """
    limits = ("steps", "budget_tokens", "budget_seconds")
    changes = {name: getattr(config, name) for name in limits if getattr(config, name) is not None}
    experiment = load_experiment(path, changes)
    if config.also:
        grids = tuple(replace(grid, policies=(*grid.policies, *config.also)) for grid in experiment.grids)
        experiment = replace(experiment, grids=grids)
    if config.seeds is not None:
        experiment = replace(experiment, seeds=config.seeds)
    if config.first_seed is not None:
        experiment = replace(experiment, first_seed=config.first_seed)
    return experiment, config.output or Path("runs") / experiment.name


def _refuse_other_runs(experiment: Experiment, runs: Sequence[PlannedRun], output: Path) -> None:
    accepted = "a directory that is new, empty or of this experiment with the same settings"
    check_writable(output)
    if (output / EXPERIMENT).exists():
        name = read_object(output / EXPERIMENT).get("name")
        if name != experiment.name:
            raise InvalidValueError("output", str(output), f"{accepted}, not of {name!r}")
    elif output.exists() and (not output.is_dir() or any(p.name != "logs" for p in output.iterdir())):
        raise InvalidValueError("output", str(output), accepted)
    for run in runs:
        path = run.config.output
        if (path / "config.json").exists():
            stored = replace(RunDirectory.stored_config(path), output=path)
            for name, mine, theirs in changed_settings(run.config, stored):
                had = f"{accepted}; {run.name} has {name} = {theirs!r} and not {mine!r}"
                raise InvalidValueError("output", str(output), had)


def _processes(config: CompareConfig, runs: Sequence[PlannedRun]) -> int:
    """Number of runs at the same time."""
    if config.processes:
        return config.processes
    if any(run.config.agent.device != "cpu" for run in runs):
        import torch

        if torch.cuda.is_available():
            return 1  # runs that share a GPU slow each other down and may not fit into its memory together
    return max(1, int(available_cpus()) // config.threads)


def _with_machine_shared(experiment: Experiment, output: Path, pool: Pool) -> Experiment:
    """The experiment with ``machine_shared`` set if runs slow each other down now or did in an earlier call."""
    if experiment.machine_shared is not None:
        return experiment
    path = output / EXPERIMENT
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    is_shared = min(pool.processes, len(pool.waiting)) > 1 or earlier.get("machine_shared")
    return replace(experiment, machine_shared=True) if is_shared else experiment
