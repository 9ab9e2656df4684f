"""A policy with its own state: it prefers arms that still fail."""

import numpy as np

import dumpgym


class Failures(dumpgym.BanditPolicy):
    """P(d) is proportional to the failure rate (failures + 1) / (completions + 2).

    Args:
        num_arms: number of arms.
        common: seed, floor, cap, warmup_steps and draw.
    """

    state_fields = (*dumpgym.BanditPolicy.state_fields, "failures", "completions")

    def __init__(self, num_arms, **common):
        super().__init__(num_arms, **common)
        self.failures = np.zeros(num_arms)
        self.completions = np.zeros(num_arms)

    def _weights(self):
        rate = (self.failures + 1) / (self.completions + 2)
        return rate / rate.sum()

    def _observe(self, feedback):  # arrays with one entry per group
        failed = feedback.num_generations - feedback.successes
        np.add.at(self.failures, feedback.arm, failed)
        np.add.at(self.completions, feedback.arm, feedback.num_generations)


dumpgym.register_policy("failures", Failures)

if __name__ == "__main__":
    dumpgym.check_policy(lambda num_arms, seed: Failures(num_arms, seed=seed))
