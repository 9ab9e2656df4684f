"""Transcripts: what the learner was asked and said, so that a person can read what the numbers stand for.

Each is one line of ``transcripts.jsonl``: of every training step the first completion, of every evaluation the first
problems of each arm, which are the same ones each time, and of a step that went wrong all completions to blame.
"""

import math
from typing import Any

from dumpgym.training.batch import BrokenBatchError, TrainingBatch
from dumpgym.training.evaluation import Evaluation, JudgedCompletion


def transcript(step: int, arm: str, answer: JudgedCompletion) -> dict[str, Any]:
    """One completion, with its problem and its verdict, JSON-compatible.

    Args:
        step: steps done when it was generated, the one it belongs to among them.
        arm: name of the arm.
        answer: the completion.
    """
    reward = answer.verdict.reward
    return {
        "step": step,
        "split": answer.problem.address[1],
        "arm": arm,
        "address": answer.problem.address,
        "prompt": answer.problem.prompt,
        "completion": answer.completion,
        "outcome": answer.verdict.outcome,
        "reward": reward if math.isfinite(reward) else str(reward),  # JSON has no infinity
    }


def of_step(step: int, arm_names: list[str], batch: TrainingBatch) -> dict[str, Any]:
    """The first completion of a step's batch."""
    return transcript(step, arm_names[batch.results.arm[0]], _answer(batch, 0, 0))


def of_evaluation(step: int, result: Evaluation, per_arm: int) -> list[dict[str, Any]]:
    """The first ``per_arm`` answers of every arm."""
    return [
        transcript(step, arm, answer) for arm, answers in result.completions.items() for answer in answers[:per_arm]
    ]


def of_broken_step(step: int, arm_names: list[str], error: BrokenBatchError) -> list[dict[str, Any]]:
    """All completions of the groups that are to blame, each with what was wrong."""
    batch = error.batch
    return [
        transcript(step, arm_names[batch.results.arm[group]], _answer(batch, group, member)) | {"error": str(error)}
        for group in error.groups
        for member in range(batch.results.num_generations)
    ]


def _answer(batch: TrainingBatch, group: int, member: int) -> JudgedCompletion:
    text = batch.completions.texts[group * batch.results.num_generations + member]
    return JudgedCompletion(batch.problems[group], text, batch.verdicts[group][member])
