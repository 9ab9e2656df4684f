"""Seconds of finished runs: which can be compared, and which runs stood still for a while."""

from collections.abc import Mapping

import numpy as np

from dumpgym.runs.finished import FinishedRun

STALLED = 10.0
"""A step that takes this many times the run's median is a stall. Steps differ by up to 9 times by their arms alone."""
_NOT_TRAINING = ("time/seconds", "time/evaluate", "time/progress")


def stalled_steps(run: FinishedRun) -> int:
    """Counts the records of a run in which it stood still: the machine slept, or the process was suspended."""
    phases = [key for key in run.metrics[0] if key.startswith("time/") and key not in _NOT_TRAINING]
    spent = np.sum([run.of_records(phase) for phase in phases], axis=0)  # cumulative
    seconds = np.diff(spent, prepend=0.0) / run.steps_of_records
    return int((seconds > STALLED * np.median(seconds)).sum())


def stalled_seeds(runs: Mapping[int, FinishedRun]) -> list[int]:
    """The seeds of runs with a stalled step."""
    return [seed for seed, run in runs.items() if stalled_steps(run)]


def median_seconds(runs: Mapping[int, FinishedRun]) -> dict[str, float]:
    """Median over runs of the seconds by phase. A stalled run hardly moves it, unlike a mean."""
    spent = [run.ledger["seconds"] for run in runs.values()]
    return {phase: float(np.median([one[phase] for one in spent])) for phase in spent[0]}
