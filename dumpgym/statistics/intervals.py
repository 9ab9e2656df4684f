"""The statistics of comparisons: estimates with 95 % intervals, tests, and how many seeds they need."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import entr

from dumpgym.contracts.errors import InvalidValueError, require_number

Interval = tuple[float, float, float]
"""An estimate, and the lower and the upper end of its interval."""
_RESAMPLES = 1999
_MOST_PAIRS = 10_000
_CERTAIN = 50.0  # an effect of so many standard deviations is seen with any two pairs


def mean_over_arms(*outcomes: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """The mean over arms of each arm's mean; one array an arm, problems along ``axis``."""
    mean: NDArray[np.float64] = np.mean([arm.mean(axis=axis) for arm in outcomes], axis=0)
    return mean


def success_change(before: Mapping[str, Sequence[bool]], after: Mapping[str, Sequence[bool]]) -> dict[str, object]:
    """Success before and after, and the difference with a 95 % interval by the paired, stratified bootstrap.

    Problems are resampled within each arm, each with its outcome before and after, 9,999 times with a fixed seed.

    Args:
        before: per arm, whether each problem was solved.
        after: the same arms and problems.
    """
    pairs = [(np.array(before[arm], float), np.array(after[arm], float)) for arm in before]
    differences = [end - start for start, end in pairs]
    return {
        "success_before": float(mean_over_arms(*(start for start, _ in pairs))),
        "success_after": float(mean_over_arms(*(end for _, end in pairs))),
        "success_difference": float(mean_over_arms(*differences)),
        "success_difference_interval": _interval(differences),
    }


def _interval(samples: Sequence[NDArray[np.float64]]) -> list[float]:
    if all((sample == sample[0]).all() for sample in samples):  # nothing to resample
        value = float(mean_over_arms(*samples))
        return [value, value]
    result = stats.bootstrap(samples, mean_over_arms, method="percentile", rng=np.random.default_rng(0))
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


def interval_over_runs(values: NDArray[np.float64], statistic: Callable[..., Any] = np.mean) -> Interval:
    """A statistic over runs and its 95 % interval by the percentile bootstrap, 1,999 times with a fixed seed.

    Args:
        values: one a run, finite, (runs,).
        statistic: takes values and ``axis``, e.g. ``np.mean`` or ``np.median``.

    Returns:
        The statistic, and the lower and the upper end of its interval.
    """
    return _bootstrap([values], statistic)


