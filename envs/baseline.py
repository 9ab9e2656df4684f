"""What guessing from the operators alone achieves: the score beside which accuracy should be reported.

Whoever says "A or B" mostly tells the truth, and whoever says "A and B" mostly lies, as a puzzle is kept only if it has
exactly one solution. So a student can learn everybody's likely role from the operator of what they say, and be right
far more often than by chance without any reasoning. The guess is learnt from train puzzles and measured on test
puzzles. Names, role words and the order of the quotations make no difference to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from math import sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dumpgym.envs.generator import CodedStatements, StatementSets
from dumpgym.envs.problems import Settings, problem_block
from dumpgym.envs.puzzle import LEAVES, OPERATORS
from dumpgym.errors import require_number

_OPERATOR_CODES = {name: code for code, name in enumerate(OPERATORS)} | dict.fromkeys(LEAVES, OPERATORS.index("leaf"))
_Z_95 = 1.959964  # the normal distribution's 97.5 % quantile


@dataclass(frozen=True, slots=True)
class OperatorBaseline:
    """What the guess achieves on test puzzles.

    Attributes:
        num_puzzles: test puzzles that were guessed.
        solved: share of them in which everybody's role was right.
        solved_interval: 95 % interval of this share (Wilson).
        people_right: share of people whose role was right.
        truth: for each operator, how likely the speaker tells the truth, from the train puzzles; None where no train
            puzzle has the operator.
    """

    num_puzzles: int
    solved: float
    solved_interval: tuple[float, float]
    people_right: float
    truth: Mapping[str, float | None]


def operator_baseline(settings: Settings | int, *, num_puzzles: int = 10_000, seed: int = 0) -> OperatorBaseline:
    """Learns each operator's more frequent role from train puzzles, and guesses test puzzles with it.

    The operator of a nested statement is the outermost one. An operator that no train puzzle has, or in which both
    roles are equally frequent, is guessed to be truthful.

    Args:
        settings: which puzzles, or their number of people.
        num_puzzles: how many to learn from, and how many to guess; of the paper's puzzles at most those there are.
        seed: of both streams.

    Raises:
        InvalidValueError: for a value out of range, or settings that no puzzle meets.
    """
    require_number("num_puzzles", num_puzzles, low=1, whole=True)
    if not isinstance(settings, Settings):
        settings = Settings(num_people=settings)
    operators, roles = _operators_and_roles(settings, seed, "train", num_puzzles)
    said, true = (np.bincount(part, minlength=len(OPERATORS)) for part in (operators.ravel(), operators[roles]))
    operators, roles = _operators_and_roles(settings, seed, "test", num_puzzles)
    right = (2 * true >= said)[operators] == roles
    num_solved = int(right.all(1).sum())
    return OperatorBaseline(
        num_puzzles=len(right),
        solved=num_solved / len(right),
        solved_interval=wilson_interval(num_solved, len(right)),
        people_right=float(right.mean()),
        truth=MappingProxyType(
            {name: t / s if s else None for name, t, s in zip(OPERATORS, true.tolist(), said.tolist())}
        ),
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a probability of which ``successes`` in ``trials`` were seen (Wilson, 1927)."""
    share, z = successes / trials, _Z_95
    centre = share + z**2 / (2 * trials)
    half_width = z * sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    scale = 1 + z**2 / trials
    return (centre - half_width) / scale, (centre + half_width) / scale


def _operators_and_roles(
    settings: Settings, seed: int, split: str, num_puzzles: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The outermost operators, as places in ``OPERATORS``, and who tells the truth, (puzzles, people) each."""
    size = settings.block_size(split)
    if settings.puzzles == "dump":
        num_puzzles = min(num_puzzles, size)
    blocks = [problem_block(settings, seed, split, number).block for number in range(-(-num_puzzles // size))]
    operators = np.concatenate([_outermost_operators(block.sets) for block in blocks])
    return operators[:num_puzzles], np.concatenate([block.solutions for block in blocks])[:num_puzzles]


def _outermost_operators(sets: StatementSets) -> NDArray[np.int64]:
    if isinstance(sets, CodedStatements):
        return sets.operators
    return np.array([[_OPERATOR_CODES[statement[0]] for statement in statements] for statements in sets])
