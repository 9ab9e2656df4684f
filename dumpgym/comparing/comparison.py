"""Finished runs side by side: which may be compared, what is measured of each, and what may be said of the difference.

Runs are told apart by their own ``config.json``: whatever differs but the seed makes another cell. The experiment's
``experiment.json``, where there is one, names the primary metric, the threshold, the margin and the control.
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumpgym.comparing.experiment import Metric, from_record
from dumpgym.comparing.runner import EXPERIMENT
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.contracts.policy_registry import find_policy
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import RunDirectory
from dumpgym.statistics.intervals import (
    Interval,
    area_under_curve,
    detectable_difference,
    difference_p_value,
    equivalence_p_value,
    forgetting,
    holm,
    interquartile_mean_interval,
    interval_over_runs,
    median_time,
    pairs_needed,
    probability_of_improvement,
    restricted_mean,
    tokens_to_threshold,
    verdict,
)
from dumpgym.training.ledger import read_ledger

FEWEST_SEEDS = 8
"""With fewer, a comparison is an anecdote."""
_MAY_NOT_DIFFER = (
    "arms", "steps", "budget_tokens", "budget_seconds", "evaluate_every", "evaluation_problems",
    "final_evaluation_problems",
)  # fmt: skip
_NOT_COMPARED = ("output", "seed", "policy", "policy_options", "checkpoint_every", "transcripts_per_arm", "trackers")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class FinishedRun:
    """The files of a finished run.

    Attributes:
        path: its directory.
        config: its configuration.
        metrics: of every step.
        evaluations: all of them.
    """

    path: Path
    config: TrainConfig
    metrics: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]

    @cached_property
    def arms(self) -> list[str]:
        """The arms' names, easiest first."""
        return list(self.evaluations[0]["eval/solved"])

    @cached_property
    def ledger(self) -> dict[str, Any]:
        """What it has spent; see ``read_ledger``."""
        return read_ledger(RunDirectory(self.path))

    def of_evaluations(self, key: str) -> Array:
        """A number of every evaluation, (evaluations,)."""
        return np.array([record[key] for record in self.evaluations], dtype=np.float64)

    def of_steps(self, key: str) -> Array:
        """A number of every step, NaN where it is not known, (steps,)."""
        return np.array([record.get(key, np.nan) for record in self.metrics], dtype=np.float64)

    def arms_of_steps(self, key: str) -> Array:
        """A number of every step and arm, NaN where it is not known, (steps, arms)."""
        return np.stack([self.of_steps(f"arms/{name}/{key}") for name in self.arms], axis=1)

    @cached_property
    def tokens(self) -> Array:
        """Tokens generated in training at every evaluation, (evaluations,)."""
        return self.of_evaluations("num_tokens")

    @cached_property
    def success(self) -> Array:
        """Greedy success at every evaluation, in the mean over arms, (evaluations,)."""
        return self.of_evaluations("eval/success")

    @cached_property
    def success_by_arm(self) -> Array:
        """Greedy success at every evaluation, (evaluations, arms)."""
        return np.stack([self.of_evaluations(f"eval/{name}/success") for name in self.arms], axis=1)


@dataclass(frozen=True)
class Cell:
    """Runs that differ by their seeds alone, by seed."""

    label: str
    runs: dict[int, FinishedRun]

    @property
    def config(self) -> TrainConfig:
        """That of its first run."""
        return next(iter(self.runs.values())).config


