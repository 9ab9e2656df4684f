"""The base class of the tasks on strings of digits, which are in ``tasks`` and ``controls``."""

from collections.abc import Mapping
from typing import Any, ClassVar

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.puzzle_env import Problem, PuzzleEnv, Verdict, check_split
from dumpgym.contracts.rewards import reward_rule
from dumpgym.envs.strings.drawing import check_length, random_operands, split_of
from dumpgym.envs.strings.prompts import LETTERS, check_prompt, in_symbols, in_words


class StringEnv(PuzzleEnv):
    """Base class of the environments on strings of digits. What follows holds for each of them.

    ## Description
    The prompt shows a string of ``length`` digits (two for a sum), drawn uniformly from all strings of that length. The
    agent must write the answer, which is a string of digits too, and nothing else. The difficulty is ``length``.

    ## Action Space
    The action is a completion, in a ``Text`` space of up to 65,536 characters. ``step`` also judges objects outside
    this space. The verifier reads the completion and never the prompt.

    ## Observation Space
    The observation is the prompt, in a ``Text`` space of up to 16,384 characters. ``step`` returns it again.

    ## Starting State
    Each problem has an address: (seed, split, index). ``reset(seed=...)`` selects a stream of problems and restarts it
    at index 0; each further ``reset()`` shows the next problem of the stream.
    ``reset(options={"split": "test", "index": 7})`` jumps to another place; both keys are optional. An address gives
    the same problem on every machine, regardless of which problems were shown before. It also gives the same strings
    regardless of preamble, prompt and reward.

    A hash of the strings decides the split, and a fifth of all strings are test strings: no test problem is a train
    problem of any seed, stream or task, not even with the numbers of a sum exchanged. Within a split problems can
    repeat, and short ones often do.

    ## Rewards
    The reward is the sum of the reward terms of one of four outcomes. The rules ``"binary"``, the default, and
    ``"answer-only"`` have the term ``answer``, and ``"dump"`` has ``format`` and ``answer``. A full id such as
    ``"dump-v0"`` selects a version of a rule; see ``dumpgym.contracts.rewards``.

    | outcome       | when                                                  | binary | answer-only | dump |
    |---------------|-------------------------------------------------------|--------|-------------|------|
    | `correct`     | the answer is right                                   | 1      | 2           | 3    |
    | `wrong`       | the answer is another string of digits, of any length | 0      | -1.5        | -0.5 |
    | `unparseable` | the answer is empty or has other characters           | 0      | -2          | -1   |
    | `bad_format`  | the preamble is missing, or the action is not text    | 0      | -2          | -3   |

    White space around the completion is ignored.

    ## Episode End
    Termination after one step, always; truncation never.

    ## Information
    ``reset`` returns a dict with the key ``address``, the problem's address. ``step`` returns a dict with the keys
    ``is_success``, ``outcome``, ``reward_terms`` and ``reason``, a sentence that says what is wrong.

    ## Arguments
    All arguments are keyword-only.

    * ``length=5``: Number of digits of a string, at most 1,000. At least 100 different problems must have this length.
    * ``split="train"``: The split in which the first ``reset`` starts, "train" or "test".
    * ``stream=0``: Number of the stream, at least 0. Streams of the same distribution are independent, so that one
      distribution can be several arms of a curriculum.
    * ``preamble=0``: Number of letters a, b, c, ... with which a completion must begin, 0 to 26. They make a completion
      longer without making the task harder. The prompt shows them before the string.
    * ``prompt="symbols"``: "symbols" is short and has few characters (``dumpgym.envs.strings.prompts.ALPHABET``), for a
      model of characters. "sentence" is an instruction in English, for any language model.
    * ``reward="binary"``: Name or full id of the reward rule: "binary", "answer-only" or "dump".
    * ``render_mode=None``: "ansi" makes ``render`` return the prompt.
    """

    word: ClassVar[str]  # first word of a prompt in symbols; the words of all tasks begin with different letters
    sentence: ClassVar[str]  # the task in English, with {} for the strings
    digits: ClassVar[str] = "0123456789"  # the digits of strings and answers
    num_operands: ClassVar[int] = 1  # number of strings in a problem

    def __init__(
        self,
        *,
        length: int = 5,
        split: str = "train",
        stream: int = 0,
        preamble: int = 0,
        prompt: str = "symbols",
        reward: str = "binary",
        render_mode: str | None = None,
    ) -> None:
        self.length = check_length(length, len(self.digits), self.num_operands)
        super().__init__(split=split, render_mode=render_mode)
        self.stream = require_number("stream", stream, low=0, whole=True)
        self.preamble = LETTERS[: require_number("preamble", preamble, low=0, high=len(LETTERS), whole=True)]
        self.prompt = check_prompt(prompt)
        self._rule = reward_rule(reward)
        if not self._rule.is_strict:
            raise InvalidValueError("reward", reward, "binary, answer-only or dump, as there are no tags")

    def answer(self, operands: str) -> str:
        """Returns the right answer to a problem, given its strings joined by "+". Every task defines this method."""
        raise NotImplementedError

    def solution(self, operands: str, key: str) -> dict[str, str]:
        """Returns what ``fault`` reads, with a right answer as "answer". Controls draw it by ``key``, the address."""
        return {"answer": self.answer(operands)}

    def fault(self, answer: str, solution: Mapping[str, Any]) -> str:
        """Returns a sentence that says what is wrong with a string of digits, empty if it is a right answer."""
        right = solution["answer"]
        if len(answer) != len(right):
            return f"The answer has {len(answer)} digits, not {len(right)}."
        places = [place for place, digit in enumerate(right) if answer[place] != digit]
        return f"Digit {places[0] + 1} is {answer[places[0]]}, not {right[places[0]]}." if places else ""

    def sample_problem(self, seed: int, split: str, index: int) -> Problem:
        """Returns the problem at an address; see ``PuzzleEnv.sample_problem``."""
        require_number("seed", seed, low=0, whole=True)
        require_number("index", index, low=0, whole=True)
        key = f"{self.word} {self.length} {self.stream} {seed} {check_split(split)} {index}"
        drawn = random_operands(key, self.length, self.digits, self.num_operands)
        operands = next(found for found in drawn if split_of(found) == split)
        solution = self.solution(operands, key)
        right = solution["answer"]
        if self.prompt == "symbols":
            prompt = in_symbols(self.word, self.preamble, operands)
        else:
            prompt = in_words(self.sentence.format(operands), self.preamble, len(right))
        return Problem(prompt, solution, self.preamble + right, (seed, split, index))

    def verify(self, problem: Problem, completion: object) -> Verdict:
        """Judges a completion; see the section on rewards."""
        outcome, reason = self._judge(problem.solution, completion)
        return Verdict(outcome, dict(self._rule.terms[outcome]), outcome == "correct", reason)

    def _judge(self, solution: Mapping[str, Any], completion: object) -> tuple[str, str]:
        if not isinstance(completion, str):
            return "bad_format", f"The completion is no text but of type {type(completion).__name__}."
        text = completion.strip()
        if not text.startswith(self.preamble):
            return "bad_format", f"The completion does not begin with {self.preamble!r}."
        answer = text.removeprefix(self.preamble)
        other = answer.lstrip(self.digits)  # from the first character on that is no digit
        if other or not answer:
            return "unparseable", f"The answer has the character {other[0]!r}." if other else "The answer is empty."
        fault = self.fault(answer, solution)
        return ("wrong", fault) if fault else ("correct", "The answer is right.")

    def completion_of(self, answer: str) -> str:
        """Puts the preamble before the answer, unless it is there."""
        return answer if answer.startswith(self.preamble) else self.preamble + answer
