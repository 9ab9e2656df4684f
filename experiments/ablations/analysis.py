"""Which of DUMP's constants, and what besides, matters on the embedded student at equal tokens? What the runs say.

    python experiments/ablations/analysis.py        # --runs, --output; an unfinished comparison will do

Writes tables.md, scores.json and the figures; README.md says what was found.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from matplotlib.figure import Figure

from dumpgym.comparison import FEWEST_SEEDS, Comparison, load_comparison
from dumpgym.report import markdown_tables, power_lines
from dumpgym.report_figures import FIGURES
from dumpgym.statistics import Interval, interval_over_runs

PUBLISHED = "dump"


@dataclass(frozen=True)
class Options:
    runs: Path = Path("runs/ablations")
    output: Path = Path(__file__).parent


def axes_of(runs: Comparison) -> dict[str, list[str]]:
    """The labels of DUMP's cells by what they differ in from the published one, in the order of the comparison."""
    axes: dict[str, list[str]] = {}
    for label, cell in runs.cells.items():
        if cell.config.policy == PUBLISHED and label != PUBLISHED:
            axis = next(iter(cell.config.policy_options), runs.settings_of[label].split(" ")[0])
            axes.setdefault(axis, []).append(label)
    return axes


def to_published(runs: Comparison, label: str) -> Interval:
    """A cell's primary metric less that of DUMP as published, on the seeds that both have, with its interval."""
    mine, published = runs.cells[label].runs, runs.cells[PUBLISHED].runs
    both = [seed for seed in mine if seed in published]
    return interval_over_runs(np.array([runs.primary(mine[s]) - runs.primary(published[s]) for s in both]))


def score(runs: Comparison, axis: str) -> float:
    """How much an axis matters: the range of the primary metric over its settings, the published one among them.

    Args:
        runs: with DUMP as published among them.
        axis: one of ``axes_of``.
    """
    gains = [0.0, *(to_published(runs, label)[0] for label in axes_of(runs)[axis])]
    return max(gains) - min(gains)


def constants(runs: Comparison) -> Figure:
    """Every setting less DUMP as published, by axis; uniform beside them."""
    axes = axes_of(runs)
    order = [("", "uniform"), *((axis, label) for axis, labels in axes.items() for label in labels)]
    figure = Figure(figsize=(9, 1.2 + 0.32 * len(order)), layout="constrained")
    ax = figure.subplots()
    ax.axvspan(-runs.margin, runs.margin, color="#EEEEEE", zorder=0)
    ax.axvline(0, color="black", linewidth=0.8)
    colours = dict(zip(axes, ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"), strict=False))
    for place, (axis, label) in enumerate(reversed(order)):
        value, low, high = to_published(runs, label)
        colour = colours.get(axis, "black")
        ax.plot([low, high], [place, place], color=colour, linewidth=2)
        ax.plot(value, place, "o", color=colour, ms=5)
    ax.set_yticks(range(len(order)), [label for _, label in reversed(order)], fontsize="small")
    ax.set_xlabel("area over tokens minus that of DUMP as published; grey: smaller than the margin")
    ax.spines[["top", "right"]].set_visible(False)
    seeds = min(len(cell.runs) for cell in runs.cells.values())
    anecdote = ", an anecdote" if seeds < FEWEST_SEEDS else ""
    figure.suptitle(
        f"DUMP with one thing changed: {seeds} paired seed{'' if seeds == 1 else 's'}{anecdote}, 95 % intervals",
        fontsize="medium",
    )
    return figure


def tables(runs: Comparison) -> str:
    """Every number as Markdown."""
    lines = ["| axis | setting | seeds | area minus that of DUMP as published |", "| --- | --- | --- | --- |"]
    for axis, labels in axes_of(runs).items():
        for label in labels:
            mean, low, high = to_published(runs, label)
            lines.append(
                f"| {axis} | {label} | {len(runs.cells[label].runs)} | {mean:+.3f} [{low:+.3f}, {high:+.3f}] |"
            )
    power = [f"- {line}" for line in power_lines(runs)]
    notes = [f"- {note}" for note in runs.notes]
    return "\n".join(["# Tables", "", *lines, "", markdown_tables(runs), "", *power, *notes, ""])


def main(options: Options) -> None:
    runs = load_comparison([options.runs])
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "tables.md").write_text(tables(runs))
    scores = {axis: score(runs, axis) for axis in axes_of(runs)}
    (options.output / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    for name, figure in {"constants": constants(runs), "sweeps": FIGURES["ablation"](runs)}.items():
        figure.savefig(options.output / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main(tyro.cli(Options))
