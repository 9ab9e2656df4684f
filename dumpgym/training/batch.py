"""One batch of training in full: what was asked, said, judged and learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import DumpgymError, NonFiniteError
from dumpgym.contracts.learner import Completions, Learned
from dumpgym.contracts.puzzle_env import Problem, Verdict
from dumpgym.contracts.student import Outcomes

UNREADABLE = ("bad_format", "unparseable")
"""Outcomes of completions in which the verifier found no answer to judge."""
_SHOWN_PROMPT = 80  # characters


@dataclass(frozen=True, slots=True)
class Lesson:
    """One batch of practice, in full.

    Attributes:
        problems: one a group.
        completions: of all groups that were generated.
        verdicts: a list of num_generations verdicts a group.
        rewards: of every completion, (groups, num_generations).
        outcomes: what a bandit is told of it.
        kept: which groups the learner was given; the group filter left out the others, (groups,).
        learned: what the learner says of it; NaN of groups that it was not given.
        seconds: by phase: "generate", "verify" and "learn".
    """

    problems: Sequence[Problem]
    completions: Completions
    verdicts: Sequence[Sequence[Verdict]]
    rewards: NDArray[np.float64]
    outcomes: Outcomes
    kept: NDArray[np.bool_]
    learned: Learned
    seconds: Mapping[str, float]

    @property
    def unreadable(self) -> NDArray[np.int64]:
        """Completions of every group without an answer to judge, (groups,)."""
        return np.array([sum(verdict.outcome in UNREADABLE for verdict in group) for group in self.verdicts])

    @property
    def without_variance(self) -> NDArray[np.bool_]:
        """Which groups have equal rewards, and so nothing to teach, (groups,).

        By equality, since the standard deviation of equal rewards may be rounded to something else than 0.
        """
        equal: NDArray[np.bool_] = (self.rewards == self.rewards[:, :1]).all(axis=1)
        return equal


class BrokenLessonError(DumpgymError):
    """A reward, or a number of the learner, was not finite. The learner has not changed.

    Attributes:
        lesson: what was generated and judged; nothing was learned from it.
        groups: numbers of the groups that are to blame; of all groups, where that is not known.
    """

    def __init__(self, error: NonFiniteError, lesson: Lesson, arm_names: Sequence[str]) -> None:
        self.lesson = lesson
        self.groups = error.groups or tuple(range(len(lesson.problems)))
        arms = dict.fromkeys(arm_names[lesson.outcomes.arm[group]] for group in self.groups)
        prompt = " ".join(lesson.problems[self.groups[0]].prompt.split())
        shown = prompt if len(prompt) <= _SHOWN_PROMPT else prompt[: _SHOWN_PROMPT - 3] + "..."
        first = "prompt" if len(self.groups) == 1 else f"first of {len(self.groups)} prompts"
        super().__init__(f"{error}, arm {', '.join(arms)}, {first} {shown!r}")


def _joined(one: Lesson, more: Lesson) -> Lesson:
    """Two attempts as one, before anything was learned from them."""
    first, second = one.outcomes, more.outcomes
    rewards = np.concatenate([one.rewards, more.rewards])
    outcomes = Outcomes(
        **{
            name: np.concatenate([getattr(first, name), getattr(second, name)])
            for name in ("arm", "successes", "tokens", "truncated", "solved")
        },
        num_generations=first.num_generations,
        rewards=rewards,
        seconds=first.seconds + second.seconds,
    )
    return Lesson(
        [*one.problems, *more.problems],
        one.completions.joined(more.completions),
        [*one.verdicts, *more.verdicts],
        rewards,
        outcomes,
        np.concatenate([one.kept, more.kept]),
        one.learned,
        {phase: spent + more.seconds[phase] for phase, spent in one.seconds.items()},
    )


_BY_GROUP = ("kl", "clip_ratio")


def _sums(lesson: Lesson, num_arms: int) -> dict[str, NDArray[np.float64]]:
    """Totals of a batch over the groups of every arm, each (num_arms,)."""
    outcomes, log_probs = lesson.outcomes, lesson.completions.log_probs
    tokens = outcomes.tokens.astype(np.float64)
    surprise = np.zeros_like(tokens)
    if log_probs is not None:
        surprise = -np.array([sum(row) for row in log_probs]).reshape(lesson.rewards.shape).sum(axis=1)
    of_groups = {
        "groups": np.ones_like(tokens),
        "completions": np.full_like(tokens, outcomes.num_generations),
        "truncated": outcomes.truncated,
        "equal": lesson.without_variance,
        "tokens": tokens,
        "surprise": surprise,
    }
    for key in _BY_GROUP:
        values = np.asarray(lesson.learned.by_group.get(key, np.full_like(tokens, np.nan)))
        known = np.isfinite(values)
        of_groups |= {key: np.where(known, values, 0) * tokens, f"{key}_tokens": known * tokens}
    return {
        key: np.bincount(outcomes.arm, weights=values, minlength=num_arms).astype(np.float64)
        for key, values in of_groups.items()
    }
