"""The puzzles of the paper (DUMP, arXiv 2504.09710), regenerated from their seeds to the letter.

There are 1,100 puzzles for each number of people from 3 to 14. The paper omits the first 100 and splits the others,
shuffled, into 900 train puzzles and 100 test puzzles. Its splits are not disjoint up to renaming: 8 of the test puzzles
with 3 people are train puzzles with other names (see ``logic.equivalence`` and ``leaks``).
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
    """One published puzzle with the words of its text.

    Attributes:
        index: the puzzle's number in the published files.
        puzzle: the statements and the solution.
        names: the people's names.
        sayings: for each person, the index of their saying in ``words.SAYINGS``.
    """

    index: int
    puzzle: Puzzle
    names: tuple[str, ...]
    sayings: tuple[int, ...]


@cache
def published_puzzles(num_people: int) -> tuple[PublishedPuzzle, ...]:
    """Returns the 1,000 puzzles that the paper uses, in the order of their index."""
    total = FIRST_INDEX + NUM_PUZZLES
    puzzles = _sample_puzzles(num_people, total)[FIRST_INDEX:]
    return tuple(_with_words(index, puzzle) for index, puzzle in enumerate(puzzles, start=FIRST_INDEX))


@cache
def published_order(split: str) -> tuple[int, ...]:
    """Returns the puzzles of a split in the paper's order, as indices into ``published_puzzles``."""
    order = list(range(NUM_PUZZLES))
    random.Random(_SPLIT_SEED).shuffle(order)
    num_train = SPLIT_SIZES["train"]
    return tuple(order[:num_train] if split == "train" else order[num_train:])


def _sample_puzzles(num_people: int, count: int) -> list[Puzzle]:
    """Draws different statement sets and returns those with exactly one solution, in the order drawn."""
    rng = np.random.default_rng(_SEED)
    accepted: list[Puzzle] = []
    seen: set[tuple[Statement, ...]] = set()
    # Accepting a set does not affect the next draw, so sets can be drawn and solved in batches.
    while len(accepted) < count:
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
    """Draws names and sayings as the published generator does: with a separate seed for each puzzle."""
    rng = np.random.default_rng(_SEED + index)
    num_people = len(puzzle.solution)
    names = rng.choice(len(NAMES), size=num_people, replace=False)
    sayings = [int(rng.integers(len(SAYINGS))) for _ in range(num_people)]
    return PublishedPuzzle(index, puzzle, tuple(NAMES[i] for i in names), tuple(sayings))
