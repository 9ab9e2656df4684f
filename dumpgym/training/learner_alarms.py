"""Alarms for what ends a run although it continues: a learner that breaks on one of its arms.

A curriculum moves the learner between arms, so a mean over the batch hides where it breaks: completions of one arm that
no longer fit the length limit, an arm that teaches nothing, a learner that has stopped exploring on another.
"""

from collections.abc import Sequence
from typing import ClassVar

from dumpgym.contracts.errors import require_number
from dumpgym.contracts.state import Stateful
from dumpgym.training.batch import TrainingBatch
from dumpgym.training.window import StepWindow


class LearnerAlarms(Stateful):
    """Watches the learner over the last steps of a run, arm by arm.

    Each alarm is a short text that names the arm and the number, once the window holds ``enough`` of its completions:

    - truncated: more than half of the completions were cut off at the length limit;
    - without variance: in no group did the rewards differ, because all completions or none earn them;
    - collapsed: the mean entropy of a sampled token is below ``least_entropy``, so that a group repeats one completion;
    - diverged: the mean divergence from the reference, if the learner computes it, exceeds ``largest_kl``.

    Args:
        names: names of the arms.
        window: number of steps that are remembered.
        enough: completions in the window before an arm is judged.
        least_entropy: nats per token.
        largest_kl: nats per token.

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
        self.recent = StepWindow(self._ROWS, len(names), require_number("window", window, low=1, whole=True))

    def observe(self, batch: TrainingBatch) -> list[str]:
        """Adds a batch to the window and returns the alarms."""
        self.recent.add(batch.sums_by_arm(len(self.names)))
        total = self.recent.total()
        alarms = []
        for i, name in enumerate(self.names):
            groups, completions, truncated, equal, tokens, surprise, kl_tokens, kl = (
                float(total[row][i]) for row in self._ROWS
            )
            if completions < self.enough:
                continue
            if truncated > completions / 2:
                share = truncated / completions
                alarms.append(f"{name}: truncated, {share:.0%} of {completions:.0f} completions reached the limit")
            if equal == groups:
                alarms.append(f"{name}: without variance, the rewards of each of {groups:.0f} groups are equal")
            if batch.completions.log_probs is not None and surprise < self.least_entropy * tokens:
                alarms.append(f"{name}: collapsed, an entropy of {surprise / tokens:.1e} nats a token")
            if kl > self.largest_kl * kl_tokens:
                alarms.append(f"{name}: diverged, {kl / kl_tokens:.2f} nats a token from the reference")
        return alarms
