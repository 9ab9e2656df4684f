"""Two signals: one of a group by itself, and one that remembers earlier batches."""

import numpy as np

import dumpgym


def near_half(rewards, successes):
    """1 where half of the completions are right, 0 where all or none are.

    Args:
        rewards: rewards of the completions, shape (..., groups, G).
        successes: which completions solved their problem, shape (..., groups, G).

    Returns:
        One number per group, shape (..., groups).
    """
    return 1 - 2 * np.abs(successes.mean(axis=-1) - 0.5)


class Surprise(dumpgym.Signal):
    """How far the success of a group is from the running mean of its arm."""

    state_fields = ("expected",)  # saved and restored with a run

    def __init__(self, shape):  # (num_arms,), or (num_runs, num_arms) in lockstep
        self.expected = np.full(shape, 0.5)

    def __call__(self, results):
        success = results.successes / results.num_generations  # (..., groups)
        expected = np.take_along_axis(self.expected, results.arm, axis=-1)
        for arm in range(self.expected.shape[-1]):
            mine = results.arm == arm
            step = 0.1 * mine.any(axis=-1)
            mean = (success * mine).sum(axis=-1) / np.maximum(mine.sum(axis=-1), 1)
            self.expected[..., arm] += step * (mean - self.expected[..., arm])
        return np.abs(success - expected)


dumpgym.register_signal("near_half", near_half)
dumpgym.register_signal("surprise", Surprise)

if __name__ == "__main__":
    results = dumpgym.GroupResults(
        arm=np.array([0, 0, 1]),
        successes=np.array([0, 4, 8]),
        num_generations=8,
        tokens=np.array([800, 900, 400]),
        truncated=np.zeros(3, dtype=np.int64),
    )
    for name in ("near_half", "near_half_per_token", "surprise"):
        print(name, dumpgym.make_signal(name, (2,))(results))
