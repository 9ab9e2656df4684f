"""Finished runs side by side: the primary metric of every run, paired differences between cells, and a table of both.

``loading`` sorts runs into cells and makes a ``Comparison`` of them.
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
"""A comparison with fewer seeds is called an anecdote: with a handful of runs, bootstrap intervals are too narrow."""


@dataclass(frozen=True)
class FinishedCell:
    """Runs that differ only in their seeds, by seed."""

    label: str
    runs: dict[int, FinishedRun]

    @property
    def config(self) -> TrainConfig:
        """Configuration of the first run; the others differ from it in seed and output only."""
        return next(iter(self.runs.values())).config


@dataclass(frozen=True)
class Comparison:
    """Cells, and how they are compared.

    Attributes:
        name: name of the experiment.
        question: the question that it answers.
        metric: the primary metric.
        threshold: mean success to reach, for the number of tokens until then.
        margin: differences of the primary metric below this do not matter; used by the equivalence test.
        settings_tried: number of settings tried for every policy beforehand.
        control: label of the cell that all others are compared with; None if it has no run.
        budget: generated tokens up to which runs are compared.
        cells: cells by label, the control first.
        notes: what a reader must know, e.g. which runs are left out.
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
        """Names of the arms, easiest first."""
        return next(iter(next(iter(self.cells.values())).runs.values())).arms

    @property
    def margin_in_units(self) -> float:
        """The margin in units of the primary metric. For ``tokens_to_threshold`` it is that share of the budget."""
        return self.margin * (1.0 if self.higher_is_better() else self.budget)

    @cached_property
    def table(self) -> list[dict[str, Any]]:
        """See ``summary_rows``."""
        return summary_rows(self)

    @cached_property
    def settings_of(self) -> dict[str, str]:
        """By label, the settings in which a cell differs from the first one, besides the policy and its options."""
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
        """Whether a cell differs from the first one in nothing but the policy and its options."""
        return not self.settings_of[label]

    def higher_is_better(self) -> bool:
        """Whether the primary metric is a gain rather than a cost."""
        return self.metric != "tokens_to_threshold"

    def primary(self, run: FinishedRun) -> float:
        """The primary metric of a run."""
        if self.metric == "area":
            return area_under_curve(run.tokens, run.success, self.budget)
        if self.metric == "final":
            return float(run.success[-1])
        # A run that never reaches the threshold counts with the whole budget. That is less than it would have needed,
        # but dropping such runs would reward a cell for its failures.
        reached = tokens_to_threshold(run.tokens, run.success, self.threshold)
        return self.budget if np.isnan(reached) else min(reached, self.budget)

    def values(self, label: str) -> Array:
        """The primary metric of a cell's runs in the order of their seeds, (seeds,)."""
        return np.array([self.primary(run) for run in self.cells[label].runs.values()])

    def values_by_arm(self, label: str) -> Array:
        """The primary metric of a cell's runs for every arm, (seeds, arms).

        For ``tokens_to_threshold`` it is the final success, because a run may never reach the threshold on some arms.
        """
        runs = self.cells[label].runs.values()
        if self.metric != "area":
            return np.stack([run.success_by_arm[-1] for run in runs])
        columns = [[area_under_curve(run.tokens, arm, self.budget) for arm in run.success_by_arm.T] for run in runs]
        return np.array(columns)

    def differences(self, label: str, other: str | None = None) -> Array:
        """A cell's primary metric minus another's, by default the control's, on the seeds that both have, (seeds,)."""
        # Paired: runs of one seed start from the same weights, draw the same problems on each arm and are evaluated on
        # the same problems. Luck with these cancels in the difference, so its interval is narrower than that of the
        # difference of two independent means.
        return np.array([self.primary(mine) - self.primary(its) for mine, its in self._pairs(label, other)])

    def differences_over_steps(self, label: str, other: str | None = None) -> Array:
        """The same differences for the area under success over optimiser steps, (seeds,).

        The areas end at the last step that all of these runs reached.
        """
        # Tokens are the cost, so the primary metric counts them. But a policy can gain per token in two ways: its steps
        # teach more, or they are cheaper because it prefers arms with short completions. The difference over steps
        # tells the two apart. It also shows what a comparison by steps, as papers often draw it, would have found.
        pairs = self._pairs(label, other)
        steps = min((run.evaluations[-1]["step"] for pair in pairs for run in pair), default=0)
        areas = [[area_under_curve(run.of_evaluations("step"), run.success, steps) for run in pair] for pair in pairs]
        return np.array([mine - its for mine, its in areas])

    def difference_curves(self, label: str, at: Array, other: str | None = None) -> Array:
        """A cell's held-out success minus another's, by default the control's, on the seeds that both have.

        Args:
            label: label of the cell.
            at: numbers of generated tokens, (points,).
            other: label of the cell to subtract.

        Returns:
            The paired differences, interpolated between evaluations, (seeds, points).
        """
        curves = [[np.interp(at, run.tokens, run.success) for run in pair] for pair in self._pairs(label, other)]
        return np.array([mine - its for mine, its in curves])

    def _pairs(self, label: str, other: str | None) -> list[tuple[FinishedRun, FinishedRun]]:
        if other is None:
            assert self.control is not None
            other = self.control
        mine, its = self.cells[label].runs, self.cells[other].runs
        return [(mine[seed], its[seed]) for seed in mine if seed in its]


def summary_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One row per cell with all its numbers, the control first and the others from best to worst.

    Every ``Interval`` is an estimate with its 95 % interval; for a cell with one run, the ends are NaN. p-values of
    differences are adjusted by Holm's method for all cells that are compared with the control.
    """
    rows = [_row(comparison, label) for label in comparison.cells]
    # With many policies against one control, the luckiest looks better than it is. Holm's method keeps the chance of
    # one or more false differences in the table below the level.
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
    """The value of a policy's option in a run: as set, or else its default; None if the policy has neither."""
    if name in config.policy_options:
        return config.policy_options[name]
    parameter = find_policy(config.policy).parameters.get(name)
    return None if parameter is None or parameter.default is parameter.empty else parameter.default
