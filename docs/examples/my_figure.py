"""A figure of a report: the final success of every cell on every arm."""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import dumpgym


@dumpgym.figures.report_figure(
    "final_by_arm", place=100, caption="Success at the end; every dot is a run."
)
def final_by_arm(comparison):
    """Draws one panel per arm, with one column of dots per cell."""
    num_arms, labels = len(comparison.arms), list(comparison.cells)
    figure = Figure(figsize=(1 + 1.5 * num_arms, 4), layout="constrained")
    panels = figure.subplots(1, num_arms, sharey=True, squeeze=False)[0]
    for arm, axes in enumerate(panels):
        for place, label in enumerate(labels):
            runs = comparison.cells[label].runs.values()
            final = [run.success_by_arm[-1, arm] for run in runs]
            axes.plot(np.full(len(final), place), final, "o", alpha=0.5)
        axes.set_title(comparison.arms[arm], fontsize="small")
        axes.set_xticks(range(len(labels)), labels, rotation=90)
    panels[0].set_ylabel("held-out success")
    return figure


if __name__ == "__main__":
    comparison = dumpgym.load_comparison([Path(sys.argv[1])])
    final_by_arm(comparison).savefig("final_by_arm.png")
