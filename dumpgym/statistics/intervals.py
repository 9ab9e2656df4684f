"""Estimates over runs or problems, with 95 % intervals.

Which interval is computed depends on what is resampled, and on how many of them there are. Coverage below is measured
by ``experiments/interval_coverage/run.py``.

* Over runs, of which there are few: Student's t. A percentile bootstrap of 8 normal values covers their mean with a
  probability of .88 where it says .95, and of 5 values with .85. Student's interval covers it with .95, and excludes 0
  exactly where the p-value of ``difference_p_value`` is below .05. For skewed values, ``skew`` has a second interval.
* Over runs, for statistics of runs and arms (interquartile mean, probability of improvement, performance profile): a
  jackknife that leaves out **whole runs**. The arms of a run share one model and are not independent. Intervals that
  treat them as if they were cover with .75 to .88 at a correlation of .5 between the arms of a run.
* Over problems, of which there are hundreds with two outcomes each: a normal interval with one more problem for each
  kind of change (Bonett and Price 2012). Unlike a bootstrap, it has a width where no outcome changed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dumpgym.contracts.errors import InvalidValueError

Interval = tuple[float, float, float]
"""An estimate, and the lower and upper end of its interval. Both ends are NaN if there is no interval."""
LEVEL = 0.95
"""Probability with which an interval is to cover the true value."""
_TAIL = (1 - LEVEL) / 2


def mean_over_arms(*outcomes: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Averages each arm's outcomes over its problems, and the results over arms, so that every arm has equal weight.

    Args:
        outcomes: outcomes of every arm, one array per arm.
        axis: axis of the problems.
    """
    mean: NDArray[np.float64] = np.mean([arm.mean(axis=axis) for arm in outcomes], axis=0)
    return mean


def success_change(before: Mapping[str, Sequence[bool]], after: Mapping[str, Sequence[bool]]) -> dict[str, object]:
    """Computes success before and after training, and the difference with a 95 % interval.

    The interval is paired, stratified by arm, and describes the sampling of problems; it says nothing about other
    seeds; see ``change_interval``.

    Args:
        before: whether each problem was solved before training, by arm.
        after: the same after training, for the same arms and problems.

    Returns:
        "success_before", "success_after", "success_difference", and "success_difference_interval" as [low, high].
    """
    pairs = [(np.array(before[arm], float), np.array(after[arm], float)) for arm in before]
    difference, low, high = change_interval([end - start for start, end in pairs])
    return {
        "success_before": float(mean_over_arms(*(start for start, _ in pairs))),
        "success_after": float(mean_over_arms(*(end for _, end in pairs))),
        "success_difference": difference,
        "success_difference_interval": [low, high],
    }


def change_interval(changes: Sequence[NDArray[np.float64]]) -> Interval:
    """Computes the mean change of success over arms, and its interval over problems.

    Args:
        changes: change of every problem of every arm, 1 (now solved), -1 (no longer solved) or 0; one array per arm.

    Returns:
        The mean over arms, and the ends of its interval, from -1 to 1.
    """
    # Bonett and Price (2012): the normal interval of data to which one problem that changed in each direction is added,
    # here in equal parts to all arms. A bootstrap of 200 problems none of which changed returns [0, 0], as if a change
    # were impossible; here it is [-.014, +.014] (the "rule of three" says .015).
    value, part = float(mean_over_arms(*changes)), 1 / len(changes)
    means, variances = [], []
    for change in changes:
        size = len(change) + 2 * part
        up, down = (float((change == sign).sum() + part) / size for sign in (1, -1))
        means.append(up - down)
        variances.append((up + down - (up - down) ** 2) / size)
    half = stats.norm.isf(_TAIL) * np.sqrt(np.sum(variances)) / len(changes)
    # The added problems move the middle towards 0. The estimate is always inside, except for rounding.
    low, high = min(float(np.mean(means) - half), value), max(float(np.mean(means) + half), value)
    return value, max(low, -1.0), min(high, 1.0)


