"""What does redrawing groups without variance gain over steps, and lose over tokens? Analysis of the runs.

    tar -xf experiments/group_filtering/runs.tar.xz         # the logs of the 32 runs, into runs/group_filtering
    python experiments/group_filtering/analysis.py          # --runs, --output for others

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

Array = NDArray[np.float64]
TESTS = [(policy, over) for over in ("tokens", "steps") for policy in ("uniform", "dump")]
FILTERED = "{}; max_redraws 2"


def gains(runs: Comparison, policy: str, over: str) -> Array:
    """The area under success with group filtering minus that without, over "tokens" or "steps", (seeds,)."""
    of = {"tokens": runs.differences, "steps": runs.differences_over_steps}[over]
    return of(FILTERED.format(policy), policy)


def score(runs: Comparison, policy: str, over: str) -> float:
    """What group filtering gains under a policy, averaged over pairs; see ``gains``."""
    return float(gains(runs, policy, over).mean())


def tokens_of_a_step(runs: Comparison, label: str) -> float:
    """Tokens that a cell generates per step, averaged over runs."""
    return float(np.mean([run.tokens[-1] / run.evaluations[-1]["step"] for run in runs.cells[label].runs.values()]))


def tables(runs: Comparison) -> str:
    """All numbers as Markdown; p-values are adjusted for the four tests."""
    found = [gains(runs, policy, over) for policy, over in TESTS]
    adjusted = holm([difference_p_value(values) for values in found])
    table = [["policy", "over", "pairs", "area with group filtering minus without", "p, Holm"]]
    for test, values, p in zip(TESTS, found, adjusted, strict=True):
        interval = format_interval(interval_over_runs(values), sign="+")
        table.append([*test, str(len(values)), interval, format_p_value(p)])
    costs = [f"- {label}: {tokens_of_a_step(runs, label):,.0f} tokens a step" for label in runs.cells]
    return "\n".join(["# Tables", "", markdown(table), "", *costs, "", markdown_tables(runs), ""])


def main(config: AnalysisConfig) -> None:
    runs = load_findings(config.runs, __file__)
    scores = {f"{policy}, over {over}": score(runs, policy, over) for policy, over in TESTS}
    write_findings(config.output, tables(runs), scores)
    save_figures({name: FIGURES[name](runs) for name in ("success", "ledger")}, config.output)


if __name__ == "__main__":
    main(analysis_config(__file__))
