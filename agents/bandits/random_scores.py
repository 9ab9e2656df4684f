"""The base of policies that draw random scores of all arms for every slot and give the slot to the largest score."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import HistoryPolicy
from dumpgym.contracts.slots import draw_arms


class RandomScorePolicy(HistoryPolicy):
    """A policy whose arms are drawn as the arg-max of random scores.

    Subclasses implement ``_draw_scores``, and ``_weights`` as each arm's chance of the largest score. That chance is an
    integral per run. It is computed only if a cap or quotas need it or a caller asks for probabilities; otherwise
    scores are drawn, which is much faster for many runs. With a floor, each slot is drawn from the floor with a
    probability that is the sum of all floors, and from the scores otherwise.
    """

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
        if capped or self.draw != "independent" or self.clock < self.warmup_steps:
            return super()._draw_arms(size)
        arms: NDArray[np.int64] = self._draw_scores(size).argmax(axis=-1)
        floor = self.floor
        if floor.any():
            from_floor = self.rng.random(arms.shape) < floor.sum()
            arms = np.where(from_floor, draw_arms(self.rng, np.broadcast_to(floor, self.shape), size), arms)
        return arms
