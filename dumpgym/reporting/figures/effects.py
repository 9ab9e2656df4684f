"""Figures of how cells differ: the primary metric, paired differences, and the probability of improvement."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.style import add_legend, cell_looks, new_figure
from dumpgym.statistics.intervals import Interval, performance_profile, probability_of_improvement


def _dots(ax: Axes, found: dict[str, Interval], looks: dict[str, dict[str, Any]]) -> None:
    for place, (label, (value, low, high)) in enumerate(reversed(found.items())):
        colour = looks[label]["color"]
        ax.plot([low, high], [place, place], color=colour, linewidth=2)
        ax.plot(value, place, "o", color=colour, ms=5)
    ax.set_yticks(range(len(found)), list(reversed(found)), fontsize="small")
    ax.set_ylim(-0.6, len(found) - 0.4)


def mark_differences(ax: Axes, place: float, over_tokens: Interval, over_steps: Interval, colour: str) -> None:
    """Draws one row of paired differences: over tokens as a full dot, and below it over steps as a hollow one."""
    for height, (value, low, high), face, width in ((0.13, over_tokens, colour, 2), (-0.17, over_steps, "white", 1)):
        ax.plot([low, high], [place + height] * 2, color=colour, linewidth=width)
        ax.plot(value, place + height, "o", color=colour, markerfacecolor=face, ms=5)


@report_figure("intervals", place=2, caption="The primary metric of every cell with its 95 % interval.")
def intervals(comparison: Comparison) -> Figure:
    """The primary metric of every cell: its mean, and its interquartile mean over runs and arms."""
    rows = comparison.table
    figure, axes = new_figure(comparison, f"Primary metric: {comparison.metric}", 1, 2, 1.6 + 0.35 * len(rows))
    looks = cell_looks(comparison)
    _dots(axes[0], {row["label"]: row["primary"] for row in rows}, looks)
    axes[0].set_xlabel("mean over seeds")
    several = {row["label"]: row["interquartile_mean"] for row in rows if "interquartile_mean" in row}
    _dots(axes[1], several, looks)
    axes[1].set_xlabel("interquartile mean over seeds and arms")
    axes[1].set_yticklabels([])
    return figure


@report_figure("differences", place=3, caption="Differences within seeds. Those in the grey band do not matter.")
def differences(comparison: Comparison) -> Figure:
    """Paired differences of the primary metric from the control, with the margin of equivalence and every pair."""
    rows = [row for row in comparison.table if "difference" in row]
    title = f"Paired differences to {comparison.control}: {comparison.metric}"
    figure, (ax,) = new_figure(comparison, title, 1, 1, 1.6 + 0.4 * max(1, len(rows)))
    looks = cell_looks(comparison)
    margin = comparison.margin_in_units
    ax.axvspan(-margin, margin, color="#EEEEEE", zorder=0)
    ax.axvline(0, color="black", linewidth=0.8)
    _dots(ax, {row["label"]: row["difference"] for row in rows}, looks)
    for place, row in enumerate(reversed(rows)):
        pairs = comparison.differences(row["label"])
        ax.plot(pairs, np.full(len(pairs), place - 0.22), "|", color=looks[row["label"]]["color"], alpha=0.6)
        ax.annotate(row["verdict"], (1.0, place), xycoords=("axes fraction", "data"), fontsize="x-small", va="center")
    ax.set_xlabel(f"difference, mean over pairs; every pair is a tick; grey: smaller than the margin, {margin:g}")
    return figure


@report_figure("improvement", place=9, caption="The probability that a run beats one of the control. 1/2: no effect.")
def improvement(comparison: Comparison) -> Figure:
    """The probability that a run is better than one of the control, over all pairs of runs, averaged over arms."""
    rows = [row for row in comparison.table if "improvement" in row]
    title = f"Probability of improvement over {comparison.control}"
    figure, (ax,) = new_figure(comparison, title, 1, 1, 1.6 + 0.35 * max(1, len(rows)))
    _dots(ax, {row["label"]: row["improvement"] for row in rows}, cell_looks(comparison))
    ax.axvline(0.5, color="black", linewidth=0.8)
    ax.set(xlim=(0, 1), xlabel="probability")
    return figure


@report_figure("improvement_matrix", place=10, caption="The probability that the row's run beats the column's.")
def improvement_matrix(comparison: Comparison) -> Figure:
    """The probability of improvement of every cell over every other."""
    labels = [label for label, cell in comparison.cells.items() if len(cell.runs) > 1]
    size = 2.5 + 0.5 * len(labels)
    figure, (ax,) = new_figure(comparison, "Probability that the row is better than the column", 1, 1, max(3.5, size))
    values = {label: comparison.values_by_arm(label) for label in labels}
    matrix = np.array([[probability_of_improvement(values[a], values[b])[0] for b in labels] for a in labels])
    if labels:
        ax.imshow(matrix, cmap="PuOr", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(matrix):
            shade = "white" if abs(value - 0.5) > 0.35 else "black"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize="x-small", color=shade)
    ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right", fontsize="x-small")
    ax.set_yticks(range(len(labels)), labels, fontsize="x-small")
    return figure


@report_figure(
    "profile",
    place=11,
    caption="Higher is better. Where curves cross, neither policy is better everywhere.",
)
def profile(comparison: Comparison) -> Figure:
    """The share of runs and arms whose value is above a threshold, for all thresholds."""
    figure, (ax,) = new_figure(comparison, f"Performance profile: {comparison.metric} by arm", 1, 1, 4.6)
    looks = cell_looks(comparison)
    several = {label: comparison.values_by_arm(label) for label, c in comparison.cells.items() if len(c.runs) > 1}
    if several:
        pooled = np.concatenate([values.ravel() for values in several.values()])
        thresholds = np.linspace(pooled.min(), pooled.max(), 80)
        for label, values in several.items():
            share, low, high = performance_profile(values, thresholds)
            ax.plot(thresholds, share, label=label, linewidth=2, **looks[label])
            ax.fill_between(thresholds, low, high, color=looks[label]["color"], alpha=0.1, linewidth=0)
        add_legend(figure, ax)
    ax.set(xlabel="threshold", ylabel="share of runs and arms above it", ylim=(-0.02, 1.02))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    return figure
