"""Runs of one policy on one student, many seeds in lockstep, and the measures of every run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from dumpgym.agents.curricula.controls import PlannedShares
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.feedback import PER_GROUP, Feedback
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.policy_registry import find_policy, policy_for_run
from dumpgym.contracts.specs import read_spec
from dumpgym.contracts.student import Student
from dumpgym.contracts.student_registry import make_students
from dumpgym.contracts.success import must_be_told
from dumpgym.signals.signal import make_signal
from dumpgym.simulating.allocation import Predictable, best_allocation
from dumpgym.statistics.curves import effective_number

BEST_ALLOCATION = "best-allocation"
"""Name for a student's best allocation, accepted where a policy is named."""


@dataclass(frozen=True, slots=True)
class Trajectories:
    """Success, shares and tokens of every run, step by step.

    Attributes:
        success: success on every arm before every step and after the last, shape (runs, steps + 1, num_arms).
        shares: realised share of every arm in the batch, shape (runs, steps, num_arms).
        tokens: number of tokens generated in every step, shape (runs, steps).
        counts: which arms count in the mean success, shape (num_arms,).
    """

    success: NDArray[np.float64]
    shares: NDArray[np.float64]
    tokens: NDArray[np.int64]
    counts: NDArray[np.bool_]

    @property
    def mean_success(self) -> NDArray[np.float64]:
        """Mean success over the arms that count, shape (runs, steps + 1)."""
        mean: NDArray[np.float64] = self.success[..., self.counts].mean(axis=-1)
        return mean

    def measures(self, threshold: float) -> dict[str, NDArray[np.float64]]:
        """Computes the measures of every run.

        Args:
            threshold: mean success for "steps_to_threshold".

        Returns:
            Measures by name, each of shape (runs,): "area" is the mean success averaged over steps (trapezoid rule);
            "final" is the mean success at the end; "steps_to_threshold" is the first step at which the mean success is
            at or above the threshold twice in a row, NaN if it never is; "effective_arms" is exp(entropy) of the
            batch's shares averaged over steps; "tokens" is the number of generated tokens.
        """
        mean = self.mean_success
        above = (mean[:, :-1] >= threshold) & (mean[:, 1:] >= threshold)
        reached = np.where(above.any(axis=1), above.argmax(axis=1), np.nan)
        return {
            "area": trapezoid(mean, axis=1) / self.tokens.shape[1],
            "final": mean[:, -1],
            "steps_to_threshold": reached,
            "effective_arms": effective_number(self.shares).mean(axis=1),
            "tokens": self.tokens.sum(axis=1).astype(np.float64),
        }


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """How a student practises in a simulation.

    Attributes:
        steps: number of batches, at least 1.
        prompts_per_step: number of groups in a batch, at least 1.
        num_generations: number of completions in a group, at least 2.
        signal: registered name of the signal that the bandit learns from.
    """

    steps: int = 150
    prompts_per_step: int = 128
    num_generations: int = 16
    signal: str = "mean_absolute_advantage"


class LockstepPolicy(Protocol):
    """What a simulation needs of a policy, which serves one run, or several in lockstep if its shape has two axes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the probabilities, (num_arms,) or (runs, num_arms)."""
        ...

    def select_arms(self, size: int) -> NDArray[np.int64]:
        """See ``BanditPolicy``."""
        ...

    def update(self, feedback: Feedback) -> None:
        """See ``BanditPolicy``."""
        ...


class SeparatePolicies:
    """Several policies that serve one run each, combined into one that serves all runs in lockstep.

    Args:
        policies: policy of every run.
    """

    def __init__(self, policies: Sequence[BanditPolicy]) -> None:
        self.policies = policies
        self.shape = (len(policies), policies[0].num_arms)

    def select_arms(self, size: int) -> NDArray[np.int64]:
        """Draws the arms of every run's batch, shape (runs, size)."""
        return np.stack([policy.select_arms(size) for policy in self.policies])

    def update(self, feedback: Feedback) -> None:
        """Passes every policy its row of the feedback."""
        for i, policy in enumerate(self.policies):
            policy.update(Feedback(step=feedback.step, **{name: getattr(feedback, name)[i] for name in PER_GROUP}))


