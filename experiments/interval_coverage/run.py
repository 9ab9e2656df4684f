"""How often do intervals cover what they are about? Simulations of the intervals of ``dumpgym.statistics``.

    python experiments/interval_coverage/run.py      # results.json and tables.md; two minutes on one core

README.md says what was found, and which intervals the reports therefore show.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dumpgym.reporting.tables import markdown
from dumpgym.statistics.intervals import (
    Interval,
    change_interval,
    interquartile_mean,
    interquartile_mean_interval,
    interval_over_runs,
    performance_profile,
    probability_of_improvement,
)
from dumpgym.statistics.skew import is_skewed, studentised_interval

FOLDER = Path(__file__).parent
RUNS, ARMS, PROBLEMS = (5, 8, 16), 6, 200
CORRELATION = 0.5
"""Between the arms of a run, and between the two policies' runs of one seed."""
FLIPS = ((0.0, 0.0), (0.005, 0.0), (0.02, 0.0), (0.05, 0.05), (0.3, 0.1))
"""Shares of problems that are solved only after training, and only before."""
REPEATS, RESAMPLES = 4000, 999
Array = NDArray[np.float64]
DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "normal": lambda rng, runs: rng.normal(size=runs),
    "skewed (exponential)": lambda rng, runs: rng.exponential(size=runs) - 1,
    "very skewed (lognormal)": lambda rng, runs: rng.lognormal(size=runs) - np.exp(0.5),
}
"""All have mean 0."""


def percentile(values: Array, rng: np.random.Generator) -> Interval:
    """The percentile bootstrap of a mean, as reports had it before."""
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def bca(values: Array, rng: np.random.Generator) -> Interval:
    """The bias-corrected and accelerated bootstrap of a mean (Efron 1987)."""
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    centred = values - values.mean()
    bias = stats.norm.ppf(np.clip((means < values.mean()).mean(), 1 / RESAMPLES, 1 - 1 / RESAMPLES))
    acceleration = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    z = bias + stats.norm.ppf([0.025, 0.975])
    low, high = np.quantile(means, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    return float(values.mean()), float(low), float(high)


def coverage(found: Iterator[Interval], truth: float) -> dict[str, float]:
    """The share of intervals that cover the true value, and their mean width."""
    _, low, high = np.array(list(found)).T
    inside = (low <= truth + 1e-12) & (truth - 1e-12 <= high)
    return {"coverage": round(float(inside.mean()), 4), "width": round(float(np.mean(high - low)), 4)}


def means() -> list[dict[str, Any]]:
    """Intervals of the mean over a few runs."""
    methods: dict[str, Callable[[Array, np.random.Generator], Interval]] = {
        "percentile bootstrap": percentile,
        "BCa bootstrap": bca,
        "Student's t": lambda values, _: interval_over_runs(values),
        "studentised bootstrap": lambda values, _: studentised_interval(values),
    }
    rows = []
    for name, draw in DISTRIBUTIONS.items():
        for runs in RUNS:
            rng = np.random.default_rng(runs)
            samples = [draw(rng, runs) for _ in range(REPEATS)]
            row: dict[str, Any] = {"values": name, "runs": runs}
            row["called skewed"] = round(float(np.mean([is_skewed(values) for values in samples])), 4)
            for method, interval in methods.items():
                # Its seed is fixed: with a generator of its own for each sample, resamples would not repeat.
                row[method] = coverage((interval(values, np.random.default_rng(0)) for values in samples), 0.0)
            rows.append(row)
    return rows


def two_policies(rng: np.random.Generator, runs: int) -> tuple[Array, Array]:
    """Values of two equal policies, (runs, arms) each; see ``CORRELATION``."""
    seed = rng.normal(size=(runs, 1)) * np.sqrt(CORRELATION / 2)
    own = [rng.normal(size=(runs, 1)) * np.sqrt(CORRELATION / 2) for _ in range(2)]
    arms = [rng.normal(size=(runs, ARMS)) * np.sqrt(1 - CORRELATION) for _ in range(2)]
    level = np.linspace(3, -3, ARMS)
    return level + seed + own[0] + arms[0], level + seed + own[1] + arms[1]


def arms_apart(one: Array, other: Array, rng: np.random.Generator) -> dict[str, Interval]:
    """The bootstrap that resamples the runs of every arm apart, as reports had it before."""

    def resampled(values: Array) -> Array:
        draws = rng.integers(len(values), size=(RESAMPLES, *values.shape))
        return np.take_along_axis(np.broadcast_to(values, draws.shape), draws, axis=1)

    mine, its = resampled(one), resampled(other)
    chance = (mine[:, :, None, :] > its[:, None, :, :]).mean(axis=(1, 2, 3))
    statistics = {
        "interquartile mean": interquartile_mean(mine.reshape(RESAMPLES, -1)),
        "probability of improvement": chance,
        "performance profile": (mine > 0).mean(axis=(1, 2)),
    }
    return {
        name: (float(np.mean(found)), float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975)))
        for name, found in statistics.items()
    }


def runs_and_arms(repeats: int = REPEATS // 4) -> list[dict[str, Any]]:
    """Intervals of statistics over runs and arms."""
    truth = {"interquartile mean": 0.0, "probability of improvement": 0.5, "performance profile": 0.5}
    rows = []
    for runs in RUNS:
        rng = np.random.default_rng(runs)
        pairs = [two_policies(rng, runs) for _ in range(repeats)]
        before = [arms_apart(one, other, rng) for one, other in pairs]
        after = {
            "interquartile mean": [interquartile_mean_interval(one) for one, _ in pairs],
            "probability of improvement": [probability_of_improvement(one, other) for one, other in pairs],
            "performance profile": [
                tuple(float(part[0]) for part in performance_profile(one, np.zeros(1))) for one, _ in pairs
            ],
        }
        for name, value in truth.items():
            apart = coverage((found[name] for found in before), value)
            whole = coverage(iter(after[name]), value)
            rows.append({"statistic": name, "runs": runs, "arms resampled apart": apart, "whole runs left out": whole})
    return rows


def problems() -> list[dict[str, Any]]:
    """Intervals of a change of success over problems."""
    rows = []
    for up, down in FLIPS:
        rng = np.random.default_rng(0)
        changes = rng.choice([1.0, -1.0, 0.0], p=[up, down, 1 - up - down], size=(REPEATS, PROBLEMS))
        row: dict[str, Any] = {"solved after": up, "solved before": down, "problems": PROBLEMS}
        row["percentile bootstrap"] = coverage((percentile(one, rng) for one in changes), up - down)
        row["Bonett and Price"] = coverage((change_interval([one]) for one in changes), up - down)
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as Markdown: the coverage, with the mean width in brackets."""

    def text(value: Any) -> str:
        return f"{value['coverage']:.3f} ({value['width']:.3g})" if isinstance(value, dict) else str(value)

    return markdown([list(rows[0]), *([text(value) for value in row.values()] for row in rows)])


def main() -> None:
    results = {"means": means(), "runs and arms": runs_and_arms(), "problems": problems()}
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    parts = [f"## {name.capitalize()}\n\n{table(rows)}" for name, rows in results.items()]
    note = f"Share of nominal 95 % intervals that cover the true value (their mean width); {REPEATS:,} samples."
    (FOLDER / "tables.md").write_text("\n\n".join(["# Tables", note, *parts]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
