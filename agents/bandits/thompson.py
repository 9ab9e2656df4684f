"""Thompson sampling: policies that draw from a posterior over every arm's mean signal."""

from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.beta_selection import LARGEST_PRIOR, LEAST_PRIOR, draw_beta, probability_of_largest_beta
from dumpgym.agents.bandits.history import SumHistory, make_sums
from dumpgym.agents.bandits.random_scores import RandomScorePolicy
from dumpgym.agents.bandits.selection import probability_of_largest_normal
from dumpgym.contracts.errors import require_number
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import PolicyOptions
from dumpgym.contracts.policy_registry import register_policy


class Thompson(RandomScorePolicy):
    """Thompson sampling on the signal, with a normal prior and normal noise of known spread.

    With n_d the number of groups of arm d, m_d their mean signal, and k_d the precision of the posterior::

        k_d = 1 / prior_std^2 + n_d / noise_std^2
        posterior of arm d = N((prior_mean / prior_std^2 + n_d m_d / noise_std^2) / k_d, 1 / k_d)

    A group is a pull. For each slot of a batch, every arm draws once from its posterior, and the largest draw gets the
    slot; a batch is therefore spread over all arms that may be the best. ``probabilities`` gives each arm's chance of
    the largest draw, computed by integration and not by draws; with more than 32 arms to 0.01.

    Source: Thompson, On the Likelihood that One Unknown Probability Exceeds Another, Biometrika 25, 1933; the normal
    posterior as in Russo et al., A Tutorial on Thompson Sampling, arXiv 1707.02038, section 2. With a window or a
    discount, n_d and m_d count the remembered groups by their weights, so the posterior of an arm without new groups
    returns to the prior; by default nothing is forgotten.

    Args:
        num_arms: number of arms, at least 1.
        prior_mean: expected mean signal of an arm without feedback.
        prior_std: standard deviation of the prior, above 0.
        noise_std: standard deviation of the signal between groups of one arm, above 0.
        window: number of training steps that are remembered, at least 1; None for all steps.
        discount: factor on a group's weight per training step, above 0 and at most 1; None and 1 forget nothing. A
            window and a discount exclude each other.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    history: SumHistory

    def __init__(
        self,
        num_arms: int,
        *,
        prior_mean: float = 0.5,
        prior_std: float = 0.5,
        noise_std: float = 0.5,
        window: int | None = None,
        discount: float | None = None,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = make_sums(self.shape, window=window, discount=discount)
        self.prior_mean = require_number("prior_mean", prior_mean)
        self.prior_std = require_number("prior_std", prior_std, above=0)
        self.noise_std = require_number("noise_std", noise_std, above=0)

    def _belief(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the posterior, (..., num_arms) each."""
        prior_precision, noise_precision = self.prior_std**-2, self.noise_std**-2
        precision = prior_precision + self.history.groups * noise_precision
        mean = (self.prior_mean * prior_precision + self.history.signal_sum * noise_precision) / precision
        return mean, 1 / np.sqrt(precision)

    def _weights(self) -> NDArray[np.float64]:
        return self._chances(probability_of_largest_normal, *self._belief())

    def _draw_scores(self, size: int) -> NDArray[np.float64]:
        mean, std = self._belief()
        z = self.rng.standard_normal((*self.shape[:-1], size, self.num_arms))
        scores: NDArray[np.float64] = mean[..., None, :] + std[..., None, :] * z
        return scores


class ThompsonBeta(RandomScorePolicy):
    """Thompson sampling with a Beta prior, where a signal counts as a fraction of a success.

    With S_d the sum of the signals of arm d's groups, each in [0, 1], and n_d the number of groups::

        posterior of arm d = Beta(prior_a + S_d, prior_b + n_d - S_d)

    A group is a pull, however many completions it has. Slots are drawn, and ``probabilities`` computed, as in
    ``Thompson``.

    Source: Thompson, Biometrika 25, 1933, for signals of 0 and 1; Raj and Kalyani, Taming Non-stationary Bandits: A
    Bayesian Approach, arXiv 1707.09727, with a discount; Trovo et al., Sliding-Window Thompson Sampling for
    Non-Stationary Settings, Journal of Artificial Intelligence Research 68, 2020, with a window. Departures:

    - A signal between 0 and 1 counts as that fraction of a success, where Agrawal and Goyal (arXiv 1111.1797) toss a
      coin with that probability. The two agree for signals of 0 and 1, and ours needs no random numbers in an update.
      Signals outside [0, 1] are clipped. No option restores the coin.
    - The discount and the window count training steps, which are the papers' pulls with batches of one group. As in the
      paper, the discount applies to the evidence and not to the prior, so an arm without new groups returns to the
      prior.

    Args:
        num_arms: number of arms, at least 1.
        prior_a: number of successes that the prior is worth, from 0.1 to 1e9: below 0.1, many draws round to 1.
        prior_b: number of failures that the prior is worth, from 0.1 to 1e9.
        window: number of training steps that are remembered, at least 1; None for all steps.
        discount: factor on a group's weight per training step, above 0 and at most 1; None and 1 forget nothing. A
            window and a discount exclude each other.
        common: options of every policy, see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    history: SumHistory

    def __init__(
        self,
        num_arms: int,
        *,
        prior_a: float = 1.0,
        prior_b: float = 1.0,
        window: int | None = None,
        discount: float | None = None,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = make_sums(self.shape, window=window, discount=discount)
        self.prior_a = require_number("prior_a", prior_a, low=LEAST_PRIOR, high=LARGEST_PRIOR)
        self.prior_b = require_number("prior_b", prior_b, low=LEAST_PRIOR, high=LARGEST_PRIOR)

    def _observe(self, feedback: Feedback) -> None:
        self.history.add(replace(feedback, signal=np.clip(feedback.signal, 0, 1)))

    def _belief(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The posterior's a and b, (..., num_arms) each."""
        # The sums of a window come from subtractions, which may round below 0 and make the parameters invalid.
        total, groups = self.history.signal_sum, self.history.groups
        return self.prior_a + np.maximum(total, 0), self.prior_b + np.maximum(groups - total, 0)

    def _weights(self) -> NDArray[np.float64]:
        return self._chances(probability_of_largest_beta, *self._belief())

    def _draw_scores(self, size: int) -> NDArray[np.float64]:
        return draw_beta(self.rng, *self._belief(), size)


register_policy("thompson", Thompson, vectorised=True)
register_policy("thompson-beta", ThompsonBeta, vectorised=True)
