"""Informative shares: arms in proportion to the square of their share of informative groups, unless they toss coins."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import DiscountedSums
from dumpgym.contracts.errors import require_number
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy, OptionsBesideFloor
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable

_PRIOR_ODDS = np.log(9.0)  # log of the prior odds, 9 to 1, that there is something to learn from an arm


class InformativeShare(BanditPolicy):
    """Arms by their share of informative groups, optimistic about arms not tried lately, sceptical of coin tosses.

    A group is informative if it holds both a success and a failure. With N_d and I_d the discounted numbers of groups
    and of informative groups of arm d, c_d its mean number of tokens per completion, and t_d the trust below::

        s_d = (I_d + prior) / (N_d + prior)
        r_d = (R_d + prior) / (N_d + prior), where R_d is the sum over groups of their share of successes
        P(d) proportional to (t_d s_d r_d^ease)^sharpness / c_d^price

    An arm without recent groups has s_d = r_d = 1. So every arm is tried, and one that taught nothing is tried again
    when its groups are forgotten, which is how the policy notices that an arm has become learnable, or was unlearned.

    The trust tells arms with something to learn from arms whose rewards are tosses of a coin, on which all groups are
    informative. On an arm to learn from, problems differ in their difficulty and success changes with practice, so the
    successes of its groups differ more than those of one coin would. With M_d the discounted number of groups, p_d
    their success with half a success and half a failure more, n the size of a group, x_j the successes of group j::

        D_d = 1 / M_d sum_j (x_j - n p_d)^2 / (n p_d (1 - p_d))
        v   = 1 + (n - 1) correlation
        l_d = M_d / 2 (D_d (1 - 1 / v) - ln v) + ln 9
        t_d = trust_floor + (1 - trust_floor) / (1 + exp(-l_d))

    D_d is the index of dispersion, 1 on average for a coin. l_d is the log-likelihood ratio of a scaled chi-squared
    distribution with the dispersion v to one without, plus the log of prior odds.

    Source: ours. The index of dispersion is that of Tarone's test (Biometrika 66, 1979). For rewards of two values, the
    signal of DUMP (arXiv 2504.09710), the mean absolute advantage, is a share of informative groups that are weighted
    by how near their success is to 1/2.

    Args:
        num_arms: number of arms, at least 1.
        discount: factor on the weight of a group per training step in s_d and c_d, above 0 and at most 1.
        prior: number of informative groups that every arm is taken to have, above 0.
        sharpness: power of the share, at least 0.
        ease: power of the success rate; at 0 an arm that is solved seldom counts as much as one that is solved as often
            as not, at 1 arms close to mastery come first.
        price: power of the cost; at 0 the cost does not matter, at 1 arms are compared per token.
        memory: factor on the weight of a group per training step in D_d, above 0 and at most 1.
        correlation: correlation of the successes of a group that counts as something to learn, above 0 and at most 1.
        trust_floor: least trust, from 0 to 1; at 1 coins are trusted like all other arms.
        floor: least probability of every arm, see ``BanditPolicy``; None for 0.1 / num_arms.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        informative: groups, and whether they are informative.
        solved: groups, and their share of successes.
        rates: the same with the discount ``memory``.
        costs: groups, and their tokens per completion.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "informative", "solved", "rates", "costs")

    def __init__(
        self,
        num_arms: int,
        *,
        discount: float = 0.97,
        prior: float = 0.3,
        sharpness: float = 2.0,
        ease: float = 0.0,
        price: float = 0.0,
        memory: float = 0.99,
        correlation: float = 0.2,
        trust_floor: float = 0.1,
        floor: Schedulable | Sequence[float] | None = None,
        **common: Unpack[OptionsBesideFloor],
    ) -> None:
        super().__init__(num_arms, floor=0.1 / max(num_arms, 1) if floor is None else floor, **common)
        self.informative, self.solved, self.costs = (DiscountedSums(self.shape, discount) for _ in range(3))
        self.rates = DiscountedSums(self.shape, require_number("memory", memory, above=0, high=1))
        self.prior = require_number("prior", prior, low=1e-6, high=1e6)
        self.sharpness = require_number("sharpness", sharpness, low=0, high=100)
        self.ease = require_number("ease", ease, low=0, high=100)
        self.price = require_number("price", price, low=0, high=100)
        self.correlation = require_number("correlation", correlation, low=1e-3, high=1)
        self.trust_floor = require_number("trust_floor", trust_floor, low=0, high=1)

    def _observe(self, feedback: Feedback) -> None:
        rates = feedback.successes / feedback.num_generations
        self.informative.add(replace(feedback, signal=((rates > 0) & (rates < 1)).astype(np.float64)))
        for sums in (self.solved, self.rates):
            sums.add(replace(feedback, signal=rates))
        self.costs.add(replace(feedback, signal=feedback.tokens / feedback.num_generations))

    def _weights(self) -> NDArray[np.float64]:
        share, rate = (
            (sums.signal_sum + self.prior) / (sums.groups + self.prior) for sums in (self.informative, self.solved)
        )
        # The small number keeps the logarithm finite where a share rounds to 0.
        worth = np.log(self.trust() * share + 1e-12) + self.ease * np.log(rate + 1e-12)
        score = self.sharpness * worth - self.price * np.log(self._cost())
        weights = np.exp(score - score.max(axis=-1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True))

    def _cost(self) -> NDArray[np.float64]:
        """Mean number of tokens per completion; arms without groups cost as much as the cheapest, so they are tried."""
        known = self.costs.groups > 0
        cheapest = np.where(known, self.costs.mean(), np.inf).min(axis=-1, keepdims=True)
        cost = np.where(known, self.costs.mean(), np.where(np.isfinite(cheapest), cheapest, 1.0))
        return np.asarray(np.maximum(cost, 1e-12))  # completions may be empty, and 0 has no logarithm

    def trust(self) -> NDArray[np.float64]:
        """The trust that there is something to learn from each arm, t_d, shape (..., num_arms)."""
        groups = self.rates.groups
        size = self.rates.completions / np.where(groups > 0, groups, 1)
        # Half a success and half a failure more, so that arms that are always or never solved have a variance too.
        p = (self.rates.successes + 0.5) / (self.rates.completions + 1)
        mean = self.rates.mean()
        deviations = self.rates.variance() + (mean - p) ** 2
        dispersion = size * deviations / (p * (1 - p))
        v = 1 + np.maximum(size - 1, 0) * self.correlation
        ratio = groups / 2 * (dispersion * (1 - 1 / v) - np.log(v)) + _PRIOR_ODDS
        return np.asarray(self.trust_floor + (1 - self.trust_floor) / (1 + np.exp(-np.clip(ratio, -500, 500))))


register_policy("informative-share", InformativeShare, vectorised=True)
