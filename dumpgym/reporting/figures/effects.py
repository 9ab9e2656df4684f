"""Figures of how cells differ: the primary metric, paired differences, and the probability of improvement."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.style import (
    GREY,
    MOST_BANDS,
    POINTS,
    add_legend,
    cell_looks,
    draw_curve,
    draw_dots,
    labels_in_colour,
    new_figure,
    panels,
    token_axis,
)
from dumpgym.statistics.intervals import Interval, performance_profile, probability_of_improvement

SECTION = "Comparison with the control"


def _has(key: str) -> Callable[[Comparison], bool]:
    return lambda comparison: any(key in row for row in comparison.table)


def _with_several_runs(comparison: Comparison) -> list[str]:
    return [label for label, cell in comparison.cells.items() if len(cell.runs) > 1]


def mark_differences(ax: Axes, place: float, over_tokens: Interval, over_steps: Interval, colour: str) -> None:
    """Draws one row of paired differences: over tokens as a full dot, and below it over steps as a hollow one."""
    for height, (value, low, high), face, width in ((0.13, over_tokens, colour, 2), (-0.17, over_steps, "white", 1)):
        ax.plot([low, high], [place + height] * 2, color=colour, linewidth=width)
        ax.plot(value, place + height, "o", color=colour, markerfacecolor=face, ms=5)


@report_figure(
    "intervals",
    place=3,
    section="Results",
    caption="The primary metric of every cell with its 95 % interval.",
    applies=lambda comparison: len(comparison.cells) > 1,
)
def intervals(comparison: Comparison) -> Figure:
    """The primary metric of every cell: its mean, and its interquartile mean over runs and arms."""
    rows = comparison.table
    figure, axes = new_figure(comparison, f"Primary metric: {comparison.metric}", 1, 2, 1.6 + 0.35 * len(rows))
    looks = cell_looks(comparison)
    draw_dots(axes[0], {row["label"]: row["primary"] for row in rows}, looks)
    axes[0].set_xlabel("mean over seeds")
    several = {row["label"]: row["interquartile_mean"] for row in rows if "interquartile_mean" in row}
    if several:
        draw_dots(axes[1], several, looks)
        axes[1].set_xlabel("interquartile mean over seeds and arms")
        axes[1].set_yticklabels([])
    else:  # one run a cell
        axes[1].remove()
    return figure


@report_figure(
    "differences",
    place=10,
    section=SECTION,
    caption="Differences within seeds: the mean with its 95 % interval, and every pair as a tick. Those in the grey "
    "band do not matter.",
    applies=_has("difference"),
)
def differences(comparison: Comparison) -> Figure:
    """Paired differences of the primary metric from the control, with the margin of equivalence and every pair."""
    rows = [row for row in comparison.table if "difference" in row]
    title = f"Paired differences to {comparison.control}: {comparison.metric}"
    figure, (ax,) = new_figure(comparison, title, 1, 1, 1.6 + 0.4 * len(rows))
    looks = cell_looks(comparison)
    margin = comparison.margin_in_units
    ax.axvspan(-margin, margin, color="#EEEEEE", zorder=0)
    ax.axvline(0, color="black", linewidth=0.8)
    draw_dots(ax, {row["label"]: row["difference"] for row in rows}, looks)
    for place, row in enumerate(reversed(rows)):
        pairs = comparison.differences(row["label"])
        ax.plot(pairs, np.full(len(pairs), place - 0.22), "|", color=looks[row["label"]]["color"], alpha=0.6)
        ax.annotate(row["verdict"], (1.0, place), xycoords=("axes fraction", "data"), fontsize="x-small", va="center")
    ax.set_xlabel(f"difference, mean over pairs; every pair is a tick; grey: smaller than the margin, {margin:g}")
    return figure


@report_figure(
    "difference_curves",
    place=11,
    section=SECTION,
    caption="Success minus that of the control on the same seed, at equal tokens. Grey: the pairs. In colour: their "
    "mean. The band is a 95 % interval at each number of tokens by itself, not for the whole curve at once.",
    applies=_has("difference"),
)
def difference_curves(comparison: Comparison) -> Figure:
    """The paired difference of held-out success from the control over generated tokens, one panel for every cell."""
    labels = [row["label"] for row in comparison.table if "difference" in row]
    title = f"Held-out success minus that of {comparison.control}, paired by seed"
    figure, axes = panels(comparison, title, labels)
    looks, at = cell_looks(comparison), np.linspace(0, comparison.budget, POINTS)
    furthest = 0.0
    for ax, label in zip(axes, labels, strict=True):
        pairs = comparison.difference_curves(label, at)
        ax.axhline(0, color="black", linewidth=0.8)
        ax.plot(at, pairs.T, color=GREY, linewidth=0.5)
        draw_curve(ax, at, pairs, label, looks[label])
        furthest = max(furthest, float(np.abs(pairs).max()))
    for ax in axes:
        ax.set_ylim(-1.05 * furthest - 0.01, 1.05 * furthest + 0.01)
    token_axis(axes, comparison.budget, columns=4)
    return figure


@report_figure(
    "improvement",
    place=12,
    section=SECTION,
    caption="The probability that a run beats one of the control. 1/2: no effect.",
    applies=_has("improvement"),
)
def improvement(comparison: Comparison) -> Figure:
    """The probability that a run is better than one of the control, over all pairs of runs, averaged over arms."""
    rows = [row for row in comparison.table if "improvement" in row]
    title = f"Probability of improvement over {comparison.control}"
    figure, (ax,) = new_figure(comparison, title, 1, 1, 1.6 + 0.35 * len(rows))
    draw_dots(ax, {row["label"]: row["improvement"] for row in rows}, cell_looks(comparison))
    ax.axvline(0.5, color="black", linewidth=0.8)
    ax.set(xlim=(0, 1), xlabel="probability")
    return figure


@report_figure(
    "improvement_matrix",
    place=13,
    section=SECTION,
    caption="The probability that the row's run beats the column's.",
    applies=lambda comparison: len(_with_several_runs(comparison)) > 2,
)
def improvement_matrix(comparison: Comparison) -> Figure:
    """The probability of improvement of every cell over every other."""
    labels = _with_several_runs(comparison)
    size = 2.5 + 0.5 * len(labels)
    figure, (ax,) = new_figure(comparison, "Probability that the row is better than the column", 1, 1, max(3.5, size))
    values = {label: comparison.values_by_arm(label) for label in labels}
    matrix = np.array([[probability_of_improvement(values[a], values[b])[0] for b in labels] for a in labels])
    ax.imshow(matrix, cmap="PuOr", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(matrix):
        shade = "white" if abs(value - 0.5) > 0.35 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize="x-small", color=shade)
    ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right", fontsize="x-small")
    ax.set_yticks(range(len(labels)), labels, fontsize="x-small")
    return figure


@report_figure(
    "profile",
    place=14,
    section=SECTION,
    caption="Higher is better. Where curves cross, neither policy is better everywhere.",
    applies=lambda comparison: len(_with_several_runs(comparison)) > 1,
)
def profile(comparison: Comparison) -> Figure:
    """The share of runs and arms whose value is above a threshold, for all thresholds."""
    figure, (ax,) = new_figure(comparison, f"Performance profile: {comparison.metric} by arm", 1, 1, 4.6)
    looks, in_colour = cell_looks(comparison), labels_in_colour(comparison)
    several = {label: comparison.values_by_arm(label) for label in _with_several_runs(comparison)}
    pooled = np.concatenate([values.ravel() for values in several.values()])
    thresholds = np.linspace(pooled.min(), pooled.max(), 80)
    for label, values in several.items():
        share, low, high = performance_profile(values, thresholds)
        if label in in_colour:
            ax.plot(thresholds, share, label=label, linewidth=1.8, markersize=4.5, markevery=10, **looks[label])
        else:
            ax.plot(thresholds, share, color=GREY, linewidth=0.8)
        if len(several) <= MOST_BANDS:
            ax.fill_between(thresholds, low, high, color=looks[label]["color"], alpha=0.1, linewidth=0)
    add_legend(figure, ax)
    ax.set(xlabel="threshold", ylabel="share of runs and arms above it", ylim=(-0.02, 1.02))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    return figure
