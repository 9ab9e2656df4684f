"""What does drawing groups without variance anew gain over steps, and lose over tokens? What the runs say.

    tar -xf experiments/group_filtering/runs.tar.xz         # the logs of the 32 runs, into runs/group_filtering
    python experiments/group_filtering/analysis.py          # --runs, --output for others

Writes tables.md, scores.json and the figures; README.md says what was found.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray

from dumpgym.comparison import Comparison, load_comparison
from dumpgym.report import markdown_tables
from dumpgym.report_figures import FIGURES
from dumpgym.statistics import difference_p_value, holm, interval_over_runs

Array = NDArray[np.float64]
TESTS = [(policy, over) for over in ("tokens", "steps") for policy in ("uniform", "dump")]
FILTERED = "{}; max_redraws 2"


@dataclass(frozen=True)
class Options:
    runs: Path = Path("runs/group_filtering")
    output: Path = Path(__file__).parent


def gains(runs: Comparison, policy: str, over: str) -> Array:
    """The area under success with group filtering less that without, over "tokens" or "steps", (seeds,)."""
    of = {"tokens": runs.differences, "steps": runs.differences_over_steps}[over]
    return of(FILTERED.format(policy), policy)


def score(runs: Comparison, policy: str, over: str) -> float:
    """What group filtering gains under a policy, in the mean over pairs; see ``gains``."""
    return float(gains(runs, policy, over).mean())


def tokens_of_a_step(runs: Comparison, label: str) -> float:
    """Tokens that a cell generates in a step, in the mean over runs."""
    return float(np.mean([run.tokens[-1] / run.evaluations[-1]["step"] for run in runs.cells[label].runs.values()]))


def tables(runs: Comparison) -> str:
    """Every number as Markdown; p-values are adjusted for the four tests."""
    found = [gains(runs, policy, over) for policy, over in TESTS]
    adjusted = holm([difference_p_value(values) for values in found])
    lines = ["| policy | over | pairs | area with group filtering minus without | p, Holm |", "| --- " * 5 + "|"]
    for (policy, over), values, p in zip(TESTS, found, adjusted, strict=True):
        mean, low, high = interval_over_runs(values)
        shown = "< .001" if p < 0.001 else f"{p:.3f}"
        lines.append(f"| {policy} | {over} | {len(values)} | {mean:+.3f} [{low:+.3f}, {high:+.3f}] | {shown} |")
    costs = [f"- {label}: {tokens_of_a_step(runs, label):,.0f} tokens a step" for label in runs.cells]
    return "\n".join(["# Tables", "", *lines, "", *costs, "", markdown_tables(runs), ""])


def main(options: Options) -> None:
    runs = load_comparison([options.runs])
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "tables.md").write_text(tables(runs))
    scores = {f"{policy}, over {over}": score(runs, policy, over) for policy, over in TESTS}
    (options.output / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    for name in ("success", "ledger"):
        FIGURES[name](runs).savefig(options.output / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main(tyro.cli(Options))
