"""When does a curriculum pay, and how much? Analysis of the regimes in this folder.

    for packed in experiments/when_curricula_pay/*.tar.xz; do tar -xf $packed; done    # the logs, into runs/
    python experiments/when_curricula_pay/analysis.py                                  # --runs, --output for others

Writes tables.md, scores.json and the figures; README.md says what was found. Regimes without runs are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dumpgym.comparing.comparison import Comparison
from dumpgym.comparing.experiment import load_experiment
from dumpgym.comparing.loading import load_comparison
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.figures.style import save_figures
from dumpgym.reporting.findings import AnalysisConfig, analysis_config, write_findings
from dumpgym.reporting.tables import Table, format_interval, format_p_value, markdown
from dumpgym.runs.finished import FinishedRun
from dumpgym.statistics.curves import tokens_at_crossing
from dumpgym.statistics.intervals import interval_over_runs
from dumpgym.statistics.significance import difference_p_value

FOLDER = Path(__file__).parent
NUISANCE_AXIS = ("impossible_0", "impossible_12", "experiment", "impossible_60")
"""The regimes of the axis that the figure shows, by the names of their files."""
BEHIND = 0.9
"""Success before training from which an arm is behind the frontier."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """What a policy gains over uniform sampling in a regime, paired by seed; the arrays have shape (pairs,).

    Attributes:
        area: difference of the areas under success over tokens.
        final: difference of the final success.
        behind: difference of the final success on the arms behind the frontier.
        ahead: difference of the final success on the other arms.
        tokens: share of uniform sampling's tokens after which the policy has its final success; NaN if never.
    """

    area: Array
    final: Array
    behind: Array
    ahead: Array
    tokens: Array


def load(runs: Path) -> dict[str, Comparison]:
    """The comparisons of all regimes that have finished runs, by the names of their files."""
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        directory = runs / load_experiment(path).name
        if any(directory.glob("*/seed*/summary.json")):
            found[path.stem] = load_comparison([directory])
    return found


def gain(regime: Comparison, label: str) -> Gain:
    """What a policy gains in a regime; see ``Gain``."""
    assert regime.control is not None
    its = regime.cells[regime.control].runs
    pairs = [(run, its[seed]) for seed, run in regime.cells[label].runs.items() if seed in its]
    parts = np.array([_parts(mine) - _parts(uniform) for mine, uniform in pairs])
    tokens = np.array([_share_of_tokens(mine, uniform) for mine, uniform in pairs])
    return Gain(regime.differences(label), *parts.T, tokens)


def _parts(run: FinishedRun) -> Array:
    """Final success on all arms, on those behind the frontier and on the others, (3,)."""
    final, behind = run.success_by_arm[-1], run.success_by_arm[0] >= BEHIND
    return np.array([final.mean(), final[behind].mean(), final[~behind].mean()])


def _share_of_tokens(mine: FinishedRun, uniform: FinishedRun) -> float:
    reached = tokens_at_crossing(mine.tokens, mine.success, float(uniform.success[-1]), held=1)
    return reached / float(uniform.tokens[-1])


def informative(regime: Comparison, label: str) -> float:
    """Share of a policy's groups whose rewards differ, over all its runs."""
    runs = regime.cells[label].runs.values()
    return float(1 - np.mean([run.mean_of_steps(run.of_records("frac_reward_zero_std")) for run in runs]))


def score(regime: Comparison, label: str) -> float:
    """What a policy gains over uniform sampling in area, averaged over pairs."""
    return float(regime.differences(label).mean())


def regime_table(regime: Comparison) -> Table:
    """One row per policy: what it gains over uniform sampling."""
    head = ["policy", "pairs", "area, minus uniform", "p", "final, minus uniform", "behind the frontier", "ahead of it"]
    rows = [[*head, "tokens to uniform's final success, median share", "reached", "informative groups"]]
    for label in regime.cells:
        seeds, mixed = str(len(regime.cells[label].runs)), f"{informative(regime, label):.2f}"
        if label == regime.control:
            final = np.mean([run.success[-1] for run in regime.cells[label].runs.values()])
            area = regime.values(label).mean()
            rows.append([label, seeds, f"({area:.3f})", "", f"({final:.3f})", "", "", "", "", mixed])
            continue
        found = gain(regime, label)
        values = [format_interval(interval_over_runs(v), sign="+") for v in (found.area, found.final)]
        parts = [format_interval(interval_over_runs(v), sign="+") for v in (found.behind, found.ahead)]
        is_reached = np.isfinite(found.tokens)
        median = f"{np.median(np.where(is_reached, found.tokens, np.inf)):.2f}"
        row = [
            label,
            str(len(found.area)),
            values[0],
            format_p_value(difference_p_value(found.area)),
            values[1],
            *parts,
        ]
        rows.append([*row, median, f"{is_reached.sum()}/{len(is_reached)}", mixed])
    return rows


def tables(regimes: Mapping[str, Comparison]) -> str:
    """All numbers as Markdown, a table for each regime and one for its warm starts."""
    parts = ["# Tables"]
    for name, regime in regimes.items():
        parts += [f"## {name}", markdown(regime_table(regime)), markdown(warm_start_table(regime))]
    return "\n\n".join(parts) + "\n"


def warm_start_table(regime: Comparison) -> Table:
    """What each policy gains in area with each warm start."""
    rows = [["area, minus uniform", *regime.warm_starts]]
    for label in regime.cells:
        if label != regime.control:
            found = regime.differences_by_warm_start(label)
            rows.append([label, *(f"{v.mean():+.3f} ({len(v)})" for v in found.values())])
    return rows


def map_figure(regimes: Mapping[str, Comparison]) -> Figure:
    """The gain of each policy over uniform sampling against the share of its informative groups, a line a policy."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color="black", linewidth=0.8)
    shown = {name: regimes[name] for name in NUISANCE_AXIS if name in regimes}
    labels = [label for label in next(iter(shown.values())).cells if all(label in r.cells for r in shown.values())]
    at = [informative(regime, "uniform") for regime in shown.values()]
    for label in labels:
        if label != "uniform":
            found = np.array([interval_over_runs(regime.differences(label)) for regime in shown.values()])
            errors = np.abs(found[:, 1:] - found[:, :1]).T
            axes.errorbar(at, found[:, 0], errors, marker="o", capsize=3, label=label)
    axes.set(xlabel="share of uniform sampling's groups whose rewards differ", ylabel="area, minus uniform sampling")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def main(config: AnalysisConfig) -> None:
    regimes = load(config.runs)
    scores = {
        f"{name}: {label}": score(regime, label)
        for name, regime in regimes.items()
        for label in regime.cells
        if label != regime.control
    }
    write_findings(config.output, tables(regimes), scores)
    figures = {"room": FIGURES["success"](regimes["room"])} if "room" in regimes else {}
    if any(name in regimes for name in NUISANCE_AXIS):
        figures["map"] = map_figure(regimes)
    save_figures(figures, config.output)


if __name__ == "__main__":
    main(analysis_config(__file__, Path("runs")))
