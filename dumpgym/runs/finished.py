"""A finished run, read back from its directory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import RunDirectory

Array = NDArray[np.float64]
TOKEN_COLUMNS = ("num_tokens", "redrawn_tokens", "trained_tokens", "evaluation_tokens")
"""The token columns of the ledger, under their names in the logs."""


@dataclass(frozen=True)
class FinishedRun:
    """The files of a finished run.

    Attributes:
        path: directory of the run.
        config: configuration of the run.
        metrics: records of all steps.
        evaluations: records of all evaluations.
    """

    path: Path
    config: TrainConfig
    metrics: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]

    @cached_property
    def arms(self) -> list[str]:
        """Names of the arms, easiest first."""
        return list(self.evaluations[0]["eval/solved"])

    @cached_property
    def ledger(self) -> dict[str, Any]:
        """What the run spent; see ``read_ledger``."""
        return read_ledger(RunDirectory(self.path))

    def of_evaluations(self, key: str) -> Array:
        """A logged number of every evaluation, (evaluations,)."""
        return np.array([record[key] for record in self.evaluations], dtype=np.float64)

    def of_steps(self, key: str) -> Array:
        """A logged number of every step, NaN where it was not logged, (steps,)."""
        return np.array([record.get(key, np.nan) for record in self.metrics], dtype=np.float64)

    def arms_of_steps(self, key: str) -> Array:
        """A logged number of every step and arm, NaN where it was not logged, (steps, arms)."""
        return np.stack([self.of_steps(f"arms/{name}/{key}") for name in self.arms], axis=1)

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


def find_runs(paths: Sequence[Path]) -> tuple[list[FinishedRun], list[str]]:
    """Reads all finished runs in directories.

    Args:
        paths: directories of runs, or directories that hold runs at any depth.

    Returns:
        The runs, and a note on every run that is left out because it has not finished.

    Raises:
        InvalidValueError: if a path is not a directory, or no run has finished.
    """
    found: list[FinishedRun] = []
    notes = []
    for path in paths:
        if not path.is_dir():
            raise InvalidValueError("runs", str(path), "a directory with runs")
        directories = sorted(config.parent for config in path.rglob("config.json") if _is_run(config))
        for directory in directories:
            run = RunDirectory(directory)
            metrics, evaluations = run.read("metrics.jsonl"), run.read("evaluations.jsonl")
            if not (directory / "summary.json").exists() or not metrics:
                progress = metrics[-1]["time/progress"] if metrics else 0
                notes.append(f"{directory} is left out: not finished, {progress:.0%} of it is there")
            else:
                found.append(FinishedRun(directory, run.stored_config(directory), metrics, evaluations))
    if not found:
        hint = f" ({'; '.join(notes)})" if notes else ""
        raise InvalidValueError("runs", ", ".join(map(str, paths)), f"directories with at least one finished run{hint}")
    return found, notes


def _is_run(config: Path) -> bool:
    """Whether a ``config.json`` belongs to a run and not to a model, which has a file of the same name."""
    return "policy_options" in json.loads(config.read_text(encoding="utf-8"))


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
