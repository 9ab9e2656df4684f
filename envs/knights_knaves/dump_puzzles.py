"""The puzzles of the paper (DUMP, arXiv 2504.09710), regenerated from their seeds to the letter.

For each number of people from 3 to 14 there are 1,100 puzzles. The paper leaves out the first hundred and splits the
others, shuffled, into 900 to train on and 100 to test on. Its splits are not disjoint up to renaming: of the test
puzzles of 3 people, 8 are a train puzzle with other names (see ``structure``).
"""

import random
from dataclasses import dataclass
from functools import cache

import numpy as np

from dumpgym.envs.knights_knaves.language.words import NAMES, SAYINGS
from dumpgym.envs.knights_knaves.logic.equivalence import Statement
from dumpgym.envs.knights_knaves.logic.puzzle import Puzzle, sample_statement
from dumpgym.envs.knights_knaves.logic.solver import find_solutions, gates_of

MIN_PEOPLE, MAX_PEOPLE = 3, 14
FIRST_INDEX, NUM_PUZZLES = 100, 1000
SPLIT_SIZES = {"train": 900, "test": 100}
_SEED, _SPLIT_SEED = 1234, 42
_BATCH_SIZE = 256


@dataclass(frozen=True, slots=True)
class PublishedPuzzle:
    """One puzzle with the words that its text takes.

    Attributes:
        index: its number in the published files.
        puzzle: statements and solution.
        names: people's names.
        sayings: for each person, the place of their saying in ``words.SAYINGS``.
    """

    index: int
    puzzle: Puzzle
    names: tuple[str, ...]
    sayings: tuple[int, ...]


@cache
def published_puzzles(num_people: int) -> tuple[PublishedPuzzle, ...]:
    """The 1,000 puzzles that the paper uses, in the order of their index."""
    total = FIRST_INDEX + NUM_PUZZLES
    puzzles = _sample_puzzles(num_people, total)[FIRST_INDEX:]
    return tuple(_with_words(index, puzzle) for index, puzzle in enumerate(puzzles, start=FIRST_INDEX))


@cache
def published_order(split: str) -> tuple[int, ...]:
    """The split's puzzles in its own order, as places in ``published_puzzles``."""
    order = list(range(NUM_PUZZLES))
    random.Random(_SPLIT_SEED).shuffle(order)
    num_train = SPLIT_SIZES["train"]
    return tuple(order[:num_train] if split == "train" else order[num_train:])


def _sample_puzzles(num_people: int, count: int) -> list[Puzzle]:
    """Statement sets in the order drawn, without repetition, that have exactly one solution."""
    rng = np.random.default_rng(_SEED)
    accepted: list[Puzzle] = []
    seen: set[tuple[Statement, ...]] = set()
    while len(accepted) < count:  # whether a set is accepted changes nothing in what is drawn next
        batch = [
            tuple(sample_statement(lambda k: int(rng.integers(k)), p, num_people, 2, 2) for p in range(num_people))
            for _ in range(_BATCH_SIZE)
        ]
        puzzle_of_solution, roles = find_solutions(gates_of(batch), limit=2)
        num_solutions = np.bincount(puzzle_of_solution, minlength=len(batch))
        for i in np.flatnonzero(num_solutions == 1):
            if batch[i] not in seen:
                seen.add(batch[i])
                row = roles[np.searchsorted(puzzle_of_solution, i)]
                accepted.append(Puzzle(batch[i], tuple(row.tolist())))
    return accepted[:count]


def _with_words(index: int, puzzle: Puzzle) -> PublishedPuzzle:
    rng = np.random.default_rng(_SEED + index)
    num_people = len(puzzle.solution)
    names = rng.choice(len(NAMES), size=num_people, replace=False)
    sayings = [int(rng.integers(len(SAYINGS))) for _ in range(num_people)]
    return PublishedPuzzle(index, puzzle, tuple(NAMES[i] for i in names), tuple(sayings))
