"""The oracle, a control that cheats: it is told the success on every arm."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.selection import best_arms
from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy


class Oracle(BanditPolicy):
    """A control that cheats: it is told the success on every arm, and draws the arms with something to learn.

    With p_d the success on arm d that it was last told::

        P(d) = 1 / M for the M arms with low <= p_d <= high
               if there are none, for the M arms with the largest p_d (1 - p_d)

    Before a comparison of policies, it shows whether there is room: where it does not beat uniform sampling, the arms
    that a policy chooses hardly matter, and policies that look equal say nothing about curricula. It is no policy to
    train with. The training loop measures p_d by sampled completions, see ``NeedsSuccess``, and their tokens, often
    more than those of training, do not count towards the budget of the run.

    Source: ours. DAPO's dynamic sampling (arXiv 2503.14476) drops the groups that are solved always or never; the
    oracle avoids them by arm, before anything is generated. The fallback takes the arms whose completions most often
    differ: an arm that is nearly mastered still has groups with both successes and failures, and what they teach may
    transfer to the next arm, while an arm that is never solved has no such group.

    The oracle knows the success of today, not what an arm teaches. An arm whose answers are right by chance looks worth
    practising for ever.

    Args:
        num_arms: number of arms, at least 1.
        low: least success of an arm that is worth practising, from 0 to 1.
        high: largest success of such an arm, from ``low`` to 1.
        refresh: number of training steps between measurements, at least 1.
        problems: number of problems per arm in a measurement, at least 1.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        success: p_d, NaN before the first measurement, shape (..., num_arms).

    Raises:
        InvalidValueError: if an option is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "success")

    def __init__(
        self,
        num_arms: int,
        *,
        low: float = 0.05,
        high: float = 0.9,
        refresh: int = 5,
        problems: int = 64,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.low = require_number("low", low, low=0, high=1)
        self.high = require_number("high", high, low=self.low, high=1)
        self.refresh = require_number("refresh", refresh, low=1, whole=True)
        self.problems = require_number("problems", problems, low=1, whole=True)
        self.success: NDArray[np.float64] = np.full(self.shape, np.nan)

    def tell_success(self, success: NDArray[np.float64]) -> None:
        """Tells the policy the present success on every arm; see ``NeedsSuccess``."""
        if success.shape != self.shape:
            raise InvalidValueError("shape of the success", success.shape, f"{self.shape}")
        valid = (success >= 0) & (success <= 1)  # false for NaN
        if not valid.all():
            raise InvalidValueError("success of an arm", float(success[~valid][0]), "0 to 1")
        self.success = success.astype(np.float64)

    def _check_feedback(self, feedback: Feedback) -> None:
        super()._check_feedback(feedback)
        # A loop that never tells it would train on uniform shares and report that the oracle gains nothing.
        if np.isnan(self.success).any():
            accepted = "one number per arm before the first batch, by tell_success"
            raise InvalidValueError("success that the oracle was told", None, accepted)

    def _weights(self) -> NDArray[np.float64]:
        p = np.nan_to_num(self.success, nan=0.5)
        between = (p >= self.low) & (p <= self.high)
        # p and 1 - p have the same product, except for its last bits, which must not decide.
        differ = np.round(p * (1 - p), 12)
        return best_arms(np.where(between.any(axis=-1, keepdims=True), between, differ))


register_policy("oracle", Oracle, vectorised=True)
