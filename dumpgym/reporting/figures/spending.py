"""The figure of what runs spend: tokens by purpose and seconds by phase."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dumpgym.comparing.comparison import Comparison
from dumpgym.comparing.timing import median_seconds
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.style import COLOURS, new_figure
from dumpgym.runs.finished import TOKEN_COLUMNS, Array


@report_figure(
    "ledger",
    place=50,
    section="Cost",
    caption="Tokens by purpose, means over seeds, and seconds by phase, medians over seeds. There are no seconds where "
    "the machine did other work during the runs.",
)
def ledger(comparison: Comparison) -> Figure:
    """Tokens by purpose, and seconds by phase, of every cell."""
    shows_seconds = not comparison.machine_shared
    height = 1.8 + 0.35 * len(comparison.cells)
    figure, axes = new_figure(comparison, "What was spent", 1, 1 + shows_seconds, height)
    _stack(axes[0], _tokens(comparison), "tokens, mean over seeds")
    labels = list(reversed(comparison.cells))
    axes[0].set_yticks(range(len(labels)), labels, fontsize="small")
    if shows_seconds:
        medians = [median_seconds(comparison.cells[label].runs) for label in labels]
        phases = {phase: np.array([one[phase] for one in medians]) for phase in medians[0]}
        _stack(axes[1], phases, "seconds, median over seeds")
        axes[1].set_yticks([])
    return figure


def _tokens(comparison: Comparison) -> dict[str, Array]:
    """Tokens by purpose, averaged over the runs of each cell, the last cell first."""
    mean = {
        column: np.array(
            [
                np.mean([run.ledger["tokens"][column] for run in cell.runs.values()])
                for cell in reversed(comparison.cells.values())
            ]
        )
        for column in TOKEN_COLUMNS
    }
    return {
        "trained on": mean["trained_tokens"],
        "generated, without gradient": mean["num_tokens"] - mean["redrawn_tokens"] - mean["trained_tokens"],
        "redrawn by the group filter": mean["redrawn_tokens"],
        "evaluation": mean["evaluation_tokens"],
    }


def _stack(axes: Axes, parts: Mapping[str, Array], unit: str) -> None:
    left = 0.0 * next(iter(parts.values()))
    for (name, widths), colour in zip(parts.items(), COLOURS, strict=False):
        axes.barh(range(len(widths)), widths, left=left, color=colour, label=name)
        left = left + widths
    axes.set_xlabel(unit)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(fontsize="x-small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
