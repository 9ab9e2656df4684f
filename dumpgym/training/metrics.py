"""The numbers of a run: functions from a batch or an evaluation to named numbers, and from the logs to a summary."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.puzzle_env import UNREADABLE
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.finished import TOLD, read_ledger
from dumpgym.statistics.curves import effective_number
from dumpgym.statistics.intervals import success_change
from dumpgym.training.batch import BY_GROUP, TrainingBatch
from dumpgym.training.evaluation import Evaluation


def batch_metrics(batch: TrainingBatch) -> dict[str, float]:
    """Rewards and lengths of a batch."""
    completions = batch.completions
    rewards = batch.rewards
    return {
        "reward": float(rewards.mean()),
        "reward_std": float(rewards.std(axis=1, ddof=1).mean()),
        "frac_reward_zero_std": float(batch.without_variance.mean()),
        "completions/mean_length": float(completions.num_tokens.mean()),
        "completions/clipped_ratio": float(completions.truncated.mean()),
    }


def policy_metrics(requested: NDArray[np.float64]) -> dict[str, float]:
    """How concentrated the requested shares, (num_arms,), are."""
    effective = float(effective_number(requested))
    return {
        "policy/effective_arms": effective,
        "policy/largest_share": float(requested.max()),
        "policy/kl_from_uniform": float(np.log(len(requested) / effective)),
    }


def arm_metrics(
    names: Sequence[str], requested: NDArray[np.float64], signal: NDArray[np.float64], batch: TrainingBatch
) -> dict[str, float]:
    """Requested and realised share of every arm, and signal, success and format of the arms in the batch.

    Args:
        names: names of the arms.
        requested: probabilities of the policy, (num_arms,).
        signal: signal of each group, (groups,); it is logged as "learnability".
        batch: the batch.
    """
    metrics: dict[str, float] = {}
    results = batch.results
    for i, name in enumerate(names):
        mine = results.arm == i
        metrics[f"arms/{name}/requested_share"] = float(requested[i])
        metrics[f"arms/{name}/share"] = float(mine.mean())
        if mine.any():
            metrics[f"arms/{name}/learnability"] = float(signal[mine].mean())
            metrics[f"arms/{name}/success"] = float(results.successes[mine].mean() / results.num_generations)
            metrics[f"arms/{name}/format"] = 1 - float(batch.unreadable[mine].mean() / results.num_generations)
    return metrics


def told_metrics(names: Sequence[str], success: NDArray[np.float64]) -> dict[str, float]:
    """The success on every arm that a policy was told, (num_arms,)."""
    return {f"arms/{name}/{TOLD}": float(value) for name, value in zip(names, success, strict=True)}


def means_over_steps(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every number over the steps that have it; an arm that was not drawn has no success in a step.

    Args:
        steps: numbers of each step by name.
    """
    keys = dict.fromkeys(key for step in steps for key in step)
    return {key: float(np.mean([step[key] for step in steps if key in step])) for key in keys}


def arm_health(names: Sequence[str], batch: TrainingBatch) -> dict[str, float]:
    """Health of the learner on the arms of a batch, as far as it is known.

    - ``entropy``, nats per token: minus the mean log-probability of the sampled tokens. Its expectation over samples is
      the entropy, so it is an unbiased but noisy estimate that needs no pass over the vocabulary.
    - ``kl`` and ``clip_ratio``: what the learner reports for its groups, weighted by their tokens.
    - ``truncated``: share of completions cut off at the length limit (over the batch: ``completions/clipped_ratio``).
    - ``frac_reward_zero_std``: share of groups whose rewards are all equal, which teach nothing.

    Args:
        names: names of the arms.
        batch: the batch.
    """
    sums, num_arms = batch.sums_by_arm(len(names)), len(names)
    parts = {
        "entropy": (sums["surprise"], sums["tokens"] if batch.completions.log_probs else np.zeros(num_arms)),
        "truncated": (sums["truncated"], sums["completions"]),
        "frac_reward_zero_std": (sums["equal"], sums["groups"]),
        **{key: (sums[key], sums[f"{key}_tokens"]) for key in BY_GROUP},
    }
    return {
        f"arms/{name}/{key}": float(total[i] / count[i])
        for i, name in enumerate(names)
        for key, (total, count) in parts.items()
        if count[i] > 0
    }


def evaluation_metrics(prefix: str, result: Evaluation) -> dict[str, Any]:
    """Success and format of every arm, the mean success over arms, and which problems were solved.

    Args:
        prefix: "eval" for greedy completions, "eval_sampled" for sampled ones; the names begin with it.
        result: the evaluation.
    """
    success = {name: float(np.mean(solved)) for name, solved in result.successes.items()}
    metrics: dict[str, Any] = {f"{prefix}/success": float(np.mean(list(success.values())))}
    for name, completions in result.completions.items():
        readable = [one.verdict.outcome not in UNREADABLE for one in completions]
        metrics |= {f"{prefix}/{name}/success": success[name], f"{prefix}/{name}/format": float(np.mean(readable))}
    solved = {name: [int(s) for s in successes] for name, successes in result.successes.items()}
    return metrics | {f"{prefix}/solved": solved}


def run_summary(run: RunDirectory) -> dict[str, Any]:
    """Success before and after a finished run, mean over arms and for each arm, with intervals and costs.

    The numbers at the top level are greedy success; those under "sampled" are at the training temperature.
    """
    evaluations, last, ledger = run.read("evaluations.jsonl"), run.read("metrics.jsonl")[-1], read_ledger(run)
    before, after = evaluations[0], evaluations[-1]
    names = list(before["eval/solved"])

    def change(chosen: Sequence[str]) -> dict[str, Any]:
        greedy, sampled = (
            success_change(_solved(before, mode, chosen), _solved(after, mode, chosen))
            for mode in ("eval", "eval_sampled")
        )
        return {**greedy, "sampled": sampled}

    return {
        **change(names),
        "generated_tokens": ledger["tokens"]["num_tokens"],
        "evaluation_tokens": ledger["tokens"]["evaluation_tokens"],
        "seconds": sum(ledger["seconds"].values()),
        "steps": ledger["steps"],
        "ledger": ledger,
        "arms": {
            name: {
                **change([name]),
                "problems": last[f"arms/{name}/count"],
                "generated_tokens": ledger["arms"][name]["num_tokens"],
            }
            for name in names
        },
    }


def _solved(evaluation: Mapping[str, Any], mode: str, names: Sequence[str]) -> dict[str, list[bool]]:
    return {name: evaluation[f"{mode}/solved"][name] for name in names}
