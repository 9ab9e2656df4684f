"""Does DUMP beat uniform sampling at equal tokens when its signal is the advantage per token? What the runs say.

    tar -xf experiments/per_token_signal/runs.tar.xz        # the logs of the 32 runs, into runs/per_token_signal
    python experiments/per_token_signal/analysis.py         # --runs, --output for others

Writes tables.md, scores.json and the figures; README.md says what was found.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from dumpgym.comparison import Comparison, load_comparison
from dumpgym.report import markdown_tables, power_lines
from dumpgym.report_figures import FIGURES
from dumpgym.statistics import difference_p_value, interval_over_runs

PER_TOKEN = "dump; signal mean_absolute_advantage_per_token"


@dataclass(frozen=True)
class Options:
    runs: Path = Path("runs/per_token_signal")
    output: Path = Path(__file__).parent


def score(runs: Comparison, other: str) -> float:
    """What the signal per token gains over another cell, in the primary metric, in the mean over pairs."""
    return float(runs.differences(PER_TOKEN, other).mean())


def tables(runs: Comparison) -> str:
    """Every number as Markdown."""
    lines = [
        "| the signal per token, minus | pairs | area over tokens | p | area over steps | p |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for other in runs.cells:
        if other != PER_TOKEN:
            found = (runs.differences(PER_TOKEN, other), runs.differences_over_steps(PER_TOKEN, other))
            cells = [
                "{:+.3f} [{:+.3f}, {:+.3f}] | {:.4f}".format(*interval_over_runs(values), difference_p_value(values))
                for values in found
            ]
            lines.append(f"| {other} | {len(found[0])} | {' | '.join(cells)} |")
    power = [f"- {line}" for line in power_lines(runs)]
    return "\n".join(["# Tables", "", *lines, "", markdown_tables(runs), "", *power, ""])


def main(options: Options) -> None:
    runs = load_comparison([options.runs])
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "tables.md").write_text(tables(runs))
    scores = {other: score(runs, other) for other in runs.cells if other != PER_TOKEN}
    (options.output / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    for name in ("success", "differences", "arm_shares"):
        FIGURES[name](runs).savefig(options.output / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main(tyro.cli(Options))
