"""The contract of a learner: whatever generates completions and learns from their rewards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dumpgym.puzzle_env import Prompt


@dataclass(frozen=True, slots=True)
class Completions:
    """What a learner generated: ``num_generations`` completions to each prompt, group after group.

    Attributes:
        prompt_ids: token ids of each prompt, (groups,).
        token_ids: the sampled token ids of each completion with its end token, (groups * num_generations,).
        texts: the completions as text, without the end token, (groups * num_generations,). Where the prompt ends in
            "<think>", which some chat templates write, it stands in front, as the completion's first word.
        truncated: which completions were cut off at the length limit, (groups, num_generations).
    """

    prompt_ids: tuple[tuple[int, ...], ...]
    token_ids: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    truncated: NDArray[np.bool_]

    @property
    def num_tokens(self) -> NDArray[np.int64]:
        """Generated tokens of each completion, (groups, num_generations)."""
        return np.array([len(ids) for ids in self.token_ids], dtype=np.int64).reshape(self.truncated.shape)


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Completions with their rewards, (groups, num_generations)."""

    completions: Completions
    rewards: NDArray[np.float64]


class Learner(Protocol):
    """A student. The GRPO agent is one; a simulated student is another."""

    def generate(
        self, prompts: Sequence[Prompt], num_generations: int, *, greedy: bool = False, seed: int | None = None
    ) -> Completions:
        """Completes each prompt ``num_generations`` times.

        Args:
            prompts: each as plain text, or as chat messages (``Problem.learner_prompt`` is what suits a problem).
            num_generations: completions per prompt.
            greedy: take the most probable token instead of sampling.
            seed: sample from a stream of its own, so that training's stream is left alone (for evaluation).
        """
        ...

    def learn(self, rollouts: Rollouts) -> Mapping[str, float]:
        """Learns from a batch and returns metrics."""
        ...

    def save(self, directory: Path) -> None:
        """Writes everything that ``load`` needs to go on bit for bit."""
        ...

    def load(self, directory: Path) -> None:
        """Restores what ``save`` wrote."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """What a reader of a run wants to know of the learner, JSON-compatible."""
        ...
