"""Finding finished runs in directories, and sorting them into the cells of a comparison.

The runs' own ``config.json`` tell them apart: any setting that differs, except the seed, makes another cell. If there
is an ``experiment.json``, it names the primary metric, the threshold, the margin and the control.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dumpgym.comparing.comparison import Comparison, FinishedCell
from dumpgym.comparing.experiment import EXPERIMENT, from_record
from dumpgym.comparing.labels import cell_label, compared_settings
from dumpgym.comparing.warm_starts import refuse_other_starts, unlike_starts
from dumpgym.contracts.errors import DumpgymError
from dumpgym.contracts.specs import read_spec
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.files import read_object
from dumpgym.runs.finished import FinishedRun, find_runs
from dumpgym.runs.versions import ENVIRONMENT, VERSIONS, mixed_versions

# Runs with other arms, budgets or evaluations measure something else, so a difference between them means nothing.
_MAY_NOT_DIFFER = (
    "arms", "steps", "budget_tokens", "budget_seconds", "evaluate_every", "evaluation_problems",
    "final_evaluation_problems",
)  # fmt: skip
_SHOWN_PATHS = 3  # in a note on many runs


def load_comparison(paths: Sequence[Path]) -> Comparison:
    """Finds the finished runs in directories, and sorts them into cells.

    Args:
        paths: directories of runs, or directories that hold runs at any depth.

    Raises:
        DumpgymError: if no run has finished; if runs differ in arms, budgets or evaluations; if two runs have the same
            cell and seed; or if warm starts are crossed with seeds and a run has not that of its seed.
    """
    runs, notes = find_runs(paths)
    notes += _version_notes(runs)
    settings = _settings_of(paths)
    differing = _refuse_unlike(runs)
    if settings["warm_starts"]:
        refuse_other_starts(runs, settings["warm_starts"])
        differing = [key for key in differing if key != "agent.model"]
    cells: dict[str, FinishedCell] = {}
    for run in runs:
        label = cell_label(run.config, differing)
        cell = cells.setdefault(label, FinishedCell(label, {}))
        if run.config.seed in cell.runs:
            both = f"{cell.runs[run.config.seed].path} and {run.path}"
            raise DumpgymError(f"two runs of {label} have seed {run.config.seed}, {both}; accepted: one of them")
        cell.runs[run.config.seed] = run
    cells = {label: FinishedCell(label, dict(sorted(cell.runs.items()))) for label, cell in sorted(cells.items())}
    notes += _cheating(cells)
    if settings.pop("is_default"):
        notes.append(f"no {EXPERIMENT} with the runs: primary metric, threshold, margin and control are defaults")
    control, why = _choose_control(paths, cells, settings.pop("control"))
    notes += why
    if control is not None:
        cells = {control: cells[control], **cells}
        notes += _missing_seeds(cells)
    if settings["warm_starts"]:
        notes += unlike_starts({label: cell.runs for label, cell in cells.items()})
    budgets = {run.config.budget_tokens for run in runs}
    smallest = min(run.tokens[-1] for run in runs)
    budget = next(iter(budgets)) or smallest
    if settings["metric"] == "area" and budget > smallest:
        notes.append(f"a run ended at {smallest:,.0f} tokens, before the budget; areas end there for all runs")
    return Comparison(control=control, budget=float(min(budget, smallest)), cells=cells, notes=notes, **settings)


def _refuse_unlike(runs: Sequence[FinishedRun]) -> list[str]:
    """The settings that differ between runs and so make cells.

    Raises:
        DumpgymError: if a setting differs that must be the same for runs to be compared.
    """
    flat = [compared_settings(run.config) for run in runs]
    differing = [key for key in flat[0] if any(values[key] != flat[0][key] for values in flat)]
    for key in differing:
        if key in _MAY_NOT_DIFFER:
            pairs = zip(runs, flat, strict=True)
            other, value = next((run, values[key]) for run, values in pairs if values[key] != flat[0][key])
            both = f"{flat[0][key]!r} in {runs[0].path} and {value!r} in {other.path}"
            raise DumpgymError(f"{key} is {both}; accepted: runs that agree in it")
    return differing


def _version_notes(runs: Sequence[FinishedRun]) -> list[str]:
    """What a reader must know of versions: a difference between runs may come from them and not from the policies."""
    notes = [f"{run.path} has no {VERSIONS}: its versions are unknown" for run in runs if not run.starts]
    plain: list[FinishedRun] = []
    for run in runs:
        if changes := mixed_versions(run.starts):
            notes.append(f"{run.path} ran under mixed versions: {'; '.join(changes)}")
        elif run.starts:
            plain.append(run)
    for name in ENVIRONMENT:
        groups: dict[str, list[str]] = {}
        for run in plain:
            if name in run.starts[0]:
                groups.setdefault(str(run.starts[0][name]), []).append(str(run.path))
        if len(groups) > 1:
            groups = dict(sorted(groups.items(), key=lambda group: -len(group[1])))
            shown = (f"{value} in {_some(paths)}" for value, paths in groups.items())
            notes.append(f"runs differ in {name}: {'; '.join(shown)}")
    return notes


def _some(paths: Sequence[str]) -> str:
    rest = len(paths) - _SHOWN_PATHS
    return ", ".join(paths[:_SHOWN_PATHS]) + (f" and {rest} more" if rest > 0 else "")


def _settings_of(paths: Sequence[Path]) -> dict[str, Any]:
    kept = (
        "name", "question", "metric", "threshold", "margin", "settings_tried", "machine_shared", "warm_starts",
        "control",
    )  # fmt: skip
    files = dict.fromkeys(file for path in paths for file in _experiments_at(path))
    experiments = [from_record(read_object(file)) for file in files]
    settings = [{key: getattr(experiment, key) for key in kept} for experiment in experiments]
    for other in settings[1:]:
        if different := [key for key in kept if other[key] != settings[0][key]]:
            raise DumpgymError(f"the runs are of experiments with different {', '.join(different)}; accepted: one")
    if settings:
        return settings[0] | {"is_default": False}
    default = {
        "is_default": True,
        "question": "",
        "metric": "area",
        "threshold": 0.5,
        "margin": 0.02,
        "settings_tried": None,
        "machine_shared": None,
        "warm_starts": (),
    }
    return {"name": re.sub(r"\W+", " ", paths[0].resolve().name), **default, "control": "uniform"}


def _experiments_at(path: Path) -> list[Path]:
    """The ``experiment.json`` at a path, of the comparison that the path is part of, or of those one level below."""
    above = [directory / EXPERIMENT for directory in (path.resolve(), *list(path.resolve().parents)[:2])]
    return [file for file in above if file.exists()][:1] or sorted(path.glob(f"*/{EXPERIMENT}"))


def _is_control(config: TrainConfig, control: str) -> bool:
    return (config.policy, config.policy_options) == read_spec("policy", control)


def _choose_control(
    paths: Sequence[Path], cells: Mapping[str, FinishedCell], declared: str
) -> tuple[str | None, list[str]]:
    """The label of the cell that the others are compared with, if there is one, and what a reader must know of it."""
    for label, cell in cells.items():
        if _is_control(cell.config, declared):
            return label, []
    if len(cells) == 1:
        return None, []
    # `report runs/a runs/b` asks how b differs from a, whatever their policies are.
    first = [
        label
        for label, cell in cells.items()
        if any(run.path.resolve().is_relative_to(paths[0].resolve()) for run in cell.runs.values())
    ]
    if len(paths) > 1 and len(first) == 1:
        return first[0], [f"no run of {declared}: the control is the cell given first, {first[0]}"]
    return None, [f"no run of the control, {declared}: there are no paired differences"]


def _cheating(cells: Mapping[str, FinishedCell]) -> list[str]:
    return [
        f"{label} cheats: it is told the success on every arm, with tokens that do not count towards its budget. "
        "It shows what is possible and is no policy to train with"
        for label, cell in cells.items()
        if any(run.cheats for run in cell.runs.values())
    ]


def _missing_seeds(cells: Mapping[str, FinishedCell]) -> list[str]:
    all_seeds = sorted({seed for cell in cells.values() for seed in cell.runs})
    notes = []
    for label, cell in cells.items():
        if missing := [seed for seed in all_seeds if seed not in cell.runs]:
            which = ", ".join(map(str, missing))
            notes.append(f"{label} has no finished run of seed {which}: differences are of the seeds that both have")
    return notes
