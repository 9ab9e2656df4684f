"""The cheapest arm, a control: does a curriculum gain by what it teaches, or by what its completions cost?"""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.selection import best_arms
from dumpgym.contracts.feedback import Feedback, add_by_arm
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy


class CheapestArm(BanditPolicy):
    """A control: the arm with the shortest completions so far, after each arm was tried.

    With c_d the mean number of tokens per completion of arm d over the whole run::

        P(d) = 1 / M for the M arms without feedback, if there are any
               otherwise for the M arms with the least c_d

    At equal tokens, a policy that prefers short completions takes more steps. If this control does as well as a
    curriculum, the curriculum may owe its gain to the price of its arms and not to what they teach.

    Source: ours. Where success and length go together, the cheapest arm is the easiest, and the control is the order
    from easy to hard that never advances; where hard arms are cheap, because the model gives up on them at once, it
    stays on those.

    Args:
        num_arms: number of arms, at least 1.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        tokens: tokens of every arm so far, shape (..., num_arms).
        completions: completions of every arm so far, shape (..., num_arms).
    """

    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "tokens", "completions")

    def __init__(self, num_arms: int, **common: Unpack[PolicyOptions]) -> None:
        super().__init__(num_arms, **common)
        self.tokens: NDArray[np.float64] = np.zeros(self.shape)
        self.completions: NDArray[np.float64] = np.zeros(self.shape)

    def _observe(self, feedback: Feedback) -> None:
        add_by_arm(self.tokens, feedback.arm, feedback.tokens.astype(np.float64))
        add_by_arm(self.completions, feedback.arm, feedback.num_generations.astype(np.float64))

    def _weights(self) -> NDArray[np.float64]:
        # An arm that was never tried costs less than any other, so all of these are tried first.
        cost = np.where(self.completions > 0, self.tokens / np.maximum(self.completions, 1), -1)
        return best_arms(-cost)


register_policy("cheapest-arm", CheapestArm, vectorised=True)
