"""A simulated student: an arm can be learned once the arm before it is known."""

import tempfile
from pathlib import Path

import numpy as np

import dumpgym


class Ladder:
    """Success on arm d rises by practice, in proportion to the success on arm d - 1.

    Args:
        num_arms: number of arms.
        seed: seed of the completions.
        rate: how fast success rises.
    """

    def __init__(self, num_arms=5, *, seed=0, rate=0.02):
        self.arm_names = [f"step {d}" for d in range(num_arms)]
        self.counts = np.ones(num_arms, dtype=bool)  # all arms count as success
        self.chance = np.full(num_arms, 0.05)
        self.rate = rate
        self.rng = np.random.default_rng(seed)

    def success(self):
        return self.chance.copy()

    def practise(self, arms, num_generations):
        successes = self.rng.binomial(num_generations, self.chance[arms])
        before = np.append(1.0, self.chance[:-1])
        for arm, solved in zip(arms, successes, strict=True):
            if 0 < solved < num_generations:  # equal rewards teach GRPO nothing
                gain = self.rate * before[arm] * (1 - self.chance[arm])
                self.chance[arm] += gain
        tokens = np.full(arms.shape, 100 * num_generations)
        truncated = np.zeros_like(tokens)
        return dumpgym.GroupResults(arms, successes, num_generations, tokens, truncated)


dumpgym.register_student("ladder", Ladder)

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        config = dumpgym.SimulateConfig(
            students=("ladder",), policies=("dump", "easy-to-hard"), seeds=10, steps=60,
            prompts_per_step=16, processes=1, output=Path(folder),
        )  # fmt: skip
        results = dumpgym.simulate(config)["ladder"]
    for row in results.rows:
        print(f"{row['policy']}: success at the end {row['final'][0]:.2f}")
