"""Are DUMP and uniform sampling equivalent, and at which budget? Analysis of the seeds of two experiments.

    tar -xf experiments/embedded_policies/runs.tar.xz       # seeds 0 to 7
    tar -xf experiments/per_token_signal/runs.tar.xz        # seeds 8 to 15
    python experiments/pooled_seeds/analysis.py             # --runs, --output for others

Writes tables.md, scores.json and the figure; README.md says what was found.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from dumpgym.comparing.comparison import Comparison
from dumpgym.comparing.loading import load_comparison
from dumpgym.reporting.figures.style import save_figures
from dumpgym.reporting.findings import AnalysisConfig, analysis_config, write_findings
from dumpgym.reporting.tables import Table, format_interval, format_p_value, format_speedup, markdown
from dumpgym.statistics.intervals import Interval, interval_over_runs, variance_removed
from dumpgym.statistics.significance import (
    difference_p_value,
    equivalence_p_value,
    pairs_for_equivalence,
    pairs_needed,
)

PARTS = ("embedded_policies", "per_token_signal")
BUDGETS = (100_000, 150_000, 200_000, 250_000, 300_000)
LATER = (400_000, 500_000, 600_000)
"""Budgets that only the first part reached."""
MARGIN = 0.01
FIRST_STEPS = 6
EASY = "easy-to-hard?total_steps=48"
Array = NDArray[np.float64]


def load(runs: Path) -> list[Comparison]:
    """Both experiments, uniform sampling and DUMP with disjoint seeds."""
    return [load_comparison([runs / part]) for part in PARTS]


def differences(parts: Sequence[Comparison], budget: float) -> Array:
    """DUMP minus uniform in the area up to a budget, on all seeds of the parts, (seeds,)."""
    return np.concatenate([replace(part, budget=float(budget)).differences("dump") for part in parts])


def score(parts: Sequence[Comparison], budget: float) -> float:
    """DUMP minus uniform in the area up to a budget, averaged over seeds; 0 is no difference."""
    return float(differences(parts, budget).mean())


def speedup(parts: Sequence[Comparison]) -> Interval:
    """How many times sooner DUMP reaches a success of .8: the geometric mean of the ratio of tokens within seeds."""
    ratios = np.concatenate([part.speedups("dump") for part in parts])
    value, low, high = np.exp(interval_over_runs(np.log(ratios)))
    return float(value), float(low), float(high)


def margin_as_speedup(parts: Sequence[Comparison], budget: float) -> float:
    """The margin as a speed-up of uniform sampling, averaged over the parts; see ``Comparison.margin_as_speedup``."""
    return float(np.mean([replace(part, budget=float(budget), margin=MARGIN).margin_as_speedup for part in parts]))


def budgets_table(parts: Sequence[Comparison]) -> Table:
    """One row per budget: the difference, both tests, and what the margin means there."""
    head = ["budget, tokens", "seeds", "DUMP minus uniform", "p", "p, equivalence", "margin as a speed-up"]
    rows = [[*head, "seeds for equivalence", "variance removed by pairing"]]
    for budget in (*BUDGETS, *LATER):
        used = parts if budget <= max(BUDGETS) else parts[:1]
        values = differences(used, budget)
        pairs = [replace(part, budget=float(budget)).paired_values("dump") for part in used]
        mine, its = (np.concatenate(side) for side in zip(*pairs, strict=True))
        row = [f"{budget:,}", str(len(values)), format_interval(interval_over_runs(values), sign="+")]
        row += [format_p_value(difference_p_value(values)), format_p_value(equivalence_p_value(values, MARGIN))]
        row += [f"x{margin_as_speedup(used, budget):.2f}", f"{pairs_for_equivalence(values, MARGIN):.0f}"]
        rows.append([*row, f"{variance_removed(mine, its):.0%}"])
    return rows


def first_steps_table(part: Comparison) -> Table:
    """Success after the first steps on puzzles of 2 people only and of all sizes, paired by seed."""
    seeds = part.cells[EASY].runs.keys() & part.cells["uniform"].runs.keys()
    found: dict[str, list[Array]] = {}
    for label in (EASY, "uniform"):
        for seed in sorted(seeds):
            run = part.cells[label].runs[seed]
            at = run.of_evaluations("step").tolist().index(FIRST_STEPS)
            found.setdefault(label, []).append(np.append(run.success_by_arm[at], [run.success[at], run.tokens[at]]))
    mine, its = np.array(found[EASY]), np.array(found["uniform"])
    names = [*part.arms, "mean over arms"]
    rows = [["arm", "2 people only", "all sizes", "difference"]]
    for i, name in enumerate(names):
        interval = format_interval(interval_over_runs(mine[:, i] - its[:, i]), sign="+")
        rows.append([name, f"{mine[:, i].mean():.3f}", f"{its[:, i].mean():.3f}", interval])
    tokens = [*(f"{side[:, -1].mean():,.0f}" for side in (mine, its)), f"x{(its / mine)[:, -1].mean():.2f}"]
    return [*rows, ["tokens", *tokens]]


def budgets_figure(parts: Sequence[Comparison]) -> Figure:
    """The difference over the budget, for the pooled seeds and for those of the longer runs."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.axhspan(-MARGIN, MARGIN, color="#EEEEEE", zorder=0)
    axes.axhline(0, color="black", linewidth=0.8)
    for used, end, colour in ((parts[:1], max(LATER), "#56B4E9"), (parts, max(BUDGETS), "#D55E00")):
        at = np.arange(50_000, end + 1, 10_000)
        found = [interval_over_runs(differences(used, budget)) for budget in at]
        mean, low, high = np.array(found).T
        axes.plot(at, mean, color=colour, linewidth=2, label=f"{len(differences(used, end))} seeds")
        axes.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel="budget, generated tokens", ylabel="area: DUMP minus uniform")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(frameon=False, loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Paired difference with 95 % intervals; grey: smaller than the margin", fontsize="medium")
    return figure


def tables(parts: Sequence[Comparison]) -> str:
    """All numbers as Markdown."""
    values = differences(parts, max(BUDGETS))
    lines = [
        f"- Speed-up of DUMP to a success of .8, {len(values)} seeds: {format_speedup(speedup(parts))}.",
        f"- The same in {PARTS[0]} alone: {format_speedup(speedup(parts[:1]))}.",
        f"- Seeds that detect a difference of the margin at {max(BUDGETS):,} tokens, at a power of 0.8: "
        f"{pairs_needed(values, MARGIN):.0f}.",
    ]
    first = f"Success after {FIRST_STEPS} steps ({PARTS[0]}, {EASY} and uniform):"
    budgets, steps = markdown(budgets_table(parts)), markdown(first_steps_table(parts[0]))
    return "\n\n".join(["# Tables", budgets, "\n".join(lines), first, steps]) + "\n"


def main(config: AnalysisConfig) -> None:
    parts = load(config.runs)
    scores = {f"{budget} tokens": score(parts, budget) for budget in BUDGETS}
    write_findings(config.output, tables(parts), scores)
    save_figures({"budgets": budgets_figure(parts)}, config.output)


if __name__ == "__main__":
    main(analysis_config(__file__, Path("runs")))
