"""The figure of what runs spend: tokens by purpose and seconds by phase."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.style import COLOURS, new_figure
from dumpgym.runs.finished import TOKEN_COLUMNS


@report_figure("ledger", place=50, section="Cost", caption="Tokens by purpose and seconds by phase.")
def ledger(comparison: Comparison) -> Figure:
    """Tokens by purpose and seconds by phase of every cell, averaged over seeds."""
    figure, axes = new_figure(comparison, "What was spent, mean over seeds", 1, 2, 1.8 + 0.35 * len(comparison.cells))
    labels = list(reversed(comparison.cells))
    spent = {label: [run.ledger for run in comparison.cells[label].runs.values()] for label in labels}
    tokens = {
        column: [np.mean([one["tokens"][column] for one in spent[label]]) for label in labels]
        for column in TOKEN_COLUMNS
    }
    generated, redrawn, trained = (np.array(tokens[c]) for c in ("num_tokens", "redrawn_tokens", "trained_tokens"))
    parts = {
        "trained on": trained,
        "generated, without gradient": generated - redrawn - trained,
        "redrawn by the group filter": redrawn,
        "evaluation": np.array(tokens["evaluation_tokens"]),
    }
    phases = {
        phase: np.array([np.mean([one["seconds"][phase] for one in spent[label]]) for label in labels])
        for phase in spent[labels[0]][0]["seconds"]
    }
    for ax, found, unit in ((axes[0], parts, "tokens"), (axes[1], phases, "seconds")):
        left = np.zeros(len(labels))
        for (name, widths), colour in zip(found.items(), COLOURS, strict=False):
            ax.barh(range(len(labels)), widths, left=left, color=colour, label=name)
            left += widths
        ax.set_xlabel(unit)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.legend(fontsize="x-small", frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    axes[0].set_yticks(range(len(labels)), labels, fontsize="small")
    axes[1].set_yticks([])
    return figure
