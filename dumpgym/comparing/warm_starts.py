"""Warm starts crossed with seeds: which run starts from which model, and whether finished runs did."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.runs.checks import check_model, model_path
from dumpgym.runs.finished import FinishedRun


def warm_start_of(warm_starts: Sequence[str], seed: int) -> str:
    """The warm start of the runs with a seed: the number of the seed modulo the number of warm starts."""
    # By the seed itself and not by its place among the seeds, so that more seeds, or another first one, leave the warm
    # starts of all runs as they are.
    return warm_starts[seed % len(warm_starts)]


def check_warm_starts(warm_starts: Sequence[str]) -> None:
    """Checks that each of them may be a model, and that none is given twice.

    Raises:
        InvalidValueError: if not.
    """
    found: dict[Path, str] = {}
    for name in warm_starts:
        check_model(name)
        place = model_path(name).resolve()
        if place in found:
            accepted = f"each of them once; {name!r} is {found[place]!r}"
            raise InvalidValueError("warm_starts", list(warm_starts), accepted)
        found[place] = name


def refuse_other_starts(runs: Iterable[FinishedRun], warm_starts: Sequence[str]) -> None:
    """Refuses runs that did not start from the warm start of their seed, so that every pair shares it.

    Raises:
        DumpgymError: if a run names another model.
    """
    for run in runs:
        mine, expected = run.config.agent.model, warm_start_of(warm_starts, run.config.seed)
        if mine != expected:
            found = f"{run.path}, with seed {run.config.seed}, started from {mine!r}"
            raise DumpgymError(f"{found}; accepted: {expected!r}, the warm start of this seed")


def unlike_starts(runs_of_cells: Mapping[str, Mapping[int, FinishedRun]]) -> list[str]:
    """A note on every cell with a run that solves other puzzles before training than another cell's run of its seed."""
    # The runs name the same model, but a checkpoint may have been replaced by another one between them.
    first: dict[int, FinishedRun] = {}
    notes = []
    for label, runs in runs_of_cells.items():
        others = {seed: first.setdefault(seed, run) for seed, run in runs.items()}
        unlike = [str(seed) for seed, run in runs.items() if _solved_first(run) != _solved_first(others[seed])]
        if unlike:
            found = f"{label} solves other puzzles before training than other cells with seed {', '.join(unlike)}"
            notes.append(f"{found}: they name the same warm start and may not have started from the same weights")
    return notes


def _solved_first(run: FinishedRun) -> Any:
    return run.evaluations[0]["eval/solved"]
