"""Finished runs side by side: which may be compared, what is measured of each, and what may be said of the difference.

Runs are told apart by their own ``config.json``: whatever differs but the seed makes another cell. The experiment's
``experiment.json``, where there is one, names the primary metric, the threshold, the margin and the control.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dumpgym.comparing.experiment import Metric
from dumpgym.comparing.labels import cell_label, compared_settings, value_text
from dumpgym.contracts.policy_registry import find_policy
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.finished import Array, FinishedRun
from dumpgym.statistics.curves import area_under_curve, forgetting, median_time, tokens_to_threshold
from dumpgym.statistics.intervals import (
    Interval,
    interquartile_mean_interval,
    interval_over_runs,
    probability_of_improvement,
    restricted_mean,
)
from dumpgym.statistics.significance import (
    detectable_difference,
    difference_p_value,
    equivalence_p_value,
    holm,
    pairs_needed,
    verdict,
)

FEWEST_SEEDS = 8
"""With fewer, a comparison is an anecdote."""


@dataclass(frozen=True)
class FinishedCell:
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
    cells: dict[str, FinishedCell]
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
        """See ``summary_rows``."""
        return summary_rows(self)

    @cached_property
    def settings_of(self) -> dict[str, str]:
        """By cell, what it differs in besides the policy and its options; empty where it is like the first cell."""
        flat = {label: compared_settings(cell.config) for label, cell in self.cells.items()}
        first = next(iter(flat.values()))
        return {
            label: "; ".join(
                f"{key.removeprefix('agent.')} {value_text(value)}"
                for key, value in values.items()
                if value != first[key]
            )
            for label, values in flat.items()
        }

    @property
    def grid(self) -> dict[tuple[str, str], str]:
        """The labels of cells, by their policy with its options and by their other settings."""
        return {
            (cell_label(cell.config), self.settings_of[label] or "as it is"): label
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


def summary_rows(comparison: Comparison) -> list[dict[str, Any]]:
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
