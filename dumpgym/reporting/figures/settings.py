"""Figures of the effect of settings: ablations of one option at a time, and policies by settings."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dumpgym.comparing.comparison import Comparison, option_of
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.style import COLOURS, error_distances, new_figure


@report_figure("ablation", place=13, caption="One option at a time. Grey: the control with its interval.")
def ablation(comparison: Comparison) -> Figure:
    """The primary metric over the values of every option in which cells of one policy differ."""
    sweeps = _sweeps(comparison)
    columns = min(3, max(1, len(sweeps)))
    rows = max(1, -(-len(sweeps) // columns))
    figure, axes = new_figure(comparison, f"Ablation: {comparison.metric}", rows, columns, 1.4 + 2.8 * rows)
    means = {row["label"]: row["primary"] for row in comparison.table}
    for ax, (name, points) in zip(axes, sweeps.items(), strict=False):
        found = np.array([means[label] for _, label in points])
        ax.errorbar(
            range(len(points)), found[:, 0], error_distances(np.abs(found[:, 1:].T - found[:, 0])), fmt="o-",
            color=COLOURS[0], capsize=2,
        )  # fmt: skip
        if comparison.control:
            value, low, high = means[comparison.control]
            ax.axhspan(low, high, color="#DDDDDD", zorder=0)
            ax.axhline(value, color="black", linewidth=0.8, label=comparison.control)
        values = [value for value, _ in points]
        is_long = max(map(len, values)) > 8
        ax.set_xticks(range(len(points)), values, fontsize="small", rotation=30 if is_long else 0)
        ax.set_title(name, fontsize="small")
    for ax in axes[max(1, len(sweeps)) :]:
        ax.remove()
    if not sweeps:
        axes[0].text(0.5, 0.5, "no two cells of one policy differ in one option alone", ha="center", va="center")
        axes[0].axis("off")
    return figure


@report_figure("heat_map", place=14, caption="The primary metric by policy and by other settings.")
def heat_map(comparison: Comparison) -> Figure:
    """The primary metric by policy and by the other settings in which cells differ."""
    grid = comparison.grid
    policies, values = list(dict.fromkeys(p for p, _ in grid)), list(dict.fromkeys(v for _, v in grid))
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


def _sweeps(comparison: Comparison) -> dict[str, list[tuple[str, str]]]:
    """The values of each policy's options in order, with the labels of their cells; at least two values per option."""
    sweeps: dict[str, list[tuple[str, str]]] = {}
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
                sweeps[f"{policy}: {name}"] = [(str(value), label) for value, label in points]
    return sweeps


def _by_size(point: tuple[object, str]) -> tuple[bool, float, str]:
    value = point[0]
    is_number = isinstance(value, int | float)
    return not is_number, float(value) if isinstance(value, int | float) else 0.0, str(value)
