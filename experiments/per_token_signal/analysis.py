"""Does DUMP beat uniform sampling at equal tokens when its signal is the advantage per token? Analysis of the runs.

    tar -xf experiments/per_token_signal/runs.tar.xz        # the logs of the 32 runs, into runs/per_token_signal
    python experiments/per_token_signal/analysis.py         # --runs, --output for others

Writes tables.md, scores.json and the figures; README.md says what was found.
"""

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.figures.style import save_figures
from dumpgym.reporting.findings import AnalysisConfig, analysis_config, load_findings, write_findings
from dumpgym.reporting.tables import format_interval, format_p_value, markdown, markdown_tables
from dumpgym.statistics.intervals import interval_over_runs
from dumpgym.statistics.significance import difference_p_value

PER_TOKEN = "dump; signal mean_absolute_advantage_per_token"


def score(runs: Comparison, other: str) -> float:
    """What the signal per token gains over another cell in the primary metric, averaged over pairs."""
    return float(runs.differences(PER_TOKEN, other).mean())


def tables(runs: Comparison) -> str:
    """All numbers as Markdown."""
    table = [["the signal per token, minus", "pairs", "area over tokens", "p", "area over steps", "p"]]
    for other in runs.cells:
        if other != PER_TOKEN:
            found = (runs.differences(PER_TOKEN, other), runs.differences_over_steps(PER_TOKEN, other))
            table.append([other, str(len(found[0]))])
            for values in found:
                interval, p = interval_over_runs(values), difference_p_value(values)
                table[-1] += [format_interval(interval, sign="+"), format_p_value(p)]
    return "\n".join(["# Tables", "", markdown(table), "", markdown_tables(runs), ""])


def main(config: AnalysisConfig) -> None:
    runs = load_findings(config.runs, __file__)
    scores = {other: score(runs, other) for other in runs.cells if other != PER_TOKEN}
    write_findings(config.output, tables(runs), scores)
    save_figures({name: FIGURES[name](runs) for name in ("success", "differences", "arm_shares")}, config.output)


if __name__ == "__main__":
    main(analysis_config(__file__))