def interval_over_runs(values: NDArray[np.float64], within: tuple[float, float] = (-np.inf, np.inf)) -> Interval:
    """Computes the mean over runs and its 95 % interval by Student's t distribution.

    If all values are equal, the interval has no width. Reports then show the mean alone.

    Args:
        values: value of every run, finite, (runs,). The ends are NaN for one run.
        within: least and greatest possible value; the interval is cut off there.

    Returns:
        The mean, and the lower and upper end of its interval.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = 0.0 if np.ptp(values) == 0 else _quantile(len(values)) * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return mean, float(max(mean - half, within[0])), float(min(mean + half, within[1]))


def _quantile(runs: int) -> float:
    return float(stats.t.isf(_TAIL, runs - 1))


def median_interval(values: NDArray[np.float64]) -> Interval:
    """Computes the median over runs, and its interval between two order statistics, which needs no assumption.

    Args:
        values: value of every run, (runs,). Infinite values are allowed. The ends are NaN for fewer than 6 runs.
    """
    values, runs = np.sort(values), len(values)
    # The k-th smallest of n values exceeds the median with the probability that fewer than k of them are below it.
    rank = int(stats.binom.ppf(_TAIL, runs, 0.5))
    if rank < 1:
        return float(np.median(values)), float("nan"), float("nan")
    return float(np.median(values)), float(values[rank - 1]), float(values[runs - rank])


def interquartile_mean(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Returns the mean of the middle half of the values along an axis (Agarwal et al. 2021, arXiv 2108.13264)."""
    mean: NDArray[np.float64] = stats.trim_mean(values, 0.25, axis=axis)
    return mean


def interquartile_mean_interval(values: NDArray[np.float64]) -> Interval:
    """Computes the interquartile mean over all runs and arms (arXiv 2108.13264), and its interval over whole runs.

    Args:
        values: value of every run and arm, finite, (runs, arms), at least 2 runs.

    Raises:
        InvalidValueError: if there are fewer than 2 runs, or a value is not finite.
    """
    values = _checked("values", values, 2)
    without = interquartile_mean(values[_each_left_out(len(values))].reshape(len(values), -1))
    value, half = float(interquartile_mean(values.ravel())), _half_width(without)
    return value, value - half, value + half


def _each_left_out(runs: int) -> NDArray[np.intp]:
    """Indices of all runs but one, for each that is left out, (runs, runs - 1)."""
    return np.array([np.delete(np.arange(runs), left_out) for left_out in range(runs)])


def _half_width(without: NDArray[np.float64]) -> float:
    """Half the width of a jackknife interval, from the statistic without each run, (runs,)."""
    # Tukey's jackknife, with Student's quantile because its standard error is of as many values as there are runs. A
    # percentile bootstrap of whole runs is too narrow: at 8 runs it covers with about .89, this one with .94 to .95.
    runs = len(without)
    error = np.sqrt((runs - 1) / runs * ((without - without.mean()) ** 2).sum())
    return _quantile(runs) * float(error)


def paired_difference(values: NDArray[np.float64], control: NDArray[np.float64]) -> Interval:
    """Computes the mean difference of paired runs, and its interval.

    Runs with the same seed meet the same problems, and what they share cancels in the difference. Its interval is
    therefore narrower than one that treats the two groups of runs as independent.

    Args:
        values: value of the run with every seed, finite, (seeds,).
        control: value of the control's run with the same seeds in the same order, (seeds,).

    Raises:
        InvalidValueError: if the numbers of seeds differ or are below 2, or a value is not finite.
    """
    return interval_over_runs(paired(values, control))