@dataclass(frozen=True)
class Comparison:
    """Cells, and how they are compared.

    Attributes:
        name: of the experiment.
        question: that it answers.
        metric: the primary metric.
        threshold: of the mean success, for the tokens that it takes.
        margin: of the test of equivalence.
        settings_tried: trial settings that every policy had before.
        control: label of the cell that the others are compared with; None if there is none.
        budget: generated tokens up to which runs are compared.
        cells: by label, the control first.
        notes: what a reader must know, e.g. of runs that are left out.
    """

    name: str
    question: str
    metric: Metric
    threshold: float
    margin: float
    settings_tried: int
    control: str | None
    budget: float
    cells: dict[str, Cell]
    notes: list[str]

    @property
    def arms(self) -> list[str]:
        """The arms' names, easiest first."""
        return next(iter(next(iter(self.cells.values())).runs.values())).arms

    @property
    def margin_in_units(self) -> float:
        """The margin in those of the primary metric: of a time, it is that share of the budget."""
        return self.margin * (1.0 if self.higher_is_better() else self.budget)

    @cached_property
    def table(self) -> list[dict[str, Any]]:
        """See ``results_table``."""
        return results_table(self)

    @cached_property
    def settings_of(self) -> dict[str, str]:
        """By cell, what it differs in besides the policy and its options; empty where it is like the first cell."""
        flat = {label: _flat(cell.config) for label, cell in self.cells.items()}
        first = next(iter(flat.values()))
        return {
            label: "; ".join(
                f"{key.removeprefix('agent.')} {_text(value)}" for key, value in values.items() if value != first[key]
            )
            for label, values in flat.items()
        }

    @property
    def grid(self) -> dict[tuple[str, str], str]:
        """The labels of cells, by their policy with its options and by their other settings."""
        return {
            (_label(cell.config, ()), self.settings_of[label] or "as it is"): label
            for label, cell in self.cells.items()
        }

    def is_plain(self, label: str) -> bool:
        """Whether a cell has all settings but the policy's in common with the first one."""
        return not self.settings_of[label]

    def higher_is_better(self) -> bool:
        """Whether the primary metric is a gain and no cost."""
        return self.metric != "tokens_to_threshold"

    def primary(self, run: FinishedRun) -> float:
        """The primary metric of a run."""
        if self.metric == "area":
            return area_under_curve(run.tokens, run.success, self.budget)
        if self.metric == "final":
            return float(run.success[-1])
        reached = tokens_to_threshold(run.tokens, run.success, self.threshold)
        return self.budget if np.isnan(reached) else min(reached, self.budget)

    def values(self, label: str) -> Array:
        """The primary metric of a cell's runs, by seed, (seeds,)."""
        return np.array([self.primary(run) for run in self.cells[label].runs.values()])

    def values_by_arm(self, label: str) -> Array:
        """The primary metric of a cell's runs on every arm by itself, (seeds, arms); at the end, if it is a time."""
        runs = self.cells[label].runs.values()
        if self.metric != "area":
            return np.stack([run.success_by_arm[-1] for run in runs])
        columns = [[area_under_curve(run.tokens, arm, self.budget) for arm in run.success_by_arm.T] for run in runs]
        return np.array(columns)

    def differences(self, label: str, other: str | None = None) -> Array:
        """A cell's primary metric less another's, by default the control's, on the seeds that both have, (seeds,)."""
        return np.array([self.primary(mine) - self.primary(its) for mine, its in self._pairs(label, other)])

    def differences_over_steps(self, label: str, other: str | None = None) -> Array:
        """Likewise the area under success over optimiser steps, as far as all of these runs went, (seeds,)."""
        pairs = self._pairs(label, other)
        steps = min((run.evaluations[-1]["step"] for pair in pairs for run in pair), default=0)
        areas = [[area_under_curve(run.of_evaluations("step"), run.success, steps) for run in pair] for pair in pairs]
        return np.array([mine - its for mine, its in areas])

    def _pairs(self, label: str, other: str | None) -> list[tuple[FinishedRun, FinishedRun]]:
        if other is None:
            assert self.control is not None
            other = self.control
        mine, its = self.cells[label].runs, self.cells[other].runs
        return [(mine[seed], its[seed]) for seed in mine if seed in its]


