"""Signals: what a bandit learns from, one number per group of completions.

A ``Signal`` takes the ``GroupResults`` of a batch and may remember earlier batches. Most signals depend only on the
group itself and are written as a ``GroupFunction`` of its rewards and successes (``of_a_group.py``). Signals of
progress compare an arm with its past (``of_progress.py``). Every name can be followed by ``_per_token`` or
``_per_second``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.registry import Registry
from dumpgym.contracts.state import Stateful
from dumpgym.contracts.student import GroupResults

GroupFunction = Callable[[NDArray[np.float64], NDArray[np.bool_]], NDArray[np.float64]]
"""A function from the rewards and the successes of a batch, both of shape (..., groups, G), to one number per group."""
TOKENS = 1000
"""The unit of ``_per_token``: signal per 1,000 generated tokens of the group."""


class Signal(Stateful, ABC):
    """The reward of the bandit: one number per group of a batch. Its state is saved with the run."""

    @abstractmethod
    def __call__(self, results: GroupResults) -> NDArray[np.float64]:
        """Returns the signal of every group, shape (..., groups)."""


class GroupSignal(Signal):
    """A signal that depends only on the group itself.

    Args:
        function: see ``GroupFunction``.
    """

    def __init__(self, function: GroupFunction) -> None:
        self.function = function
        self._tables: dict[int, NDArray[np.float64]] = {}

    def __call__(self, results: GroupResults) -> NDArray[np.float64]:
        """Returns the signal of every group; for rewards of 1 and 0 it depends only on the number of successes."""
        size = results.num_generations
        if results.rewards is not None:
            solved = results.solved
            if solved is None:  # only their number matters, not which ones they are
                solved = np.arange(size) < results.successes[..., None]
            return self.function(results.rewards, solved)
        # There are only G + 1 different groups, so their signals are computed once. The same number of successes then
        # gives the same bits, whatever the order of the completions.
        if size not in self._tables:
            self._tables[size] = by_successes(self.function, size)
        values: NDArray[np.float64] = self._tables[size][results.successes]
        return values


class CostSignal(Signal):
    """Another signal divided by what the group cost.

    Per token means per 1,000 generated tokens of the group. Per second, the time that generating the batch took is
    divided among its groups in proportion to their tokens. Time is never the same twice, so a run with such a signal
    cannot be repeated bit for bit.

    Args:
        signal: the signal to divide.
        unit: "token" or "second".
    """

    state_fields = ("signal",)

    def __init__(self, signal: Signal, unit: str) -> None:
        self.signal, self.unit = signal, unit

    def __call__(self, results: GroupResults) -> NDArray[np.float64]:
        """Returns the signal of every group divided by its cost.

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


MakeSignal = Callable[[tuple[int, ...]], Signal]
"""A callable that makes a signal for statistics of shape (..., num_arms)."""
signal_registry = Registry[MakeSignal]("signal", rooms=("dumpgym.signals",), key="name")
"""All signals by name, without the endings for costs."""
COSTS = {"_per_token": "token", "_per_second": "second"}


def register_signal(name: str, signal: GroupFunction | type[Signal]) -> None:
    """Registers a signal under a name.

    Args:
        name: name of the signal.
        signal: a function of (rewards, successes), or a class whose constructor takes the shape (..., num_arms).

    Raises:
        InvalidValueError: if the name is registered already, or ends in ``_per_token`` or ``_per_second``.
    """
    if name.endswith(tuple(COSTS)):
        accepted = f"a name that is not registered yet and does not end in {' or '.join(COSTS)}"
        raise InvalidValueError("signal name", name, accepted)
    make = signal if isinstance(signal, type) else partial(_make_group_signal, signal)
    signal_registry.register(name, make, module=signal.__module__)


def _make_group_signal(function: GroupFunction, shape: tuple[int, ...]) -> Signal:
    return GroupSignal(function)


def make_signal(name: str, shape: tuple[int, ...]) -> Signal:
    """Makes a registered signal.

    Args:
        name: name of the signal, or ``module:name`` with a module to import first; both may end in ``_per_token`` or
            ``_per_second``.
        shape: (num_arms,), or (num_runs, num_arms).

    Raises:
        UnknownNameError: if no signal has this name.
        InvalidValueError: if the module cannot be found.
    """
    for ending, unit in COSTS.items():
        if name.endswith(ending):
            return CostSignal(make_signal(name.removesuffix(ending), shape), unit)
    return signal_registry.find(name)(shape)


def by_successes(function: GroupFunction, num_generations: int) -> NDArray[np.float64]:
    """Returns the signal of groups with 0, 1, ..., G successes, for rewards of 1 and 0, shape (G + 1,)."""
    solved = np.arange(num_generations) < np.arange(num_generations + 1)[:, None]
    return function(solved.astype(np.float64), solved)


def expected_signal(name: str, success: NDArray[np.float64] | float, num_generations: int) -> NDArray[np.float64]:
    """Computes the expectation of a signal over groups, exactly, by summing over the binomial number of successes.

    Small groups make a difference: with 8 completions and a success probability of .05, the expected mean absolute
    advantage is .22, whereas 2 sqrt(p (1 - p)), its limit for large groups, is .44.

    Args:
        name: name of a signal that depends only on the group.
        success: success probability p of a completion, any shape.
        num_generations: completions per group, G.

    Returns:
        The shape of ``success``.

    Raises:
        UnknownNameError: if no signal has this name.
        InvalidValueError: if the signal remembers batches or is divided by a cost, or p is not a probability.
    """
    signal, p = make_signal(name, (1,)), np.asarray(success, dtype=np.float64)
    if not isinstance(signal, GroupSignal):
        raise InvalidValueError("signal", name, "one of the group alone, neither of progress nor per cost")
    possible = (p >= 0) & (p <= 1)
    if not possible.all():
        raise InvalidValueError("success", p[~possible].flat[0].item(), "chances from 0 to 1")
    require_number("num_generations", num_generations, low=1, whole=True)
    k, p = np.arange(num_generations + 1), p[..., None]
    ways = np.array([math.comb(num_generations, i) for i in range(num_generations + 1)], dtype=np.float64)
    chance = ways * p**k * (1 - p) ** (num_generations - k)
    expected: NDArray[np.float64] = chance @ by_successes(signal.function, num_generations)
    return expected
