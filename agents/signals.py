"""Signals: what one group of completions to the same prompt says about the learnability of its distribution.

A signal takes the rewards and the successes of a batch, both of shape (groups, G) with G completions a group, and
gives one number a group, shape (groups,). A group whose rewards are all equal teaches GRPO nothing and gives exactly 0.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dumpgym.errors import InvalidValueError, UnknownNameError

Signal = Callable[[NDArray[np.float64], NDArray[np.bool_]], NDArray[np.float64]]

signal_registry: dict[str, Signal] = {}


def register_signal(name: str, signal: Signal) -> None:
    """Makes a signal known under a name.

    Raises:
        InvalidValueError: if the name is taken.
    """
    if name in signal_registry:
        raise InvalidValueError("signal name", name, "a name that is not registered yet")
    signal_registry[name] = signal


def make_signal(name: str) -> Signal:
    """The signal of this name, a function of (rewards, successes).

    Raises:
        UnknownNameError: if no signal has this name.
    """
    if name not in signal_registry:
        raise UnknownNameError("signal", name, signal_registry)
    return signal_registry[name]


def _centred(rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rewards minus their group's mean, exactly 0 where the group's rewards are equal, shape (groups, G)."""
    shifted = rewards - rewards[:, :1]  # the mean of equal rewards may differ from them by rounding; that of zeros not
    centred: NDArray[np.float64] = shifted - shifted.mean(axis=1, keepdims=True)
    return centred


def mean_absolute_advantage(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean abs(A) with the GRPO advantage A = (r - mean) / (std with n - 1, + 1e-6), as arXiv 2504.09710 has it.

    Args:
        rewards: shape (groups, G).
        successes: not looked at.

    Returns:
        Shape (groups,). For two-valued rewards, k successes and p = k / G it is 2 sqrt(p (1 - p)) sqrt((G - 1) / G),
        whatever the values. A group of one completion gives 0.
    """
    centred = _centred(rewards)
    std = np.sqrt((centred**2).sum(axis=1) / max(rewards.shape[1] - 1, 1))
    mean_absolute: NDArray[np.float64] = np.abs(centred).mean(axis=1) / (std + 1e-6)
    return mean_absolute


def mean_absolute_deviation(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean abs(r - mean): the mean absolute advantage of GRPO without division by the standard deviation.

    It is in units of the reward, so distributions with different reward scales do not compare.

    Args:
        rewards: shape (groups, G).
        successes: not looked at.

    Returns:
        Shape (groups,).
    """
    mean_absolute: NDArray[np.float64] = np.abs(_centred(rewards)).mean(axis=1)
    return mean_absolute


def success_variance(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The variance p (1 - p) of a success, with p the share of successes, as arXiv 2502.12272 has it.

    Args:
        rewards: not looked at.
        successes: shape (groups, G).

    Returns:
        Shape (groups,), from 0 to 1/4.
    """
    p: NDArray[np.float64] = successes.mean(axis=1)
    return p * (1 - p)


def informative_group(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 - p^n - (1 - p)^n with p = k / n: the chance that n new completions are neither all right nor all wrong.

    Source: the weight of an arm in the sampler of marin #8765.

    Args:
        rewards: not looked at.
        successes: shape (groups, n).

    Returns:
        Shape (groups,), from 0 to 1.
    """
    p: NDArray[np.float64] = successes.mean(axis=1)
    n = successes.shape[1]
    informative: NDArray[np.float64] = 1 - p**n - (1 - p) ** n
    return informative


register_signal("mean_absolute_advantage", mean_absolute_advantage)
register_signal("mean_absolute_deviation", mean_absolute_deviation)
register_signal("success_variance", success_variance)
register_signal("informative_group", informative_group)
