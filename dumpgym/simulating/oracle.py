"""The best allocation of practice to a simulated student whose expected path is known: what regret is measured from."""

import itertools
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from dumpgym.contracts.errors import InvalidValueError, require_number

OBJECTIVES = ("area", "final")
MOST_SEQUENCES = 100_000
_NUDGE, _SMALLEST_GAIN = 1e-3, 1e-6
_STRIDES = np.array([1, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01])
_PACES = (0.5, 0.7, 1.0, 1.4, 2.0)


@runtime_checkable
class Predictable(Protocol):
    """A student whose path in the limit of large batches can be computed for any allocation.

    Attributes:
        counts: which arms count, easiest first, (num_arms,).
    """

    counts: NDArray[np.bool_]

    def expected_path(self, shares: NDArray[np.float64], num_generations: int) -> NDArray[np.float64]:
        """Success of every arm by step, (..., steps + 1, num_arms), for shares of shape (..., steps, num_arms)."""
        ...


def expected_score(
    student: Predictable, shares: NDArray[np.float64], num_generations: int, objective: str = "area"
) -> NDArray[np.float64]:
    """What an allocation is expected to achieve, in mean success over the arms that count, shape (...).

    Args:
        student: from its beginning.
        shares: of every arm in every step, (..., steps, num_arms).
        num_generations: completions in a group.
        objective: "area" for the mean over steps (trapezoid rule), "final" for the success after the last step.

    Raises:
        InvalidValueError: if there is no such objective.
    """
    if objective not in OBJECTIVES:
        raise InvalidValueError("objective", objective, " or ".join(map(repr, OBJECTIVES)))
    mean = student.expected_path(shares, num_generations)[..., student.counts].mean(axis=-1)
    score: NDArray[np.float64] = mean[..., -1]
    return score if objective == "final" else trapezoid(mean, axis=-1) / shares.shape[-2]


def best_sequence(
    student: Predictable, steps: int, num_generations: int, *, objective: str = "area"
) -> NDArray[np.int64]:
    """The sequence of arms, one for the whole batch of every step, with the largest expected score: all are tried.

    Args:
        student: with few arms.
        steps: few; at most 100,000 sequences are tried.
        num_generations: completions in a group.
        objective: see ``expected_score``.

    Returns:
        Shape (steps,).

    Raises:
        InvalidValueError: if there are too many sequences, or an argument is out of range.
    """
    num_arms = len(student.counts)
    require_number("steps", steps, low=1, whole=True)
    if num_arms**steps > MOST_SEQUENCES:
        raise InvalidValueError("number of sequences", num_arms**steps, f"at most {MOST_SEQUENCES}")
    sequences = np.array(list(itertools.product(range(num_arms), repeat=steps)), dtype=np.int64)
    scores = expected_score(student, np.eye(num_arms)[sequences], num_generations, objective)
    best: NDArray[np.int64] = sequences[scores.argmax()]
    return best


def best_allocation(
    student: Predictable,
    steps: int,
    num_generations: int,
    *,
    segments: int = 15,
    iterations: int = 30,
    objective: str = "area",
) -> NDArray[np.float64]:
    """Shares with the largest expected score that is found, constant within each of some segments of the steps.

    The conditional gradient method (Frank and Wolfe 1956): every segment moves towards the arm along which the score
    rises most. It starts from uniform, and from the best of every arm alone and of easy-to-hard sequences of several
    paces. Maxima lie at or near corners of the simplex, one arm a segment, which it reaches in a stride, where gradient
    ascent on logits slows down. Derivatives are differences, computed together as runs of the student in lockstep.

    Args:
        student: from its beginning.
        steps: of plan.
        num_generations: completions in a group.
        segments: stretches of about equal length with constant shares; one a step at most.
        iterations: from each start, at most.
        objective: see ``expected_score``.

    Returns:
        Shape (steps, num_arms), rows summing to 1. A local maximum: never worse than any of its starts, and not
        certain to be the best there is.

    Raises:
        InvalidValueError: if an argument is out of range.
    """
    require_number("steps", steps, low=1, whole=True)
    require_number("iterations", iterations, low=0, whole=True)
    segments = min(require_number("segments", segments, low=1, whole=True), steps)
    segment = np.arange(steps) * segments // steps

    def score(shares: NDArray[np.float64]) -> NDArray[np.float64]:
        return expected_score(student, shares[:, segment], num_generations, objective)

    starts = _starts(student.counts, segments)
    scores = score(starts)
    found = [_ascend(score, starts[i], iterations) for i in sorted({0, int(scores.argmax())})]
    return max(found, key=lambda each: each[1])[0][segment]


def _starts(counts: NDArray[np.bool_], segments: int) -> NDArray[np.float64]:
    """Uniform, every arm alone, and easy-to-hard sequences, (starts, segments, num_arms)."""
    num_arms, real = len(counts), np.flatnonzero(counts)
    alone = np.repeat(np.arange(num_arms)[:, None], segments, axis=1)
    time = (np.arange(segments) + 0.5) / segments
    reached = [(end * time**pace).astype(np.int64) for end in range(2, len(real) + 1) for pace in _PACES]
    sequences = np.concatenate([alone, *(real[None, places] for places in reached)])
    return np.concatenate([np.full((1, segments, num_arms), 1 / num_arms), np.eye(num_arms)[sequences]])


def _ascend(
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]], shares: NDArray[np.float64], iterations: int
) -> tuple[NDArray[np.float64], float]:
    """Conditional gradient ascent.

    In every iteration each stride is tried with all segments, with the half that promises most, and so on down to one
    segment, and the best of these moves is made.

    Args:
        score: of many allocations, (n, segments, num_arms) to (n,).
        shares: to begin with, (segments, num_arms).
        iterations: at most; fewer if no move gains anything.

    Returns:
        Shares, and their score.
    """
    segments, num_arms = shares.shape
    each, corners = np.arange(segments), np.eye(num_arms)
    moving = np.unique(np.maximum(segments >> np.arange(segments.bit_length()), 1))[:, None]  # how many segments
    best = float(score(shares[None])[0])
    for _ in range(iterations):
        nudged = np.tile(shares, (segments, num_arms, 1, 1))
        nudged[each, :, each] += _NUDGE * (corners - shares[:, None])
        slopes = (score(nudged.reshape(-1, segments, num_arms)) - best).reshape(segments, num_arms)
        rank = (-slopes.max(axis=1)).argsort().argsort()
        direction = (rank < moving)[..., None] * (corners[slopes.argmax(axis=1)] - shares)
        moves = shares + (_STRIDES[:, None, None, None] * direction).reshape(-1, segments, num_arms)
        scores = score(moves)
        if scores.max() <= best + _SMALLEST_GAIN:
            break
        shares, best = moves[scores.argmax()], float(scores.max())
    return shares, best
