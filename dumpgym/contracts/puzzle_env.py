"""The contract of a puzzle distribution: one prompt, one completion, one verdict."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from dumpgym.contracts.errors import InvalidValueError, require_number

CHARSET = frozenset(chr(code) for code in (9, 10, 13, *range(32, 127), *range(160, 384)))
SPLITS = ("train", "test")

Prompt = str | Sequence[Mapping[str, str]]
"""What a learner is given: plain text, or chat messages, each with "role" and "content"."""


def plain_text(prompt: Prompt) -> str:
    """The prompt without roles: the text itself, or the contents of the messages, joined by a newline."""
    return prompt if isinstance(prompt, str) else "\n".join(message["content"] for message in prompt)


def check_split(split: str) -> str:
    """Returns the split if there is one of this name.

    Raises:
        InvalidValueError: if not.
    """
    if split not in SPLITS:
        raise InvalidValueError("split", split, f"one of {', '.join(SPLITS)}")
    return split


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a distribution.

    Attributes:
        prompt: what the model reads, as plain text.
        solution: what the verifier needs to judge a completion, and nothing that the model sees.
        reference_completion: a completion that earns the top reward.
        address: (seed, split, index), by which the problem can be asked for again.
        messages: the prompt as chat messages, each {"role": ..., "content": ...}, for a model with a chat template;
            empty: one user message that holds the prompt.

    Raises:
        InvalidValueError: if there are messages and their plain text is not the prompt.
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
        """What ``Learner.generate`` takes: the messages where there are any, else the prompt."""
        return self.messages or self.prompt


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of a completion.

    Attributes:
        outcome: a word for what was found, e.g. "correct", "wrong", "unparseable" or "bad_format".
        reward_terms: the parts whose sum is the reward.
        success: whether the completion solves the problem.
        reason: one sentence that says why.
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
    """Base class of puzzle distributions; an author writes ``sample_problem`` and ``verify``.

    The observation is the prompt, the action is the completion, and an episode is one step long. ``reset`` draws the
    next problem of the split; ``options={"split": ..., "index": ...}`` asks for one by its address. ``seed`` of
    ``reset`` selects the stream of problems, so that (seed, split, index) always means the same problem.

    Args:
        split: "train" or "test"; the two share no problem.
        max_prompt_length: longest prompt, in characters.
        max_completion_length: longest completion in the action space, in characters.
    """

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
        self.observation_space = spaces.Text(max_prompt_length, charset=CHARSET)
        self.action_space = spaces.Text(max_completion_length, min_length=0, charset=CHARSET)
        self.problem: Problem | None = None
        self._seed = 0
        self._next_index = 0

    @abstractmethod
    def sample_problem(self, seed: int, split: str, index: int) -> Problem:
        """Returns the problem at an address: the same one on every call and machine."""

    @abstractmethod
    def verify(self, problem: Problem, completion: object) -> Verdict:
        """Judges a completion. A pure function that accepts any object and never raises."""

    def problem_info(self, problem: Problem) -> dict[str, Any]:
        """What ``reset`` tells of a problem in ``info``, beside its address; nothing unless an author writes it."""
        return {}

    def completion_of(self, answer: str) -> str:
        """A completion that gives this answer, for a person who types the answer alone; by default the text itself."""
        return answer

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts an episode with the next problem, or with the one that ``options`` names.

        Args:
            seed: selects the stream of problems and starts it anew; None goes on in the present one.
            options: "split" and "index", each optional, for this episode and those after it.

        Raises:
            InvalidValueError: for an option that does not exist or a value outside its range.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self._next_index = seed, 0
        self.split, self._next_index = self.split_and_index(options, self._next_index)
        self.problem = self.sample_problem(self._seed, self.split, self._next_index)
        self._next_index += 1
        return self.problem.prompt, {"address": self.problem.address, **self.problem_info(self.problem)}

    def split_and_index(self, options: dict[str, Any] | None, next_index: int) -> tuple[str, int]:
        """What ``options`` of ``reset`` ask for, or the present split and the next index.

        Raises:
            InvalidValueError: for an option that does not exist or a value outside its range.
        """
        options = options or {}
        if unknown := options.keys() - {"split", "index"}:
            raise InvalidValueError("options", sorted(unknown), "'split' and 'index'")
        index = require_number("index", options.get("index", next_index), low=0, whole=True)
        return check_split(options.get("split", self.split)), index

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Judges the completion and ends the episode; the observation stays the prompt."""
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
        """The present prompt, when ``render_mode`` is "ansi"."""
        return self.problem.prompt if self.render_mode == "ansi" and self.problem else None
