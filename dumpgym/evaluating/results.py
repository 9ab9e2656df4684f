"""The numbers of an evaluation, JSON-compatible: success, pass@k, tokens and outcomes, by arm and in the mean."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumpgym.statistics.intervals import Interval
from dumpgym.statistics.proportions import (
    mcnemar_p_value,
    mean_of_arms,
    paired_difference_by_arm,
    paired_success_interval,
    pass_at_k,
    success_interval,
)
from dumpgym.training.evaluation import Evaluation


def evaluation_record(result: Evaluation, *, greedy: bool) -> dict[str, Any]:
    """The results of one model.

    Args:
        result: greedy or sampled completions.
        greedy: whether they are greedy; pass@k is for sampled ones.

    Returns:
        "arms", by name, and "mean", each with "problems", "success", its "interval" [low, high], "tokens" per
        completion, "truncated" (a share), "outcomes" (counts) and, if sampled, "pass_at_k" with "value" and "interval"
        by k; "num_generations"; and "solved", by arm the number of right completions of every problem.
    """
    solved = _solved(result)
    rows = {name: _arm_record(result, name, greedy=greedy) for name in solved}
    return {
        "num_generations": result.num_generations,
        "arms": rows,
        "mean": _mean_record(list(rows.values())),
        "solved": {name: counts.tolist() for name, counts in solved.items()},
    }


def _solved(result: Evaluation) -> dict[str, NDArray[np.int64]]:
    """By arm, the number of right completions of every problem, (problems,)."""
    return {
        name: np.array(successes, dtype=np.int64).reshape(-1, result.num_generations).sum(axis=1)
        for name, successes in result.successes.items()
    }


def _arm_record(result: Evaluation, name: str, *, greedy: bool) -> dict[str, Any]:
    size, judged = result.num_generations, result.completions[name]
    solved = _solved(result)[name]
    record = _estimate("success", success_interval(solved / size, size)) | {
        "problems": len(solved),
        "tokens": result.tokens[name] / len(judged),
        "truncated": result.truncated[name] / len(judged),
        "outcomes": dict(Counter(one.verdict.outcome for one in judged).most_common()),
    }
    if not greedy:
        record["pass_at_k"] = {
            str(k): _estimate("value", success_interval(pass_at_k(solved, size, k), size)) for k in range(1, size + 1)
        }
    return record


def _mean_record(arms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    outcomes: Counter[str] = sum((Counter(arm["outcomes"]) for arm in arms), Counter())
    record = _estimate("success", mean_of_arms([_interval("success", arm) for arm in arms])) | {
        "problems": sum(arm["problems"] for arm in arms),
        "tokens": float(np.mean([arm["tokens"] for arm in arms])),
        "truncated": float(np.mean([arm["truncated"] for arm in arms])),
        "outcomes": dict(outcomes.most_common()),
    }
    if "pass_at_k" in arms[0]:
        record["pass_at_k"] = {
            k: _estimate("value", mean_of_arms([_interval("value", arm["pass_at_k"][k]) for arm in arms]))
            for k in arms[0]["pass_at_k"]
        }
    return record


def difference_record(mine: Evaluation, other: Evaluation, *, greedy: bool) -> dict[str, Any]:
    """The first model's success minus the second's, on the same problems.

    Greedy outcomes are compared by McNemar's exact test, with Newcombe's paired interval for every arm. The flips of
    all arms together give the p-value of the mean, which has the same number of problems from each arm. Sampled success
    is compared by Student's paired test over problems.

    Args:
        mine: completions of the first model.
        other: completions of the second model.
        greedy: whether the completions are greedy.

    Returns:
        "arms", by name, and "mean", each with "difference", its "interval" [low, high] and the p-value "p"; None where
        a number cannot be computed because no problem tells the models apart. For greedy completions also "both",
        "neither", "only_model" and "only_other", the numbers of problems that these solve.
    """
    first, second, size = _solved(mine), _solved(other), mine.num_generations
    if greedy:
        rows = {name: _flips(first[name] > 0, second[name] > 0) for name in first}
        counts = {
            key: sum(row[key] for row in rows.values()) for key in ("both", "neither", "only_model", "only_other")
        }
        mean = _estimate("difference", mean_of_arms([_interval("difference", row) for row in rows.values()]))
        p = mcnemar_p_value(counts["only_model"], counts["only_other"])
        return {"arms": rows, "mean": mean | counts | {"p": p}}
    differences = {name: (first[name] - second[name]) / size for name in first}
    return {
        "arms": {name: _paired_test([values]) for name, values in differences.items()},
        "mean": _paired_test(list(differences.values())),
    }


def _flips(mine: NDArray[np.bool_], other: NDArray[np.bool_]) -> dict[str, Any]:
    only_model, only_other = int((mine & ~other).sum()), int((other & ~mine).sum())
    return _estimate("difference", paired_success_interval(mine, other)) | {
        "both": int((mine & other).sum()),
        "neither": int((~mine & ~other).sum()),
        "only_model": only_model,
        "only_other": only_other,
        "p": mcnemar_p_value(only_model, only_other),
    }


def _paired_test(differences: Sequence[NDArray[np.float64]]) -> dict[str, Any]:
    interval, p = paired_difference_by_arm(differences)
    return _estimate("difference", interval) | {"p": p if np.isfinite(p) else None}


def _estimate(key: str, interval: Interval) -> dict[str, Any]:
    value, *limits = map(float, interval)
    return {key: value, "interval": limits if np.isfinite(limits).all() else None}


def _interval(key: str, record: Mapping[str, Any]) -> Interval:
    low, high = record["interval"]
    return record[key], low, high
