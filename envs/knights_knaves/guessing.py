"""The operator baseline: the success of guessing roles from the operators only.

People who say "A or B" usually tell the truth, and people who say "A and B" usually lie. A model can learn these odds
and be right far more often than by chance, without any reasoning, so accuracy should be reported next to this baseline.
The guess is learnt from train puzzles and measured on test puzzles. Names, role words and the order of the quotations
do not affect it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import require_number
from dumpgym.envs.knights_knaves.logic.equivalence import LEAVES
from dumpgym.envs.knights_knaves.logic.puzzle import OPERATORS
from dumpgym.envs.knights_knaves.logic.statement_sets import CodedStatements, StatementSets
from dumpgym.envs.knights_knaves.problems import PuzzleSettings, problem_block

_CODE_OF = {name: code for code, name in enumerate(OPERATORS)} | dict.fromkeys(LEAVES, OPERATORS.index("leaf"))
_Z = 1.959964  # the 97.5 % quantile of the normal distribution


@dataclass(frozen=True, slots=True)
class OperatorBaseline:
    """The success of the guess.

    Attributes:
        num_puzzles: number of test puzzles.
        solved: share of the test puzzles in which everyone's role was guessed right.
        solved_interval: 95 % interval of ``solved`` (Wilson), for this guess and this test split.
        people_right: share of the people in test puzzles whose role was guessed right.
        solved_in_train: share of the train puzzles in which everyone's role was guessed right. If there are few
            structures (7 in the test split of 2 people), the two splits differ by more than the interval says.
        truth: for each operator, the share of its speakers in train puzzles who tell the truth; None for an operator
            that does not occur.
    """

    num_puzzles: int
    solved: float
    solved_interval: tuple[float, float]
    people_right: float
    solved_in_train: float
    truth: Mapping[str, float | None]


def operator_baseline(settings: PuzzleSettings | int, *, num_puzzles: int = 10_000, seed: int = 0) -> OperatorBaseline:
    """Learns each operator's more frequent role from train puzzles, and guesses test puzzles with it.

    The operator of a nested statement is the outermost one. If both roles are equally frequent, the guess is that the
    speaker tells the truth. For a plain claim and for its negation, both roles are almost equally frequent, so the
    guess depends on chance; with 3 people this moves ``solved`` by four percentage points.

    Args:
        settings: the settings of the puzzles, or only their number of people.
        num_puzzles: number of train puzzles and of test puzzles; with the paper's puzzles, at most the whole split.
        seed: seed of both streams.

    Raises:
        InvalidValueError: for a value out of range, or settings that no puzzle meets.
    """
    require_number("num_puzzles", num_puzzles, low=1, whole=True)
    if not isinstance(settings, PuzzleSettings):
        settings = PuzzleSettings(num_people=settings)
    train_operators, train_roles = _operators_and_roles(settings, seed, "train", num_puzzles)
    operators, roles = _operators_and_roles(settings, seed, "test", num_puzzles)
    said = np.bincount(train_operators.ravel(), minlength=len(OPERATORS))
    true = np.bincount(train_operators[train_roles], minlength=len(OPERATORS))
    guess = 2 * true >= said
    right = guess[operators] == roles
    solved = int(right.all(1).sum())
    odds = [t / s if s else None for t, s in zip(true.tolist(), said.tolist(), strict=True)]
    return OperatorBaseline(
        num_puzzles=len(right),
        solved=solved / len(right),
        solved_interval=wilson_interval(solved, len(right)),
        people_right=float(right.mean()),
        solved_in_train=float((guess[train_operators] == train_roles).all(1).mean()),
        truth=MappingProxyType(dict(zip(OPERATORS, odds, strict=True))),
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Returns the 95 % interval of a probability (Wilson, 1927, JASA 22:209).

    Its ends are the roots x of (x - p)^2 = z^2 x (1 - x) / n.

    Args:
        successes: number of successes.
        trials: number of trials, at least 1.
    """

    # The lower root is computed as the product of the roots divided by the upper root, which avoids cancellation.
    def lower(successes: int) -> float:
        p, n = successes / trials, trials
        return p**2 / (p + _Z**2 / (2 * n) + _Z * sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)))

    return lower(successes), 1 - lower(trials - successes)


def _operators_and_roles(
    settings: PuzzleSettings, seed: int, split: str, num_puzzles: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Returns the outermost operators (indices into ``OPERATORS``) and who tells the truth, both (puzzles, people)."""
    size = settings.block_size(split)
    if settings.puzzles == "dump":  # the first block holds the whole split
        num_puzzles = min(num_puzzles, size)
    blocks = [problem_block(settings, seed, split, number).puzzles for number in range(-(-num_puzzles // size))]
    operators = np.concatenate([_outermost_operators(block.sets) for block in blocks])
    roles = np.concatenate([block.solutions for block in blocks])
    return operators[:num_puzzles], roles[:num_puzzles]


def _outermost_operators(sets: StatementSets) -> NDArray[np.int64]:
    if isinstance(sets, CodedStatements):
        return sets.operators
    return np.array([[_CODE_OF[statement[0]] for statement in statements] for statements in sets])
