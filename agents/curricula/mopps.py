"""MoPPS (arXiv 2507.04632): Thompson sampling for the arm whose success rate is nearest to a target."""

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.beta_selection import LARGEST_PRIOR, LEAST_PRIOR, draw_beta, probability_of_nearest_beta
from dumpgym.agents.bandits.history import DiscountedSums
from dumpgym.agents.bandits.random_scores import RandomScorePolicy
from dumpgym.contracts.errors import require_number
from dumpgym.contracts.policy import PolicyOptions
from dumpgym.contracts.policy_registry import register_policy


class MoPPS(RandomScorePolicy):
    """MoPPS: Thompson sampling for the arm whose success rate is nearest to a target.

    With s_d successes and f_d failures among the completions of arm d in a training step::

        a_d <- discount a_d + (1 - discount) prior_a + s_d, from prior_a
        b_d <- discount b_d + (1 - discount) prior_b + f_d, from prior_b
        p_d ~ Beta(a_d, b_d), and the slot goes to the arm with the smallest abs(p_d - target)

    Each slot of a batch has its own draws. ``probabilities`` gives each arm's chance of the nearest draw, computed by
    integration and not by draws.

    Source: Qu et al., Can Prompt Difficulty be Online Predicted for Accelerating RL Finetuning of Reasoning Models?,
    arXiv 2507.04632. The prior, the target and the discount are those of the authors' code (the discount of its
    Countdown runs). Departures:

    - The paper keeps a posterior for every prompt, and fills a batch with the nearest of a set of candidate prompts.
      Here the posterior is that of an arm, which has far more completions, and a batch is spread over the arms whose
      posteriors overlap. No option restores the posterior per prompt.
    - The paper discounts a prompt's posterior when the prompt is used. Here all arms are discounted every training
      step, so an arm without new groups returns to the prior; no option restores the paper. Late feedback has the
      weight that its step has by now.

    Args:
        num_arms: number of arms, at least 1.
        target: success rate that is aimed at, from 0.001 to 0.999.
        discount: lambda, factor on a completion's weight per training step, above 0 and at most 1; 1 forgets nothing.
        prior_a: number of successes that the prior is worth, from 0.1 to 1e9.
        prior_b: number of failures that the prior is worth, from 0.1 to 1e9.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    history: DiscountedSums

    def __init__(
        self,
        num_arms: int,
        *,
        target: float = 0.5,
        discount: float = 0.5,
        prior_a: float = 1.0,
        prior_b: float = 1.0,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = DiscountedSums(self.shape, discount)
        self.target = require_number("target", target, low=0.001, high=0.999)
        self.prior_a = require_number("prior_a", prior_a, low=LEAST_PRIOR, high=LARGEST_PRIOR)
        self.prior_b = require_number("prior_b", prior_b, low=LEAST_PRIOR, high=LARGEST_PRIOR)

    def _belief(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The posterior's a and b, (..., num_arms) each."""
        return self.prior_a + self.history.successes, self.prior_b + self.history.failures

    def _weights(self) -> NDArray[np.float64]:
        return self._chances(lambda a, b: probability_of_nearest_beta(a, b, self.target), *self._belief())

    def _draw_scores(self, size: int) -> NDArray[np.float64]:
        return -np.abs(draw_beta(self.rng, *self._belief(), size) - self.target)


register_policy("mopps", MoPPS, vectorised=True)
