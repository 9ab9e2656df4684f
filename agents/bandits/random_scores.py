"""Policies in which every slot of a batch draws a score for every arm and goes to the arm with the largest one."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import HistoryPolicy
from dumpgym.contracts.slots import draw_arms


class RandomScorePolicy(HistoryPolicy):
    """A policy whose arms are drawn as the arg-max of random scores.

    Subclasses write ``_draw_scores``, and in ``_weights`` the chance of each arm to have the largest score. Where no
    cap, quota or warm-up asks for that chance, the scores are drawn and the chance is never computed, which for many
    runs is much faster. A floor is what it takes from the scores: the share of slots that its arms have anyway.
    """

    @abstractmethod
    def _draw_scores(self, size: int) -> NDArray[np.float64]:
        """Independent scores of every arm for every slot of a batch, shape (..., size, num_arms); ties have chance 0.

        Args:
            size: number of slots.
        """

    def _draw_arms(self, size: int) -> NDArray[np.int64]:
        capped = bool((self.cap < 1).any())
        if capped or self.draw != "independent" or self.clock < self.warmup_steps:
            return super()._draw_arms(size)
        arms: NDArray[np.int64] = self._draw_scores(size).argmax(axis=-1)
        floor = self.floor
        if floor.any():
            from_floor = self.rng.random(arms.shape) < floor.sum()
            arms = np.where(from_floor, draw_arms(self.rng, np.broadcast_to(floor, self.shape), size), arms)
        return arms
