"""The contract of a puzzle distribution: one prompt, one completion, one verdict."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.vector.utils import create_shared_memory

from dumpgym.contracts.errors import InvalidValueError, require_number

CHARSET = frozenset(chr(code) for code in (9, 10, 13, *range(32, 127), *range(160, 384)))
"""Characters of the observation and action spaces: tab, line breaks, printable ASCII, Latin-1 and Latin Extended-A."""
SPLITS = ("train", "test")
"""Names of the splits."""
UNREADABLE = ("bad_format", "unparseable")
"""Outcomes of completions in which a verifier found no answer to judge; a run counts them as the wrong format."""

Prompt = str | Sequence[Mapping[str, str]]
"""What a learner receives: plain text, or chat messages, each with "role" and "content"."""


class TextSpace(spaces.Text):
    """A ``Text`` space that Gymnasium's asynchronous vector environment refuses to put into shared memory."""


# Gymnasium reads observations from shared memory once, when it is empty. Arrays are views of the memory and change with
# it, but text is a copy and stays what it was: as many tabs, the first character, as the space allows.
@create_shared_memory.register(TextSpace)
def _refuse_shared_memory(space: TextSpace, n: int = 1, ctx: Any = None) -> None:
    raise gym.error.CustomSpaceError("text cannot be observed through shared memory; pass shared_memory=False")


def plain_text(prompt: Prompt) -> str:
    """Returns the prompt without roles: the text itself, or the contents of the messages joined by newlines."""
    return prompt if isinstance(prompt, str) else "\n".join(message["content"] for message in prompt)


def check_split(split: str) -> str:
    """Returns the name of a split if it is valid.

    Raises:
        InvalidValueError: if there is no split of this name.
    """
    if split not in SPLITS:
        raise InvalidValueError("split", split, f"one of {', '.join(SPLITS)}")
    return split


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a puzzle distribution.

    Attributes:
        prompt: prompt that the model reads, as plain text.
        solution: data that the verifier needs to judge a completion. The model never sees it.
        reference_completion: a completion that earns the highest reward.
        address: (seed, split, index), from which ``PuzzleEnv.sample_problem`` makes the same problem again.
        messages: the prompt as chat messages, each {"role": ..., "content": ...}, for a model with a chat template. If
            empty, such a model receives one user message that contains the prompt.

    Raises:
        InvalidValueError: if there are messages and their plain text differs from the prompt.
    """

    prompt: str
    solution: Mapping[str, Any]
    reference_completion: str
    address: tuple[int, str, int]
    messages: tuple[Mapping[str, str], ...] = ()

    def __post_init__(self) -> None:
        # A model without a chat template must read the same words as one that has a template.
        if self.messages and plain_text(self.messages) != self.prompt:
            raise InvalidValueError("prompt", self.prompt, "the contents of the messages, joined by a newline")

    @property
    def learner_prompt(self) -> Prompt:
        """The prompt in the form that ``Learner.generate`` takes: the messages if there are any, else the text."""
        return self.messages or self.prompt


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verifier's judgement of a completion.

    Attributes:
        outcome: one word for the result, e.g. "correct", "wrong", "unparseable" or "bad_format".
        reward_terms: named parts of the reward, which is their sum.
        success: whether the completion solves the problem. The reward does not determine it, as a reward may also pay
            for the format.
        reason: one sentence that explains the judgement; comparisons of verdicts ignore it.
    """

    outcome: str
    reward_terms: Mapping[str, float]
    success: bool
    reason: str = field(default="", compare=False)

    @property
    def reward(self) -> float:
        """The sum of the reward terms."""
        return float(sum(self.reward_terms.values()))


