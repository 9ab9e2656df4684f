"""Signals that depend only on one group of completions to the same prompt.

Each takes the rewards and the successes of a batch, both of shape (..., groups, G) with G completions per group, and
gives one number per group, shape (..., groups). A group whose rewards are all equal teaches GRPO nothing and gives
exactly 0. GRPO's advantages are computed here and nowhere else, so that environments, simulated
students and policies agree on it.
"""

import numpy as np
from numpy.typing import NDArray

from dumpgym.signals.signal import register_signal


def advantages(rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns GRPO's advantages, (r - mean) / (std + 1e-6) with std over n - 1, shape (..., groups, G)."""
    centred = _centred(rewards)
    result: NDArray[np.float64] = centred / _scale(centred)
    return result


def _centred(rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns rewards minus their group's mean, exactly 0 if the group's rewards are equal, shape (..., groups, G)."""
    # The mean of equal rewards may differ from them by rounding, and division by 1e-6 would turn the difference into a
    # gradient. The mean of zeros is exactly 0.
    shifted = rewards - rewards[..., :1]
    centred: NDArray[np.float64] = shifted - shifted.mean(axis=-1, keepdims=True)
    return centred


def _scale(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the divisor of GRPO's advantages, std + 1e-6 with std over n - 1, shape (..., groups, 1)."""
    std = np.sqrt((centred**2).sum(axis=-1, keepdims=True) / max(centred.shape[-1] - 1, 1))
    scale: NDArray[np.float64] = std + 1e-6
    return scale


def mean_absolute_advantage(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean abs(A) with the GRPO advantage A, the signal of DUMP (arXiv 2504.09710); see ``advantages``.

    Args:
        rewards: shape (..., groups, G).
        successes: not used.

    Returns:
        Shape (..., groups). For rewards of two values, k successes and p = k / G it is 2 sqrt(p (1 - p)) sqrt((G - 1) /
        G), whatever the values. A group of one completion gives 0.
    """
    centred = _centred(rewards)
    mean_absolute: NDArray[np.float64] = np.abs(centred).mean(axis=-1) / _scale(centred)[..., 0]
    return mean_absolute


def binary_mean_absolute_advantage(successes: NDArray[np.int64], num_generations: int) -> NDArray[np.float64]:
    """``mean_absolute_advantage`` of groups whose rewards have two values, in closed form without the 1e-6.

    Args:
        successes: number of successes of each group, any shape.
        num_generations: completions per group, G.

    Returns:
        2 sqrt(p (1 - p) (G - 1) / G) with p = k / G, in the shape of ``successes``; from 0 to 1.
    """
    p = successes / num_generations
    mean_absolute: NDArray[np.float64] = 2 * np.sqrt(p * (1 - p) * (num_generations - 1) / num_generations)
    return mean_absolute


def mean_absolute_deviation(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean abs(r - mean): the mean absolute advantage of GRPO without the division by the standard deviation.

    It is in units of the reward, so distributions with different reward scales are not comparable.

    Args:
        rewards: shape (..., groups, G).
        successes: not used.

    Returns:
        Shape (..., groups).
    """
    mean_absolute: NDArray[np.float64] = np.abs(_centred(rewards)).mean(axis=-1)
    return mean_absolute


def success_variance(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The variance p (1 - p) of a success, with p the share of successes (arXiv 2502.12272).

    Args:
        rewards: not used.
        successes: shape (..., groups, G).

    Returns:
        Shape (..., groups), from 0 to 1/4.
    """
    p: NDArray[np.float64] = successes.mean(axis=-1)
    return p * (1 - p)


def informative_group(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 - p^n - (1 - p)^n with p = k / n: the chance that n new completions are neither all right nor all wrong.

    Source: the weight of an arm in the sampler of marin #8765.

    Args:
        rewards: not used.
        successes: shape (..., groups, n).

    Returns:
        Shape (..., groups), from 0 to 1.
    """
    p: NDArray[np.float64] = successes.mean(axis=-1)
    n = successes.shape[-1]
    informative: NDArray[np.float64] = 1 - p**n - (1 - p) ** n
    return informative


def clipped_absolute_advantage(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of min(abs(A), 1), with A as in ``advantages``.

    The only success among G completions has the advantage (G - 1) / sqrt(G), 3.75 at G = 16; after clipping, it counts
    as 1.

    Args:
        rewards: shape (..., groups, G).
        successes: not used.

    Returns:
        Shape (..., groups), from 0 to 1.
    """
    clipped: NDArray[np.float64] = np.minimum(np.abs(advantages(rewards)), 1).mean(axis=-1)
    return clipped


def pass_at_n_gap(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """2 (pass@N - pass@1) with N = G: twice what the best of the group gains over one completion.

    pass@N is the chance that one of N completions is right, estimated without bias from k successes in G by
    1 - C(G - k, N) / C(G, N) (Chen et al., arXiv 2107.03374): k / G at N = 1, and at N = G it is 1 if there is any
    success. So the gap is 2 (1 - k / G) for k > 0 and 0 for none: it prefers problems that are seldom solved.

    Args:
        rewards: not used.
        successes: shape (..., groups, G).

    Returns:
        Shape (..., groups), from 0 to 2.
    """
    gap: NDArray[np.float64] = 2 * (successes.any(axis=-1) - successes.mean(axis=-1))
    return gap


for _signal in (
    mean_absolute_advantage,
    mean_absolute_deviation,
    clipped_absolute_advantage,
    success_variance,
    informative_group,
    pass_at_n_gap,
):
    register_signal(_signal.__name__, _signal)
