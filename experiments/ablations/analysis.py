"""Which of DUMP's constants, and what else, matters on the embedded model at equal tokens? Analysis of the runs.

    tar -xf experiments/ablations/runs.tar.xz       # the logs of the 144 runs, into runs/ablations
    python experiments/ablations/analysis.py        # --runs, --output; an unfinished comparison is enough

Writes tables.md, scores.json and the figures; README.md says what was found.
"""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dumpgym.comparing.comparison import FEWEST_SEEDS, Comparison
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.figures.effects import mark_differences
from dumpgym.reporting.figures.style import save_figures
from dumpgym.reporting.findings import AnalysisConfig, analysis_config, load_findings, write_findings
from dumpgym.reporting.tables import format_interval, format_p_value, markdown, markdown_tables
from dumpgym.statistics.intervals import interval_over_runs
from dumpgym.statistics.significance import difference_p_value, holm

PUBLISHED = "dump"
Array = NDArray[np.float64]


def axes_of(runs: Comparison) -> dict[str, list[str]]:
    """The labels of DUMP's cells by the setting that differs from the published one, in the comparison's order."""
    axes: dict[str, list[str]] = {}
    for label, cell in runs.cells.items():
        if cell.config.policy == PUBLISHED and label != PUBLISHED:
            axis = next(iter(cell.config.policy_options), runs.settings_of[label].split(" ")[0])
            axes.setdefault(axis, []).append(label)
    return axes


def rows_of(runs: Comparison) -> list[tuple[str, str, str]]:
    """The comparisons to make: an axis, the label of a cell, and the label of the cell that it is compared with."""
    settings = [(axis, label, PUBLISHED) for axis, labels in axes_of(runs).items() for label in labels]
    others = [
        (runs.settings_of[label].split(" ")[0], label, "uniform")
        for label, cell in runs.cells.items()
        if cell.config.policy == "uniform" and label != "uniform"
    ]
    return [("policy", "uniform", PUBLISHED), *settings, *others]


def score(runs: Comparison, axis: str) -> float:
    """How much an axis matters: the range of the primary metric over its settings, including the published one.

    Args:
        runs: a comparison that includes DUMP as published.
        axis: one of ``axes_of``.
    """
    gains = [0.0, *(float(runs.differences(label, PUBLISHED).mean()) for label in axes_of(runs)[axis])]
    return max(gains) - min(gains)


def constants(runs: Comparison) -> Figure:
    """Every setting minus DUMP as published, by axis, and uniform."""
    rows = list(reversed(rows_of(runs)))
    figure = Figure(figsize=(9, 1.2 + 0.32 * len(rows)), layout="constrained")
    ax = figure.subplots()
    ax.axvspan(-runs.margin, runs.margin, color="#EEEEEE", zorder=0)
    ax.axvline(0, color="black", linewidth=0.8)
    colours = dict(zip(axes_of(runs), ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"), strict=False))
    for place, (axis, label, other) in enumerate(rows):
        colour = colours.get(axis, "black")
        found = (runs.differences(label, other), runs.differences_over_steps(label, other))
        mark_differences(ax, place, *map(interval_over_runs, found), colour)
    names = [label + ("" if other == PUBLISHED else f", minus {other}") for _, label, other in rows]
    ax.set_yticks(range(len(rows)), names, fontsize="small")
    ax.set_xlabel(
        "area minus that of DUMP as published: over tokens (full), over steps (hollow)\ngrey: smaller than the margin"
    )
    ax.spines[["top", "right"]].set_visible(False)
    seeds = min(len(cell.runs) for cell in runs.cells.values())
    anecdote = ", an anecdote" if seeds < FEWEST_SEEDS else ""
    figure.suptitle(
        f"DUMP with one thing changed: {seeds} paired seed{'' if seeds == 1 else 's'}{anecdote}, 95 % intervals",
        fontsize="medium",
    )
    return figure


def tables(runs: Comparison) -> str:
    """All numbers as Markdown."""
    rows = rows_of(runs)
    columns = []
    for of in (runs.differences, runs.differences_over_steps):
        found = [of(label, other) for _, label, other in rows]
        intervals = [format_interval(interval_over_runs(values), sign="+") for values in found]
        adjusted = [format_p_value(p) for p in holm([difference_p_value(values) for values in found])]
        columns += [intervals, adjusted]
    head = ["axis", "setting", "minus", "seeds", "area over tokens", "p, Holm", "area over steps", "p, Holm"]
    pairs = [str(len(runs.differences(label, other))) for _, label, other in rows]
    table = [head, *([*row, n, *cells] for row, n, *cells in zip(rows, pairs, *columns, strict=True))]
    notes = [f"- {note}" for note in runs.notes]
    return "\n".join(["# Tables", "", markdown(table), "", markdown_tables(runs), "", *notes, ""])


def main(config: AnalysisConfig) -> None:
    runs = load_findings(config.runs, __file__)
    scores = {axis: score(runs, axis) for axis in axes_of(runs)}
    write_findings(config.output, tables(runs), scores)
    save_figures({"constants": constants(runs), "sweeps": FIGURES["ablation"](runs)}, config.output)


if __name__ == "__main__":
    main(analysis_config(__file__))
