"""Signals: what one group of completions to the same prompt says about the learnability of its distribution.

A ``GroupFunction`` takes the rewards and the successes of a batch, both of shape (..., groups, G) with G completions a
group, and gives one number a group, shape (..., groups). A group whose rewards are all equal teaches GRPO nothing and
gives exactly 0. A ``Signal`` is what a run uses: it takes the ``GroupResults`` of a batch, and may remember earlier ones
(``progress_signals.py``). Every name can be followed by ``_per_token`` or ``_per_second``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import binom

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError, require_number
from dumpgym.contracts.state import Stateful
from dumpgym.contracts.student import GroupResults
from dumpgym.signals.of_a_group import (
    clipped_absolute_advantage,
    informative_group,
    mean_absolute_advantage,
    mean_absolute_deviation,
    pass_at_n_gap,
    success_variance,
)

GroupFunction = Callable[[NDArray[np.float64], NDArray[np.bool_]], NDArray[np.float64]]
TOKENS = 1000
"""The unit of ``_per_token``: signal per so many generated tokens of the group."""


class Signal(Stateful, ABC):
    """The bandit's reward: one number a group of a batch; its state is saved with the run."""

    @abstractmethod
    def __call__(self, results: GroupResults) -> NDArray[np.float64]:
        """The signal of every group, shape (..., groups)."""


class GroupSignal(Signal):
    """A signal that looks at nothing but the group itself.

    Args:
        function: of (rewards, successes).
    """

    def __init__(self, function: GroupFunction) -> None:
        self.function = function
        self._tables: dict[int, NDArray[np.float64]] = {}

    def __call__(self, results: GroupResults) -> NDArray[np.float64]:
        """The signal of every group; where rewards are 1 for a success and 0 else, it is looked up by the successes."""
        size = results.num_generations
        if results.rewards is not None:
            solved = results.solved
            if solved is None:  # which ones they were does not matter, only how many
                solved = np.arange(size) < results.successes[..., None]
            return self.function(results.rewards, solved)
        if size not in self._tables:
            self._tables[size] = by_successes(self.function, size)
        values: NDArray[np.float64] = self._tables[size][results.successes]
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

    def __call__(self, results: GroupResults) -> NDArray[np.float64]:
        """The signal of every group per cost.

        Raises:
            InvalidValueError: if a group has no tokens, or the batch took no time.
        """
        tokens = results.tokens.astype(np.float64)
        if not (tokens > 0).all():
            raise InvalidValueError("tokens of a group", int(tokens.min()), "at least 1, for a signal per cost")
        cost = tokens / TOKENS
        if self.unit == "second":
            if not results.seconds > 0:
                raise InvalidValueError("seconds of the batch", results.seconds, "above 0, for a signal per second")
            cost = results.seconds * tokens / tokens.sum(axis=-1, keepdims=True)
        value: NDArray[np.float64] = self.signal(results) / cost
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


for _function in (
    mean_absolute_advantage,
    mean_absolute_deviation,
    clipped_absolute_advantage,
    success_variance,
    informative_group,
    pass_at_n_gap,
):
    register_signal(_function.__name__, _function)
