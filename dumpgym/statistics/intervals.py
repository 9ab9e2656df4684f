"""The statistics of comparisons: estimates with 95 % intervals, tests, and how many seeds they need."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dumpgym.contracts.errors import InvalidValueError

Interval = tuple[float, float, float]
"""An estimate, and the lower and the upper end of its interval."""
_RESAMPLES = 1999


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


def restricted_mean(times: NDArray[np.float64], budget: float) -> Interval:
    """The mean time until something happens, up to a budget, with its interval; a run in which it did not counts so.

    Args:
        times: one a run, NaN where it did not happen within the budget, (runs,).
        budget: at which the runs ended.
    """
    return interval_over_runs(np.where(np.isnan(times), budget, np.minimum(times, budget)))


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
