"""Do bandit curricula beat uniform sampling on the embedded model, at equal tokens? Analysis of the runs.

    tar -xf experiments/embedded_policies/runs.tar.xz       # the logs of the 64 runs, into runs/embedded_policies
    python experiments/embedded_policies/analysis.py        # --runs, --output for others

Writes tables.md, scores.json and the figures; README.md says what was found.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.figures.effects import mark_differences
from dumpgym.reporting.figures.style import save_figures
from dumpgym.reporting.findings import AnalysisConfig, analysis_config, load_findings, write_findings
from dumpgym.reporting.tables import markdown_tables
from dumpgym.statistics.intervals import interval_over_runs

COLOURS = {"uniform": "black", "dump": "#D55E00", "easy-to-hard?total_steps=48": "#009E73"}
OTHERS = "#9A9A9A"


def score(runs: Comparison, policy: str) -> float:
    """The part of the gap between uniform and full success that a policy closes.

    0 is uniform's area, and 1 is success on every puzzle from the first token.

    Args:
        runs: a comparison with uniform as the control.
        policy: label of one of its cells.
    """
    uniform = runs.values("uniform").mean()
    return float((runs.values(policy).mean() - uniform) / (1 - uniform))


def finding(runs: Comparison) -> Figure:
    """Success over tokens, and the paired differences over tokens and over steps."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    curves, dots = figure.subplots(1, 2, width_ratios=(1, 1.25))
    at = np.linspace(0, runs.budget, 80)
    for label, cell in sorted(runs.cells.items(), key=lambda item: item[0] in COLOURS):
        found = np.stack([np.interp(at, run.tokens, run.success) for run in cell.runs.values()])
        mean, low, high = np.array([interval_over_runs(column) for column in found.T]).T
        shown = label in COLOURS
        colour = COLOURS.get(label, OTHERS)
        curves.plot(at, mean, color=colour, linewidth=2 if shown else 0.8, label=label.split(" ")[0] if shown else None)
        if shown:
            curves.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
    curves.set(xlabel="generated tokens", ylabel="held-out success, mean over 2 to 7 people")
    curves.xaxis.set_major_formatter(EngFormatter(sep=""))
    curves.legend(frameon=False, loc="lower right")

    rows = [row for row in runs.table if "difference" in row]
    dots.axvspan(-runs.margin, runs.margin, color="#EEEEEE", zorder=0)
    dots.axvline(0, color="black", linewidth=0.8)
    for place, row in enumerate(reversed(rows)):
        colour = COLOURS.get(row["label"], OTHERS)
        mark_differences(dots, place, row["difference"], row["difference_over_steps"], colour)
    dots.set_yticks(range(len(rows)), [row["label"] for row in reversed(rows)], fontsize="small")
    dots.set_xlabel("area minus uniform's: over tokens (full), over steps (hollow)\ngrey: smaller than the margin")
    for axes in (curves, dots):
        axes.spines[["top", "right"]].set_visible(False)
    seeds = min(len(cell.runs) for cell in runs.cells.values())
    figure.suptitle(f"{seeds} paired seeds, 95 % intervals", fontsize="medium")
    return figure


def tables(runs: Comparison) -> str:
    """All numbers as Markdown."""
    return "\n".join(["# Tables", "", markdown_tables(runs), ""])


def main(config: AnalysisConfig) -> None:
    runs = load_findings(config.runs, __file__)
    scores = {label: score(runs, label) for label in runs.cells}
    write_findings(config.output, tables(runs), scores)
    save_figures({"finding": finding(runs), "arm_shares": FIGURES["arm_shares"](runs)}, config.output)


if __name__ == "__main__":
    main(analysis_config(__file__))
