"""What one run is measured by: the area under its curve, the tokens to a threshold, what it forgot."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from dumpgym.contracts.errors import InvalidValueError


def effective_number(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(entropy) of shares that sum to 1, the effective number of arms: (..., num_arms) to (...)."""
    effective: NDArray[np.float64] = np.exp(entr(shares).sum(axis=-1))
    return effective


def area_under_curve(tokens: NDArray[np.float64], values: NDArray[np.float64], budget: float) -> float:
    """The mean height of a curve up to a budget, with straight lines between its points.

    Args:
        tokens: where the curve is known, increasing, from 0 to at least the budget, (evaluations,).
        values: the heights there, (evaluations,).
        budget: where the area ends, above 0.

    Raises:
        InvalidValueError: if the tokens do not increase, do not begin at 0, or end before the budget.
    """
    if len(tokens) != len(values) or not budget > 0 or (np.diff(tokens) <= 0).any():
        raise InvalidValueError("curve", [len(tokens), len(values), budget], "increasing tokens, and a budget above 0")
    if tokens[0] != 0 or tokens[-1] < budget:
        raise InvalidValueError("curve", [float(tokens[0]), float(tokens[-1])], f"one from 0 to the budget, {budget:g}")
    inside = tokens < budget
    x, y = np.append(tokens[inside], budget), np.append(values[inside], np.interp(budget, tokens, values))
    return float(np.trapezoid(y, x) / budget)


def tokens_to_threshold(
    tokens: NDArray[np.float64], values: NDArray[np.float64], threshold: float, held: int = 2
) -> float:
    """The tokens at the first of ``held`` evaluations in a row that reach a threshold; NaN if there are none.

    Args:
        tokens: of the evaluations, (evaluations,).
        values: of the evaluations, (evaluations,).
        threshold: that they have to reach.
        held: evaluations in a row; at the end of the run those that are left.
    """
    reached = values >= threshold
    for first in np.flatnonzero(reached):
        if reached[first : first + held].all() and first + held <= len(values):
            return float(tokens[first])
    return float("nan")


def median_time(times: NDArray[np.float64]) -> float:
    """The median time until something happens; NaN where it did not in half of the runs or more.

    All runs are censored at one budget, so that it is the median of Kaplan and Meier's estimate.

    Args:
        times: one a run, NaN where it did not happen, (runs,).
    """
    median = float(np.median(np.where(np.isnan(times), np.inf, times)))
    return median if np.isfinite(median) else float("nan")


def forgetting(success: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best success so far less the last one, of every arm: (evaluations, arms) to (arms,)."""
    lost: NDArray[np.float64] = success.max(axis=0) - success[-1]
    return lost
