"""Results of a simulation: the measures of every policy with intervals, as tables and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from dumpgym.contracts.policy_registry import find_policy
from dumpgym.contracts.specs import read_spec
from dumpgym.simulating.lockstep import BEST_ALLOCATION, Trajectories
from dumpgym.statistics.intervals import interval_over_runs, median_interval

CONTROL = "uniform"
"""The policy with which all others are compared."""
Interval = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """Results of a policy on a student.

    Attributes:
        measures: measures of every run, each of shape (runs,); see ``Trajectories.measures``.
        curve: mean success before every step and after the last, averaged over runs, shape (steps + 1,).
        shares: share of every arm in every step, averaged over runs, shape (steps, num_arms).
        success: success on every arm at the end, averaged over runs, shape (num_arms,).
    """

    measures: dict[str, NDArray[np.float64]]
    curve: NDArray[np.float64]
    shares: NDArray[np.float64]
    success: NDArray[np.float64]

    @classmethod
    def of_trajectories(cls, trajectories: Trajectories, threshold: float) -> Self:
        """Reduces trajectories to the numbers that are reported."""
        return cls(
            trajectories.measures(threshold),
            trajectories.mean_success.mean(axis=0),
            trajectories.shares.mean(axis=0),
            trajectories.success[:, -1].mean(axis=0),
        )


@dataclass(frozen=True, slots=True)
class StudentResult:
    """Results of all policies on a student.

    Attributes:
        arm_names: names of the student's arms.
        policies: results by the policy's specification, and those of the best allocation, if it is known, under
            "best-allocation".
        rows: rows of the table, best area first; see ``policy_rows``.
    """

    arm_names: Sequence[str]
    policies: dict[str, PolicyResult]
    rows: list[dict[str, Any]]


def cheats(policy: str) -> bool:
    """Whether a policy, or the best allocation, knows what no curriculum knows; see ``NeedsSuccess``."""
    return policy == BEST_ALLOCATION or find_policy(read_spec("policy", policy)[0]).cheats


def policy_rows(policies: Mapping[str, PolicyResult], steps: int) -> list[dict[str, Any]]:
    """Makes the rows of the table, one per policy, best area first.

    Every estimate is a tuple (value, lower, upper) with a 95 % interval: Student's for means, that of order statistics
    for the median. Differences are paired: run s of the
    policy minus run s of uniform sampling. "regret" is run s of the best allocation minus run s of the policy.
    "steps_to_threshold" is a median, in which a run that never reaches the threshold counts as steps + 1.

    Args:
        policies: results by policy, including "uniform".
        steps: number of steps of a run.
    """
    areas = {name: result.measures["area"] for name, result in policies.items()}
    rows = []
    for name in sorted(areas, key=lambda policy: -areas[policy].mean()):
        measures = policies[name].measures
        reached = measures["steps_to_threshold"]
        row: dict[str, Any] = {
            "policy": name,
            **{key: interval_over_runs(measures[key]) for key in ("area", "final", "effective_arms", "tokens")},
            "area_minus_uniform": interval_over_runs(areas[name] - areas[CONTROL]),
            "steps_to_threshold": median_interval(np.nan_to_num(reached, nan=steps + 1)),
            "runs_that_reached": int(np.isfinite(reached).sum()),
            "runs": len(reached),
        }
        if BEST_ALLOCATION in areas:
            row["regret"] = interval_over_runs(areas[BEST_ALLOCATION] - areas[name])
        rows.append(row)
    return rows


def student_record(result: StudentResult) -> dict[str, Any]:
    """Returns a student's results as JSON-compatible values, with the numbers of runs rounded to six digits."""
    return {
        "arms": list(result.arm_names),
        "table": result.rows,
        "policies": {
            name: {
                "measures": {key: _rounded(values) for key, values in found.measures.items()},
                "curve": _rounded(found.curve),
                "mean_shares": _rounded(found.shares.mean(axis=0)),
                "final_success": _rounded(found.success),
            }
            for name, found in result.policies.items()
        },
    }


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.6g}") for value in values]


def _steps(row: Mapping[str, Any], steps: int) -> list[str]:
    """Returns the median steps to the threshold and the ends of its interval, as text."""
    return [f"{x:g}" if x <= steps else f">{steps}" for x in row["steps_to_threshold"]]


def rich_table(student: str, result: StudentResult, steps: int) -> Table:
    """Makes the table for a terminal, which fits 80 columns if names are short.

    The difference is followed by half the width of its interval. The median number of steps to the threshold is
    followed by the number of runs that reached it, if some did not.
    """
    title = f"{escape(student)}: {result.rows[0]['runs']} paired seeds, means, 95 % intervals"
    table = Table(title=title, caption=_cheating(result), box=SIMPLE, pad_edge=False)
    table.add_column("policy", overflow="fold")
    for column in ("area", "minus uniform", "final", "to threshold", "regret", "arms"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in result.rows:
        value, low, high = row["area_minus_uniform"]
        reached = row["runs_that_reached"]
        table.add_row(
            escape(row["policy"]),
            f"{row['area'][0]:.3f}",
            f"{value:+.3f} ±{(high - low) / 2:.3f}" if high > low else f"{value:+.3f}",
            f"{row['final'][0]:.3f}",
            _steps(row, steps)[0] + (f" ({reached})" if reached < row["runs"] else ""),
            f"{row['regret'][0]:.3f}" if "regret" in row else "-",
            f"{row['effective_arms'][0]:.1f}",
        )
    return table


def markdown_table(student: str, result: StudentResult, steps: int) -> str:
    """Makes the table as Markdown, with a heading and all intervals."""

    def spread(row: Mapping[str, Any], key: str, form: str) -> str:
        """The mean alone where all runs have the same value, as uniform minus uniform does."""
        if key not in row:
            return "-"
        value, low, high = row[key]
        return f"{value:{form}} [{low:{form}}, {high:{form}}]" if high > low else f"{value:{form}}"

    columns = [
        "policy",
        "area under the curve",
        "minus uniform",
        f"success after {steps} steps",
        "median steps to threshold",
        "runs that reached it",
        "regret to the best allocation",
        "effective arms in a batch",
        "million tokens",
    ]
    lines = [columns, ["---"] * len(columns)]
    for row in result.rows:
        middle, low, high = _steps(row, steps)
        lines.append(
            [
                f"`{row['policy']}`",
                spread(row, "area", ".3f"),
                spread(row, "area_minus_uniform", "+.3f"),
                spread(row, "final", ".3f"),
                f"{middle} [{low}, {high}]",
                f"{row['runs_that_reached']}/{row['runs']}",
                spread(row, "regret", ".3f"),
                f"{row['effective_arms'][0]:.1f}",
                f"{row['tokens'][0] / 1e6:.0f}",
            ]
        )
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    note = f"\n{line}\n" if (line := _cheating(result)) else ""
    return f"## `{student}`, {result.rows[0]['runs']} seeds\n\n{body}\n{note}"


def _cheating(result: StudentResult) -> str | None:
    """A sentence that names the policies of a table that cheat, if there are any."""
    named = [row["policy"] for row in result.rows if cheats(row["policy"])]
    known = "knows" if len(named) == 1 else "know"
    return f"{' and '.join(named)} {known} what a curriculum cannot know." if named else None
