"""The table of a comparison: one row per cell with all its numbers, as reports and ``results.json`` have them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dumpgym.comparing.timing import stalled_seeds
from dumpgym.runs.finished import Array, FinishedRun
from dumpgym.statistics.curves import forgetting, median_time, tokens_to_threshold
from dumpgym.statistics.intervals import (
    Interval,
    interquartile_mean_interval,
    interval_over_runs,
    probability_of_improvement,
    restricted_mean,
    variance_removed,
)
from dumpgym.statistics.significance import (
    detectable_difference,
    difference_p_value,
    equivalence_p_value,
    holm,
    pairs_for_equivalence,
    pairs_needed,
    verdict,
)
from dumpgym.statistics.skew import is_skewed, skewness, studentised_interval

if TYPE_CHECKING:
    from dumpgym.comparing.comparison import Comparison

FEWEST_SEEDS = 8
"""A comparison with fewer seeds is called an anecdote: the spread of a handful of runs is itself hardly known."""
_NONE = (float("nan"),) * 3


def summary_rows(comparison: "Comparison") -> list[dict[str, Any]]:
    """One row per cell with all its numbers, the control first and the others from best to worst.

    Every ``Interval`` is an estimate with its 95 % interval; for a cell with one run, the ends are NaN. p-values of
    differences and of equivalence are each adjusted by Holm's method for all cells that are compared with the control.
    """
    rows = [_row(comparison, label) for label in comparison.cells]
    # With many policies against one control, the luckiest looks better than it is, and the one that looks most like the
    # control more equal than it is. Holm's method keeps the chance of one or more false claims of a kind below the
    # level. A single declared test would need no adjustment; an experiment with one policy beside the control is that.
    others = [row for row in rows if "difference" in row]
    for key, adjusted_key in (("p", "p_holm"), ("equivalence_p", "equivalence_p_holm")):
        tested = [row for row in others if not np.isnan(row[key])]
        for row, adjusted in zip(tested, holm([row[key] for row in tested]) if tested else (), strict=True):
            row[adjusted_key] = float(adjusted)
    for row in others:
        row["verdict"] = verdict(row.get("p_holm", np.nan), row.get("equivalence_p_holm", np.nan))
    sign = -1 if comparison.higher_is_better() else 1
    return sorted(rows, key=lambda row: (row["label"] != comparison.control, sign * row["primary"][0]))


def _row(comparison: "Comparison", label: str) -> dict[str, Any]:
    cell = comparison.cells[label]
    runs = list(cell.runs.values())
    arms = len(runs[0].config.arms)
    reached = np.array([tokens_to_threshold(run.tokens, run.success, comparison.threshold) for run in runs])
    within = (0.0, 1.0 if comparison.higher_is_better() else comparison.budget)
    row: dict[str, Any] = {
        "label": label,
        "seeds": len(runs),
        "is_anecdote": len(runs) < FEWEST_SEEDS,
        "primary": _interval(comparison.values(label), within),
        "final": _interval(np.array([run.success[-1] for run in runs])),
        "tokens_to_threshold": restricted_mean(reached, comparison.budget) if len(runs) > 1 else _interval(reached),
        "median_to_threshold": median_time(reached),
        "runs_that_reached": int(np.isfinite(reached).sum()),
        "forgetting": _interval(np.array([forgetting(run.success_by_arm).mean() for run in runs])),
        "effective_arms": _mean_of_steps(runs, "policy/effective_arms", (1.0, arms)),
        "rollouts_per_arm": interval_over_runs(np.array([_rollouts_per_arm(run) for run in runs])),
        "largest_share": _mean_of_steps(runs, "policy/largest_share"),
        "kl_from_uniform": _mean_of_steps(runs, "policy/kl_from_uniform", (0.0, float(np.log(arms)))),
        "zero_variance": _mean_of_steps(runs, "frac_reward_zero_std"),
        "truncated": _mean_of_steps(runs, "completions/clipped_ratio"),
        "stalled_seeds": stalled_seeds(cell.runs),
    }
    if len(runs) > 1:
        row["interquartile_mean"] = interquartile_mean_interval(comparison.values_by_arm(label))
    return row | _compared(comparison, label)


def _compared(comparison: "Comparison", label: str) -> dict[str, Any]:
    """What the row of a cell says of its differences from the control, if there are any."""
    if comparison.control is None or label == comparison.control:
        return {}
    differences = comparison.differences(label)
    if not len(differences):
        return {}
    margin = comparison.margin_in_units
    compared: dict[str, Any] = {
        "pairs": len(differences),
        "difference": interval_over_runs(differences),
        "difference_over_steps": interval_over_runs(comparison.differences_over_steps(label)),
        "p": difference_p_value(differences),
        "equivalence_p": equivalence_p_value(differences, margin),
        "skewness": skewness(differences),
        "speedup": _ratio_interval(comparison.speedups(label)),
        "variance_removed": variance_removed(*comparison.paired_values(label)),
    }
    if comparison.warm_starts:
        compared |= _by_warm_start(comparison.differences_by_warm_start(label))
    if is_skewed(differences):
        compared["difference_studentised"] = studentised_interval(differences)
    if len(differences) > 1:
        compared |= {
            "pairs_needed": pairs_needed(differences, margin),
            "pairs_for_equivalence": pairs_for_equivalence(differences, margin),
            "detectable": detectable_difference(differences),
            "improvement": probability_of_improvement(
                comparison.values_by_arm(label, comparison.control), comparison.values_by_arm(comparison.control, label)
            ),
        }
    return compared


def _by_warm_start(differences: Mapping[str, Array]) -> dict[str, Any]:
    """The differences of every warm start, and their mean over warm starts, whose interval is for other warm starts."""
    # Seeds that share a warm start share its luck: if the difference depends on the checkpoint, the interval over pairs
    # is too narrow for a claim about checkpoints. The means of the warm starts are independent.
    means = np.array([values.mean() for values in differences.values()])
    return {
        "by_warm_start": {name: interval_over_runs(values) for name, values in differences.items()},
        "pairs_by_warm_start": {name: len(values) for name, values in differences.items()},
        "difference_over_warm_starts": interval_over_runs(means),
    }


def _interval(values: Array, within: tuple[float, float] = (0.0, 1.0)) -> Interval:
    return interval_over_runs(values, within) if np.isfinite(values).all() else (float(np.mean(values)), *_NONE[1:])


def _mean_of_steps(runs: list[FinishedRun], key: str, within: tuple[float, float] = (0.0, 1.0)) -> Interval:
    return _interval(np.array([run.mean_of_steps(run.of_records(key)) for run in runs]), within)


def _rollouts_per_arm(run: FinishedRun) -> float:
    """Completions that an arm gets in a step: those of the batch divided by the effective number of arms."""
    batch = run.config.prompts_per_step * run.config.num_generations
    return float(run.mean_of_steps(batch / run.of_records("policy/effective_arms")))


def _ratio_interval(ratios: Array) -> Interval:
    """The geometric mean of ratios and its interval, which is Student's for their logarithms; NaN if one is NaN."""
    # A pair without a ratio cannot be left out: those that fail to reach the threshold are the slow ones.
    value, low, high = np.exp(interval_over_runs(np.log(ratios))) if np.isfinite(ratios).all() else _NONE
    return float(value), float(low), float(high)
