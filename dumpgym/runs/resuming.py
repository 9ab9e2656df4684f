"""Where a run resumes, decided before anything is written: what must not be lost is refused first."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.contracts.policy_registry import find_policy
from dumpgym.runs.config import TrainConfig, progress, refuse_changes
from dumpgym.runs.directory import SUMMARY, RunDirectory
from dumpgym.runs.files import DamagedFileError, read_object
from dumpgym.runs.finished import read_finished
from dumpgym.runs.versions import read_starts


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePoint:
    """Where a run resumes.

    Attributes:
        starts: the starts of the run so far, see ``read_starts``.
        summary: the summary of a run that has finished, which does not resume; None for any other run.
        state: state of the checkpoint from which the run resumes; None to start from the beginning.
        checkpoint: directory of that checkpoint.
    """

    starts: list[dict[str, Any]]
    summary: dict[str, Any] | None = None
    state: dict[str, Any] | None = None
    checkpoint: Path | None = None


def resume_point(config: TrainConfig, *, writes: bool = False, contents: bool = True) -> ResumePoint:
    """Finds where the run in the directory ``config.output`` resumes, and changes nothing.

    Args:
        config: configuration with which it resumes.
        writes: whether this process writes the run's files, and so warns of damaged checkpoints.
        contents: check the files of checkpoints byte by byte, and not only their sizes.

    Raises:
        DumpgymError: if the directory holds no run, a file in it is damaged or missing, no checkpoint leads on, or a
            setting is not accepted: one that may not change, or a limit below what the run has done.
    """
    stored = RunDirectory.stored_config(config.output)
    refuse_changes(config, stored)
    _refuse_another_length(config, stored)
    starts = read_starts(config.output)
    run = RunDirectory(config.output, writes=writes)
    if (run.path / SUMMARY).exists():
        spent = _spent(_finished_metrics(run.path)[-1])
        _refuse_lower_limits(config, stored, spent, has_ended=True)
        if progress(config, **spent) >= 1:
            return ResumePoint(starts=starts, summary=read_object(run.path / SUMMARY))
    found = run.find_checkpoint(contents=contents)
    if found is None:
        return ResumePoint(starts=starts)
    state, checkpoint = found
    spent, has_ended = _spent_at(run, state["step"])
    _refuse_lower_limits(config, stored, spent, has_ended=has_ended)
    return ResumePoint(starts=starts, state=state, checkpoint=checkpoint)


def _finished_metrics(path: Path) -> list[dict[str, Any]]:
    try:
        return read_finished(path).metrics
    except DamagedFileError as error:
        raise DumpgymError(
            f"the run in {str(path)!r} has finished, and {error.reason}; accepted: the file as the run wrote it, or, "
            f"to resume from a checkpoint, the run without its {SUMMARY}"
        ) from error


def _spent(record: Mapping[str, Any]) -> dict[str, float]:
    """What a run had spent on training when it logged a step."""
    seconds = record["time/seconds"] - record["time/evaluate"]
    return {"steps": record["step"], "tokens": record["num_tokens"], "seconds": seconds}


def _spent_at(run: RunDirectory, step: int) -> tuple[dict[str, float], bool]:
    """What a run had spent at a checkpoint, and whether it had ended there, with the evaluation of its end."""
    if step == 0:
        return {"steps": 0, "tokens": 0, "seconds": 0.0}, False
    record, evaluation = (_last_at(run, log, step) for log in ("metrics.jsonl", "evaluations.jsonl"))
    if not {"num_tokens", "time/seconds", "time/evaluate"} <= record.keys():
        raise DamagedFileError(run.path / "metrics.jsonl", f"is damaged: it has no record of step {step}")
    return _spent(record), "eval_sampled/success" in evaluation


def _last_at(run: RunDirectory, log: str, step: int) -> dict[str, Any]:
    return next((record for record in reversed(run.read(log)) if record.get("step") == step), {})


def _refuse_lower_limits(
    config: TrainConfig, stored: TrainConfig, spent: Mapping[str, float], *, has_ended: bool
) -> None:
    # A limit that was passed would have ended the run earlier. Steps cannot be taken back, and a run that has not ended
    # lacks the evaluation of its end, which comes after a step.
    for name, key in (("steps", "steps"), ("budget_tokens", "tokens"), ("budget_seconds", "seconds")):
        limit, done = getattr(config, name), spent[key]
        if limit is None or limit == getattr(stored, name) or limit > done or (limit == done and has_ended):
            continue
        least = math.ceil(done * 10) / 10 if key == "seconds" else done
        bound = f"at least {least}" if has_ended else f"more than {least}"
        verb = "done" if key == "steps" else "spent"
        raise InvalidValueError(name, limit, f"with --resume, {bound}, which the run has {verb}")


def _refuse_another_length(config: TrainConfig, stored: TrainConfig) -> None:
    # The schedule would change under the run, which would then be neither the short one nor the long one.
    named = {option.replace("-", "_") for option in config.policy_options}
    if config.steps != stored.steps and "total_steps" in find_policy(config.policy).parameters.keys() - named:
        accepted = f"with --resume, {stored.steps}, because the schedule of policy {config.policy!r} lasts that long"
        raise InvalidValueError("steps", config.steps, f"{accepted}; its option total_steps makes it independent")
