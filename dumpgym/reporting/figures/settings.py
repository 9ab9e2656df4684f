"""Figures of the effect of settings: ablations of one option at a time, and policies by settings."""

from collections import Counter
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dumpgym.comparing.comparison import Comparison, option_of
from dumpgym.comparing.labels import value_text
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.style import COLOURS, error_distances, new_figure, panels

SECTION = "Settings"


def _has_sweeps(comparison: Comparison) -> bool:
    return bool(_sweeps(comparison))


def _has_grid(comparison: Comparison) -> bool:
    return bool(_full_grid(comparison)[0])


@report_figure(
    "ablation",
    place=40,
    section=SECTION,
    caption="One option at a time, with 95 % intervals. A line joins numbers, not names. Grey: the control with its "
    "interval.",
    applies=_has_sweeps,
)
def ablation(comparison: Comparison) -> Figure:
    """The primary metric over the values of every option in which cells of one policy differ."""
    sweeps = _sweeps(comparison)
    figure, axes = panels(comparison, f"Ablation: {comparison.metric}", list(sweeps), most=3, height=2.8)
    means = {row["label"]: row["primary"] for row in comparison.table}
    for ax, points in zip(axes, sweeps.values(), strict=True):
        found = np.array([means[label] for _, label in points])
        distances = error_distances(np.abs(found[:, 1:].T - found[:, 0]))
        ax.errorbar(range(len(points)), found[:, 0], distances, fmt="o", color=COLOURS[0], capsize=2)
        numbers = [i for i, (value, _) in enumerate(points) if _is_number(value)]
        ax.plot(numbers, found[numbers, 0], color=COLOURS[0], linewidth=1)
        if comparison.control:
            value, low, high = means[comparison.control]
            ax.axhspan(low, high, color="#DDDDDD", zorder=0)
            ax.axhline(value, color="black", linewidth=0.8, label=comparison.control)
        names = [f"{value:g}" if _is_number(value) else value_text(value) for value, _ in points]
        is_long = max(map(len, names)) > 8
        ax.set_xticks(range(len(points)), names, fontsize="small", rotation=30 if is_long else 0)
        ax.set_xlim(-0.4, len(points) - 0.6)
    lows, highs = zip(*(ax.get_ylim() for ax in axes), strict=True)
    for ax in axes:
        ax.set_ylim(min(lows), max(highs))  # the same for all, so that the effects of options can be compared
    return figure


@report_figure(
    "heat_map",
    place=41,
    section=SECTION,
    caption="The primary metric by policy and by other settings, where several policies have several settings.",
    applies=_has_grid,
)
def heat_map(comparison: Comparison) -> Figure:
    """The primary metric by policy and by the other settings in which cells differ."""
    grid = comparison.grid
    policies, values = _full_grid(comparison)
    means = {row["label"]: row["primary"][0] for row in comparison.table}
    matrix = np.array([[means.get(grid.get((p, v), ""), np.nan) for v in values] for p in policies])
    figure, (ax,) = new_figure(
        comparison, f"{comparison.metric} by policy and setting", 1, 1, 1.8 + 0.4 * len(policies)
    )
    image = ax.imshow(matrix, cmap="viridis", aspect="auto")
    middle = (np.nanmin(matrix) + np.nanmax(matrix)) / 2
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            shade = "white" if value < middle else "black"
            ax.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize="x-small", color=shade)
    rotation: dict[str, Any] = {"rotation": 20, "ha": "right"} if max(map(len, values)) > 12 else {}
    ax.set_xticks(range(len(values)), values, fontsize="small", **rotation)
    ax.set_yticks(range(len(policies)), policies, fontsize="small")
    figure.colorbar(image, ax=ax)
    return figure


def _full_grid(comparison: Comparison) -> tuple[list[str], list[str]]:
    """Policies and settings such that each has a cell with two or more of the others; none where there are no such."""
    cells = set(comparison.grid)
    while True:
        policies, values = (Counter(cell[side] for cell in cells) for side in (0, 1))
        kept = {(policy, value) for policy, value in cells if policies[policy] > 1 and values[value] > 1}
        if kept == cells:
            return list(dict.fromkeys(p for p, _ in comparison.grid if p in policies)), [
                v for v in dict.fromkeys(v for _, v in comparison.grid) if v in values
            ]
        cells = kept


def _sweeps(comparison: Comparison) -> dict[str, list[tuple[Any, str]]]:
    """The values of each policy's options in order, with the labels of their cells; at least two values per option."""
    sweeps: dict[str, list[tuple[Any, str]]] = {}
    of_policy: dict[str, list[str]] = {}
    for label, cell in comparison.cells.items():
        of_policy.setdefault(cell.config.policy, []).append(label)
    for policy, labels in of_policy.items():
        configs = {label: comparison.cells[label].config for label in labels}
        names = sorted({name for config in configs.values() for name in config.policy_options})
        for name in names:
            alike = [
                label
                for label, config in configs.items()
                if not (config.policy_options.keys() - {name}) and comparison.is_plain(label)
            ]
            points = sorted(((option_of(configs[label], name), label) for label in alike), key=_by_size)
            if len(points) > 1:
                sweeps[f"{policy}: {name}"] = points
    return sweeps


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _by_size(point: tuple[Any, str]) -> tuple[bool, float, str]:
    value = point[0]
    return not _is_number(value), float(value) if _is_number(value) else 0.0, str(value)