class PuzzleEnv(gym.Env[str, str]):
    """Base class of puzzle distributions: Gymnasium environments whose reward is a rule-based verifier.

    The observation is the prompt, the action is the completion, and an episode is one step long. The methods of the
    Gymnasium API are implemented here:

    - ``reset``: starts an episode with the next problem, and returns its prompt.
    - ``step``: judges a completion, returns its reward, and ends the episode.
    - ``render``: returns the prompt.

    A new distribution is a subclass that implements two methods:

    - ``sample_problem``: returns the problem at an address (seed, split, index).
    - ``verify``: judges a completion of a problem.

    For example::

        class Doubling(PuzzleEnv):
            def sample_problem(self, seed, split, index):
                number = 2 * index + (split == "test")  # even numbers for training, odd ones for evaluation
                answer = str(2 * number)
                return Problem(f"Double {number}.", {"answer": answer}, answer, (seed, split, index))

            def verify(self, problem, completion):
                right = completion == problem.solution["answer"]
                return Verdict("correct" if right else "wrong", {"answer": float(right)}, right)

        gymnasium.register("mine/Doubling-v0", entry_point=Doubling)

    Args:
        split: "train" or "test", which have no problem in common.
        max_prompt_length: length of the longest prompt, in characters.
        max_completion_length: length of the longest completion in the action space, in characters.
        render_mode: "ansi" or None.

    Attributes:
        split: split of the next problem.
        problem: problem of the present episode; None before the first ``reset``.
        observation_space: ``Text`` of at most ``max_prompt_length`` characters of ``CHARSET``.
        action_space: ``Text`` of at most ``max_completion_length`` characters of ``CHARSET``.

    Raises:
        InvalidValueError: if an argument is out of range.
    """

    # Why splits: success on training problems measures memory as well as skill. The split is part of the address and
    # not a range of indices, because a generated distribution has no last training problem after which test problems
    # could begin; the author decides how to keep the two apart.
    #
    # Why addresses: with one stream of random numbers, a problem would depend on all draws before it, and two policies
    # would train on different problems as soon as they chose different arms. With addresses, problem i of an arm is the
    # same under every policy, so runs with the same seed are paired; a checkpoint stores one index per arm; and a
    # logged address is enough to make a problem again.

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 (as Gymnasium declares it)

    def __init__(
        self,
        *,
        split: str = "train",
        max_prompt_length: int = 16_384,
        max_completion_length: int = 65_536,
        render_mode: str | None = None,
    ) -> None:
        self.split = check_split(split)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise InvalidValueError("render_mode", render_mode, "None or 'ansi'")
        self.render_mode = render_mode
        self.observation_space = TextSpace(max_prompt_length, charset=CHARSET)
        self.action_space = spaces.Text(max_completion_length, min_length=0, charset=CHARSET)
        self.problem: Problem | None = None
        self._seed = 0
        self._next_index = 0

    @abstractmethod
    def sample_problem(self, seed: int, split: str, index: int) -> Problem:
        """Returns the problem at an address.

        Args:
            seed: seed of the stream of problems, at least 0.
            split: "train" or "test".
            index: index in the stream, at least 0. A finite set of problems may start over.

        Returns:
            The problem, the same one in every call and on every machine.
        """

    @abstractmethod
    def verify(self, problem: Problem, completion: object) -> Verdict:
        """Judges a completion.

        The method is a pure function that accepts any object and raises no exception, because a model may write
        anything and a run must not end because of it.

        Args:
            problem: a problem that ``sample_problem`` returned.
            completion: the completion, normally a string.

        Returns:
            The verdict, whose ``reward`` is the reward of the step.
        """

    def problem_info(self, problem: Problem) -> dict[str, Any]:
        """Returns what ``reset`` adds to ``info`` besides the problem's address; nothing by default."""
        return {}

    def completion_of(self, answer: str) -> str:
        """Returns a completion with this answer, for a person who types only the answer; the answer by default."""
        return answer

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts an episode with the next problem, or with the problem that ``options`` selects.

        Args:
            seed: selects a stream of problems and starts it at index 0; None continues the present stream.
            options: "split" and "index", both optional. Later episodes continue in this split, after this index.

        Returns:
            The prompt, and ``info`` with the problem's "address" and what ``problem_info`` adds.

        Raises:
            InvalidValueError: if an option does not exist or its value is out of range.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self._next_index = seed, 0
        self.split, self._next_index = self.split_and_index(options, self._next_index)
        self.problem = self.sample_problem(self._seed, self.split, self._next_index)
        self._next_index += 1
        return self.problem.prompt, {"address": self.problem.address, **self.problem_info(self.problem)}

    def split_and_index(self, options: dict[str, Any] | None, next_index: int) -> tuple[str, int]:
        """Returns the split and the index that ``options`` of ``reset`` select, by default the present and the next.

        Raises:
            InvalidValueError: if an option does not exist or its value is out of range.
        """
        options = options or {}
        if unknown := options.keys() - {"split", "index"}:
            raise InvalidValueError("options", sorted(unknown), "'split' and 'index'")
        index = require_number("index", options.get("index", next_index), low=0, whole=True)
        return check_split(options.get("split", self.split)), index

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Judges a completion and ends the episode.

        Args:
            action: the completion.

        Returns:
            The prompt again, the reward, True for terminated, False for truncated, and ``info`` with "is_success",
            "outcome", "reward_terms" and "reason" from the verdict.

        Raises:
            gymnasium.error.ResetNeeded: if ``reset`` has not been called.
        """
        if self.problem is None:
            raise gym.error.ResetNeeded("call reset() before step()")
        verdict = self.verify(self.problem, action)
        info = {
            "is_success": verdict.success,
            "outcome": verdict.outcome,
            "reward_terms": dict(verdict.reward_terms),
            "reason": verdict.reason,
        }
        return self.problem.prompt, verdict.reward, True, False, info

    def render(self) -> str | None:
        """Returns the present prompt if ``render_mode`` is "ansi", else None."""
        return self.problem.prompt if self.render_mode == "ansi" and self.problem else None
