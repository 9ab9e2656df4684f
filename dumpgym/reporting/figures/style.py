"""The look of all figures: colours, line styles, markers, legends and bands.

Every cell has a colour, a line style and a marker, the control is black, and bands and bars are 95 % intervals over
seeds. Six of the colours are those of Okabe and Ito and the seventh is the wine of Tol's muted scheme: with black they
are eight that readers with colour vision deficiency can tell apart. The yellow of Okabe and Ito is too pale for lines
on white.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dumpgym.comparing.comparison import FEWEST_SEEDS, Comparison, FinishedCell
from dumpgym.reporting.figures.canvas import drawing, save_png
from dumpgym.runs.finished import Array, FinishedRun
from dumpgym.statistics.intervals import Interval, interval_over_runs

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255")
STYLES = ("-", "--", "-.", (0, (1, 1.2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NUISANCE = "#CCCCCC"
"""Colour of all nuisance arms together, next to the arms that are evaluated."""
MOST_CURVES = 8
"""As many curves can be told apart in one panel. With more cells, only some of them are in colour."""
MOST_BANDS = 4
"""With more curves in a panel, their bands would hide each other."""
GREY = "#BBBBBB"
POINTS = 60
"""Points of a curve whose runs are interpolated to a common axis."""
_WIDTH = 10.0  # inches
_LEGEND_ROW = 0.2  # inches
_LEGEND_CHARACTERS = 135  # as many fit side by side in a figure of this width


def cell_looks(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Colour, line style and marker of every cell by label, as keyword arguments for ``Axes.plot``."""
    others = [label for label in comparison.cells if label != comparison.control]
    count = len(COLOURS)
    # Neighbours differ in all three, and cells that share a colour and a marker differ in the line style.
    looks = {
        label: {
            "color": COLOURS[i % count],
            "linestyle": STYLES[(i % count + i // count) % len(STYLES)],
            "marker": MARKERS[i % count],
        }
        for i, label in enumerate(others)
    }
    control = {"color": "black", "linestyle": "-", "marker": ""}
    return ({comparison.control: control} if comparison.control else {}) | looks


def labels_in_colour(comparison: Comparison) -> list[str]:
    """The cells that a panel with all curves shows in colour: all, or of more than eight the control and the extremes.

    The extremes are the best and the worst cell by the primary metric.
    """
    if len(comparison.cells) <= MOST_CURVES:
        return list(comparison.cells)
    ranked = [row["label"] for row in comparison.table]
    others = [label for label in ranked if label != comparison.control]
    control = [comparison.control] if comparison.control else []
    return [*control, others[0], others[-1]]


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
    figure.suptitle(f"{title}\n{_seeds_text(comparison)}")
    return figure, axes


def panels(
    comparison: Comparison, title: str, names: Sequence[str], *, most: int = 4, height: float = 2.2
) -> tuple[Figure, list[Axes]]:
    """A figure with one small panel for every name.

    Args:
        comparison: the comparison.
        title: first line of the title.
        names: titles of the panels.
        most: largest number of columns.
        height: height of a panel in inches.
    """
    columns = max(1, min(most, len(names)))
    rows = max(1, -(-len(names) // columns))
    figure, axes = new_figure(comparison, title, rows, columns, 1.4 + height * rows)
    for ax, name in zip(axes, names, strict=False):
        ax.set_title(name, fontsize="small", wrap=True)
    for ax in axes[len(names) :]:
        ax.remove()
    return figure, axes[: len(names)]


def token_axis(axes: Sequence[Axes], end: float | None = None, *, columns: int = 1) -> None:
    """Labels the horizontal axes of panels with generated tokens, the lowest one of every column in words."""
    for i, ax in enumerate(axes):
        ax.set_xlim(0, end)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        if i + columns >= len(axes):
            ax.set_xlabel("generated tokens")


def add_legend(figure: Figure, axes: Axes) -> None:
    """Puts the legend below the axes. The figure grows by the legend's rows, and the axes keep their size."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=0)
    columns = max(1, min(4, len(labels), _LEGEND_CHARACTERS // (longest + 6)))
    figure.set_figheight(figure.get_figheight() + _LEGEND_ROW * (-(-len(labels) // columns) - 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize="small", handlelength=3)


def bands(samples: Array) -> tuple[Array, Array, Array]:
    """Mean over runs with its interval at every point: (runs, points) to mean, lower and upper end, each (points,).

    A single run has no interval, so all three are its values.
    """
    found = [interval_over_runs(column) if len(column) > 1 else (column[0],) * 3 for column in samples.T]
    mean, low, high = np.array(found).T
    return mean, low, high


def draw_curve(
    axes: Axes, x: Array, samples: Array, label: str, look: Mapping[str, Any], *, with_band: bool = True
) -> None:
    """Draws the mean over runs with its band.

    Args:
        axes: where to draw.
        x: values on the horizontal axis, (points,).
        samples: one curve per run, (runs, points).
        label: label in the legend.
        look: colour, line style and marker, see ``cell_looks``.
        with_band: draw the interval too.
    """
    # Markers begin at another point on every curve, so that those of curves that lie on each other do not coincide.
    first = len(axes.lines) * 2 % 12
    points = {"linewidth": 1.8, "markersize": 4.5, "markevery": (first, 12), "markeredgecolor": "white"}
    if with_band:
        mean, low, high = bands(samples)
        axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
    else:
        mean = samples.mean(axis=0)
    axes.plot(x, mean, label=label, **{**points, "markeredgewidth": 0.5, **look})


def draw_cells(axes: Axes, comparison: Comparison, curves: Callable[[FinishedCell], tuple[Array, Array]]) -> None:
    """Draws the curves of all cells into one panel, see ``labels_in_colour``.

    Args:
        axes: where to draw.
        comparison: the comparison.
        curves: gives the horizontal values of a cell, (points,), and its curves, (runs, points).
    """
    looks, in_colour = cell_looks(comparison), labels_in_colour(comparison)
    is_first = True
    for label in [label for label in comparison.cells if label not in in_colour]:
        x, samples = curves(comparison.cells[label])
        name = f"the {len(comparison.cells) - len(in_colour)} others" if is_first else None
        axes.plot(x, samples.mean(axis=0), color=GREY, linewidth=0.8, label=name)
        is_first = False
    for label in in_colour:
        x, samples = curves(comparison.cells[label])
        draw_curve(axes, x, samples, label, looks[label], with_band=len(in_colour) <= MOST_BANDS)


def draw_dots(axes: Axes, found: dict[str, Interval], looks: Mapping[str, Mapping[str, Any]]) -> None:
    """Draws estimates with their intervals, one row each, the first one on top.

    Args:
        axes: where to draw.
        found: estimates by the label of their row.
        looks: colour by label; rows without one are in the first colour.
    """
    for place, (label, (value, low, high)) in enumerate(reversed(found.items())):
        colour = looks[label]["color"] if label in looks else COLOURS[0]
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot(value, place, "o", color=colour, ms=5)
    axes.set_yticks(range(len(found)), list(reversed(found)), fontsize="small")
    axes.set_ylim(-0.6, len(found) - 0.4)


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
    """Writes figures as PNG files under their names into an existing directory.

    Raises:
        DumpgymError: if a figure cannot be drawn or written.
    """
    for name, figure in figures.items():
        with drawing(output / f"{name}.png"):
            save_png(figure, output / f"{name}.png", dpi=110)
