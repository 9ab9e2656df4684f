"""The base of policies that draw random scores of all arms for every slot and give the slot to the largest score."""

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import HistoryPolicy
from dumpgym.agents.bandits.many_arms import MOST_EXACT
from dumpgym.contracts.slots import draw_arms


class RandomScorePolicy(HistoryPolicy):
    """A policy whose arms are drawn as the arg-max of random scores.

    Subclasses implement ``_draw_scores``, and ``_weights`` as each arm's chance of the largest score. That chance is an
    integral per run. It is computed only if a cap or quotas need it or a caller asks for probabilities; otherwise
    scores are drawn, which is much faster for many runs. With a floor, each slot is drawn from the floor with a
    probability that is the sum of all floors, and from the scores otherwise. With more than ``MOST_EXACT`` arms, slots
    are drawn from the probabilities: one score an arm and slot would take seconds for 100,000 arms.
    """

    _latest: tuple[tuple[NDArray[np.float64], ...], NDArray[np.float64]] | None = None

    def _chances(
        self, compute: Callable[..., NDArray[np.float64]], *belief: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Returns ``compute(*belief)``, from memory if the belief is that of the latest call.

        A training step asks twice, to log the probabilities and to draw from them.
        """
        if self._latest is None or not all(map(np.array_equal, belief, self._latest[0])):
            self._latest = belief, compute(*belief)
        return self._latest[1].copy()

    @abstractmethod
    def _draw_scores(self, size: int) -> NDArray[np.float64]:
        """Draws independent scores of every arm for every slot of a batch.

        Args:
            size: number of slots.

        Returns:
            The scores, of which two are equal with probability 0, shape (..., size, num_arms).
        """

    def _draw_arms(self, size: int) -> NDArray[np.int64]:
        # A cap moves its excess to the other arms in proportion to their probabilities, and quotas round expected
        # slots, so both need the probabilities. A floor does not: floor + (1 - sum of floors) * weights is a mixture,
        # and each slot can draw from one of its two parts.
        capped = bool((self.cap < 1).any())
        many = self.num_arms > MOST_EXACT
        if capped or many or self.draw != "independent" or self.clock < self.warmup_steps:
            return super()._draw_arms(size)
        arms: NDArray[np.int64] = self._draw_scores(size).argmax(axis=-1)
        floor = self.floor
        if floor.any():
            from_floor = self.rng.random(arms.shape) < floor.sum()
            arms = np.where(from_floor, draw_arms(self.rng, np.broadcast_to(floor, self.shape), size), arms)
        return arms
