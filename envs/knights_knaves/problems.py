"""Blocks of puzzles with their words, which the environments, the export and the gallery share."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.puzzle_env import Problem, check_split, plain_text
from dumpgym.envs.knights_knaves import dump_puzzles
from dumpgym.envs.knights_knaves.language import english
from dumpgym.envs.knights_knaves.language.english import Wording, draw_wording, render_answers, render_quizzes
from dumpgym.envs.knights_knaves.language.words import NAMES, RoleWords, name_pool, parse_role_words
from dumpgym.envs.knights_knaves.logic.generator import Distribution, PuzzleBlock, block_rng, sample_block
from dumpgym.envs.knights_knaves.logic.statement_sets import NestedStatements

PUZZLES = ("random", "dump")
PROMPTS = ("dumpgym", "dump")


@dataclass(frozen=True, slots=True, kw_only=True)
class PuzzleSettings:
    """The settings of a distribution of puzzles and of their words.

    Attributes:
        num_people: number of people, 2 to 100.
        puzzles: "random", or "dump" for the paper's own puzzles (3 to 14 people) and its train and test split.
        depth: maximum levels of nesting in a statement, 2 to 4.
        width: maximum number of parts of an "and" or "or".
        lookahead: levels of case split that a puzzle must need, 0 to 3; None for any.
        max_conflicts: largest number of conflicts that the worked solution meets when it visits people in the order in
            which they are introduced; None for any.
        change: "statement" or "leaf" for puzzles in which one statement or one leaf was redrawn, which changed the
            solution; "none" for puzzles without a change.
        names: "common" or "uncommon".
        role_words: the words for those who tell the truth and those who lie; "knave/knight" swaps the two.
        reorder: whether people are quoted in a different order from the one in which they are introduced.
        prompt: "dumpgym", or "dump" for the paper's system message.

    Raises:
        InvalidValueError: for a value out of range.
    """

    num_people: int = 3
    puzzles: str = "random"
    depth: int = 2
    width: int = 2
    lookahead: int | None = None
    max_conflicts: int | None = None
    change: str = "none"
    names: str = "common"
    role_words: str = "knight/knave"
    reorder: bool = False
    prompt: str = "dumpgym"

    def __post_init__(self) -> None:
        plain = Distribution(self.num_people)
        parse_role_words(self.role_words)
        name_pool(self.names, self.num_people)
        for name, value, known in (("puzzles", self.puzzles, PUZZLES), ("prompt", self.prompt, PROMPTS)):
            if value not in known:
                raise InvalidValueError(name, value, f"one of {', '.join(known)}")
        if not isinstance(self.reorder, bool):
            raise InvalidValueError("reorder", self.reorder, "True or False")
        if self.puzzles == "dump":
            least, most = dump_puzzles.MIN_PEOPLE, dump_puzzles.MAX_PEOPLE
            require_number("num_people", self.num_people, low=least, high=most, whole=True)
            for name in ("depth", "width", "lookahead", "max_conflicts", "change"):
                if getattr(self, name) != getattr(plain, name):
                    accepted = f"{getattr(plain, name)!r}, as the paper's puzzles are what they are"
                    raise InvalidValueError(name, getattr(self, name), accepted)
            if self.names != "common":
                raise InvalidValueError("names", self.names, "'common', as the paper's puzzles have names")
        _ = self.distribution

    @property
    def distribution(self) -> Distribution:
        """The distribution of the puzzles without their words."""
        return Distribution(self.num_people, self.depth, self.width, self.lookahead, self.max_conflicts, self.change)

    @property
    def words(self) -> RoleWords:
        """The words for the two roles."""
        return parse_role_words(self.role_words)

    def block_size(self, split: str) -> int:
        """Returns the number of problems in a block."""
        return dump_puzzles.SPLIT_SIZES[check_split(split)] if self.puzzles == "dump" else self.distribution.block_size

    def messages(self, quiz: str) -> tuple[Mapping[str, str], ...]:
        """Returns the prompt as chat messages."""
        if self.prompt == "dumpgym":
            return ({"role": "user", "content": quiz + english.instruction(self.words)},)
        system = english.published_instruction(self.words)
        return ({"role": "system", "content": system}, {"role": "user", "content": quiz + "\n"})


@dataclass(frozen=True, eq=False)
class ProblemBlock:
    """A block of puzzles with their words.

    Attributes:
        settings: the settings of the distribution.
        puzzles: the puzzles.
        wording: their words.
        quizzes: their texts, which end with a question.
        answers: everyone's role, in the published format.
        published_index: the puzzles' numbers in the published files; None for random puzzles.
    """

    settings: PuzzleSettings
    puzzles: PuzzleBlock
    wording: Wording
    quizzes: list[str]
    answers: list[str]
    published_index: list[int] | None = None

    @cached_property
    def lookahead_levels(self) -> list[int]:
        """How many levels of case split each puzzle needs."""
        return [int(level) for level in self.puzzles.lookahead_levels()]

    @cached_property
    def original_quizzes(self) -> list[str] | None:
        """The texts of the puzzles before the change, in the same words; None if the settings have no change."""
        originals = self.puzzles.originals
        return render_quizzes(originals.sets, self.wording) if originals else None

    @cached_property
    def prompts(self) -> list[str]:
        """The prompts as plain text."""
        before, after = plain_text(self.settings.messages("{quiz}")).split("{quiz}")
        return [before + quiz + after for quiz in self.quizzes]

    def roles(self, row: int) -> dict[str, str]:
        """Returns everyone's role in one puzzle, by name."""
        names, roles = self._names_and_roles
        return dict(zip(names[row], roles[row], strict=True))

    @cached_property
    def _names_and_roles(self) -> tuple[list[list[str]], list[list[str]]]:
        names = np.array(self.wording.names, dtype=object)[self.wording.name_of]
        words = np.array(self.wording.role_words[::-1], dtype=object)  # indexed by whether a person tells the truth
        return names.tolist(), words[self.puzzles.solutions.astype(np.int64)].tolist()

    def problem(self, row: int, address: tuple[int, str, int]) -> Problem:
        """Returns one of the problems."""
        completion = (
            "<think>Only one assignment of roles fits all the statements.</think>\n"
            f"<answer>{self.answers[row]}</answer>"
        )
        messages = self.settings.messages(self.quizzes[row]) if self.settings.prompt == "dump" else ()
        return Problem(self.prompts[row], self.roles(row), completion, address, messages)

    def info(self, row: int) -> dict[str, Any]:
        """Returns a puzzle's lookahead and its origin, which ``reset`` shows besides the address."""
        return {"lookahead": self.lookahead_levels[row], **self.origin(row)}

    def origin(self, row: int) -> dict[str, Any]:
        """Returns a puzzle's origin: its number in the published files, the puzzle before the change, or nothing."""
        if self.published_index is not None:
            return {"published_index": self.published_index[row]}
        if self.puzzles.originals is None or self.original_quizzes is None:
            return {}
        original = self.puzzles.originals.puzzle(row)
        return {
            "original_quiz": self.original_quizzes[row],
            "original_statements": repr(original.statements),
            "original_solution": list(original.solution),
        }


