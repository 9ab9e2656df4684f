"""Measures of one run: area under its curve, tokens to a threshold, speed-up, forgetting, effective number of arms."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import entr

from dumpgym.contracts.errors import InvalidValueError

_FASTEST = 1000.0


def effective_number(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the effective number of arms, exp(entropy) of shares that sum to 1: (..., num_arms) to (...)."""
    effective: NDArray[np.float64] = np.exp(entr(shares).sum(axis=-1))
    return effective


def area_under_curve(tokens: NDArray[np.float64], values: NDArray[np.float64], budget: float) -> float:
    """Computes the mean height of a curve up to a budget, by linear interpolation between its points.

    The area is divided by the budget, so that it has the unit of the values and budgets can be compared.

    Args:
        tokens: tokens generated before each evaluation, increasing, from 0 to at least the budget, (evaluations,).
        values: value at each evaluation, (evaluations,).
        budget: number of tokens at which the area ends, above 0.

    Raises:
        InvalidValueError: if the tokens do not increase, do not start at 0, or end before the budget.
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
    """Finds the tokens at which a curve reaches a threshold and stays there for several evaluations.

    A single evaluation of a noisy curve may reach the threshold by chance, which would make this measure too small.

    Args:
        tokens: tokens generated before each evaluation, (evaluations,).
        values: value at each evaluation, (evaluations,).
        threshold: least value that counts as reached.
        held: number of consecutive evaluations that must reach the threshold, all of them within the run.

    Returns:
        The tokens at the first of these evaluations; NaN if there are none.
    """
    reached = values >= threshold
    for first in np.flatnonzero(reached):
        if reached[first : first + held].all() and first + held <= len(values):
            return float(tokens[first])
    return float("nan")


def tokens_at_crossing(
    tokens: NDArray[np.float64], values: NDArray[np.float64], threshold: float, held: int = 2
) -> float:
    """Finds where a curve crosses a threshold, between the evaluation of ``tokens_to_threshold`` and the one before.

    Ratios of tokens need it: evaluations are far apart, and a run that crosses just after one of them would count as if
    it had needed all the tokens up to the next.

    Args:
        tokens: tokens generated before each evaluation, increasing, (evaluations,).
        values: value at each evaluation, (evaluations,).
        threshold: least value that counts as reached.
        held: number of consecutive evaluations that must reach the threshold.

    Returns:
        The tokens; NaN if the threshold is not reached.
    """
    reached = tokens_to_threshold(tokens, values, threshold, held)
    place = int(np.searchsorted(tokens, reached))
    if np.isnan(reached) or place == 0:
        return reached
    before, after = values[place - 1], values[place]
    share = (threshold - before) / (after - before) if before < threshold else 1.0
    return float(tokens[place - 1] + share * (tokens[place] - tokens[place - 1]))


def speedup_of_area(
    curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], gain: float, budget: float
) -> float:
    """Computes how much faster runs must go through the same curves to gain an area.

    Runs that are s times as fast reach after t tokens what these reach after s t tokens. With f(t) the mean of the
    curves, the result is the s for which the mean of f(s t) over t from 0 to the budget exceeds that of f(t) by the
    gain. Beyond its last evaluation a curve is held at its last value.

    Args:
        curves: tokens and values of every run, each as in ``area_under_curve``.
        gain: area to gain, above 0.
        budget: number of tokens at which the area ends.

    Returns:
        The speed-up s, above 1; infinite if no speed-up up to 1,000 gains as much.
    """

    def gained(speed: float) -> float:
        areas = []
        for tokens, values in curves:
            x, y = np.append(tokens / speed, np.inf), np.append(values, values[-1])
            x[-1] = max(budget, x[-2] + 1)
            areas.append(area_under_curve(x, y, budget) - area_under_curve(tokens, values, budget))
        return float(np.mean(areas)) - gain

    return float(brentq(gained, 1.0, _FASTEST)) if gained(_FASTEST) > 0 else float("inf")


def median_time(times: NDArray[np.float64]) -> float:
    """Computes the median time until an event, NaN if half of the runs or more ended without it.

    Args:
        times: time of the event in every run, NaN if it did not occur, (runs,).
    """
    # All runs are censored at the same budget. Kaplan and Meier's estimate of the median is then the ordinary median
    # with the censored times at infinity.
    median = float(np.median(np.where(np.isnan(times), np.inf, times)))
    return median if np.isfinite(median) else float("nan")


def forgetting(success: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the best success of every arm minus its last success: (evaluations, arms) to (arms,)."""
    lost: NDArray[np.float64] = success.max(axis=0) - success[-1]
    return lost
