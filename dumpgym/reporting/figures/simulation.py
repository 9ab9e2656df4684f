"""The figure of a simulation: how fast each policy's student learns, and how policies differ from uniform."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dumpgym.reporting.figures.canvas import drawing, save_png
from dumpgym.reporting.figures.style import COLOURS
from dumpgym.simulating.lockstep import BEST_ALLOCATION
from dumpgym.simulating.results import CONTROL, StudentResult, cheats

_COLOURS = {CONTROL: "black", BEST_ALLOCATION: COLOURS[4], "dump": COLOURS[1]}
_BEST, _OTHERS = COLOURS[0], "#BBBBBB"


def simulation_figure(student: str, result: StudentResult) -> Figure:
    """Mean success over steps, and the area under it minus that of uniform, with intervals.

    Args:
        student: specification of the student, for the title.
        result: results of all policies.
    """
    rows = result.rows
    figure = Figure(figsize=(11, max(4.5, 0.2 * len(rows) + 1.5)), layout="constrained")
    curves, differences = figure.subplots(1, 2, width_ratios=(1, 1.1))
    best = next(row["policy"] for row in rows if not cheats(row["policy"]))  # the control at least does not
    colours = {best: _BEST} | _COLOURS
    _draw_curves(curves, result, colours)
    for place, row in enumerate(reversed(rows)):
        value, low, high = row["area_minus_uniform"]
        colour = colours.get(row["policy"], "#666666")
        differences.plot([low, high], [place, place], color=colour, linewidth=1.5)
        differences.plot(value, place, "o", color=colour, ms=4)
    differences.set_yticks(range(len(rows)), [row["policy"] for row in reversed(rows)], fontsize="x-small")
    differences.axvline(0, color="black", linewidth=0.8)
    differences.locator_params(axis="x", nbins=6)
    differences.set(xlabel="area under the curve minus uniform, paired", ylim=(-0.8, len(rows) - 0.2))
    for axes in (curves, differences):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{student}, {rows[0]['runs']} paired seeds, 95 % intervals", fontsize="medium")
    return figure


def _draw_curves(axes: Axes, result: StudentResult, colours: dict[str, str]) -> None:
    for name, found in result.policies.items():
        steps = np.arange(len(found.curve))
        if name in colours:
            axes.plot(steps, found.curve, color=colours[name], linewidth=2, label=name, zorder=3)
        else:
            axes.plot(steps, found.curve, color=_OTHERS, linewidth=0.8)
    axes.set(xlabel="training steps", ylabel="mean success over the arms that count", xlim=(0, len(found.curve) - 1))
    axes.legend(fontsize="small", frameon=False, loc="upper left")


def save_simulation_figures(output: Path, results: Mapping[str, StudentResult]) -> None:
    """Writes the figure of every student as PNG: figure.png, figure1.png, ...

    Args:
        output: an existing directory.
        results: results by the specification of the student.

    Raises:
        DumpgymError: if a figure cannot be drawn or written.
    """
    for i, (student, result) in enumerate(results.items()):
        path = output / f"figure{i or ''}.png"
        with drawing(path):
            save_png(simulation_figure(student, result), path)
