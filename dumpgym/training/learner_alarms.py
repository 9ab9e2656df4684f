"""Health of the learner, arm by arm: what is logged of every step, and alarms for what ends a run that goes on.

A curriculum moves the learner between arms, so a mean over the batch hides where it breaks: answers of one arm that no
longer fit the limit, an arm that teaches nothing, a learner that has stopped exploring on another.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import require_number
from dumpgym.contracts.state import Stateful
from dumpgym.training.puzzle_student import Lesson

_BY_GROUP = ("kl", "clip_ratio")


def arm_health(names: Sequence[str], lesson: Lesson) -> dict[str, float]:
    """Numbers of a step, for the arms of the batch and where they are known.

    - ``entropy``, nats a token: minus the mean log-probability of the sampled tokens. In expectation over the samples
      it is the entropy, so it is an unbiased estimate that needs no pass over the vocabulary, but a noisy one.
    - ``kl`` and ``clip_ratio``: what the learner says of its groups, weighted by their tokens.
    - ``truncated``: share of completions cut off at the length limit (over the batch: ``completions/clipped_ratio``).
    - ``frac_reward_zero_std``: share of groups whose rewards are all equal, which teach nothing.

    Args:
        names: of the arms.
        lesson: the batch.
    """
    sums, num_arms = _sums(lesson, len(names)), len(names)
    parts = {
        "entropy": (sums["surprise"], sums["tokens"] if lesson.completions.log_probs else np.zeros(num_arms)),
        "truncated": (sums["truncated"], sums["completions"]),
        "frac_reward_zero_std": (sums["equal"], sums["groups"]),
        **{key: (sums[key], sums[f"{key}_tokens"]) for key in _BY_GROUP},
    }
    return {
        f"arms/{name}/{key}": float(total[i] / count[i])
        for i, name in enumerate(names)
        for key, (total, count) in parts.items()
        if count[i] > 0
    }


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


class Health(Stateful):
    """Watches the learner over the last steps of a run, arm by arm.

    Alarms, each a short text that names the arm and the number, once the window holds ``enough`` of its completions:

    - truncated: more than half of the completions were cut off at the length limit;
    - without variance: in no group did the rewards differ, because all completions or none earn them;
    - collapsed: the mean entropy of a sampled token is below ``least_entropy``, so that a group is one answer repeated;
    - diverged: the mean divergence from the reference, where the learner computes it, exceeds ``largest_kl``.

    Args:
        names: of the arms.
        window: steps that are looked back on.
        enough: completions in the window before an arm is judged.
        least_entropy: nats a token.
        largest_kl: nats a token.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("recent",)
    _ROWS = ("groups", "completions", "truncated", "equal", "tokens", "surprise", "kl_tokens", "kl")

    def __init__(
        self,
        names: Sequence[str],
        *,
        window: int = 20,
        enough: int = 64,
        least_entropy: float = 1e-4,
        largest_kl: float = 1.0,
    ) -> None:
        self.names = names
        self.enough = require_number("enough", enough, low=1, whole=True)
        self.least_entropy = require_number("least_entropy", least_entropy, low=0)
        self.largest_kl = require_number("largest_kl", largest_kl, above=0)
        length = require_number("window", window, low=1, whole=True)
        self.recent: NDArray[np.float64] = np.zeros((length, len(self._ROWS), len(names)))  # newest last

    def observe(self, lesson: Lesson) -> list[str]:
        """Takes in a batch and returns the alarms."""
        sums = _sums(lesson, len(self.names))
        self.recent = np.concatenate([self.recent[1:], np.array([sums[row] for row in self._ROWS])[None]])
        total = self.recent.sum(axis=0)
        alarms = []
        for i, name in enumerate(self.names):
            groups, completions, truncated, equal, tokens, surprise, kl_tokens, kl = total[:, i].tolist()
            if completions < self.enough:
                continue
            if truncated > completions / 2:
                share = truncated / completions
                alarms.append(f"{name}: truncated, {share:.0%} of {completions:.0f} completions reached the limit")
            if equal == groups:
                alarms.append(f"{name}: without variance, the rewards of each of {groups:.0f} groups are equal")
            if lesson.completions.log_probs is not None and surprise < self.least_entropy * tokens:
                alarms.append(f"{name}: collapsed, an entropy of {surprise / tokens:.1e} nats a token")
            if kl > self.largest_kl * kl_tokens:
                alarms.append(f"{name}: diverged, {kl / kl_tokens:.2f} nats a token from the reference")
        return alarms
