"""Figures of what was learned: success over tokens, steps and seconds, by arm, and what was forgotten."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.style import (
    COLOURS,
    add_legend,
    bands,
    cell_looks,
    common_axis,
    draw_curve,
    error_distances,
    new_figure,
)
from dumpgym.runs.finished import Array, FinishedRun
from dumpgym.statistics.intervals import interval_over_runs


def _evaluation_seconds(run: FinishedRun) -> Array:
    """Seconds of training at every evaluation, without the seconds of evaluations."""
    return run.of_evaluations("time/seconds") - run.of_evaluations("time/evaluate")


_AXES: dict[str, tuple[str, Callable[[FinishedRun], Array]]] = {
    "tokens": ("generated tokens", lambda run: run.tokens),
    "steps": ("optimiser steps", lambda run: run.of_evaluations("step")),
    "seconds": ("seconds of training", _evaluation_seconds),
}


@report_figure(
    "success",
    place=1,
    caption="Greedy success on held-out puzzles, mean over arms; bands are 95 % intervals. Dotted: the budget.",
)
def success(comparison: Comparison) -> Figure:
    """Held-out success averaged over arms, over generated tokens, steps and seconds."""
    figure, axes = new_figure(comparison, "Held-out success, greedy, mean over arms", 1, 3, 4.6)
    looks = cell_looks(comparison)
    for ax, (name, x) in zip(axes, _AXES.values(), strict=True):
        for label, cell in comparison.cells.items():
            runs = list(cell.runs.values())
            at = common_axis(runs, x)
            draw_curve(ax, at, np.stack([np.interp(at, x(run), run.success) for run in runs]), label, looks[label])
        ax.set(xlabel=name)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.set_xlim(left=0)
    axes[0].set_ylabel("share of problems solved")
    axes[0].axvline(comparison.budget, color="grey", linewidth=0.8, linestyle=":")
    add_legend(figure, axes[0])
    return figure


@report_figure("success_by_arm", place=4, caption="Greedy success on held-out puzzles of every arm.")
def success_by_arm(comparison: Comparison) -> Figure:
    """Held-out success of every arm over generated tokens."""
    arms = comparison.arms
    columns = min(3, len(arms))
    rows = -(-len(arms) // columns)
    figure, axes = new_figure(comparison, "Held-out success of every arm, greedy", rows, columns, 1.2 + 2.4 * rows)
    looks = cell_looks(comparison)
    for i, (ax, arm) in enumerate(zip(axes, arms, strict=False)):
        for label, cell in comparison.cells.items():
            runs = list(cell.runs.values())
            at = common_axis(runs, lambda run: run.tokens)
            samples = np.stack([np.interp(at, run.tokens, run.success_by_arm[:, i]) for run in runs])
            draw_curve(ax, at, samples, label, looks[label])
        ax.set(
            title=arm, ylim=(-0.02, 1.02), xlim=(0, None), xlabel="generated tokens" if i + columns >= len(arms) else ""
        )
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    for ax in axes[len(arms) :]:
        ax.remove()
    add_legend(figure, axes[0])
    return figure


@report_figure(
    "velocity",
    place=8,
    caption="A grey point is an arm between two evaluations. The line is the mean in each tenth of the pass rate.",
)
def velocity(comparison: Comparison) -> Figure:
    """How fast an arm's success rises from one evaluation to the next, against that success, for all runs."""
    figure, (ax,) = new_figure(comparison, "Learning velocity against pass rate", 1, 1, 4.6)
    starts, gains = [], []
    for cell in comparison.cells.values():
        for run in cell.runs.values():
            spent = np.diff(run.tokens)[:, None] / 1e5
            starts.append(run.success_by_arm[:-1].ravel())
            gains.append((np.diff(run.success_by_arm, axis=0) / spent).ravel())
    start, gain = np.concatenate(starts), np.concatenate(gains)
    edges = np.linspace(0, 1, 11)
    number = np.clip(np.digitize(start, edges) - 1, 0, 9)
    filled = [i for i in range(10) if (number == i).sum() > 1]
    ax.plot(start, gain, ".", ms=3, color="#BBBBBB", zorder=1)
    found = np.array([interval_over_runs(gain[number == i]) for i in filled])
    if filled:
        middle = [start[number == i].mean() for i in filled]
        error = np.abs(found[:, 1:].T - found[:, 0])
        ax.errorbar(middle, found[:, 0], error_distances(error), fmt="o-", color=COLOURS[0], capsize=2, zorder=2)
        low, high = np.quantile(gain, [0.02, 0.98])  # a few outliers would squeeze the line flat
        ax.set_ylim(min(low, found[:, 1].min()), max(high, found[:, 2].max()))
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xlabel="success before", ylabel="change of success per 100,000 tokens of the run", xlim=(-0.02, 1.02))
    return figure


@report_figure("forgetting", place=12, caption="How far each arm ends below the best success that it had.")
def forgotten(comparison: Comparison) -> Figure:
    """Forgetting of every arm: its best success minus its success at the end."""
    figure, (ax,) = new_figure(comparison, "Forgetting: best success so far minus the last", 1, 1, 4.2)
    looks, arms = cell_looks(comparison), comparison.arms
    width = 0.8 / len(comparison.cells)
    for i, (label, cell) in enumerate(comparison.cells.items()):
        lost = np.stack([run.success_by_arm.max(axis=0) - run.success_by_arm[-1] for run in cell.runs.values()])
        mean, low, high = bands(lost)
        at = np.arange(len(arms)) + (i - (len(comparison.cells) - 1) / 2) * width
        ax.bar(at, mean, width, color=looks[label]["color"], alpha=0.8, label=label)
        ax.errorbar(
            at, mean, error_distances(np.stack([mean - low, high - mean])), fmt="none", ecolor="black", linewidth=0.8
        )
    ax.set_xticks(range(len(arms)), arms, fontsize="small")
    ax.set_ylabel("success")
    add_legend(figure, ax)
    return figure
