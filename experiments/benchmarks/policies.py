"""How long does every policy take to decide: to give probabilities, to draw a batch, and to learn from it?

    python experiments/benchmarks/policies.py
    python experiments/benchmarks/policies.py --arms 100 --policies mopps thompson

A decision is one training step: ``probabilities()``, ``select_arms(batch)`` and ``update(feedback)``, each once, on one
thread. The numbers are medians in milliseconds of wall time over the steps after the first, in which caches are built.
The goals are 1 ms at 100 arms and 50 ms at 100,000. The output is Markdown for LOG.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import tyro

from dumpgym.contracts.policy_registry import make_policy, policy_registry
from dumpgym.testing.policy import make_feedback, tell_success

GOALS = {100: 1.0, 100_000: 50.0}


@dataclass(frozen=True)
class Options:
    arms: tuple[int, ...] = (100, 10_000, 100_000)
    policies: tuple[str, ...] = ()  # all by default
    batch: int = 16  # the default of dumpgym train
    steps: int = 15


def milliseconds(policy_id: str, num_arms: int, options: Options) -> tuple[float, float, float]:
    """Median milliseconds of ``probabilities``, ``select_arms`` and ``update``."""
    policy, rng = make_policy(policy_id, num_arms=num_arms, seed=0), np.random.default_rng(0)
    tell_success(policy, np.linspace(0, 1, num_arms))
    policy.update(make_feedback(np.arange(num_arms), rng.random(num_arms), step=0))  # no arm is a stranger
    seconds: list[Sequence[float]] = []
    for step in range(1, options.steps + 2):
        start = perf_counter()
        policy.probabilities()
        decided = perf_counter()
        arms = policy.select_arms(options.batch)
        drawn = perf_counter()
        successes = rng.binomial(8, (arms + 1) / (num_arms + 1))
        feedback = make_feedback(arms, rng.random(options.batch), step=step, successes=successes)
        given = perf_counter()
        policy.update(feedback)
        seconds.append((decided - start, drawn - decided, perf_counter() - given))
    probabilities, draws, updates = (1000 * median(column) for column in zip(*seconds[1:], strict=True))
    return probabilities, draws, updates


def main(options: Options) -> None:
    print("| policy | arms | probabilities | select_arms | update | sum |\n|---|---|---|---|---|---|")
    for num_arms in options.arms:
        sums: list[float] = []
        for policy_id in options.policies or tuple(policy_registry):
            parts = milliseconds(policy_id, num_arms, options)
            sums.append(sum(parts))
            late = " (late)" if sums[-1] > GOALS.get(num_arms, np.inf) else ""
            cells = " | ".join(f"{part:.2f}" for part in parts)
            print(f"| {policy_id} | {num_arms:,} | {cells} | {sums[-1]:.2f}{late} |", flush=True)
        print(f"| median of all | {num_arms:,} | | | | {median(sums):.2f} |")


if __name__ == "__main__":
    main(tyro.cli(Options))
