"""One batch of training in full: what was asked, completed, judged and learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import DumpgymError, NonFiniteError
from dumpgym.contracts.learner import Completions, Learned
from dumpgym.contracts.puzzle_env import UNREADABLE, Problem, Verdict
from dumpgym.contracts.student import GroupResults

BY_GROUP = ("kl", "clip_ratio")
"""Numbers that a learner may report for every group, and that are logged for every arm."""
_SHOWN_PROMPT = 80  # characters


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """One batch of training in full.

    Attributes:
        problems: one per group.
        completions: of all groups that were generated.
        verdicts: ``num_generations`` verdicts per group.
        rewards: reward of every completion, (groups, num_generations).
        results: the part of it that a bandit sees.
        kept: which groups the learner received; the group filter left out the others, (groups,).
        learned: what the learner reports; NaN for groups that it did not receive.
        seconds: seconds by phase: "generate", "verify" and "learn".
    """

    problems: Sequence[Problem]
    completions: Completions
    verdicts: Sequence[Sequence[Verdict]]
    rewards: NDArray[np.float64]
    results: GroupResults
    kept: NDArray[np.bool_]
    learned: Learned
    seconds: Mapping[str, float]

    @property
    def unreadable(self) -> NDArray[np.int64]:
        """Number of completions of every group without an answer to judge, (groups,)."""
        return np.array([sum(verdict.outcome in UNREADABLE for verdict in group) for group in self.verdicts])

    @property
    def without_variance(self) -> NDArray[np.bool_]:
        """Which groups have equal rewards, and so teach nothing, (groups,).

        Rewards are compared for equality, because the standard deviation of equal rewards may round to something other
        than 0.
        """
        equal: NDArray[np.bool_] = (self.rewards == self.rewards[:, :1]).all(axis=1)
        return equal

    def joined(self, more: "TrainingBatch") -> "TrainingBatch":
        """This batch followed by another one, before anything was learned from either."""
        first, second = self.results, more.results
        rewards = np.concatenate([self.rewards, more.rewards])
        results = GroupResults(
            **{
                name: np.concatenate([getattr(first, name), getattr(second, name)])
                for name in ("arm", "successes", "tokens", "truncated", "solved")
            },
            num_generations=first.num_generations,
            rewards=rewards,
            seconds=first.seconds + second.seconds,
        )
        return TrainingBatch(
            [*self.problems, *more.problems],
            self.completions.joined(more.completions),
            [*self.verdicts, *more.verdicts],
            rewards,
            results,
            np.concatenate([self.kept, more.kept]),
            self.learned,
            {phase: spent + more.seconds[phase] for phase, spent in self.seconds.items()},
        )

    def sums_by_arm(self, num_arms: int) -> dict[str, NDArray[np.float64]]:
        """Totals over the groups of every arm, each (num_arms,).

        Returns:
            "groups", "completions", "truncated" completions, "equal" (groups without variance), "tokens", "surprise"
            (minus the log-probabilities of the sampled tokens; 0 where the learner does not report them), and for every
            key of ``BY_GROUP`` its sum weighted by tokens, with those tokens as ``<key>_tokens``.
        """
        results, log_probs = self.results, self.completions.log_probs
        tokens = results.tokens.astype(np.float64)
        surprise = np.zeros_like(tokens)
        if log_probs is not None:
            surprise = -np.array([sum(row) for row in log_probs]).reshape(self.rewards.shape).sum(axis=1)
        of_groups = {
            "groups": np.ones_like(tokens),
            "completions": np.full_like(tokens, results.num_generations),
            "truncated": results.truncated,
            "equal": self.without_variance,
            "tokens": tokens,
            "surprise": surprise,
        }
        for key in BY_GROUP:
            values = np.asarray(self.learned.by_group.get(key, np.full_like(tokens, np.nan)))
            known = np.isfinite(values)
            of_groups |= {key: np.where(known, values, 0) * tokens, f"{key}_tokens": known * tokens}
        return {
            key: np.bincount(results.arm, weights=values, minlength=num_arms).astype(np.float64)
            for key, values in of_groups.items()
        }


class BrokenBatchError(DumpgymError):
    """A reward, or a number that the learner computed, was not finite. The learner has not changed.

    Attributes:
        batch: what was generated and judged; nothing was learned from it.
        groups: numbers of the groups that caused it, or of all groups if the cause is not known.
    """

    def __init__(self, error: NonFiniteError, batch: TrainingBatch, arm_names: Sequence[str]) -> None:
        self.batch = batch
        self.groups = error.groups or tuple(range(len(batch.problems)))
        arms = dict.fromkeys(arm_names[batch.results.arm[group]] for group in self.groups)
        prompt = " ".join(batch.problems[self.groups[0]].prompt.split())
        shown = prompt if len(prompt) <= _SHOWN_PROMPT else prompt[: _SHOWN_PROMPT - 3] + "..."
        first = "prompt" if len(self.groups) == 1 else f"first of {len(self.groups)} prompts"
        super().__init__(f"{error}, arm {', '.join(arms)}, {first} {shown!r}")
