"""The contract of a learner: it completes prompts, and learns from the rewards of its completions.

A ``Learner`` works on text and knows nothing of arms. A ``Student`` practises arms, which is all that a curriculum sees
of it. ``dumpgym.training.puzzle_student.PuzzleStudent`` makes a student of a learner and its arms; a simulated student
has no learner.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.arms import Arm
from dumpgym.contracts.errors import NonFiniteError
from dumpgym.contracts.puzzle_env import Prompt


@dataclass(frozen=True, slots=True)
class Completions:
    """Completions of a batch of prompts: ``num_generations`` to each prompt, group after group.

    Attributes:
        prompt_ids: token ids of each prompt, length groups.
        token_ids: sampled token ids of each completion, including the end token, length groups * num_generations.
        texts: text of each completion without the end token, length groups * num_generations. If the prompt ends in
            "<think>", as some chat templates do, the text begins with it, because verifiers read only completions.
        truncated: which completions were cut off at the length limit, shape (groups, num_generations).
        log_probs: log-probabilities of each completion's sampled tokens, in nats, at the sampling temperature (at
            temperature 1 for greedy completions), each as long as its ``token_ids``; None if the learner does not
            report them.
        seconds: time that generating took, in seconds; None if the learner does not report it. In a run with several
            processes it must be the same number in all of them, because a policy may depend on it and must make the
            same decisions everywhere.
    """

    prompt_ids: tuple[tuple[int, ...], ...]
    token_ids: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    truncated: NDArray[np.bool_]
    log_probs: tuple[tuple[float, ...], ...] | None = None
    seconds: float | None = None

    @property
    def num_tokens(self) -> NDArray[np.int64]:
        """Number of generated tokens of each completion, shape (groups, num_generations)."""
        return np.array([len(ids) for ids in self.token_ids], dtype=np.int64).reshape(self.truncated.shape)

    def take(self, groups: Sequence[int]) -> "Completions":
        """Returns the completions of the groups with these indices."""
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
        """Returns these completions followed by ``more``, whose groups have the same size."""
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
    """Completions with their rewards.

    Attributes:
        completions: completions of a batch.
        rewards: reward of each completion, shape (groups, num_generations).

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
    """What a learner reports after it has learned from a batch.

    Attributes:
        metrics: metrics of the batch by name, with TRL's name where TRL has the same metric.
        by_group: numbers of every group by name, shape (groups,), NaN where unknown: "kl" and "clip_ratio" are means
            over the group's tokens, "num_tokens" is the number of tokens that received a gradient, each counted once.
    """

    metrics: Mapping[str, float]
    by_group: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


class Learner(Protocol):
    """A model that completes prompts and learns from the rewards of its completions, such as ``GRPOAgent``.

    A training step calls ``generate``, lets the verifiers reward the completions, and calls ``learn``::

        completions = learner.generate(prompts, num_generations)
        rewards = ...  # one per completion, shape (groups, num_generations)
        learned = learner.learn(RewardedCompletions(completions, rewards))

    The methods are:

    - ``generate``: completes prompts.
    - ``learn``: updates the model from rewarded completions.
    - ``save`` and ``load``: write and restore everything that an interrupted run needs.
    - ``describe``: returns facts about the learner for the record of a run.

    In a run with several processes, each process has a learner, and every method is called in all processes. This
    includes ``save``, because a learner whose weights are sharded over the processes has to gather them.
    """

    def generate(
        self,
        prompts: Sequence[Prompt],
        num_generations: int,
        *,
        greedy: bool = False,
        seed: int | None = None,
        max_completion_lengths: Sequence[int] | None = None,
        keys: Sequence[int] | None = None,
    ) -> Completions:
        """Completes each prompt ``num_generations`` times.

        Args:
            prompts: prompts as plain text or as chat messages; ``Problem.learner_prompt`` has the right form.
            num_generations: completions per prompt.
            greedy: whether to take the most probable token instead of sampling.
            seed: seed of a separate random stream for this call, so that an evaluation does not change the completions
                of later training; None for the stream of training.
            max_completion_lengths: length limit for every prompt in tokens, including the end token; None for the
                learner's own limit.
            keys: a key for every prompt, from 0 to 2 ** 64 - 1. The random numbers of a completion are then a function
                of the prompt's key, the completion's number in its group and the place of the token, and of nothing
                else: not of ``seed``, of earlier calls or of the other prompts. Runs that meet the same problem under
                different policies thus share their luck, which removes noise from their comparison. A call with keys
                does not advance the stream of training. None for the streams above. A learner may leave this argument
                out, and the training loop then does not pass it.

        Returns:
            The completions in the order of the prompts.
        """
        ...

    def learn(self, rewarded: RewardedCompletions) -> Learned:
        """Updates the model from a batch of rewarded completions.

        Raises:
            NonFiniteError: if the loss or its gradient is not finite. No weight has changed in this case.
        """
        ...

    def save(self, directory: Path) -> None:
        """Writes everything that ``load`` needs to resume bit for bit. Only the main process writes files."""
        ...

    def load(self, directory: Path) -> None:
        """Restores what ``save`` wrote."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Returns facts about the learner for the record of a run, as JSON-compatible values."""
        ...


def takes_keys(learner: Learner) -> bool:
    """Returns whether ``learner.generate`` takes ``keys``."""
    parameters = inspect.signature(learner.generate).parameters.values()
    return any(p.name == "keys" or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


@runtime_checkable
class SavesModel(Protocol):
    """A learner that can save its model for use outside the run."""

    def save_model(self, directory: Path) -> None:
        """Writes the model in the format of its library, without training state; called in every process."""
        ...


@runtime_checkable
class ChecksArms(Protocol):
    """A learner that can tell in advance whether it can complete the problems of an arm."""

    def check_arms(self, arms: Sequence[Arm]) -> None:
        """Checks that the learner can read the prompts of the arms and write their answers.

        Raises:
            InvalidValueError: if it cannot.
        """
        ...


def check_arms(learner: Learner, arms: Sequence[Arm]) -> None:
    """Checks that a learner can complete the problems of arms, if it can tell.

    Raises:
        InvalidValueError: if it cannot complete them.
    """
    if isinstance(learner, ChecksArms):
        learner.check_arms(arms)
