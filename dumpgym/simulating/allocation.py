"""The best allocation of practice to a simulated student with a known expected path, for regret."""

import itertools
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from dumpgym.contracts.errors import InvalidValueError, require_number

OBJECTIVES = ("area", "final")
"""Names of the objectives; see ``expected_score``."""
MOST_SEQUENCES = 100_000
"""Largest number of sequences that ``best_sequence`` tries."""
_NUDGE, _SMALLEST_GAIN = 1e-3, 1e-6  # length of the finite differences, and least gain of an iteration
_STRIDES = np.array([1, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01])  # parts of the way to the corner, for the line search
_PACES = (0.5, 0.7, 1.0, 1.4, 2.0)  # exponents of time in the easy-to-hard starts: below 1 hurries, above 1 lingers


@runtime_checkable
class Predictable(Protocol):
    """A student whose path can be computed for any allocation, in the limit of large batches.

    Attributes:
        counts: which arms count in the mean success, easiest arm first, shape (num_arms,).
    """

    counts: NDArray[np.bool_]

    def expected_path(self, shares: NDArray[np.float64], num_generations: int) -> NDArray[np.float64]:
        """Computes the success on every arm under an allocation, starting from an untrained student.

        Args:
            shares: share of every arm in every step, shape (..., steps, num_arms).
            num_generations: number of completions in a group.

        Returns:
            Success before every step and after the last, shape (..., steps + 1, num_arms).
        """
        ...


def expected_score(
    student: Predictable, shares: NDArray[np.float64], num_generations: int, objective: str = "area"
) -> NDArray[np.float64]:
    """Computes the expected mean success of an allocation over the arms that count.

    Args:
        student: the student, whose present state is not used.
        shares: share of every arm in every step, shape (..., steps, num_arms).
        num_generations: number of completions in a group.
        objective: "area" for the mean over steps (trapezoid rule), "final" for the success after the last step.

    Returns:
        The score of every allocation, shape (...).

    Raises:
        InvalidValueError: if the objective is unknown.
    """
    if objective not in OBJECTIVES:
        raise InvalidValueError("objective", objective, " or ".join(map(repr, OBJECTIVES)))
    mean = student.expected_path(shares, num_generations)[..., student.counts].mean(axis=-1)
    score: NDArray[np.float64] = mean[..., -1]
    return score if objective == "final" else trapezoid(mean, axis=-1) / shares.shape[-2]


def best_sequence(
    student: Predictable, steps: int, num_generations: int, *, objective: str = "area"
) -> NDArray[np.int64]:
    """Finds the best sequence of arms, one arm for the whole batch of every step, by trying all sequences.

    Args:
        student: a student with few arms.
        steps: number of steps; num_arms ** steps may be at most 100,000.
        num_generations: number of completions in a group.
        objective: see ``expected_score``.

    Returns:
        The arm of every step, shape (steps,).

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
    """Searches for the allocation with the largest expected score, by the method of Frank and Wolfe (1956).

    The steps are divided into segments with constant shares. In each iteration segments move towards the arm along
    which the score rises most. The search starts from uniform shares, and from the best of two kinds of simple plans:
    practising a single arm throughout, and moving from easy to hard arms at several paces.

    Args:
        student: the student, whose present state is not used.
        steps: number of steps of the plan.
        num_generations: number of completions in a group.
        segments: number of segments of about equal length, at most one per step.
        iterations: largest number of iterations from each start.
        objective: see ``expected_score``.

    Returns:
        The share of every arm in every step, shape (steps, num_arms), with rows that sum to 1. It is a local maximum:
        never worse than any of the starts, but not guaranteed to be the global one, so a regret may be too small.

    Raises:
        InvalidValueError: if an argument is out of range.
    """
    # Why Frank-Wolfe: the maxima lie at or near corners of the simplex, where a segment practises a single arm. A move
    # towards a corner reaches it in one stride and needs no projection, because every point on the way is a mixture of
    # two allocations. Gradient ascent on the logits of a softmax would slow down exactly there, because its gradient
    # vanishes near corners. The score is not concave, so the result depends on the start; hence several starts.
    #
    # Derivatives are finite differences, so a student has to provide only its path and not a gradient. All nudged
    # allocations of an iteration are scored in one call, as runs of the student in lockstep.
    require_number("steps", steps, low=1, whole=True)
    require_number("iterations", iterations, low=0, whole=True)
    segments = min(require_number("segments", segments, low=1, whole=True), steps)
    segment = np.arange(steps) * segments // steps  # the segment of every step, (steps,)

    def score(shares: NDArray[np.float64]) -> NDArray[np.float64]:
        return expected_score(student, shares[:, segment], num_generations, objective)

    starts = _starts(student.counts, segments)
    scores = score(starts)
    found = [_ascend(score, starts[i], iterations) for i in sorted({0, int(scores.argmax())})]
    return max(found, key=lambda each: each[1])[0][segment]


def _starts(counts: NDArray[np.bool_], segments: int) -> NDArray[np.float64]:
    """Returns uniform shares, every arm alone, and easy-to-hard sequences, shape (starts, segments, num_arms)."""
    num_arms, real = len(counts), np.flatnonzero(counts)
    alone = np.repeat(np.arange(num_arms)[:, None], segments, axis=1)
    time = (np.arange(segments) + 0.5) / segments
    reached = [(end * time**pace).astype(np.int64) for end in range(2, len(real) + 1) for pace in _PACES]
    sequences = np.concatenate([alone, *(real[None, places] for places in reached)])
    return np.concatenate([np.full((1, segments, num_arms), 1 / num_arms), np.eye(num_arms)[sequences]])


def _ascend(
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]], shares: NDArray[np.float64], iterations: int
) -> tuple[NDArray[np.float64], float]:
    """Ascends from one start until no move improves the score.

    Args:
        score: scores many allocations, (n, segments, num_arms) to (n,).
        shares: the start, shape (segments, num_arms).
        iterations: largest number of iterations.

    Returns:
        The shares, and their score.
    """
    segments, num_arms = shares.shape
    each, corners = np.arange(segments), np.eye(num_arms)
    # A move of all segments at once often overshoots, since the best arm of one segment depends on the others. So each
    # stride is tried with all segments, with the half whose slope is largest, with a quarter, ..., and with one.
    moving = np.unique(np.maximum(segments >> np.arange(segments.bit_length()), 1))[:, None]
    best = float(score(shares[None])[0])
    for _ in range(iterations):
        # nudged[i, a] is the allocation in which only segment i has moved a little towards arm a.
        nudged = np.tile(shares, (segments, num_arms, 1, 1))  # (segments, num_arms, segments, num_arms)
        nudged[each, :, each] += _NUDGE * (corners - shares[:, None])
        slopes = (score(nudged.reshape(-1, segments, num_arms)) - best).reshape(segments, num_arms)
        rank = (-slopes.max(axis=1)).argsort().argsort()  # of the segments, the steepest first
        # One direction per number of moving segments, (numbers, segments, num_arms), and all strides along each.
        direction = (rank < moving)[..., None] * (corners[slopes.argmax(axis=1)] - shares)
        moves = shares + (_STRIDES[:, None, None, None] * direction).reshape(-1, segments, num_arms)
        scores = score(moves)
        if scores.max() <= best + _SMALLEST_GAIN:
            break
        shares, best = moves[scores.argmax()], float(scores.max())
    return shares, best
