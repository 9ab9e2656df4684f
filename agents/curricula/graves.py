"""Graves et al.'s automated curriculum (arXiv 1704.03003): EXP3.S on progress per cost, rescaled by its history."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.exp3 import ImportanceWeighted, shifted
from dumpgym.agents.bandits.selection import boltzmann
from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule
from dumpgym.contracts.state import Stateful

COSTS = ("tokens", "rollouts", "groups")


class Reservoir(Stateful):
    """A uniform random sample of all values so far, and two of its quantiles.

    Args:
        runs: () for one run, or (num_runs,).
        size: number of values kept per run, at least 2.
        quantiles: levels of the two quantiles, from 0 to 1.

    Attributes:
        values: kept values, the first min(seen, size) of each row, shape (..., size).
        seen: number of values added so far in each run.
        bounds: the two quantiles, shape (2, ..., 1).
    """

    state_fields: ClassVar[tuple[str, ...]] = ("values", "seen", "bounds")

    def __init__(self, runs: tuple[int, ...], size: int, quantiles: tuple[float, float]) -> None:
        self.size = require_number("reservoir", size, low=2, high=1_000_000, whole=True)
        self.quantiles = quantiles
        self.values: NDArray[np.float64] = np.zeros((*runs, size))
        self.bounds: NDArray[np.float64] = np.zeros((2, *runs, 1))
        self.seen = 0

    def add(self, values: NDArray[np.float64], rng: np.random.Generator) -> None:
        """Adds the values of a batch, shape (..., groups), by Vitter's algorithm R, all runs at once."""
        # The k-th value draws one of k places, and is kept only if the reservoir has that place. Every value so far is
        # then in the sample with the same probability, size / k.
        rows = self.values.reshape(-1, self.size)
        changed = np.zeros(len(rows), dtype=bool)
        for value in values.reshape(len(rows), -1).T:
            if self.seen < self.size:
                place = np.full(len(rows), self.seen)
            else:
                place = rng.integers(self.seen + 1, size=len(rows))
            kept = np.flatnonzero(place < self.size)
            rows[kept, place[kept]] = value[kept]
            changed[kept] = True
            self.seen += 1
        held = rows[changed, : min(self.seen, self.size)]
        self.bounds.reshape(2, -1)[:, changed] = np.quantile(held, self.quantiles, axis=-1)


class Graves(ImportanceWeighted):
    """Automated curriculum learning: EXP3.S on progress per cost, rescaled to [-1, 1] by its own history.

    With the signal x and the cost c of a group of arm d, and q20 and q80 the 20th and 80th percentiles of x / c over
    all groups so far, including those of the batch::

        r   = clip(2 (x / c - q20) / (q80 - q20) - 1, -1, 1)
        P   = (1 - epsilon) softmax(w) + epsilon / K, with w = 0 at the start
        v_d = w_d + eta r / P(d)
        w_d <- ln((1 - alpha) exp(v_d) + alpha / (K - 1) sum over other arms of exp(v)), with alpha = 1 / t

    where t is 2 at the first training step. A group is a pull, and the estimates of a batch's groups are summed.
    Weights are shared once per training step, with the first feedback of the step, and late feedback shares nothing.
    While q20 = q80, r is the sign of x / c - q20. Progress is the signal of the run; "learning_progress" is the nearest
    to the paper's.

    Source: Graves, Bellemare, Menick, Munos, Kavukcuoglu, Automated Curriculum Learning for Neural Networks, arXiv
    1704.03003, with its eta, epsilon, percentiles and alpha, and its beta of 0. Departures:

    - The paper divides by the time that the batch took. By default we divide by the group's tokens, which do not depend
      on the hardware. ``cost="groups"`` does not divide; no option restores the time.
    - The percentiles are those of a reservoir, a uniform sample of the history, as in the paper, which does not state
      its size. A reservoir of at least the number of groups in the run holds the whole history.

    Args:
        num_arms: K, at least 1.
        eta: learning rate, at least 0; a number or a schedule.
        epsilon: share of uniform draws, from 0 to 1; a number or a schedule.
        cost: cost of a group: its number of "tokens", its number of completions ("rollouts"), or 1 ("groups").
        reservoir: number of groups that the reservoir holds, from 2 to 1,000,000.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        log_weights: w minus its maximum over the arms, shape (..., num_arms).
        history: reservoir of progress per cost.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    draws_in_update: ClassVar[bool] = True  # the reservoir draws the values that it keeps
    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "log_weights", "history")

    def __init__(
        self,
        num_arms: int,
        *,
        eta: Schedulable = 0.001,
        epsilon: Schedulable = 0.05,
        cost: str = "tokens",
        reservoir: int = 300,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.eta = Schedule.parse("eta", eta, low=0)
        self.epsilon = Schedule.parse("epsilon", epsilon, low=0, high=1)
        if cost not in COSTS:
            raise InvalidValueError("cost", cost, " or ".join(map(repr, COSTS)))
        self.cost = cost
        self.history = Reservoir(self.shape[:-1], reservoir, (0.2, 0.8))
        self.log_weights: NDArray[np.float64] = np.zeros(self.shape)

    def _weights(self) -> NDArray[np.float64]:
        epsilon = self.epsilon.at(self.clock)
        weights: NDArray[np.float64] = (1 - epsilon) * boltzmann(self.log_weights, 1) + epsilon / self.num_arms
        return weights

    def _observe(self, feedback: Feedback) -> None:
        drawn = self._drawn(feedback)
        progress = feedback.signal / self._costs(feedback)
        self.history.add(progress, self.rng)
        low, high = self.history.bounds
        # If most groups have the same progress, both percentiles are equal and the formula divides by 0. As q80 -> q20,
        # r tends to the sign of the difference, which still rewards the rare groups with more progress.
        spread = np.where(high > low, high - low, 1)
        scaled = np.where(high > low, np.clip(2 * (progress - low) / spread - 1, -1, 1), np.sign(progress - low))
        moved = shifted(self.log_weights + self.eta.at(self.clock) * self.sums_by_arm(feedback, scaled / drawn))
        self.log_weights = moved if feedback.step < self.clock else _shared(moved, 1 / (feedback.step + 2))

    def _costs(self, feedback: Feedback) -> NDArray[np.float64]:
        """Cost of every group, by which its progress is divided, shape (..., groups)."""
        match self.cost:
            case "tokens":
                return np.maximum(feedback.tokens, 1).astype(np.float64)
            case "rollouts":
                return feedback.num_generations.astype(np.float64)
            case _:
                return np.ones(feedback.arm.shape)


def _shared(log_weights: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Moves a share of every arm's weight to the other arms in equal parts.

    Args:
        log_weights: shape (..., num_arms).
        share: alpha, from 0 to 1.

    Returns:
        The new log-weights minus their maximum, shape (..., num_arms).
    """
    num_arms = log_weights.shape[-1]
    if num_arms == 1:
        return log_weights
    weights = np.exp(log_weights)
    others = weights.sum(axis=-1, keepdims=True) - weights
    return shifted(np.log((1 - share) * weights + share / (num_arms - 1) * others))


register_policy("graves", Graves, vectorised=True)
