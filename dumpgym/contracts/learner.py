"""The contracts of who learns: a learner completes prompts and learns from rewards, a student practises arms.

A ``Learner`` meets puzzles as text. A ``Student`` is what a curriculum sees of it: arms go in, results come out, and
its success on every arm can be asked for. Simulated students are made as such; a learner with its arms becomes one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import NonFiniteError
from dumpgym.contracts.puzzle_env import Prompt


@dataclass(frozen=True, slots=True)
class Completions:
    """What a learner generated: ``num_generations`` completions to each prompt, group after group.

    Attributes:
        prompt_ids: token ids of each prompt, (groups,).
        token_ids: the sampled token ids of each completion with its end token, (groups * num_generations,).
        texts: the completions as text, without the end token, (groups * num_generations,). Where the prompt ends in
            "<think>", which some chat templates write, it stands in front, as the completion's first word.
        truncated: which completions were cut off at the length limit, (groups, num_generations).
        log_probs: of the sampled tokens of each completion, in nats, at the sampling temperature (a greedy one's at
            temperature 1), each as long as its ``token_ids``; None where the learner does not tell.
        seconds: that generating took, where the learner tells; the same number in every process of a run, so that a
            policy that looks at costs decides alike in all of them.
    """

    prompt_ids: tuple[tuple[int, ...], ...]
    token_ids: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    truncated: NDArray[np.bool_]
    log_probs: tuple[tuple[float, ...], ...] | None = None
    seconds: float | None = None

    @property
    def num_tokens(self) -> NDArray[np.int64]:
        """Generated tokens of each completion, (groups, num_generations)."""
        return np.array([len(ids) for ids in self.token_ids], dtype=np.int64).reshape(self.truncated.shape)

    def take(self, groups: Sequence[int]) -> "Completions":
        """The completions of some groups."""
        size = self.truncated.shape[1]
        rows = [group * size + k for group in groups for k in range(size)]
        return Completions(
            tuple(self.prompt_ids[group] for group in groups),
            tuple(self.token_ids[row] for row in rows),
            tuple(self.texts[row] for row in rows),
            self.truncated[list(groups)],
            None if self.log_probs is None else tuple(self.log_probs[row] for row in rows),
            self.seconds,
        )

    def joined(self, more: "Completions") -> "Completions":
        """These completions and then more of them, of groups of the same size."""
        both_log_probs = self.log_probs is not None and more.log_probs is not None
        both_seconds = self.seconds is not None and more.seconds is not None
        return Completions(
            self.prompt_ids + more.prompt_ids,
            self.token_ids + more.token_ids,
            self.texts + more.texts,
            np.concatenate([self.truncated, more.truncated]),
            (self.log_probs or ()) + (more.log_probs or ()) if both_log_probs else None,
            (self.seconds or 0) + (more.seconds or 0) if both_seconds else None,
        )


@dataclass(frozen=True, slots=True)
class RewardedCompletions:
    """Completions with their rewards, (groups, num_generations).

    Raises:
        NonFiniteError: if a reward is not finite.
    """

    completions: Completions
    rewards: NDArray[np.float64]

    def __post_init__(self) -> None:
        finite = np.isfinite(self.rewards).all(axis=1)
        if not finite.all():
            raise NonFiniteError("reward", np.flatnonzero(~finite).tolist())


@dataclass(frozen=True, slots=True)
class Learned:
    """What learning from a batch is reported as.

    Attributes:
        metrics: of the batch, by TRL's names where it has the same thing.
        by_group: numbers of every group, (groups,), NaN where not known: "kl" and "clip_ratio" are means over the
            group's tokens, "num_tokens" are those that a gradient was computed for, each counted once.
    """

    metrics: Mapping[str, float]
    by_group: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


class Learner(Protocol):
    """A student. The GRPO agent is one.

    Where a run has several processes, each has a learner, and all are called alike: ``save`` too, since a learner
    whose weights are spread over the processes has to gather them.
    """

    def generate(
        self,
        prompts: Sequence[Prompt],
        num_generations: int,
        *,
        greedy: bool = False,
        seed: int | None = None,
        max_completion_lengths: Sequence[int] | None = None,
    ) -> Completions:
        """Completes each prompt ``num_generations`` times.

        Args:
            prompts: each as plain text, or as chat messages (``Problem.learner_prompt`` is what suits a problem).
            num_generations: completions per prompt.
            greedy: take the most probable token instead of sampling.
            seed: sample from a stream of its own, so that training's stream is left alone (for evaluation).
            max_completion_lengths: one limit a prompt, in tokens, the end token included; None: the learner's own.
        """
        ...

    def learn(self, rewarded: RewardedCompletions) -> Learned:
        """Learns from a batch.

        Raises:
            NonFiniteError: if the loss or its gradient is not finite; no weight has changed then.
        """
        ...

    def save(self, directory: Path) -> None:
        """Writes everything that ``load`` needs to go on bit for bit; of several processes, the main one alone."""
        ...

    def load(self, directory: Path) -> None:
        """Restores what ``save`` wrote."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """What a reader of a run wants to know of the learner, JSON-compatible."""
        ...


@runtime_checkable
class SavesModel(Protocol):
    """A learner whose model outlives the run; called in every process, as ``Learner.save`` is."""

    def save_model(self, directory: Path) -> None:
        """Writes the model as others read it, without what only training needs."""
        ...