def locate(settings: PuzzleSettings, seed: int, split: str, index: int) -> tuple[ProblemBlock, int]:
    """Returns the block that holds a problem, and the problem's row in it.

    Args:
        settings: the settings of the distribution.
        seed: seed of the stream.
        split: "train" or "test".
        index: index of the problem in the stream.

    Raises:
        InvalidValueError: for an address that does not exist, or settings that no puzzle meets.
    """
    number, row = block_and_row(settings, split, index)
    return problem_block(settings, seed, split, number), row


def block_and_row(settings: PuzzleSettings, split: str, index: int) -> tuple[int, int]:
    """Returns the number of the block that holds a problem, and the problem's row in it.

    Raises:
        InvalidValueError: if the index is not a whole number of at least 0, or there is no such split.
    """
    return divmod(require_number("index", index, low=0, whole=True), settings.block_size(split))


@lru_cache(maxsize=64)
def problem_block(settings: PuzzleSettings, seed: int, split: str, number: int) -> ProblemBlock:
    """Returns the block of a stream that begins with problem ``number * block_size``.

    A block of the paper's train puzzles is one epoch: it holds all of them, in a different order in each block. The
    paper's test puzzles have only one block, in the paper's order, for all seeds.

    Args:
        settings: the settings of the distribution.
        seed: seed of the stream.
        split: "train" or "test".
        number: number of the block.
    """
    if settings.puzzles == "dump":
        return _published_block(settings, seed, split, number)
    puzzles = sample_block(settings.distribution, seed, split, number)
    rng = block_rng(settings.distribution, seed, split, number, purpose=1)
    names = name_pool(settings.names, settings.num_people)
    wording = draw_wording(rng, puzzles.solutions.shape, names, settings.words, reorder=settings.reorder)
    return _worded(settings, puzzles, wording)


def _published_block(settings: PuzzleSettings, seed: int, split: str, number: int) -> ProblemBlock:
    rng = block_rng(settings.distribution, seed, split, number, purpose=0)
    order = np.array(dump_puzzles.published_order(split))
    if split == "train":
        order = rng.permutation(order)
    elif number > 0:
        index = number * len(order)
        raise InvalidValueError("index", index, f"at most {len(order) - 1}: the paper tests on {len(order)} puzzles")
    return published_block(settings, order.tolist(), rng)


def published_block(settings: PuzzleSettings, places: list[int], rng: np.random.Generator) -> ProblemBlock:
    """Returns a block of some of the paper's puzzles.

    Args:
        settings: the settings, with ``puzzles="dump"``.
        places: indices into ``dump_puzzles.published_puzzles``.
        rng: random stream for the order of the quotations, which matters only with ``settings.reorder``.
    """
    every = dump_puzzles.published_puzzles(settings.num_people)
    chosen = [every[place] for place in places]
    place_of = {name: i for i, name in enumerate(NAMES)}
    name_of = np.array([[place_of[name] for name in p.names] for p in chosen])
    solutions = np.array([p.puzzle.solution for p in chosen])
    order = draw_wording(rng, name_of.shape, NAMES, reorder=settings.reorder).order
    sayings = np.array([p.sayings for p in chosen])
    wording = Wording(NAMES, name_of, sayings, order, settings.words, capital_if=True)
    puzzles = PuzzleBlock(NestedStatements(p.puzzle.statements for p in chosen), solutions)
    return _worded(settings, puzzles, wording, [p.index for p in chosen])


def _worded(
    settings: PuzzleSettings, puzzles: PuzzleBlock, wording: Wording, published_index: list[int] | None = None
) -> ProblemBlock:
    quizzes, answers = render_quizzes(puzzles.sets, wording), render_answers(puzzles.solutions, wording)
    return ProblemBlock(settings, puzzles, wording, quizzes, answers, published_index)
