"""Figures by arm: success over tokens, what was forgotten, and how fast an arm is learned at which success."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.learning import curves_over
from dumpgym.reporting.figures.style import (
    COLOURS,
    GREY,
    add_legend,
    bands,
    cell_looks,
    draw_cells,
    draw_dots,
    error_distances,
    new_figure,
    panels,
    token_axis,
)
from dumpgym.runs.finished import Array, FinishedRun
from dumpgym.statistics.intervals import Interval, interval_over_runs

SECTION = "By arm"


def _of_arm(number: int) -> Callable[[FinishedRun], Array]:
    return lambda run: run.success_by_arm[:, number]


@report_figure(
    "success_by_arm",
    place=20,
    section=SECTION,
    caption="Greedy success on held-out puzzles of every arm, mean over seeds. Bands as in the first figure.",
)
def success_by_arm(comparison: Comparison) -> Figure:
    """Held-out success of every arm over generated tokens."""
    figure, axes = panels(comparison, "Held-out success of every arm, greedy", comparison.arms, most=3, height=2.6)
    for i, ax in enumerate(axes):
        draw_cells(ax, comparison, curves_over(lambda run: run.tokens, _of_arm(i)))
        ax.set_ylim(-0.02, 1.02)
    token_axis(axes, columns=3)
    add_legend(figure, axes[0])
    return figure


@report_figure(
    "forgetting", place=21, section=SECTION, caption="How far each arm ends below the best success that it had."
)
def forgotten(comparison: Comparison) -> Figure:
    """Forgetting of every arm in every cell: its best success minus its success at the end."""
    lost = {label: _lost(list(cell.runs.values())) for label, cell in comparison.cells.items()}
    title = "Forgetting: best success so far minus the last"
    if len(lost) == 1:
        (found,) = lost.values()
        figure, axes = new_figure(comparison, title, 1, 1, 1.4 + 0.3 * len(found))
        draw_dots(axes[0], dict(zip(comparison.arms, found, strict=True)), {})
    else:
        figure, axes = panels(comparison, title, comparison.arms, height=0.7 + 0.22 * len(lost))
        for i, ax in enumerate(axes):
            draw_dots(ax, {label: found[i] for label, found in lost.items()}, cell_looks(comparison))
            if i % 4:
                ax.set_yticklabels([])
    highest = max(high for found in lost.values() for _, _, high in found)
    for ax in axes:
        ax.set_xlim(min(0, *(low for found in lost.values() for _, low, _ in found)) - 0.01, max(highest * 1.05, 0.05))
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_xlabel("success lost")
    return figure


def _lost(runs: list[FinishedRun]) -> list[Interval]:
    """Forgetting of every arm with its interval over runs."""
    found = bands(np.stack([run.success_by_arm.max(axis=0) - run.success_by_arm[-1] for run in runs]))
    return [(float(mean), float(low), float(high)) for mean, low, high in zip(*found, strict=True)]


def _has_gains(comparison: Comparison) -> bool:
    return sum((len(run.evaluations) - 1) * len(run.arms) for run in _runs(comparison)) >= 20


def _runs(comparison: Comparison) -> list[FinishedRun]:
    return [run for cell in comparison.cells.values() for run in cell.runs.values()]


@report_figure(
    "velocity",
    place=22,
    section=SECTION,
    caption="A grey point is an arm between two evaluations. The line is the mean in each tenth of the pass rate.",
    applies=_has_gains,
)
def velocity(comparison: Comparison) -> Figure:
    """How fast an arm's success rises from one evaluation to the next, against that success, for all runs."""
    figure, (ax,) = new_figure(comparison, "Learning velocity against pass rate", 1, 1, 4.6)
    starts, gains = [], []
    for run in _runs(comparison):
        spent = np.diff(run.tokens)[:, None] / 1e5
        starts.append(run.success_by_arm[:-1].ravel())
        gains.append((np.diff(run.success_by_arm, axis=0) / spent).ravel())
    start, gain = np.concatenate(starts), np.concatenate(gains)
    edges = np.linspace(0, 1, 11)
    number = np.clip(np.digitize(start, edges) - 1, 0, 9)
    filled = [i for i in range(10) if (number == i).sum() > 1]
    ax.plot(start, gain, ".", ms=3, color=GREY, zorder=1, rasterized=True)  # thousands of points: a small SVG
    found = np.array([interval_over_runs(gain[number == i]) for i in filled])
    if filled:
        middle = [start[number == i].mean() for i in filled]
        error = np.abs(found[:, 1:].T - found[:, 0])
        ax.errorbar(middle, found[:, 0], error_distances(error), fmt="o-", color=COLOURS[0], capsize=2, zorder=2)
        low, high = np.quantile(gain, [0.02, 0.98])  # a few outliers would squeeze the line flat
        low, high = min(low, found[:, 1].min()), max(high, found[:, 2].max())
        if low < high:  # nothing may have changed
            ax.set_ylim(low, high)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xlabel="success before", ylabel="change of success per 100,000 tokens of the run", xlim=(-0.02, 1.02))
    return figure
