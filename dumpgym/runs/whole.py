"""Whether the files of a finished run agree with each other, so that nobody averages a part of a run.

A log that was cut can look whole: each of its lines is valid. What shows the cut is the summary, which the run wrote
last and which counts the steps and the tokens.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import SUMMARY
from dumpgym.runs.files import DamagedFileError

TOKEN_COLUMNS = ("num_tokens", "redrawn_tokens", "trained_tokens", "evaluation_tokens")
"""The token columns of the ledger, under their names in the logs."""
_METRICS, _EVALUATIONS = "metrics.jsonl", "evaluations.jsonl"
_SPENT = (*TOKEN_COLUMNS, "time/seconds", "time/evaluate")
_ENDS_OF_RECORDS = ("log_every", "evaluate_every", "checkpoint_every")
_OF_A_STEP = (
    "reward", "frac_reward_zero_std", "completions/mean_length", "completions/clipped_ratio", "policy/effective_arms",
    "policy/largest_share", "policy/kl_from_uniform", "time/progress", *_SPENT,
)  # fmt: skip
_LARGEST = 2**63  # no count of a run comes near it, and larger integers are no floating-point numbers
Records = Sequence[Mapping[str, Any]]


def check_whole(
    path: Path, config: TrainConfig, summary: Mapping[str, Any], metrics: Records, evaluations: Records
) -> None:
    """Checks that the logs of a finished run hold all that its summary counts.

    Args:
        path: directory of the run.
        config: content of ``config.json``.
        summary: content of ``summary.json``.
        metrics: records of ``metrics.jsonl``.
        evaluations: records of ``evaluations.jsonl``.

    Raises:
        DamagedFileError: if a record is missing, has another place or lacks a number.
    """
    steps = _summarized_steps(path / SUMMARY, config, summary)
    _check_steps(path / _METRICS, metrics, steps, config)
    _check_evaluated_steps(path / _EVALUATIONS, evaluations, steps, config.evaluate_every)
    names = _arm_names(path / _EVALUATIONS, evaluations, len(config.arms) - len(config.nuisance_arms))
    for record in metrics:
        required = [f"arms/{name}/{key}" for name in names for key in ("share", "requested_share", *TOKEN_COLUMNS)]
        _check_numbers(path / _METRICS, record, [*_OF_A_STEP, *required])
        drawn = [f"arms/{name}/{key}" for name in names for key in ("learnability", "success")]
        _check_numbers(path / _METRICS, record, [key for key in drawn if key in record])
    trained = {0: 0, **{record["step"]: record["num_tokens"] for record in metrics}}
    for record in evaluations:
        of_arms = [f"eval/{name}/success" for name in names]
        _check_numbers(path / _EVALUATIONS, record, ["eval/success", *of_arms, *_SPENT])
        if record["num_tokens"] != trained.get(record["step"]):
            raise DamagedFileError(path / _EVALUATIONS, f"does not fit {_METRICS} at step {record['step']}")
    if summary["generated_tokens"] != metrics[-1]["num_tokens"]:
        raise DamagedFileError(path / _METRICS, f"does not end at the tokens that {SUMMARY} counts")


def _summarized_steps(path: Path, config: TrainConfig, summary: Mapping[str, Any]) -> int:
    for key in ("steps", "generated_tokens"):
        if type(summary.get(key)) is not int or summary[key] < 1:
            raise DamagedFileError(path, f"is damaged: it has no {key!r}")
    for key in ("policy", "seed"):
        if summary.get(key) != getattr(config, key):
            raise DamagedFileError(path, f"is of another run than config.json: its {key!r} is {summary.get(key)!r}")
    steps: int = summary["steps"]
    return steps


def _check_steps(path: Path, records: Records, steps: int, config: TrainConfig) -> None:
    found: list[Any] = [record.get("step") for record in records]
    in_order = all(type(step) is int and step > 0 for step in found) and found == sorted(set(found))
    last = found[-1] if in_order and found else 0
    # A run that was extended has one more record, where it first ended.
    ends = {
        end for every in _ENDS_OF_RECORDS for end in range(getattr(config, every), last + 1, getattr(config, every))
    }
    whole = in_order and set(found) >= ends
    if whole and last != steps:
        raise DamagedFileError(path, f"holds {last} steps, and {SUMMARY} counts {steps}")
    if not whole:
        expected = f"those from 1 to {steps}, each once" if config.log_every == 1 else "those that end its records"
        raise DamagedFileError(path, f"is damaged: its steps are not {expected}")


def _check_evaluated_steps(path: Path, records: Records, steps: int, evaluate_every: int) -> None:
    found: list[Any] = [record.get("step") for record in records]
    whole = all(type(step) is int for step in found) and found == sorted(set(found))
    # A run that was extended has one more evaluation, where it first ended.
    if missing := sorted({*range(0, steps, evaluate_every), steps} - set(found)) if whole else []:
        raise DamagedFileError(path, f"has no evaluation of step {missing[0]}")
    if not whole or found[-1] != steps or found[0] != 0:
        raise DamagedFileError(path, "is damaged: its steps are not in order")


def _arm_names(path: Path, evaluations: Records, num_arms: int) -> list[str]:
    solved = [record.get("eval/solved") for record in evaluations]
    first = solved[0]
    for arms in solved:
        if not isinstance(arms, dict) or not isinstance(first, dict) or list(arms) != list(first):
            raise DamagedFileError(path, "is damaged: 'eval/solved' does not name the same arms everywhere")
        if not all(isinstance(problems, list) and problems for problems in arms.values()):
            raise DamagedFileError(path, "is damaged: 'eval/solved' has an arm without problems")
    names = list(first or ())
    if len(names) != num_arms:
        raise DamagedFileError(path, f"has {len(names)} arms, and config.json has {num_arms} to evaluate")
    return names


def _check_numbers(path: Path, record: Mapping[str, Any], keys: Sequence[str]) -> None:
    for key in keys:
        value: Any = record.get(key)
        if type(value) not in (int, float) or not -_LARGEST < value < _LARGEST:  # also false for NaN
            raise DamagedFileError(path, f"is damaged: {key!r} is {value!r} in step {record['step']}")
