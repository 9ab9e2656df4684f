"""Policies that learn nothing: the controls of every claim, and schedules from easy to hard."""

from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.errors import InvalidValueError, require_number
from dumpgym.policy import BanditPolicy, PolicyOptions
from dumpgym.registration import register_policy


class Uniform(BanditPolicy):
    """Every arm alike, whatever happens: the control of every claim."""

    def _weights(self) -> NDArray[np.float64]:
        return np.full(self.shape, 1 / self.num_arms)


class EasyToHard(BanditPolicy):
    """A schedule without learning: the arms one after another, in the order of their indices, easiest first.

    It goes by the policy's ``clock``. After ``total_steps`` the last arm stays.

    Args:
        num_arms: number of arms, at least 1.
        total_steps: training steps to spread the arms over, at least 1; the default is the training length of
            arXiv 2504.09710.
        stage_shares: how long each arm lasts, num_arms numbers of at least 0 which are divided by their sum; None for
            equal shares. Stages end at whole steps.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    symmetric: ClassVar[bool] = False

    def __init__(
        self,
        num_arms: int,
        *,
        total_steps: int = 150,
        stage_shares: Sequence[float] | None = None,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        require_number("total_steps", total_steps, low=1, whole=True)
        shares = [1.0] * num_arms if stage_shares is None else stage_shares
        ends = np.cumsum([require_number("stage share", share, low=0) for share in shares])
        if len(ends) != num_arms or ends[-1] == 0:
            raise InvalidValueError("stage_shares", stage_shares, f"{num_arms} numbers, not all of them 0")
        self.stage_ends = np.rint(total_steps * ends / ends[-1]).astype(np.int64)

    def _weights(self) -> NDArray[np.float64]:
        stage = np.searchsorted(self.stage_ends[:-1], self.clock, side="right")
        weights = np.zeros(self.shape)
        weights[..., stage] = 1
        return weights


register_policy("uniform", Uniform, vectorised=True)
register_policy("easy-to-hard", EasyToHard, vectorised=True)
