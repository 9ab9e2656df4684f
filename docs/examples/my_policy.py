"""A policy that prefers a large recent signal and arms with few completions."""

import tempfile
from pathlib import Path

import numpy as np

import dumpgym


class Curious(dumpgym.HistoryPolicy):
    """A softmax over the mean signal plus a bonus for arms with few completions.

    With L(d) the mean signal over the last ``window`` completions of arm d, and n_d the
    number of its completions so far::

        P(d) = softmax((L(d) + bonus / sqrt(n_d + 1)) / temperature)_d

    Args:
        num_arms: number of arms.
        window: number of completions that L averages over.
        bonus: score of an arm without completions.
        temperature: a number, or a schedule such as "cosine:0.5:0.1:150".
        common: seed, floor, cap, warmup_steps, draw and num_runs.
    """

    def __init__(self, num_arms, *, window=300, bonus=1.0, temperature=0.2, **common):
        super().__init__(num_arms, **common)
        self.history = dumpgym.CompletionWindow(self.shape, window)  # saved with a run
        self.bonus = bonus
        self.temperature = dumpgym.Schedule.parse("temperature", temperature, low=0)

    def _weights(self):  # before floor and cap, shape (..., num_arms)
        bonus = self.bonus / np.sqrt(self.history.completions + 1)
        temperature = self.temperature.at(self.clock)
        return dumpgym.boltzmann(self.history.mean() + bonus, temperature)


dumpgym.register_policy("curious", Curious, vectorised=True)

if __name__ == "__main__":
    dumpgym.check_policy(
        lambda num_arms, seed, **options: Curious(num_arms, seed=seed, **options),
        vectorised=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        config = dumpgym.SimulateConfig(
            policies=("curious", "dump"), seeds=20, steps=60, processes=1,
            output=Path(folder),
        )  # fmt: skip
        (results,) = dumpgym.simulate(config).values()
    for row in results.rows:
        print(f"{row['policy']}: success at the end {row['final'][0]:.3f}")
