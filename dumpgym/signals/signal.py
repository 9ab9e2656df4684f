"""Signals: what one group of completions to the same prompt says about the learnability of its distribution.

A ``GroupFunction`` takes the rewards and the successes of a batch, both of shape (..., groups, G) with G completions a
group, and gives one number a group, shape (..., groups). A group whose rewards are all equal teaches GRPO nothing and
gives exactly 0. A ``Signal`` is what a run uses: it takes the ``Outcomes`` of a batch, and may remember earlier ones
(``progress_signals.py``). Every name can be followed by ``_per_token`` or ``_per_second``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import binom

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError, require_number
from dumpgym.contracts.learner import Outcomes
from dumpgym.contracts.state import Stateful

GroupFunction = Callable[[NDArray[np.float64], NDArray[np.bool_]], NDArray[np.float64]]
TOKENS = 1000
"""The unit of ``_per_token``: signal per so many generated tokens of the group."""


class Signal(Stateful, ABC):
    """The bandit's reward: one number a group of a batch; its state is saved with the run."""

    @abstractmethod
    def __call__(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """The signal of every group, shape (..., groups)."""


class GroupSignal(Signal):
    """A signal that looks at nothing but the group itself.

    Args:
        function: of (rewards, successes).
    """

    def __init__(self, function: GroupFunction) -> None:
        self.function = function
        self._tables: dict[int, NDArray[np.float64]] = {}

    def __call__(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """The signal of every group; where rewards are 1 for a success and 0 else, it is looked up by the successes."""
        size = outcomes.num_generations
        if outcomes.rewards is not None:
            solved = outcomes.solved
            if solved is None:  # which ones they were does not matter, only how many
                solved = np.arange(size) < outcomes.successes[..., None]
            return self.function(outcomes.rewards, solved)
        if size not in self._tables:
            self._tables[size] = by_successes(self.function, size)
        values: NDArray[np.float64] = self._tables[size][outcomes.successes]
        return values


class CostSignal(Signal):
    """Another signal divided by what the group cost.

    Per token: per 1,000 generated tokens of the group. Per second: the time that generating the batch took is divided
    among its groups by their tokens; time is never the same twice, so such a run does not repeat to the bit.

    Args:
        signal: to divide.
        unit: "token" or "second".
    """

    state_fields = ("signal",)

    def __init__(self, signal: Signal, unit: str) -> None:
        self.signal, self.unit = signal, unit

    def __call__(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """The signal of every group per cost.

        Raises:
            InvalidValueError: if a group has no tokens, or the batch took no time.
        """
        tokens = outcomes.tokens.astype(np.float64)
        if not (tokens > 0).all():
            raise InvalidValueError("tokens of a group", int(tokens.min()), "at least 1, for a signal per cost")
        cost = tokens / TOKENS
        if self.unit == "second":
            if not outcomes.seconds > 0:
                raise InvalidValueError("seconds of the batch", outcomes.seconds, "above 0, for a signal per second")
            cost = outcomes.seconds * tokens / tokens.sum(axis=-1, keepdims=True)
        value: NDArray[np.float64] = self.signal(outcomes) / cost
        return value


signal_registry: dict[str, Callable[[tuple[int, ...]], Signal]] = {}
"""By name, what makes the signal for arms of the shape (..., num_arms)."""
COSTS = {"_per_token": "token", "_per_second": "second"}


def register_signal(name: str, signal: GroupFunction | type[Signal]) -> None:
    """Makes a signal known under a name.

    Args:
        name: of the signal.
        signal: a function of (rewards, successes), or a class that is made with the shape (..., num_arms).

    Raises:
        InvalidValueError: if the name is taken, or ends as the names of signals per cost do.
    """
    if name in signal_registry or name.endswith(tuple(COSTS)):
        accepted = f"a name that is not registered yet and does not end in {' or '.join(COSTS)}"
        raise InvalidValueError("signal name", name, accepted)
    if isinstance(signal, type):
        signal_registry[name] = signal
    else:
        signal_registry[name] = lambda shape: GroupSignal(signal)


def make_signal(name: str, shape: tuple[int, ...]) -> Signal:
    """Makes the signal of a name, which may end in ``_per_token`` or ``_per_second``.

    Args:
        name: registered, with or without the end.
        shape: (num_arms,), or (num_runs, num_arms).

    Raises:
        UnknownNameError: if no signal has this name.
    """
    for end, unit in COSTS.items():
        if name.endswith(end):
            return CostSignal(make_signal(name.removesuffix(end), shape), unit)
    if name not in signal_registry:
        raise UnknownNameError("signal", name, signal_registry)
    return signal_registry[name](shape)


def by_successes(function: GroupFunction, num_generations: int) -> NDArray[np.float64]:
    """The signal of a group with 0 to G successes that are rewarded with 1, all else with 0, shape (G + 1,)."""
    solved = np.arange(num_generations) < np.arange(num_generations + 1)[:, None]
    return function(solved.astype(np.float64), solved)


def expected_signal(name: str, success: NDArray[np.float64] | float, num_generations: int) -> NDArray[np.float64]:
    """What a signal is on average over groups: the exact sum over the binomial number of successes.

    At 8 completions and a success of .05 the mean absolute advantage is .22, where 2 sqrt(p (1 - p)) would say .44.

    Args:
        name: of a signal that looks at nothing but the group.
        success: chance p of a completion, any shape.
        num_generations: completions in a group, G.

    Returns:
        The shape of ``success``.

    Raises:
        UnknownNameError: if no signal has this name.
        InvalidValueError: if the signal remembers batches or is per cost, or a chance is none.
    """
    signal, p = make_signal(name, (1,)), np.asarray(success, dtype=np.float64)
    if not isinstance(signal, GroupSignal):
        raise InvalidValueError("signal", name, "one of the group alone, neither of progress nor per cost")
    possible = (p >= 0) & (p <= 1)
    if not possible.all():
        raise InvalidValueError("success", p[~possible].flat[0].item(), "chances from 0 to 1")
    require_number("num_generations", num_generations, low=1, whole=True)
    k, p = np.arange(num_generations + 1), p[..., None]
    chance = binom(num_generations, k) * p**k * (1 - p) ** (num_generations - k)
    expected: NDArray[np.float64] = chance @ by_successes(signal.function, num_generations)
    return expected


def _centred(rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rewards minus their group's mean, exactly 0 where the group's rewards are equal, shape (..., groups, G)."""
    shifted = rewards - rewards[..., :1]  # the mean of equal rewards may differ from them by rounding; that of 0s not
    centred: NDArray[np.float64] = shifted - shifted.mean(axis=-1, keepdims=True)
    return centred


def _scale(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """What GRPO divides centred rewards by, std with n - 1, + 1e-6, shape (..., groups, 1)."""
    std = np.sqrt((centred**2).sum(axis=-1, keepdims=True) / max(centred.shape[-1] - 1, 1))
    scale: NDArray[np.float64] = std + 1e-6
    return scale


def mean_absolute_advantage(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean abs(A) with the GRPO advantage A = (r - mean) / (std with n - 1, + 1e-6), as arXiv 2504.09710 has it.

    Args:
        rewards: shape (..., groups, G).
        successes: not looked at.

    Returns:
        Shape (..., groups). For two-valued rewards, k successes and p = k / G it is 2 sqrt(p (1 - p)) sqrt((G - 1) /
        G), whatever the values. A group of one completion gives 0.
    """
    centred = _centred(rewards)
    mean_absolute: NDArray[np.float64] = np.abs(centred).mean(axis=-1) / _scale(centred)[..., 0]
    return mean_absolute


def mean_absolute_deviation(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean abs(r - mean): the mean absolute advantage of GRPO without division by the standard deviation.

    It is in units of the reward, so distributions with different reward scales do not compare.

    Args:
        rewards: shape (..., groups, G).
        successes: not looked at.

    Returns:
        Shape (..., groups).
    """
    mean_absolute: NDArray[np.float64] = np.abs(_centred(rewards)).mean(axis=-1)
    return mean_absolute


def success_variance(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The variance p (1 - p) of a success, with p the share of successes, as arXiv 2502.12272 has it.

    Args:
        rewards: not looked at.
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
        rewards: not looked at.
        successes: shape (..., groups, n).

    Returns:
        Shape (..., groups), from 0 to 1.
    """
    p: NDArray[np.float64] = successes.mean(axis=-1)
    n = successes.shape[-1]
    informative: NDArray[np.float64] = 1 - p**n - (1 - p) ** n
    return informative


def clipped_absolute_advantage(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of min(abs(A), 1), with A as in ``mean_absolute_advantage``.

    A lone success among G has the advantage (G - 1) / sqrt(G), 3.75 at G = 16; clipped, it counts as much as any other.

    Args:
        rewards: shape (..., groups, G).
        successes: not looked at.

    Returns:
        Shape (..., groups), from 0 to 1.
    """
    centred = _centred(rewards)
    clipped: NDArray[np.float64] = np.minimum(np.abs(centred) / _scale(centred), 1).mean(axis=-1)
    return clipped


def pass_at_n_gap(rewards: NDArray[np.float64], successes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """2 (pass@N - pass@1) with N = G: what the best of the group gains over one completion, twice.

    pass@N is the chance that one of N completions is right, estimated without bias from k successes in G by
    1 - C(G - k, N) / C(G, N) (Chen et al., arXiv 2107.03374): k / G at N = 1, and at N = G 1 if there is any success.
    So the gap is 2 (1 - k / G) for k > 0 and 0 for none: it prefers problems that are seldom solved.

    Args:
        rewards: not looked at.
        successes: shape (..., groups, G).

    Returns:
        Shape (..., groups), from 0 to 2.
    """
    gap: NDArray[np.float64] = 2 * (successes.any(axis=-1) - successes.mean(axis=-1))
    return gap


for _function in (
    mean_absolute_advantage,
    mean_absolute_deviation,
    clipped_absolute_advantage,
    success_variance,
    informative_group,
    pass_at_n_gap,
):
    register_signal(_function.__name__, _function)