def run(policy: LockstepPolicy, student: Student, plan: SimulationPlan) -> Trajectories:
    """Lets a student practise under a policy.

    Args:
        policy: policy with as many runs as the student.
        student: student with as many arms as the policy.
        plan: number and size of the batches, and the signal.

    Returns:
        The trajectories, with a leading axis of length 1 for a single run.
    """
    compute = make_signal(plan.signal, policy.shape)
    success, shares, tokens = [student.success()], [], []
    for step in range(plan.steps):
        _tell_success(policy, success[-1], step)
        arms = policy.select_arms(plan.prompts_per_step)  # (..., groups)
        results = student.practise(arms, plan.num_generations)
        policy.update(Feedback.of_results(step, results, compute(results)))
        success.append(student.success())
        shares.append((arms[..., None] == np.arange(policy.shape[-1])).mean(axis=-2))
        tokens.append(results.tokens.sum(axis=-1))
    rows = [np.stack(values, axis=-2) for values in (success, shares)]
    all_tokens = np.stack(tokens, axis=-1)
    if len(policy.shape) == 1:
        rows, all_tokens = [values[None] for values in rows], all_tokens[None]
    return Trajectories(rows[0], rows[1], all_tokens, student.counts)


def _tell_success(policy: object, success: NDArray[np.float64], step: int) -> None:
    """Tells the policies that cheat the success on every arm, (..., num_arms); see ``NeedsSuccess``."""
    if isinstance(policy, SeparatePolicies):
        for one, row in zip(policy.policies, success, strict=True):
            _tell_success(one, row, step)
    elif must_be_told(policy, step):
        policy.tell_success(success)


def run_seeds(policy: str, student: str, seeds: Sequence[int], plan: SimulationPlan) -> Trajectories:
    """Runs a policy on a student once per seed, in lockstep if both can, otherwise one run after another.

    Args:
        policy: ``id?option=value&...``, or "best-allocation" for the best one to a ``Predictable`` student.
        student: ``id?argument=value&...``, see ``dumpgym.contracts.student_registry.make_students``.
        seeds: seed of every run.
        plan: number and size of the batches, and the signal.

    Returns:
        The trajectories of all runs, in the order of the seeds.

    Raises:
        DumpgymError: if the policy or the student does not exist, or an option is out of range.
    """
    # Runs with the same seed are paired across policies, and comparisons take the difference of each pair. The student
    # must therefore depend only on the seed and on its own practice: problem i of an arm, and the luck of the
    # completions of it, are drawn by address (``dumpgym.envs.students.addresses``). They are the same under every
    # policy, whatever the student practised before, and whichever seeds run beside it. The draws of a policy are not
    # paired. In lockstep they come from one generator for all runs, so such a run is repeated only with the same seeds
    # beside it.
    made = make_students(student, seeds)
    make: Callable[..., BanditPolicy]
    if policy == BEST_ALLOCATION:
        vectorised = True
        make = partial(PlannedShares, _best_shares(made[0][0], plan))
    else:
        policy_id, options = read_spec("policy", policy)
        vectorised = find_policy(policy_id).vectorised
        num_arms = len(made[0][0].arm_names)
        make = partial(policy_for_run, policy_id, options, num_arms=num_arms, steps=plan.steps)
    parts: list[Trajectories] = []
    for pupil, group in made:
        lockstep = pupil.success().ndim > 1
        served: LockstepPolicy
        if lockstep and not vectorised:
            served = SeparatePolicies([make(seed=seed) for seed in group])
        else:
            served = make(seed=group[0], num_runs=len(group) if lockstep else None)
        parts.append(run(served, pupil, plan))
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in ("success", "shares", "tokens")]
    return Trajectories(joined[0], joined[1], joined[2], parts[0].counts)


def _best_shares(student: Student, plan: SimulationPlan) -> NDArray[np.float64]:
    if not isinstance(student, Predictable):
        raise InvalidValueError(
            "policy", BEST_ALLOCATION, f"a student with expected_path, which {type(student).__name__} has not"
        )
    return best_allocation(student, plan.steps, plan.num_generations)