def effective_number(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(entropy) of shares that sum to 1, the effective number of arms: (..., num_arms) to (...)."""
    effective: NDArray[np.float64] = np.exp(entr(shares).sum(axis=-1))
    return effective


def interquartile_mean(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """The mean of the middle half of the values along an axis (Agarwal et al. 2021, arXiv 2108.13264)."""
    mean: NDArray[np.float64] = stats.trim_mean(values, 0.25, axis=axis)
    return mean


def interquartile_mean_interval(values: NDArray[np.float64]) -> Interval:
    """The interquartile mean over all runs and arms, with a bootstrap stratified by arms (arXiv 2108.13264).

    Args:
        values: one a run and arm, finite, (runs, arms), at least 2 runs.

    Raises:
        InvalidValueError: if there are fewer runs, or a value is not finite.
    """
    values = _checked("values", values, 2)

    def statistic(*arms: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        return interquartile_mean(np.concatenate(arms, axis=axis), axis)

    return _bootstrap(list(values.T), statistic)


def paired_difference(values: NDArray[np.float64], control: NDArray[np.float64]) -> Interval:
    """The mean difference of paired runs, and its interval by resampling pairs.

    Args:
        values: one a seed, finite, (seeds,).
        control: of the same seeds in the same order, (seeds,).

    Raises:
        InvalidValueError: if they are not of equally many seeds, fewer than 2, or a value is not finite.
    """
    return interval_over_runs(paired(values, control))


def paired(values: NDArray[np.float64], control: NDArray[np.float64]) -> NDArray[np.float64]:
    """The differences of paired runs, (seeds,); see ``paired_difference``."""
    values, control = _checked("values", values, 1), _checked("control", control, 1)
    if len(values) != len(control):
        raise InvalidValueError("number of seeds", len(values), f"as many as the control has, {len(control)}")
    return values - control


def probability_of_improvement(values: NDArray[np.float64], other: NDArray[np.float64]) -> Interval:
    """The chance that a run is better than one of another policy, in the mean over arms; half of ties count.

    All pairs of runs are compared (Mann and Whitney's U over the number of pairs), as in arXiv 2108.13264, with a
    bootstrap stratified by policies and arms.

    Args:
        values: one a run and arm, finite, (runs, arms), at least 2 runs.
        other: likewise of the other policy, with as many arms; its runs may be more or fewer.

    Raises:
        InvalidValueError: if the arms are not as many, there are fewer runs, or a value is not finite.
    """
    values, other = _checked("values", values, 2), _checked("other", other, 2)
    if values.shape[1] != other.shape[1]:
        raise InvalidValueError("number of arms", values.shape[1], f"as many as the other policy has, {other.shape[1]}")
    num_arms = values.shape[1]

    def statistic(*samples: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        chances = []
        for mine, its in zip(samples[:num_arms], samples[num_arms:], strict=True):
            one, another = np.moveaxis(mine, axis, -1)[..., :, None], np.moveaxis(its, axis, -1)[..., None, :]
            chances.append(((one > another) + 0.5 * (one == another)).mean(axis=(-2, -1)))
        chance: NDArray[np.float64] = np.mean(chances, axis=0)
        return chance

    return _bootstrap([*values.T, *other.T], statistic)


def performance_profile(
    values: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The share of runs and arms above each threshold, with a pointwise band (arXiv 2108.13264).

    Args:
        values: one a run and arm, finite, (runs, arms), at least 2 runs.
        thresholds: (thresholds,).

    Returns:
        The shares, and the lower and the upper end of their 95 % intervals, each (thresholds,).

    Raises:
        InvalidValueError: if there are fewer runs, or a value is not finite.
    """
    values = _checked("values", values, 2)
    above = values > thresholds[:, None, None]  # (thresholds, runs, arms)
    rng = np.random.default_rng(0)
    draws = rng.integers(len(values), size=(_RESAMPLES, *values.shape))
    shares = np.array([np.take_along_axis(one[None], draws, axis=1).mean(axis=(1, 2)) for one in above])
    low, high = np.quantile(shares, [0.025, 0.975], axis=1)
    return above.mean(axis=(1, 2)), low, high


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


def restricted_mean(times: NDArray[np.float64], budget: float) -> Interval:
    """The mean time until something happens, up to a budget, with its interval; a run in which it did not counts so.

    Args:
        times: one a run, NaN where it did not happen within the budget, (runs,).
        budget: at which the runs ended.
    """
    return interval_over_runs(np.where(np.isnan(times), budget, np.minimum(times, budget)))


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


def difference_p_value(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value of Student's test that paired differences have mean 0, (seeds,); NaN for one seed."""
    return _t_test(differences, 0.0, "two-sided")


def equivalence_p_value(differences: NDArray[np.float64], margin: float) -> float:
    """p-value of two one-sided tests that the mean of paired differences lies within a margin (Schuirmann 1987).

    Args:
        differences: (seeds,); NaN for one seed.
        margin: above 0; differences smaller than it do not matter.
    """
    require_number("margin", margin, above=0)
    sides = [_t_test(differences, -margin, "greater"), _t_test(differences, margin, "less")]
    return float(np.max(sides))


def _t_test(differences: NDArray[np.float64], mean: float, alternative: str) -> float:
    if len(differences) < 2:
        return float("nan")
    if np.ptp(differences) == 0:  # nothing is left to chance
        off = differences[0] - mean
        holds = {"two-sided": off != 0, "greater": off > 0, "less": off < 0}[alternative]
        return 0.0 if holds else 1.0
    return float(stats.ttest_1samp(differences, mean, alternative=alternative).pvalue)


def verdict(difference_p: float, equivalence_p: float, level: float = 0.05) -> str:
    """What paired differences allow to say.

    Args:
        difference_p: that there is none, adjusted for several comparisons.
        equivalence_p: that they reach the margin.
        level: of both tests.
    """
    if difference_p < level:
        return "different, within the margin" if equivalence_p < level else "different"
    return "equivalent" if equivalence_p < level else "undecided"


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """p-values adjusted for their number by Holm's step-down method (1979), in their order.

    Raises:
        InvalidValueError: if one is no probability.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidValueError("p-values", p.tolist(), "numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    result = np.empty_like(p)
    result[order] = adjusted
    return result


def power_of_pairs(effect: float, pairs: float, level: float = 0.05) -> float:
    """The chance that Student's paired test sees an effect: the expectation over the standard deviation that is found.

    Args:
        effect: mean of the differences over their standard deviation.
        pairs: number of seeds, above 1.
        level: of the two-sided test.
    """
    freedom = pairs - 1
    bound, shift = stats.t.isf(level / 2, freedom), abs(effect) * np.sqrt(pairs)

    def seen(chi: float) -> float:
        needed = bound * chi / np.sqrt(freedom)
        return float(stats.norm.sf(needed - shift) + stats.norm.sf(needed + shift))

    return float(stats.chi(freedom).expect(seen))


def pairs_needed(differences: NDArray[np.float64], power: float = 0.8) -> float:
    """Seeds with which a difference of the observed size is seen with a given chance; infinite if it is 0.

    Args:
        differences: of the seeds so far, at least 2.
        power: the chance.
    """
    mean, deviation = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if mean == 0:
        return float("inf")
    effect = min(abs(mean) / deviation, _CERTAIN) if deviation > 0 else _CERTAIN
    first = bisect_left(range(2, _MOST_PAIRS), power, key=lambda pairs: power_of_pairs(effect, pairs))
    return float(2 + first) if first < _MOST_PAIRS - 2 else float("inf")


def detectable_difference(differences: NDArray[np.float64], power: float = 0.8) -> float:
    """The mean difference that so many seeds, of such a spread, show with a given chance; see ``pairs_needed``."""
    pairs, deviation = len(differences), float(np.std(differences, ddof=1))
    if deviation == 0:
        return 0.0
    return deviation * float(brentq(lambda effect: power_of_pairs(effect, pairs) - power, 1e-6, _CERTAIN))


def _checked(name: str, values: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != dimensions or len(values) < 2:
        raise InvalidValueError(f"shape of {name}", values.shape, f"{dimensions} dimensions, and at least 2 runs")
    if not np.isfinite(values).all():
        raise InvalidValueError(name, values.tolist(), "finite numbers")
    return values


def _bootstrap(samples: Sequence[NDArray[np.float64]], statistic: Callable[..., Any]) -> Interval:
    value = float(statistic(*samples, axis=-1))
    if all((sample == sample[0]).all() for sample in samples):  # nothing to resample
        return value, value, value
    options: dict[str, Any] = {"n_resamples": _RESAMPLES, "method": "percentile", "axis": -1, "vectorized": True}
    result = stats.bootstrap(samples, statistic, rng=np.random.default_rng(0), **options)
    return value, float(result.confidence_interval.low), float(result.confidence_interval.high)