def load_comparison(paths: Sequence[Path]) -> Comparison:
    """Finds the finished runs in directories, and sorts them into cells.

    Args:
        paths: of runs, or directories with runs at any depth.

    Raises:
        DumpgymError: if there is no finished run, runs of different arms, budgets or evaluations are among them, or two
            of one cell and seed.
    """
    runs, notes = _find_runs(paths)
    differing = _refuse_unlike(runs)
    cells: dict[str, Cell] = {}
    for run in runs:
        label = _label(run.config, differing)
        cell = cells.setdefault(label, Cell(label, {}))
        if run.config.seed in cell.runs:
            both = f"{cell.runs[run.config.seed].path} and {run.path}"
            raise DumpgymError(f"two runs of {label} have seed {run.config.seed}, {both}; accepted: one of them")
        cell.runs[run.config.seed] = run
    cells = {label: Cell(label, dict(sorted(cell.runs.items()))) for label, cell in sorted(cells.items())}
    settings = _settings_of(paths)
    if settings.pop("is_default"):
        notes.append(f"no {EXPERIMENT} with the runs: primary metric, threshold, margin and control are defaults")
    control = next((label for label, cell in cells.items() if _is_control(cell.config, settings["control"])), None)
    if control is None:
        notes.append(f"no run of the control, {settings['control']}: there are no paired differences")
    else:
        cells = {control: cells[control], **cells}
        notes += _missing_seeds(cells)
    budgets = {run.config.budget_tokens for run in runs}
    smallest = min(run.tokens[-1] for run in runs)
    budget = next(iter(budgets)) or smallest
    if settings["metric"] == "area" and budget > smallest:
        notes.append(f"a run ended at {smallest:,.0f} tokens, before the budget; areas go up to there")
    del settings["control"]
    return Comparison(control=control, budget=float(min(budget, smallest)), cells=cells, notes=notes, **settings)


def _find_runs(paths: Sequence[Path]) -> tuple[list[FinishedRun], list[str]]:
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
    """Whether it is the configuration of a run, and not that of a model."""
    return "policy_options" in json.loads(config.read_text(encoding="utf-8"))


def _flat(config: TrainConfig) -> dict[str, Any]:
    values = dataclasses.asdict(config)
    agent = values.pop("agent")
    return {key: value for key, value in values.items() if key not in _NOT_COMPARED} | {
        f"agent.{key}": value for key, value in agent.items()
    }


def _refuse_unlike(runs: Sequence[FinishedRun]) -> list[str]:
    """The settings that differ between runs and make cells.

    Raises:
        DumpgymError: if a setting differs that makes runs unlike.
    """
    flat = [_flat(run.config) for run in runs]
    differing = [key for key in flat[0] if any(values[key] != flat[0][key] for values in flat)]
    for key in differing:
        if key in _MAY_NOT_DIFFER:
            other = next(run for run, values in zip(runs, flat, strict=True) if values[key] != flat[0][key])
            raise DumpgymError(
                f"{key} is {flat[0][key]!r} in {runs[0].path} and {_flat(other.config)[key]!r} in {other.path}; "
                "accepted: runs that agree in it"
            )
    return differing


def _label(config: TrainConfig, differing: Sequence[str]) -> str:
    options = ", ".join(f"{key} {_text(value)}" for key, value in config.policy_options.items())
    flat, default = _flat(config), _flat(TrainConfig())
    others = [f"{key.removeprefix('agent.')} {_text(flat[key])}" for key in differing if flat[key] != default[key]]
    return "; ".join([config.policy + (f" ({options})" if options else ""), *others])


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _settings_of(paths: Sequence[Path]) -> dict[str, Any]:
    kept = ("name", "question", "metric", "threshold", "margin", "settings_tried", "control")
    records = {file.read_text(encoding="utf-8") for path in paths for file in _experiments_at(path)}
    settings = [{key: getattr(from_record(json.loads(record)), key) for key in kept} for record in records]
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
        "settings_tried": 0,
    }
    return {"name": re.sub(r"\W+", " ", paths[0].resolve().name), **default, "control": "uniform"}


def _experiments_at(path: Path) -> list[Path]:
    """Its ``experiment.json``, or that of the experiment of which it is a part."""
    above = [directory / EXPERIMENT for directory in (path.resolve(), *list(path.resolve().parents)[:2])]
    return [file for file in above if file.exists()][:1] or sorted(path.glob(f"*/{EXPERIMENT}"))


def _is_control(config: TrainConfig, control: str) -> bool:
    return config.policy == control and not config.policy_options


