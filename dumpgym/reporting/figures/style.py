"""How all figures look: colours, line styles, legends, bands."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dumpgym.comparing.comparison import FEWEST_SEEDS, Comparison
from dumpgym.runs.finished import Array, FinishedRun
from dumpgym.statistics.intervals import interval_over_runs

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
_STYLES = ("-", "--", ":", "-.")
_POINTS = 60  # of a curve, where runs are brought to one axis
_WIDTH = 10.0  # of a figure, inches
_LEGEND_ROW = 0.2  # inches
_LEGEND_CHARACTERS = 135  # that fit side by side


def _look(comparison: Comparison) -> dict[str, dict[str, Any]]:
    others = [label for label in comparison.cells if label != comparison.control]
    looks = {
        label: {"color": _COLOURS[i % len(_COLOURS)], "linestyle": _STYLES[i // len(_COLOURS) % len(_STYLES)]}
        for i, label in enumerate(others)
    }
    return looks | ({comparison.control: {"color": "black", "linestyle": "-"}} if comparison.control else {})


def _caption(comparison: Comparison) -> str:
    counts = sorted({len(cell.runs) for cell in comparison.cells.values()})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    anecdote = " (an anecdote)" if counts[0] < FEWEST_SEEDS else ""
    return f"{comparison.name}, {seeds} seed{'' if counts == [1] else 's'}{anecdote}"


def _figure(comparison: Comparison, title: str, rows: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}\n{_caption(comparison)}", fontsize="medium")
    return figure, axes


def _legend(figure: Figure, axes: Axes) -> None:
    """Below the axes, which keep their height: the figure grows by its rows."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=0)
    columns = max(1, min(4, len(labels), _LEGEND_CHARACTERS // (longest + 6)))
    figure.set_figheight(figure.get_figheight() + _LEGEND_ROW * (-(-len(labels) // columns) - 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize="small", frameon=False)


def _bands(samples: Array) -> tuple[Array, Array, Array]:
    """Mean, and lower and upper end of its interval, at every point: (runs, points) to three of (points,)."""
    found = [interval_over_runs(column) if len(column) > 1 else (column[0],) * 3 for column in samples.T]
    mean, low, high = np.array(found).T
    return mean, low, high


def _curve(axes: Axes, x: Array, samples: Array, label: str, look: dict[str, Any]) -> None:
    mean, low, high = _bands(samples)
    axes.plot(x, mean, label=label, linewidth=2, **look)
    axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)


def _common(runs: Sequence[FinishedRun], x: Callable[[FinishedRun], Array]) -> Array:
    return np.linspace(0, min(x(run)[-1] for run in runs), _POINTS)


def _distances(error: Array) -> Array:
    """Distances to both ends of intervals, as ``errorbar`` takes them; none is below 0."""
    return np.maximum(error, 0)


def save_figures(figures: Mapping[str, Figure], output: Path) -> None:
    """Writes figures as PNG, by their names, into a directory that is there."""
    for name, figure in figures.items():
        figure.savefig(output / f"{name}.png", dpi=110)
