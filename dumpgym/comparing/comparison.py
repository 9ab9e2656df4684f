"""Finished runs side by side: the primary metric of every run, paired differences between cells, and a table of both.

``loading`` sorts runs into cells and makes a ``Comparison`` of them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dumpgym.comparing.experiment import Metric
from dumpgym.comparing.labels import cell_label, compared_settings, value_text
from dumpgym.comparing.summary import FEWEST_SEEDS as FEWEST_SEEDS
from dumpgym.comparing.summary import summary_rows
from dumpgym.contracts.policy_registry import find_policy
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.finished import Array, FinishedRun
from dumpgym.statistics.curves import area_under_curve, speedup_of_area, tokens_at_crossing, tokens_to_threshold


@dataclass(frozen=True)
class FinishedCell:
    """Runs that differ only in their seeds, and in their warm starts if these are crossed with seeds; by seed."""

    label: str
    runs: dict[int, FinishedRun]

    @property
    def config(self) -> TrainConfig:
        """Configuration of the first run; the others differ from it in seed, output and warm start only."""
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
        settings_tried: number of settings tried for every policy beforehand; None if nobody said.
        control: label of the cell that all others are compared with; None if it has no run.
        budget: generated tokens up to which runs are compared.
        cells: cells by label, the control first.
        notes: what a reader must know, e.g. which runs are left out.
        machine_shared: whether the machine did other work during the runs, so that their seconds cannot be compared;
            None if nobody said.
        warm_starts: models that are crossed with the seeds; empty if all runs start from that of their configuration.
    """

    name: str
    question: str
    metric: Metric
    threshold: float
    margin: float
    settings_tried: int | None
    control: str | None
    budget: float
    cells: dict[str, FinishedCell]
    notes: list[str]
    machine_shared: bool | None = None
    warm_starts: tuple[str, ...] = ()

    @property
    def arms(self) -> list[str]:
        """Names of the arms that are evaluated, easiest first."""
        return next(iter(next(iter(self.cells.values())).runs.values())).arms

    @property
    def has_nuisance(self) -> bool:
        """Whether some of the arms are nuisance arms, which are not among ``arms``."""
        return any(cell.config.nuisance_arms for cell in self.cells.values())

    @property
    def margin_in_units(self) -> float:
        """The margin in units of the primary metric."""
        # Experiments give it in these units. Older ones gave tokens as a share of the budget, which is below 1.
        return self.margin if self.higher_is_better() or self.margin >= 1 else self.margin * self.budget

    @cached_property
    def margin_as_speedup(self) -> float:
        """The margin as a speed-up of the control: 1.1 if the control, 1.1 times as fast, would gain the margin.

        For the area see ``speedup_of_area``; for ``tokens_to_threshold`` it is the mean divided by the mean minus the
        margin. NaN without a control, and for the final success, which no speed-up of a finished curve changes.
        """
        if self.control is None or self.metric == "final":
            return float("nan")
        if self.metric == "area":
            curves = [(run.tokens, run.success) for run in self.cells[self.control].runs.values()]
            return speedup_of_area(curves, self.margin, self.budget)
        mean = float(self.values(self.control).mean())
        return mean / (mean - self.margin_in_units) if mean > self.margin_in_units else float("inf")

    @cached_property
    def table(self) -> list[dict[str, Any]]:
        """See ``summary_rows``."""
        return summary_rows(self)

    def settings(self, label: str) -> dict[str, Any]:
        """The settings of a cell by name, see ``compared_settings``; its model is the list of crossed warm starts."""
        own = compared_settings(self.cells[label].config)
        return own | {"agent.model": self.warm_starts} if self.warm_starts else own

    @cached_property
    def settings_of(self) -> dict[str, str]:
        """By label, the settings in which a cell differs from the first one, besides the policy and its options."""
        flat = {label: self.settings(label) for label in self.cells}
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

    def values_by_arm(self, label: str, seeds_of: str | None = None) -> Array:
        """The primary metric of a cell's runs for every arm, (seeds, arms).

        For ``tokens_to_threshold`` it is the final success, because a run may never reach the threshold on some arms.

        Args:
            label: label of the cell.
            seeds_of: label of another cell; the values are those of the seeds that both have.
        """
        others = self.cells[seeds_of or label].runs
        runs = [run for seed, run in self.cells[label].runs.items() if seed in others]
        if self.metric != "area":
            return np.stack([run.success_by_arm[-1] for run in runs])
        columns = [[area_under_curve(run.tokens, arm, self.budget) for arm in run.success_by_arm.T] for run in runs]
        return np.array(columns)

    def differences(self, label: str, other: str | None = None) -> Array:
        """A cell's primary metric minus another's, by default the control's, on the seeds that both have, (seeds,)."""
        # Paired: runs of one seed start from the same weights, draw the same problems on each arm and are evaluated on
        # the same problems. Luck with these cancels in the difference, so its interval is narrower than that of the
        # difference of two independent means.
        mine, its = self.paired_values(label, other)
        return mine - its

    def differences_by_warm_start(self, label: str) -> dict[str, Array]:
        """The same differences from the control, by warm start, each (seeds,); without those that have no pair."""
        pairs = self._pairs(label, None)
        found = {name: [pair for pair in pairs if pair[0].config.agent.model == name] for name in self.warm_starts}
        return {
            name: np.array([self.primary(mine) - self.primary(its) for mine, its in mine_and_its])
            for name, mine_and_its in found.items()
            if mine_and_its
        }

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

    def speedups(self, label: str, other: str | None = None) -> Array:
        """How many times sooner, in tokens, a cell reaches the threshold than another cell, on common seeds, (seeds,).

        NaN if one of the two runs does not reach it, or reaches it before training.
        """
        times = [
            [tokens_at_crossing(run.tokens, run.success, self.threshold) or np.nan for run in pair]
            for pair in self._pairs(label, other)
        ]
        return np.array([its / mine for mine, its in times])

    def paired_values(self, label: str, other: str | None = None) -> tuple[Array, Array]:
        """The primary metric of a cell and of another, by default the control, on the seeds of both, each (seeds,)."""
        pairs = self._pairs(label, other)
        return np.array([self.primary(mine) for mine, _ in pairs]), np.array([self.primary(its) for _, its in pairs])

    def _pairs(self, label: str, other: str | None) -> list[tuple[FinishedRun, FinishedRun]]:
        if other is None:
            assert self.control is not None
            other = self.control
        mine, its = self.cells[label].runs, self.cells[other].runs
        return [(mine[seed], its[seed]) for seed in mine if seed in its]


def option_of(config: TrainConfig, name: str) -> Any:
    """The value of a policy's option in a run: as set, or else its default; None if the policy has neither."""
    if name in config.policy_options:
        return config.policy_options[name]
    parameter = find_policy(config.policy).parameters.get(name)
    return None if parameter is None or parameter.default is parameter.empty else parameter.default
