"""The look of all figures: colours, line styles, legends and bands.

The colours are those of Okabe and Ito, which readers with colour vision deficiency can tell apart; line styles help
where there are more cells than colours. The control is always black. Bands and bars are 95 % bootstrap intervals over
seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dumpgym.comparing.comparison import FEWEST_SEEDS, Comparison
from dumpgym.runs.finished import Array, FinishedRun
from dumpgym.statistics.intervals import interval_over_runs

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
STYLES = ("-", "--", ":", "-.")
POINTS = 60
"""Points of a curve whose runs are interpolated to a common axis."""
_WIDTH = 10.0  # inches
_LEGEND_ROW = 0.2  # inches
_LEGEND_CHARACTERS = 135  # as many fit side by side in a figure of this width


def cell_looks(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Colour and line style of every cell by label, as keyword arguments for ``Axes.plot``."""
    others = [label for label in comparison.cells if label != comparison.control]
    looks = {
        label: {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i // len(COLOURS) % len(STYLES)]}
        for i, label in enumerate(others)
    }
    return looks | ({comparison.control: {"color": "black", "linestyle": "-"}} if comparison.control else {})


def _seeds_text(comparison: Comparison) -> str:
    counts = sorted({len(cell.runs) for cell in comparison.cells.values()})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    anecdote = " (an anecdote)" if counts[0] < FEWEST_SEEDS else ""
    return f"{comparison.name}, {seeds} seed{'' if counts == [1] else 's'}{anecdote}"


def new_figure(comparison: Comparison, title: str, rows: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of the common width with its axes, row by row.

    Args:
        comparison: the comparison, whose name and number of seeds are part of the title.
        title: first line of the title.
        rows: rows of axes.
        columns: columns of axes.
        height: in inches, without the further rows that ``add_legend`` may add.
    """
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}\n{_seeds_text(comparison)}", fontsize="medium")
    return figure, axes


def add_legend(figure: Figure, axes: Axes) -> None:
    """Puts the legend below the axes. The figure grows by the legend's rows, and the axes keep their size."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=0)
    columns = max(1, min(4, len(labels), _LEGEND_CHARACTERS // (longest + 6)))
    figure.set_figheight(figure.get_figheight() + _LEGEND_ROW * (-(-len(labels) // columns) - 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize="small", frameon=False)


def bands(samples: Array) -> tuple[Array, Array, Array]:
    """Mean over runs with its interval at every point: (runs, points) to mean, lower and upper end, each (points,).

    A single run has no interval, so all three are its values.
    """
    found = [interval_over_runs(column) if len(column) > 1 else (column[0],) * 3 for column in samples.T]
    mean, low, high = np.array(found).T
    return mean, low, high


def draw_curve(axes: Axes, x: Array, samples: Array, label: str, look: dict[str, Any]) -> None:
    """Draws the mean over runs with its band.

    Args:
        axes: where to draw.
        x: values on the horizontal axis, (points,).
        samples: one curve per run, (runs, points).
        label: label in the legend.
        look: colour and line style, see ``cell_looks``.
    """
    mean, low, high = bands(samples)
    axes.plot(x, mean, label=label, linewidth=2, **look)
    axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)


def common_axis(runs: Sequence[FinishedRun], x: Callable[[FinishedRun], Array]) -> Array:
    """``POINTS`` values from 0 to the end of the shortest run.

    Beyond it the mean would be over fewer runs, and would jump.

    Args:
        runs: the runs of a cell.
        x: gives the values of one run.
    """
    return np.linspace(0, min(x(run)[-1] for run in runs), POINTS)


def error_distances(error: Array) -> Array:
    """Distances to both ends of intervals, as ``errorbar`` takes them; it rejects any that rounding makes negative."""
    return np.maximum(error, 0)


def save_figures(figures: Mapping[str, Figure], output: Path) -> None:
    """Writes figures as PNG files under their names into an existing directory."""
    for name, figure in figures.items():
        figure.savefig(output / f"{name}.png", dpi=110)
