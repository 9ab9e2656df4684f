"""Policies that draw from a belief about every arm."""

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.arm_history import HistoryPolicy, SumHistory
from dumpgym.agents.draws import probability_of_largest_normal
from dumpgym.errors import require_number
from dumpgym.policy import PolicyOptions
from dumpgym.registration import register_policy


class Thompson(HistoryPolicy):
    """Thompson sampling on the signal, with a normal prior and normal noise of known spread.

    With n_d groups of arm d, mean signal m_d, and precision of the posterior k_d::

        k_d = 1 / prior_std^2 + n_d / noise_std^2
        posterior of arm d = N((prior_mean / prior_std^2 + n_d m_d / noise_std^2) / k_d, 1 / k_d)

    Each slot of a batch goes to the largest of one independent draw per arm, so a batch is spread as the belief is.
    ``probabilities`` is the chance of each arm to be the largest, computed without draws.

    Source: Thompson, On the Likelihood that One Unknown Probability Exceeds Another, Biometrika 25, 1933; the normal
    posterior as in Russo et al., A Tutorial on Thompson Sampling, arXiv 1707.02038, section 2.

    Args:
        num_arms: number of arms, at least 1.
        prior_mean: mean signal expected of an arm without feedback.
        prior_std: standard deviation of the prior, above 0.
        noise_std: standard deviation of the signal between groups of one arm, above 0.
        common: see ``BanditPolicy``.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    def __init__(
        self,
        num_arms: int,
        *,
        prior_mean: float = 0.5,
        prior_std: float = 0.5,
        noise_std: float = 0.5,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        self.history = SumHistory(self.shape)
        self.prior_mean = require_number("prior_mean", prior_mean)
        self.prior_std = require_number("prior_std", prior_std, above=0)
        self.noise_std = require_number("noise_std", noise_std, above=0)

    def _weights(self) -> NDArray[np.float64]:
        prior_precision, evidence = self.prior_std**-2, self.history.groups / self.noise_std**2
        precision = prior_precision + evidence
        mean = (self.prior_mean * prior_precision + self.history.mean() * evidence) / precision
        return probability_of_largest_normal(mean, 1 / np.sqrt(precision))


register_policy("thompson", Thompson, vectorised=True)
