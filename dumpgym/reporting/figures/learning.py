"""Figures of what was learned: success over tokens, steps and seconds, and by cell."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dumpgym.comparing.comparison import Comparison, FinishedCell
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.style import (
    add_legend,
    cell_looks,
    common_axis,
    draw_cells,
    draw_curve,
    labels_in_colour,
    new_figure,
    panels,
    token_axis,
)
from dumpgym.runs.finished import Array, FinishedRun
from dumpgym.statistics.curves import tokens_at_crossing

SECTION = "Results"


def _evaluation_seconds(run: FinishedRun) -> Array:
    """Seconds of training at every evaluation, without the seconds of evaluations."""
    return run.of_evaluations("time/seconds") - run.of_evaluations("time/evaluate")


_AXES: dict[str, tuple[str, Callable[[FinishedRun], Array]]] = {
    "tokens": ("generated tokens", lambda run: run.tokens),
    "steps": ("optimiser steps", lambda run: run.of_evaluations("step")),
    "seconds": ("seconds of training", _evaluation_seconds),
}


def curves_over(
    x: Callable[[FinishedRun], Array], y: Callable[[FinishedRun], Array]
) -> Callable[[FinishedCell], tuple[Array, Array]]:
    """Gives a cell's common axis and the curves of its runs on it."""

    def curves(cell: FinishedCell) -> tuple[Array, Array]:
        runs = list(cell.runs.values())
        at = common_axis(runs, x)
        return at, np.stack([np.interp(at, x(run), y(run)) for run in runs])

    return curves


@report_figure(
    "success",
    place=1,
    section=SECTION,
    caption="Greedy success on held-out puzzles, mean over arms and seeds. With at most four cells, bands are 95 % "
    "intervals over seeds; of more than eight, only the control, the best and the worst are in colour. Dotted: the "
    "budget.",
)
def success(comparison: Comparison) -> Figure:
    """Held-out success averaged over arms, over generated tokens, steps and seconds."""
    shown = [_AXES[key] for key in _AXES if key != "seconds" or not comparison.machine_shared]
    figure, axes = new_figure(comparison, "Held-out success, greedy, mean over arms", 1, len(shown), 4.6)
    for ax, (name, x) in zip(axes, shown, strict=True):
        draw_cells(ax, comparison, curves_over(x, lambda run: run.success))
        ax.set(xlabel=name)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.set_xlim(left=0)
    axes[0].set_ylabel("share of problems solved")
    axes[0].axvline(comparison.budget, color="grey", linewidth=0.8, linestyle=":")
    add_legend(figure, axes[0])
    return figure


@report_figure(
    "success_by_cell",
    place=2,
    section=SECTION,
    caption="The same curves over generated tokens, one panel for every cell. Black: the control. Bands are 95 % "
    "intervals over seeds.",
    applies=lambda comparison: len(comparison.cells) > 2,
)
def success_by_cell(comparison: Comparison) -> Figure:
    """Held-out success of every cell beside that of the control, in panels of their own."""
    labels = [label for label in comparison.cells if label != comparison.control]
    figure, axes = panels(comparison, "Held-out success of every cell", labels)
    looks, curves = cell_looks(comparison), curves_over(lambda run: run.tokens, lambda run: run.success)
    drawn = _of_cells(comparison, curves)
    lowest, highest = (side([side(samples) for _, samples in drawn.values()]) for side in (np.min, np.max))
    for ax, label in zip(axes, labels, strict=True):
        for one in (comparison.control, label):
            if one is not None:
                draw_curve(ax, *drawn[one], one, looks[one])
        ax.set_ylim(lowest - 0.02, highest + 0.02)
    token_axis(axes, comparison.budget, columns=4)
    return figure


@report_figure(
    "sooner",
    place=3,
    section=SECTION,
    caption="Where the mean curve of a cell reaches the final success of the control (dashed), and how many times "
    "fewer tokens this takes than the control spends in all.",
    applies=lambda comparison: comparison.control is not None and len(comparison.cells) > 1,
)
def sooner(comparison: Comparison) -> Figure:
    """Held-out success over generated tokens, and the tokens that the final success of the control takes each cell."""
    assert comparison.control is not None
    figure, (ax,) = new_figure(comparison, "Tokens to the final success of the control", 1, 1, 5.0)
    curves = curves_over(lambda run: run.tokens, lambda run: run.success)
    draw_cells(ax, comparison, curves)
    means = {label: (at, samples.mean(axis=0)) for label, (at, samples) in _of_cells(comparison, curves).items()}
    ends, values = means[comparison.control]
    level, looks = float(values[-1]), cell_looks(comparison)
    ax.axhline(level, color="grey", linewidth=0.8, linestyle="--")
    coloured = [label for label in labels_in_colour(comparison) if label != comparison.control]
    for place, label in enumerate(coloured):
        reached = tokens_at_crossing(*means[label], level, held=1)
        if 0 < reached < np.inf:
            colour = looks[label]["color"]
            ax.plot([reached, reached], [0, level], color=colour, linewidth=0.8, linestyle=":")
            text = f"x{ends[-1] / reached:.1f}"
            ax.annotate(
                text, (reached, level * (0.06 + 0.08 * place)), color=colour, xytext=(3, 0), textcoords="offset points"
            )
    ax.set(xlabel="generated tokens", ylabel="share of problems solved", ylim=(0, None))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.set_xlim(left=0)
    add_legend(figure, ax)
    return figure


def _of_cells(
    comparison: Comparison, curves: Callable[[FinishedCell], tuple[Array, Array]]
) -> dict[str, tuple[Array, Array]]:
    return {label: curves(cell) for label, cell in comparison.cells.items()}
