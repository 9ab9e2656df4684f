"""Is the gain from easy to hard a matter of price, and how much does pairing remove? Analysis of the runs.

    tar -xf experiments/cheapest_arm/runs.tar.xz        # the logs of the 32 runs, into runs/cheapest_arm
    python experiments/cheapest_arm/analysis.py         # --runs, --output for others

Writes tables.md, scores.json and the figures; README.md says what was found.
"""

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.figures.style import save_figures
from dumpgym.reporting.findings import AnalysisConfig, analysis_config, load_findings, write_findings
from dumpgym.reporting.tables import format_interval, format_p_value, markdown, markdown_tables
from dumpgym.statistics.intervals import interval_over_runs, variance_removed
from dumpgym.statistics.significance import difference_p_value

CHEAPEST = "fixed?weights=1.0,0.0,0.0,0.0,0.0,0.0"
RANDOM = "entropy-matched-random?effective_arms=4.7"
QUESTIONS = {"price": (CHEAPEST, "uniform"), "pairing": ("dump", "uniform"), "steering": ("dump", RANDOM)}
"""The two cells whose difference answers each question."""


def score(runs: Comparison, question: str) -> float:
    """The difference of a question's cells in the primary metric, averaged over pairs."""
    return float(runs.differences(*QUESTIONS[question]).mean())


def tables(runs: Comparison) -> str:
    """All numbers as Markdown."""
    head = [
        "question",
        "difference",
        "pairs",
        "area over tokens",
        "p",
        "area over steps",
        "variance removed by pairing",
    ]
    table = [head]
    for question, (cell, other) in QUESTIONS.items():
        found = runs.differences(cell, other)
        over_steps = interval_over_runs(runs.differences_over_steps(cell, other))
        removed = variance_removed(*runs.paired_values(cell, other))
        table.append(
            [
                question,
                f"{cell} minus {other}",
                str(len(found)),
                format_interval(interval_over_runs(found), sign="+"),
                format_p_value(difference_p_value(found)),
                format_interval(over_steps, sign="+"),
                f"{removed:.0%}",
            ]
        )
    return "\n".join(["# Tables", "", markdown(table), "", markdown_tables(runs), ""])


def main(config: AnalysisConfig) -> None:
    runs = load_findings(config.runs, __file__)
    write_findings(config.output, tables(runs), {question: score(runs, question) for question in QUESTIONS})
    save_figures({name: FIGURES[name](runs) for name in ("success", "differences")}, config.output)


if __name__ == "__main__":
    main(analysis_config(__file__))
