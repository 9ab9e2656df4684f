"""The contract of a policy that is told the success on every arm: a control that cheats, to see what is possible."""

from typing import Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class NeedsSuccess(Protocol):
    """A policy that must be told the success on every arm, which no curriculum knows.

    A training loop measures it before it draws the batch of step 0, ``refresh``, 2 ``refresh``, ...: one sampled
    completion of each of ``problems`` problems of every arm. They are of the training split and have another seed than
    those of the run, so the policy learns nothing about the evaluation; of a finite set, they may be problems that the
    run trains on. A nuisance arm is not measured, and its success is told as 0. Tokens and seconds count as those of
    evaluations, and not towards the run's budget. A simulated student knows its success.

    Such a policy shows how much there is to gain from the choice of arms. It is no method, because what it is told may
    cost more than the training.

    Attributes:
        refresh: number of training steps between measurements, at least 1.
        problems: number of problems per arm in a measurement, at least 1.
    """

    refresh: int
    problems: int

    def tell_success(self, success: NDArray[np.float64]) -> None:
        """Tells the policy the present success on every arm.

        Args:
            success: from 0 to 1, shape (..., num_arms).

        Raises:
            InvalidValueError: if the shape is another one, or a number is out of range. The policy has not changed.
        """
        ...


def must_be_told(policy: object, step: int) -> TypeGuard[NeedsSuccess]:
    """Whether a policy must be told the success on every arm before it draws the batch of a step."""
    return isinstance(policy, NeedsSuccess) and step % policy.refresh == 0


def measuring_seed(seed: int) -> int:
    """The seed of the problems on which the success is measured in a run with this seed."""
    # Another one for every seed, and never the run's own. Seeds that people choose, and those of warm starts, are small
    # numbers, so that nobody trains on these problems unless the set of problems is finite.
    return seed ^ (1 << 40)
