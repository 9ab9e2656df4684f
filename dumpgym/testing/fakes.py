"""Fakes for tests: a puzzle environment, and a learner without a language model.

A training run with them takes a second::

    arms = make_arms(["dumpgym/KnightsKnaves2-v0", "dumpgym.testing.fakes:fakes/Doubling-v0"])
    learner = FakeLearner(reference_completions(*(arm.env for arm in arms)))
    Trainer(config, learner).run()
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.learner import Completions, Learned, RewardedCompletions
from dumpgym.contracts.puzzle_env import SPLITS, Problem, Prompt, PuzzleEnv, Verdict, plain_text
from dumpgym.contracts.state import Stateful

_VOCABULARY_SIZE = 50_000
_END = "\0"  # end-of-sequence character


class FakePuzzleEnv(PuzzleEnv):
    """Asks for the double of a number; the numbers are even in the train split and odd in the test split.

    It is registered as ``fakes/Doubling-v0``. A completion is "correct" (reward 1), "wrong" (0), or "unparseable" if it
    is not a number (-1).

    Args:
        num_problems: number of problems in each split; None for unlimited problems.
        chat: whether a system message precedes the question.
        split: see ``PuzzleEnv``.
        render_mode: see ``PuzzleEnv``.
    """

    def __init__(
        self,
        *,
        num_problems: int | None = None,
        chat: bool = False,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self.num_problems, self.chat = num_problems, chat

    def sample_problem(self, seed: int, split: str, index: int) -> Problem:
        """Returns the problem at an address. The seed has no effect.

        Raises:
            InvalidValueError: for an index beyond the last problem.
        """
        last = float("inf") if self.num_problems is None else self.num_problems - 1
        require_number("index", index, low=0, high=last, whole=True)
        number = 2 * index + (split == "test")
        question = {"role": "user", "content": f"What is the double of {number}?"}
        messages = ({"role": "system", "content": "Answer with a number."}, question) if self.chat else (question,)
        return Problem(
            plain_text(messages),
            {"double": 2 * number},
            str(2 * number),
            (seed, split, index),
            messages if self.chat else (),
        )

    def verify(self, problem: Problem, completion: object) -> Verdict:
        """Judges a completion, ignoring whitespace around the number."""
        text = completion.strip() if isinstance(completion, str) else ""
        if text == str(problem.solution["double"]):
            return Verdict("correct", {"answer": 1.0}, True, "The number is right.")
        if text.isdecimal():
            return Verdict("wrong", {"answer": 0.0}, False, "The number is wrong.")
        return Verdict("unparseable", {"answer": -1.0}, False, "The completion is not a number.")


if "fakes/Doubling-v0" not in gym.registry:  # registering again on a reload would warn
    gym.register("fakes/Doubling-v0", entry_point="dumpgym.testing.fakes:FakePuzzleEnv")


def reference_completions(*envs: PuzzleEnv, seed: int = 0, num_problems: int = 100) -> dict[str, str]:
    """Returns the reference completions of the first problems of both splits by prompt, as ``FakeLearner`` takes them.

    Args:
        envs: the environments.
        seed: seed of the problems.
        num_problems: number of problems per split and environment; finite splits may have fewer.
    """
    answers: dict[str, str] = {}
    for env in envs:
        for split in SPLITS:
            for index in range(num_problems):
                try:
                    problem = env.sample_problem(seed, split, index)
                except InvalidValueError:  # the end of a finite split
                    break
                answers[problem.prompt] = problem.reference_completion
    return answers


@dataclass(frozen=True, slots=True)
class GenerateCall:
    """The arguments and the result of a call of ``FakeLearner.generate``.

    Attributes:
        prompts: the argument ``prompts``.
        num_generations: the argument ``num_generations``.
        greedy: the argument ``greedy``.
        seed: the argument ``seed``.
        max_completion_lengths: the argument ``max_completion_lengths``.
        completions: the completions that it returned.
        keys: the argument ``keys``.
    """

    prompts: Sequence[Prompt]
    num_generations: int
    greedy: bool
    seed: int | None
    max_completion_lengths: Sequence[int] | None
    completions: Completions
    keys: Sequence[int] | None = None

    @property
    def trains(self) -> bool:
        """Whether the call belongs to training, as opposed to an evaluation."""
        return self.seed is None and not self.greedy


class FakeLearner(Stateful):
    """A learner without a model: it writes the right completion with a probability that grows with every batch.

    A token is ``token_length`` characters; an end-of-sequence character is added to every completion. Tests can inspect
    the arguments of ``generate`` in ``calls`` and those of ``learn`` in ``lessons``.

    Subclasses may override ``answer`` (the right completion), ``chance`` (the probability that a completion is right)
    and ``learn``. Attributes that change in training belong in ``state_fields``.

    Args:
        answers: right completion by prompt, chats as ``plain_text``; see ``reference_completions``.
        seed: seed of the sampling stream, at least 0.
        skill: initial probability that a completion is right.
        gain: increase of the probability per call of ``learn``.
        best: upper limit of the probability.
        wrong: text of all wrong completions.
        token_length: characters per token.
        seconds: generation time to report in the completions; None to report none.

    Attributes:
        answers: right completion by prompt; entries may be added.
        skill: current probability that a completion is right.
        rng: sampling stream of training.
        calls: calls of ``generate``, in order.
        lessons: arguments of ``learn``, in order.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("skill", "rng")

    def __init__(
        self,
        answers: Mapping[str, str] | None = None,
        *,
        seed: int = 0,
        skill: float = 0.2,
        gain: float = 0.05,
        best: float = 0.9,
        wrong: str = "<think></think><answer>?</answer>",
        token_length: int = 1,
        seconds: float | None = None,
    ) -> None:
        self.answers = dict(answers or {})
        self.rng = np.random.default_rng(seed)
        self.skill, self.gain, self.best = skill, gain, best
        self.wrong, self.token_length, self.seconds = wrong, token_length, seconds
        self.calls: list[GenerateCall] = []
        self.lessons: list[RewardedCompletions] = []

    def answer(self, prompt: str) -> str:
        """Returns the right completion of a prompt in plain text.

        Raises:
            InvalidValueError: if ``answers`` lacks the prompt.
        """
        if prompt not in self.answers:
            raise InvalidValueError("prompt", prompt, f"one of the {len(self.answers)} prompts in answers")
        return self.answers[prompt]

    def chance(self, prompt: str, k: int) -> float:
        """Returns the probability that completion ``k`` of a group is right; greedy completions use ``k = 0``."""
        return self.skill

    def evaluation_stream(self, seed: int) -> np.random.Generator:
        """Returns the sampling stream of an evaluation."""
        return np.random.default_rng(seed)

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
        """Completes each prompt; see ``Learner.generate``. All greedy completions of a group are equal."""
        if keys is None:
            streams = [self.rng if seed is None and not greedy else self.evaluation_stream(seed or 0)] * len(prompts)
        else:
            streams = [np.random.default_rng(key) for key in keys]
        limits: Sequence[int | None] = max_completion_lengths or [None] * len(prompts)
        completions = [
            self._cut(text, limit)
            for prompt, limit, rng in zip(prompts, limits, streams, strict=True)
            for text in self._group(plain_text(prompt), num_generations, greedy, rng)
        ]
        texts, token_ids, truncated = zip(*completions, strict=True)
        made = Completions(
            tuple(self._tokens(plain_text(prompt)) for prompt in prompts),
            token_ids,
            texts,
            np.array(truncated, dtype=np.bool_).reshape(len(prompts), num_generations),
            seconds=self.seconds,
        )
        self.calls.append(GenerateCall(prompts, num_generations, greedy, seed, max_completion_lengths, made, keys))
        return made

    def _group(self, prompt: str, num_generations: int, greedy: bool, rng: np.random.Generator) -> list[str]:
        if greedy:
            return self._group(prompt, 1, False, rng) * num_generations
        chances = [self.chance(prompt, k) for k in range(num_generations)]
        return [self.answer(prompt) if rng.random() < chance else self.wrong for chance in chances]

    def _tokens(self, text: str) -> tuple[int, ...]:
        """Returns a token id per ``token_length`` characters, the same in every process."""
        pieces = [text[start : start + self.token_length] for start in range(0, len(text), self.token_length)]
        return tuple(zlib.crc32(piece.encode(errors="surrogatepass")) % _VOCABULARY_SIZE for piece in pieces)

    def _cut(self, text: str, limit: int | None) -> tuple[str, tuple[int, ...], bool]:
        """Returns the text and its token ids, truncated to the limit, and whether they were truncated."""
        ids = self._tokens(text + _END)
        if limit is None or len(ids) <= limit:
            return text, ids, False
        return text[: limit * self.token_length], ids[:limit], True

    def learn(self, rewarded: RewardedCompletions) -> Learned:
        """Increases ``skill``, whatever the rewards."""
        self.lessons.append(rewarded)
        self.skill = min(self.best, self.skill + self.gain)
        return Learned({"loss": 0.0})

    def save(self, directory: Path) -> None:
        """Writes the state as JSON."""
        (directory / "learner.json").write_text(json.dumps(self.state_dict()), encoding="utf-8")

    def load(self, directory: Path) -> None:
        """Restores the state that ``save`` wrote.

        Raises:
            InvalidValueError: if another class wrote it.
        """
        self.load_state_dict(json.loads((directory / "learner.json").read_text(encoding="utf-8")))

    def describe(self) -> dict[str, Any]:
        """Returns the model type, "fake"."""
        return {"model_type": "fake"}
