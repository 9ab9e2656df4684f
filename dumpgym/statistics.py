"""Interval estimates of success and of its change."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import entr


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


def interval_over_runs(
    values: NDArray[np.float64], statistic: Callable[..., Any] = np.mean
) -> tuple[float, float, float]:
    """A statistic over runs and its 95 % interval by the percentile bootstrap, 1,999 times with a fixed seed.

    Args:
        values: one a run, finite, (runs,).
        statistic: takes values and ``axis``, e.g. ``np.mean`` or ``np.median``.

    Returns:
        The statistic, and the lower and the upper end of its interval.
    """
    value = float(statistic(values))
    if (values == values[0]).all():  # nothing to resample
        return value, value, value
    rng = np.random.default_rng(0)
    result = stats.bootstrap((values,), statistic, n_resamples=1999, method="percentile", rng=rng)
    return value, float(result.confidence_interval.low), float(result.confidence_interval.high)


def effective_number(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(entropy) of shares that sum to 1, the effective number of arms: (..., num_arms) to (...)."""
    effective: NDArray[np.float64] = np.exp(entr(shares).sum(axis=-1))
    return effective