def paired(values: NDArray[np.float64], control: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the differences of paired runs, (seeds,); see ``paired_difference``."""
    values, control = _checked("values", values, 1), _checked("control", control, 1)
    if len(values) != len(control):
        raise InvalidValueError("number of seeds", len(values), f"as many as the control has, {len(control)}")
    return values - control


def variance_removed(values: NDArray[np.float64], control: NDArray[np.float64]) -> float:
    """Computes the share of the variance of a difference that pairing removes.

    It is 1 - var(x - y) / (var(x) + var(y)). It is 0 for independent runs, 1 if the seeds decide everything, and
    negative if pairing does harm. With few seeds it is a rough estimate.

    Args:
        values: value of the run with every seed, (seeds,).
        control: value of the control's run with the same seeds in the same order, (seeds,).

    Returns:
        The share; NaN for fewer than 2 seeds, or if neither varies.
    """
    if len(values) < 2 or not (total := np.var(values, ddof=1) + np.var(control, ddof=1)) > 0:
        return float("nan")
    return float(1 - np.var(values - control, ddof=1) / total)


def probability_of_improvement(values: NDArray[np.float64], other: NDArray[np.float64]) -> Interval:
    """Estimates the probability that a run is better than a run of another policy, averaged over arms.

    All pairs of runs are compared, and a tie counts as half (Mann and Whitney's U divided by the number of pairs), as
    in arXiv 2108.13264. The interval is over whole runs. If both policies have the same number of runs, run s of both
    has the same seed, and both are left out together.

    Args:
        values: value of every run and arm, finite, (runs, arms), at least 2 runs.
        other: the same for the other policy, with the same number of arms; the number of runs may differ.

    Raises:
        InvalidValueError: if the numbers of arms differ, there are fewer than 2 runs, or a value is not finite.
    """
    values, other = _checked("values", values, 2), _checked("other", other, 2)
    if values.shape[1] != other.shape[1]:
        raise InvalidValueError("number of arms", values.shape[1], f"as many as the other policy has, {other.shape[1]}")
    one, another = values[:, None, :], other[None, :, :]
    chances = ((one > another) + 0.5 * (one == another)).mean(axis=-1)  # (runs, other runs)
    value, mine, its = float(chances.mean()), _each_left_out(len(values)), _each_left_out(len(other))
    if len(mine) == len(its):
        half = _half_width(chances[mine[:, :, None], its[:, None, :]].mean(axis=(1, 2)))
    else:
        parts = chances.mean(axis=1)[mine].mean(axis=1), chances.mean(axis=0)[its].mean(axis=1)
        half = float(np.hypot(_half_width(parts[0]), _half_width(parts[1])))
    if half == 0 and value in (0, 1):
        # All runs agree. Were a run to disagree with a probability of 1 - .05 ** (1 / n), n runs would agree in one
        # case of twenty.
        half = 1 - (1 - LEVEL) ** (1 / min(len(values), len(other)))
    return value, max(value - half, 0.0), min(value + half, 1.0)


def performance_profile(
    values: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Computes the share of runs and arms above each threshold, with pointwise intervals (arXiv 2108.13264).

    Args:
        values: value of every run and arm, finite, (runs, arms), at least 2 runs.
        thresholds: thresholds, (thresholds,).

    Returns:
        The shares, and the lower and upper ends of their 95 % intervals over whole runs, each of shape (thresholds,).
        An interval has no width where all runs have the same share, as beyond the smallest and the largest value.

    Raises:
        InvalidValueError: if there are fewer than 2 runs, or a value is not finite.
    """
    values = _checked("values", values, 2)
    above = (values > thresholds[:, None, None]).mean(axis=2)  # share of the arms, (thresholds, runs)
    shares, low, high = np.array([interval_over_runs(one, (0.0, 1.0)) for one in above]).T
    return shares, low, high


def restricted_mean(times: NDArray[np.float64], budget: float) -> Interval:
    """Computes the mean time until an event, and its interval; a run without the event counts as the budget.

    Args:
        times: time of the event in every run, NaN if it did not occur within the budget, (runs,).
        budget: time at which the runs ended.
    """
    return interval_over_runs(np.where(np.isnan(times), budget, np.minimum(times, budget)), (0.0, budget))


def _checked(name: str, values: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != dimensions or len(values) < 2:
        raise InvalidValueError(f"shape of {name}", values.shape, f"{dimensions} dimensions, and at least 2 runs")
    if not np.isfinite(values).all():
        raise InvalidValueError(name, values.tolist(), "finite numbers")
    return values
