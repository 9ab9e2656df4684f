"""A puzzle environment and a learner without a language model, for tests of what works with one; ours use them too.

A run takes a second with them::

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
_END = "\0"  # the sign that ends a completion


class FakePuzzleEnv(PuzzleEnv):
    """Asks for the double of a number: of even numbers in the train split, of odd ones in the test split.

    It is registered as ``fakes/Doubling-v0``. A completion is "correct" (reward 1), "wrong" (0), or "unparseable" if it
    is no number (-1).

    Args:
        num_problems: number of problems in each split; None: no end.
        chat: whether a system message stands before the question.
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
        """Returns the problem at an address, which is the same for every seed.

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
        """Judges a completion, in which white space around the number does not count."""
        text = completion.strip() if isinstance(completion, str) else ""
        if text == str(problem.solution["double"]):
            return Verdict("correct", {"answer": 1.0}, True, "The number is right.")
        if text.isdecimal():
            return Verdict("wrong", {"answer": 0.0}, False, "The number is another one.")
        return Verdict("unparseable", {"answer": -1.0}, False, "The completion is no number.")


if "fakes/Doubling-v0" not in gym.registry:  # a module that is loaded twice would else warn
    gym.register("fakes/Doubling-v0", entry_point="dumpgym.testing.fakes:FakePuzzleEnv")


def reference_completions(*envs: PuzzleEnv, seed: int = 0, num_problems: int = 100) -> dict[str, str]:
    """The reference completions of the first problems of both splits, by prompt, for a ``FakeLearner`` to know.

    Args:
        envs: the environments.
        seed: of the problems.
        num_problems: in each split of each environment; those that have an end may have fewer.
    """
    answers: dict[str, str] = {}
    for env in envs:
        for split in SPLITS:
            for index in range(num_problems):
                try:
                    problem = env.sample_problem(seed, split, index)
                except InvalidValueError:  # the end of a finite set
                    break
                answers[problem.prompt] = problem.reference_completion
    return answers


@dataclass(frozen=True, slots=True)
class GenerateCall:
    """What ``FakeLearner.generate`` was called with and what it returned.

    Attributes:
        prompts: as given.
        num_generations: as given.
        greedy: as given.
        seed: as given.
        max_completion_lengths: as given.
        completions: what was returned.
    """

    prompts: Sequence[Prompt]
    num_generations: int
    greedy: bool
    seed: int | None
    max_completion_lengths: Sequence[int] | None
    completions: Completions

    @property
    def trains(self) -> bool:
        """Whether the completions are those of a training step, not of an evaluation."""
        return self.seed is None and not self.greedy


class FakeLearner(Stateful):
    """A learner without a model: it gives the reference completion with a chance that grows with every batch.

    A token is a character, or ``token_length`` characters, and one more character is the end. ``calls`` and ``lessons``
    record what it was asked and taught, for a test to look at.

    A subclass can say by ``answer`` what is right, by ``chance`` how probable it is that a completion is right, and by
    ``learn`` what the learner learns. What changes in training belongs in ``state_fields``.

    Args:
        answers: the right completion by prompt, a chat's as ``plain_text``; see ``reference_completions``.
        seed: of the sampling stream, at least 0.
        skill: chance at the start that a completion is right.
        gain: by how much ``learn`` raises the chance.
        best: the chance that it does not exceed.
        wrong: every other completion.
        token_length: characters in a token.
        seconds: that generating is said to take; None: the learner does not tell.

    Attributes:
        answers: as given, as a dictionary that may be added to.
        skill: the present chance.
        rng: the sampling stream of training.
        calls: the calls of ``generate``, in order.
        lessons: what ``learn`` was given, in order.
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
        """The right completion of a prompt, which is given as plain text.

        Raises:
            InvalidValueError: if the learner was not told it.
        """
        if prompt not in self.answers:
            raise InvalidValueError("prompt", prompt, f"one of the {len(self.answers)} prompts in answers")
        return self.answers[prompt]

    def chance(self, prompt: str, k: int) -> float:
        """The chance that completion ``k`` of a group is right; a greedy one is completion 0."""
        return self.skill

    def evaluation_stream(self, seed: int) -> np.random.Generator:
        """The random numbers of an evaluation."""
        return np.random.default_rng(seed)

    def generate(
        self,
        prompts: Sequence[Prompt],
        num_generations: int,
        *,
        greedy: bool = False,
        seed: int | None = None,
        max_completion_lengths: Sequence[int] | None = None,
    ) -> Completions:
        """Completes each prompt; see ``Learner.generate``. The greedy completions of a group are all the same."""
        rng = self.rng if seed is None and not greedy else self.evaluation_stream(seed or 0)
        limits: Sequence[int | None] = max_completion_lengths or [None] * len(prompts)
        completions = [
            self._cut(text, limit)
            for prompt, limit in zip(prompts, limits, strict=True)
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
        self.calls.append(GenerateCall(prompts, num_generations, greedy, seed, max_completion_lengths, made))
        return made

    def _group(self, prompt: str, num_generations: int, greedy: bool, rng: np.random.Generator) -> list[str]:
        if greedy:
            return self._group(prompt, 1, False, rng) * num_generations
        chances = [self.chance(prompt, k) for k in range(num_generations)]
        return [self.answer(prompt) if rng.random() < chance else self.wrong for chance in chances]

    def _tokens(self, text: str) -> tuple[int, ...]:
        """A number for each piece of the text, the same one in every process."""
        pieces = [text[start : start + self.token_length] for start in range(0, len(text), self.token_length)]
        return tuple(zlib.crc32(piece.encode(errors="surrogatepass")) % _VOCABULARY_SIZE for piece in pieces)

    def _cut(self, text: str, limit: int | None) -> tuple[str, tuple[int, ...], bool]:
        """The text, its token ids and whether it was cut off."""
        ids = self._tokens(text + _END)
        if limit is None or len(ids) <= limit:
            return text, ids, False
        return text[: limit * self.token_length], ids[:limit], True

    def learn(self, rewarded: RewardedCompletions) -> Learned:
        """Raises the chance, whatever the rewards."""
        self.lessons.append(rewarded)
        self.skill = min(self.best, self.skill + self.gain)
        return Learned({"loss": 0.0})

    def save(self, directory: Path) -> None:
        """Writes the state as JSON."""
        (directory / "learner.json").write_text(json.dumps(self.state_dict()), encoding="utf-8")

    def load(self, directory: Path) -> None:
        """Restores what ``save`` wrote.

        Raises:
            InvalidValueError: if another class wrote it.
        """
        self.load_state_dict(json.loads((directory / "learner.json").read_text(encoding="utf-8")))

    def describe(self) -> dict[str, Any]:
        """The model type: "fake"."""
        return {"model_type": "fake"}
