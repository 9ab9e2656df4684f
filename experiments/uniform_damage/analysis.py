"""Why does uniform sampling learn so little in small batches? Analysis of the runs.

    tar -xf experiments/uniform_damage/runs.tar.xz     # the logs, into runs/uniform_damage
    python experiments/uniform_damage/analysis.py      # --runs, --output for others

Writes tables.md, scores.json and the figures; README.md says what was found.
"""

import numpy as np
from numpy.typing import NDArray

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.figures.style import save_figures
from dumpgym.reporting.findings import AnalysisConfig, analysis_config, load_findings, write_findings
from dumpgym.reporting.tables import format_interval, format_p_value, markdown, markdown_tables
from dumpgym.statistics.intervals import interval_over_runs
from dumpgym.statistics.significance import difference_p_value, holm

NEAR = 4
"""Number of the arms, easiest first, that "2 to 5 people" are."""


def score(runs: Comparison, label: str) -> float:
    """Final success minus that of uniform sampling, averaged over pairs."""
    return float(runs.differences(label).mean())


def _changes(runs: Comparison, label: str) -> NDArray[np.float64]:
    """What training changed in the success on near arms and on far arms, (seeds, 2)."""
    changes = [run.success_by_arm[-1] - run.success_by_arm[0] for run in runs.cells[label].runs.values()]
    return np.array([(change[:NEAR].mean(), change[NEAR:].mean()) for change in changes])


def _mean(runs: Comparison, label: str, key: str) -> float:
    """A metric of the steps, averaged over steps and runs."""
    return float(np.mean([run.mean_of_steps(run.of_records(key)) for run in runs.cells[label].runs.values()]))


def tables(runs: Comparison) -> str:
    """All numbers as Markdown."""
    labels = [label for label in runs.cells if label != runs.control]
    p_values = [difference_p_value(runs.differences(label)) for label in labels]
    adjusted = dict(zip(labels, zip(p_values, holm(p_values), strict=True), strict=True))
    head = ["cell", "final, minus uniform", "p", "p, Holm", "change on 2 to 5 people", "on 6 to 11 people"]
    table = [[*head, "steps", "tokens a completion", "informative groups", "entropy"]]
    for label, cell in runs.cells.items():
        row = [label, f"({runs.values(label).mean():.3f})", "", ""]
        if label in adjusted:
            row[1] = format_interval(interval_over_runs(runs.differences(label)), sign="+")
            row[2:] = map(format_p_value, adjusted[label])
        row += [format_interval(interval_over_runs(part), sign="+") for part in _changes(runs, label).T]
        row += [
            f"{np.mean([run.evaluations[-1]['step'] for run in cell.runs.values()]):.0f}",
            f"{_mean(runs, label, 'completions/mean_length'):.0f}",
            f"{1 - _mean(runs, label, 'frac_reward_zero_std'):.2f}",
            f"{_mean(runs, label, 'entropy'):.3f}",
        ]
        table.append(row)
    return "\n".join(["# Tables", "", markdown(table), "", markdown_tables(runs), ""])


def main(config: AnalysisConfig) -> None:
    runs = load_findings(config.runs, __file__)
    scores = {label: score(runs, label) for label in runs.cells if label != runs.control}
    write_findings(config.output, tables(runs), scores)
    save_figures({"success": FIGURES["success"](runs)}, config.output)


if __name__ == "__main__":
    main(analysis_config(__file__))
