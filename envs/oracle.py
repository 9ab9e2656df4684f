"""The best allocation of practice to a simulated student whose expected path is known: what regret is measured from."""

import itertools
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax

from dumpgym.errors import InvalidValueError, require_number

MOST_SEQUENCES = 100_000


@runtime_checkable
class Predictable(Protocol):
    """A student whose path in the limit of large batches can be computed for any allocation."""

    counts: NDArray[np.bool_]

    def expected_path(self, shares: NDArray[np.float64], num_generations: int) -> NDArray[np.float64]:
        """Success of every arm by step, (..., steps + 1, num_arms), for shares of shape (..., steps, num_arms)."""
        ...


def expected_area(student: Predictable, shares: NDArray[np.float64], num_generations: int) -> NDArray[np.float64]:
    """Mean over steps of the expected mean success over the arms that count (trapezoid rule), shape (...).

    Args:
        student: from its beginning.
        shares: of every arm in every step, (..., steps, num_arms).
        num_generations: completions in a group.
    """
    mean = student.expected_path(shares, num_generations)[..., student.counts].mean(axis=-1)
    area: NDArray[np.float64] = (mean[..., :-1] + mean[..., 1:]).mean(axis=-1) / 2
    return area


def best_sequence(student: Predictable, steps: int, num_generations: int) -> NDArray[np.int64]:
    """The sequence of arms, one for the whole batch of every step, with the largest expected area: all are tried.

    Args:
        student: with few arms.
        steps: few; at most 100,000 sequences are tried.
        num_generations: completions in a group.

    Returns:
        Shape (steps,).

    Raises:
        InvalidValueError: if there are too many sequences.
    """
    num_arms = len(student.counts)
    if num_arms**steps > MOST_SEQUENCES:
        raise InvalidValueError("number of sequences", num_arms**steps, f"at most {MOST_SEQUENCES}")
    sequences = np.array(list(itertools.product(range(num_arms), repeat=steps)), dtype=np.int64)
    areas = expected_area(student, np.eye(num_arms)[sequences], num_generations)
    best: NDArray[np.int64] = sequences[areas.argmax()]
    return best


def best_allocation(
    student: Predictable, steps: int, num_generations: int, *, segments: int = 10, iterations: int = 60
) -> NDArray[np.float64]:
    """Shares with the largest expected area that gradient ascent finds, constant within each of some segments.

    L-BFGS on the logits of the shares, from uniform, from easy to hard and from the best single arm; every derivative
    is a finite difference, and all of them are computed together, as runs of the student in lockstep.

    Args:
        student: from its beginning.
        steps: of practice.
        num_generations: completions in a group.
        segments: stretches of about equal length with constant shares; one a step at most.
        iterations: of L-BFGS from each start, at most.

    Returns:
        Shape (steps, num_arms), rows summing to 1; never worse than any of its starts.
    """
    require_number("steps", steps, low=1, whole=True)
    require_number("segments", segments, low=1, whole=True)
    num_arms, segments = len(student.counts), min(segments, steps)
    segment = np.arange(steps) * segments // steps
    step_size = 1e-4

    def shares_of(logits: NDArray[np.float64]) -> NDArray[np.float64]:
        shares: NDArray[np.float64] = softmax(logits.reshape(-1, segments, num_arms), axis=-1)[:, segment]
        return shares

    def loss(logits: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = np.concatenate([logits[None], logits + step_size * np.eye(logits.size)])
        areas = expected_area(student, shares_of(moved), num_generations)
        return -float(areas[0]), -(areas[1:] - areas[0]) / step_size

    found = [
        minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": iterations})
        for start in _starts(student, segments, steps, num_generations)
    ]
    best = min(found, key=lambda result: float(result.fun))
    shares: NDArray[np.float64] = shares_of(best.x)[0]
    return shares


def _starts(student: Predictable, segments: int, steps: int, num_generations: int) -> list[NDArray[np.float64]]:
    """Logits to begin with, each (segments, num_arms)."""
    num_arms, lead = len(student.counts), 4.0  # the favoured arm begins with e^4 times the share of another
    stages = np.eye(num_arms)[np.arange(segments) * int(student.counts.sum()) // segments]
    alone = np.broadcast_to(np.eye(num_arms)[:, None], (num_arms, steps, num_arms))
    best = expected_area(student, alone, num_generations).argmax()
    return [
        np.zeros((segments, num_arms)),
        lead * stages,
        lead * np.broadcast_to(np.eye(num_arms)[best], (segments, num_arms)),
    ]
