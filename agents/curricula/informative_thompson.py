"""Informative-group Thompson sampling (marin #8765): for arms whose groups hold both a success and a failure."""

from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import DiscountedSums, HistoryPolicy
from dumpgym.contracts.errors import require_number, require_numbers
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import OptionsBesideFloor
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable


class InformativeThompson(HistoryPolicy):
    """Thompson sampling for informative groups, which hold both a success and a failure; all others have advantage 0.

    With S_d and F_d the discounted numbers of successes and failures among arm d's completions, m_d the success rate of
    the prior, t the number of training steps done, and n the group size of the latest feedback::

        c   = reversion_mass + (prior_mass - reversion_mass) discount^t
        p_d ~ Beta(c m_d + S_d, c (1 - m_d) + F_d), drawn after every batch
        P(d) proportional to 1 - p_d^n - (1 - p_d)^n, the chance that a group of n is informative

    By default m_d is 1/2 and both masses are 2: the prior is Beta(1, 1), and an arm without new groups returns to it.
    With ``prior_success``, the posterior starts with the mass ``prior_mass``, which decays to ``reversion_mass`` at the
    rate at which evidence is discounted. All slots of a batch share one draw of p, and are spread over the arms in
    proportion to their chance of an informative group.

    Source: the informative-group Thompson sampler of marin #8765, in our words and code, with its discount, floor,
    masses and grades. How the mass of the prior decays is our reading of it. Late feedback has the weight of its step.

    Args:
        num_arms: number of arms, at least 1.
        discount: factor on a completion's weight per training step, above 0 and at most 1; 1 forgets nothing.
        prior_success: expected success rate of every arm, one number from 0.01 to 0.99 per arm, as a list or as text
            such as "0.8,0.5,0.1"; "grades" for evenly spaced rates from 0.85 for the first arm to 0.05 for the last;
            None for 1/2 with the mass ``reversion_mass`` throughout.
        prior_mass: number of completions that ``prior_success`` is worth at the start, above 0; not used without it.
        reversion_mass: number of completions that the prior is worth in the long run, above 0.
        floor: least probability of every arm, see ``BanditPolicy``; None for 0.05 / num_arms.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        success: p_d of the present draw, shape (..., num_arms).
        num_generations: n, 8 before any feedback, shape (..., 1).

    Raises:
        InvalidValueError: if an option is out of range.
    """

    draws_in_update: ClassVar[bool] = True
    state_fields: ClassVar[tuple[str, ...]] = (*HistoryPolicy.state_fields, "success", "num_generations")
    history: DiscountedSums

    def __init__(
        self,
        num_arms: int,
        *,
        discount: float = 0.95,
        prior_success: Sequence[float] | str | None = None,
        prior_mass: float = 8.0,
        reversion_mass: float = 2.0,
        floor: Schedulable | Sequence[float] | None = None,
        **common: Unpack[OptionsBesideFloor],
    ) -> None:
        super().__init__(num_arms, floor=0.05 / max(num_arms, 1) if floor is None else floor, **common)
        self.history = DiscountedSums(self.shape, discount)
        self.reversion_mass = require_number("reversion_mass", reversion_mass, above=0)
        self.prior_mass = require_number("prior_mass", prior_mass, above=0)
        given = np.linspace(0.85, 0.05, num_arms).tolist() if prior_success == "grades" else prior_success
        if given is None:
            given, self.prior_mass = [0.5] * num_arms, self.reversion_mass
        self.prior_success = np.array(require_numbers("prior_success", given, num_arms, low=0.01, high=0.99))
        self.num_generations: NDArray[np.float64] = np.full((*self.shape[:-1], 1), 8.0)
        self.success = self._draw_success(0)

    def _draw_success(self, steps: int) -> NDArray[np.float64]:
        mass = self.reversion_mass + (self.prior_mass - self.reversion_mass) * self.history.discount**steps
        a, b = mass * self.prior_success, mass * (1 - self.prior_success)
        return self.rng.beta(a + self.history.successes, b + self.history.failures)

    def _observe(self, feedback: Feedback) -> None:
        self.history.add(feedback)
        self.num_generations = feedback.num_generations.mean(axis=-1, keepdims=True)
        self.success = self._draw_success(max(self.clock, feedback.step + 1))

    def _weights(self) -> NDArray[np.float64]:
        p, n = self.success, self.num_generations
        # If every draw rounds to 0 or 1, no group can be informative and the sum would be 0. The bound then makes all
        # weights equal.
        informs = np.maximum(1 - p**n - (1 - p) ** n, 1e-12)
        weights: NDArray[np.float64] = informs / informs.sum(axis=-1, keepdims=True)
        return weights


register_policy("informative-thompson", InformativeThompson, vectorised=True)
