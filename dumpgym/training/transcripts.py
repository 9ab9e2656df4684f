"""Transcripts: what the learner was asked and what it completed, so that a person can read what the numbers mean.

Each is one line of ``transcripts.jsonl``: the first completion of every training step; of every evaluation the first
problems of each arm, which are the same each time; and of a step that failed all completions that caused the failure.
"""

import math
from typing import Any

from dumpgym.training.batch import BrokenBatchError, TrainingBatch
from dumpgym.training.evaluation import Evaluation, JudgedCompletion


def transcript(step: int, arm: str, judged: JudgedCompletion) -> dict[str, Any]:
    """One completion with its problem and its verdict, JSON-compatible.

    Args:
        step: number of the step it belongs to; for an evaluation, the steps done before it.
        arm: name of the arm.
        judged: the completion.
    """
    reward = judged.verdict.reward
    return {
        "step": step,
        "split": judged.problem.address[1],
        "arm": arm,
        "address": judged.problem.address,
        "prompt": judged.problem.prompt,
        "completion": judged.completion,
        "outcome": judged.verdict.outcome,
        "reward": reward if math.isfinite(reward) else str(reward),  # JSON has no infinity
    }


def of_step(step: int, arm_names: list[str], batch: TrainingBatch) -> dict[str, Any]:
    """The first completion of a step's batch."""
    return transcript(step, arm_names[batch.results.arm[0]], _judged(batch, 0, 0))


def of_evaluation(step: int, result: Evaluation, per_arm: int) -> list[dict[str, Any]]:
    """The first ``per_arm`` completions of every arm."""
    return [transcript(step, arm, one) for arm, judged in result.completions.items() for one in judged[:per_arm]]


def of_broken_step(step: int, arm_names: list[str], error: BrokenBatchError) -> list[dict[str, Any]]:
    """All completions of the groups that caused an error, each with its message."""
    batch = error.batch
    return [
        transcript(step, arm_names[batch.results.arm[group]], _judged(batch, group, member)) | {"error": str(error)}
        for group in error.groups
        for member in range(batch.results.num_generations)
    ]


def _judged(batch: TrainingBatch, group: int, member: int) -> JudgedCompletion:
    text = batch.completions.texts[group * batch.results.num_generations + member]
    return JudgedCompletion(batch.problems[group], text, batch.verdicts[group][member])
