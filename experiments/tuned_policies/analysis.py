"""Which of six settings of each policy is to enter the comparison? Analysis of the runs of this folder's experiments.

    tar -xf experiments/tuned_policies/runs.tar.xz        # the logs, into runs/
    python experiments/tuned_policies/analysis.py         # --runs, --output for others

Writes tables.md and scores.json; README.md has the rule.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from dumpgym.comparing.comparison import Comparison
from dumpgym.comparing.experiment import load_experiment
from dumpgym.comparing.loading import load_comparison
from dumpgym.reporting.findings import AnalysisConfig, analysis_config, write_findings
from dumpgym.reporting.tables import markdown

FOLDER = Path(__file__).parent
REGIMES = ("strings", "coin_4", "knights_knaves")


def load(runs: Path) -> dict[str, Comparison]:
    """The comparisons of the three regimes, by name."""
    return {name: load_comparison([runs / load_experiment(FOLDER / f"{name}.toml").name]) for name in REGIMES}


def gains(regimes: Mapping[str, Comparison]) -> dict[str, list[float]]:
    """Area minus that of uniform sampling in every regime, averaged over pairs, by setting."""
    first = regimes[REGIMES[0]]
    return {
        label: [float(regimes[name].differences(label).mean()) for name in REGIMES]
        for label in first.cells
        if label != first.control
    }


def ranks(found: Mapping[str, list[float]]) -> dict[str, float]:
    """Mean rank over the regimes of every setting among those of its policy; 1 is the best."""
    mean_ranks: dict[str, float] = {}
    for policy in dict.fromkeys(label.partition("?")[0] for label in found):
        labels = [label for label in found if label.partition("?")[0] == policy]
        of_regimes = rankdata(-np.array([found[label] for label in labels]), axis=0)
        mean_ranks |= zip(labels, of_regimes.mean(axis=1).tolist(), strict=True)
    return mean_ranks


def chosen(found: Mapping[str, list[float]]) -> list[str]:
    """The setting of every policy that the rule chooses."""
    mean_ranks = ranks(found)
    best: dict[str, str] = {}
    for label in sorted(found, key=lambda label: (mean_ranks[label], -found[label][0])):
        best.setdefault(label.partition("?")[0], label)
    return [label for label in found if label in best.values()]


def main(config: AnalysisConfig) -> None:
    found = gains(load(config.runs))
    mean_ranks, winners = ranks(found), chosen(found)
    rows = [["area, minus uniform", *REGIMES, "mean rank", "chosen"]]
    for label, values in found.items():
        rows.append(
            [label, *(f"{v:+.3f}" for v in values), f"{mean_ranks[label]:.2f}", "x" if label in winners else ""]
        )
    scores = {
        f"{name}: {label}": value
        for label, values in found.items()
        for name, value in zip(REGIMES, values, strict=True)
    }
    write_findings(config.output, f"# Tables\n\n{markdown(rows)}\n", scores)


if __name__ == "__main__":
    main(analysis_config(__file__, Path("runs")))
