"""A finished run, read back from its directory."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import CONFIG, LOGS, SUMMARY, RunDirectory
from dumpgym.runs.files import DamagedFileError, read_lines, read_object
from dumpgym.runs.validation import validated
from dumpgym.runs.versions import VERSIONS, read_starts
from dumpgym.runs.whole import TOKEN_COLUMNS as TOKEN_COLUMNS
from dumpgym.runs.whole import check_whole

Array = NDArray[np.float64]
TOLD = "told_success"
"""Last part of the names under which a step logs the success on every arm that a policy was told."""


@dataclass(frozen=True)
class FinishedRun:
    """The files of a finished run.

    Attributes:
        path: directory of the run.
        config: configuration of the run.
        metrics: records of the steps; each holds means over the steps since the record before, and totals.
        evaluations: records of all evaluations.
        starts: every start of the run with its command and versions, see ``read_starts``.
    """

    path: Path
    config: TrainConfig
    metrics: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    starts: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def arms(self) -> list[str]:
        """Names of the arms that are evaluated, easiest first."""
        return list(self.evaluations[0]["eval/solved"])

    @property
    def cheats(self) -> bool:
        """Whether the policy was told the success on every arm; see ``NeedsSuccess``."""
        return any(key.endswith(f"/{TOLD}") for key in self.metrics[0])

    @cached_property
    def ledger(self) -> dict[str, Any]:
        """What the run spent; see ``read_ledger``."""
        return read_ledger(RunDirectory(self.path))

    def of_evaluations(self, key: str) -> Array:
        """A logged number of every evaluation, (evaluations,)."""
        return np.array([record[key] for record in self.evaluations], dtype=np.float64)

    @cached_property
    def steps_of_records(self) -> Array:
        """Number of steps in every record of the steps, (records,)."""
        return np.diff([record["step"] for record in self.metrics], prepend=0).astype(np.float64)

    def of_records(self, key: str) -> Array:
        """A logged number of every record of the steps, NaN where it was not logged, (records,)."""
        return np.array([record.get(key, np.nan) for record in self.metrics], dtype=np.float64)

    def arms_of_records(self, key: str) -> Array:
        """A logged number of every record of the steps and every arm, NaN where it was not logged, (records, arms)."""
        return np.stack([self.of_records(f"arms/{name}/{key}") for name in self.arms], axis=1)

    def mean_of_steps(self, values: Array) -> Array:
        """The mean over all steps of a number of every record, (records, ...): records count by their steps, (...)."""
        return np.asarray(np.average(values, axis=0, weights=self.steps_of_records))

    @cached_property
    def tokens(self) -> Array:
        """Tokens that training had generated at every evaluation, (evaluations,)."""
        return self.of_evaluations("num_tokens")

    @cached_property
    def success(self) -> Array:
        """Greedy success at every evaluation, averaged over arms, (evaluations,)."""
        return self.of_evaluations("eval/success")

    @cached_property
    def success_by_arm(self) -> Array:
        """Greedy success of every arm at every evaluation, (evaluations, arms)."""
        return np.stack([self.of_evaluations(f"eval/{name}/success") for name in self.arms], axis=1)


def read_finished(path: Path) -> FinishedRun:
    """Reads a finished run.

    Args:
        path: directory of the run.

    Raises:
        DamagedFileError: if a file is missing or damaged, or the logs do not hold what the summary counts.
        DumpgymError: if the configuration is not accepted.
    """
    values, summary = read_object(path / CONFIG), read_object(path / SUMMARY)
    config = validated(values | {"output": path}, TrainConfig)
    metrics, evaluations = read_lines(path / "metrics.jsonl"), read_lines(path / "evaluations.jsonl")
    check_whole(path, config, summary, metrics, evaluations)
    return FinishedRun(path, config, metrics, evaluations, read_starts(path))


def find_runs(paths: Sequence[Path]) -> tuple[list[FinishedRun], list[str]]:
    """Reads all finished runs in directories.

    Args:
        paths: directories of runs, or directories that hold runs at any depth.

    Returns:
        The runs, and a note on every run that is left out because it has not finished or is damaged.

    Raises:
        InvalidValueError: if a path is not a directory, or there is no finished run that is whole.
    """
    found: list[FinishedRun] = []
    notes = []
    for path in paths:
        if not path.is_dir():
            raise InvalidValueError("runs", str(path), "a directory with runs")
        for directory in sorted(Path(name) for name, _, _ in os.walk(path) if is_run(Path(name))):
            try:
                if (directory / SUMMARY).exists():
                    found.append(read_finished(directory))
                else:
                    notes.append(f"{directory} is left out: not finished, {_progress(directory)}")
            except DamagedFileError as error:
                notes.append(f"{directory} is left out: {error.reason}")
            except DumpgymError as error:
                notes.append(f"{directory} is left out: {error}")
    if not found:
        hint = f" ({'; '.join(notes)})" if notes else ""
        raise InvalidValueError("runs", ", ".join(map(str, paths)), f"directories with at least one finished run{hint}")
    return found, notes


def is_run(directory: Path) -> bool:
    """Whether a directory belongs to a run, even if the run is damaged."""
    # A model also has a ``config.json``, and a run that lost its own must not vanish without a word.
    if any((directory / name).is_file() for name in (VERSIONS, *LOGS)):
        return True
    try:
        return (directory / CONFIG).is_file() and "policy_options" in read_object(directory / CONFIG)
    except DamagedFileError:
        return (directory / SUMMARY).is_file()


def _progress(directory: Path) -> str:
    metrics = RunDirectory(directory).read("metrics.jsonl")
    progress = metrics[-1].get("time/progress") if metrics else 0.0
    if not isinstance(progress, int | float) or not progress < 1:
        return "its steps are all there and --resume completes it"
    return f"{progress:.0%} of it is there" if progress < 0.995 else "less than 1% of it is missing"


def read_ledger(run: RunDirectory) -> dict[str, Any]:
    """What a run has spent, from its logs, in which these numbers are cumulative.

    Returns:
        "tokens", totals by the names of ``TOKEN_COLUMNS``; "arms", the same by arm; "seconds" by phase; "steps" taken.
    """
    # The newer of the two last records has the totals: an evaluation comes after its step, but few steps have one.
    records = [log[-1] for log in (run.read("metrics.jsonl"), run.read("evaluations.jsonl")) if log]
    last = max(records, key=lambda record: record["time/seconds"])
    arms: dict[str, dict[str, int]] = {}
    for key, value in last.items():
        if key.startswith("arms/") and key.endswith(TOKEN_COLUMNS):
            name, column = key.removeprefix("arms/").rsplit("/", 1)
            arms.setdefault(name, {})[column] = value
    return {
        "steps": last["step"],
        "tokens": {column: last[column] for column in TOKEN_COLUMNS},
        "arms": arms,
        "seconds": {
            key.removeprefix("time/"): value
            for key, value in last.items()
            if key.startswith("time/") and key != "time/seconds"
        },
    }