def _missing_seeds(cells: Mapping[str, Cell]) -> list[str]:
    all_seeds = sorted({seed for cell in cells.values() for seed in cell.runs})
    notes = []
    for label, cell in cells.items():
        if missing := [seed for seed in all_seeds if seed not in cell.runs]:
            which = ", ".join(map(str, missing))
            notes.append(f"{label} has no finished run of seed {which}: differences are of the seeds that both have")
    return notes


def results_table(comparison: Comparison) -> list[dict[str, Any]]:
    """One row a cell, the control first and then the best first, with everything that is said of it.

    Every ``Interval`` is an estimate with its 95 % interval. p-values of differences are adjusted by Holm's method for
    all cells that are compared with the control. Of one run there are no intervals: their ends are NaN.
    """
    rows = [_row(comparison, label) for label in comparison.cells]
    others = [row for row in rows if "difference" in row]
    tested = [row for row in others if not np.isnan(row["p"])]
    for row, adjusted in zip(tested, holm([row["p"] for row in tested]) if tested else (), strict=True):
        row["p_holm"] = float(adjusted)
    for row in others:
        row["verdict"] = verdict(row.get("p_holm", np.nan), row["equivalence_p"])
    sign = -1 if comparison.higher_is_better() else 1
    return sorted(rows, key=lambda row: (row["label"] != comparison.control, sign * row["primary"][0]))


def _row(comparison: Comparison, label: str) -> dict[str, Any]:
    runs = list(comparison.cells[label].runs.values())
    values = comparison.values(label)
    reached = np.array([tokens_to_threshold(run.tokens, run.success, comparison.threshold) for run in runs])
    row: dict[str, Any] = {
        "label": label,
        "seeds": len(runs),
        "is_anecdote": len(runs) < FEWEST_SEEDS,
        "primary": _interval(values),
        "final": _interval(np.array([run.success[-1] for run in runs])),
        "tokens_to_threshold": restricted_mean(reached, comparison.budget) if len(runs) > 1 else _interval(reached),
        "median_to_threshold": median_time(reached),
        "runs_that_reached": int(np.isfinite(reached).sum()),
        "forgetting": _interval(np.array([forgetting(run.success_by_arm).mean() for run in runs])),
        "effective_arms": _interval(np.array([run.of_steps("policy/effective_arms").mean() for run in runs])),
        "largest_share": _interval(np.array([run.of_steps("policy/largest_share").mean() for run in runs])),
        "kl_from_uniform": _interval(np.array([run.of_steps("policy/kl_from_uniform").mean() for run in runs])),
        "zero_variance": _interval(np.array([run.of_steps("frac_reward_zero_std").mean() for run in runs])),
        "truncated": _interval(np.array([run.of_steps("completions/clipped_ratio").mean() for run in runs])),
    }
    if len(runs) > 1:
        row["interquartile_mean"] = interquartile_mean_interval(comparison.values_by_arm(label))
    if comparison.control is None or label == comparison.control:
        return row
    differences = comparison.differences(label)
    if not len(differences):
        return row
    row |= {
        "pairs": len(differences),
        "difference": _interval(differences),
        "difference_over_steps": _interval(comparison.differences_over_steps(label)),
        "p": difference_p_value(differences),
        "equivalence_p": equivalence_p_value(differences, comparison.margin_in_units),
    }
    if len(differences) > 1:
        row |= {"pairs_needed": pairs_needed(differences), "detectable": detectable_difference(differences)}
    control = comparison.values_by_arm(comparison.control)
    if len(runs) > 1 and len(control) > 1:
        row["improvement"] = probability_of_improvement(comparison.values_by_arm(label), control)
    return row


def _interval(values: Array) -> Interval:
    if len(values) == 1 or not np.isfinite(values).all():
        return float(np.mean(values)), float("nan"), float("nan")
    return interval_over_runs(values)


def option_of(config: TrainConfig, name: str) -> Any:
    """The value of a policy's option in a run, its default where the run does not say; None if there is none."""
    if name in config.policy_options:
        return config.policy_options[name]
    parameter = find_policy(config.policy).parameters.get(name)
    return None if parameter is None or parameter.default is parameter.empty else parameter.default
