"""An environment: sums of a few numbers, one class behind several ids."""

import re
import zlib

import gymnasium as gym
import numpy as np

import dumpgym

FORM = re.compile(r"<think>.*</think>\s*<answer>([0-9]+)</answer>\s*", re.DOTALL)


class Sums(dumpgym.PuzzleEnv):
    """Add up ``num_terms`` numbers below 1000; the reward is 1 for the right sum."""

    def __init__(self, *, num_terms=2, **options):  # options: split, render_mode, ...
        super().__init__(**options)
        self.num_terms = num_terms

    def sample_problem(self, seed, split, index):
        rng = np.random.default_rng([seed, index, split == "test"])
        is_test = None
        # A checksum of the text decides its split, so no sum is in both splits.
        while is_test != (split == "test"):
            numbers = rng.integers(1000, size=self.num_terms)
            text = " + ".join(map(str, numbers))
            is_test = zlib.crc32(text.encode()) % 10 == 0
        total = str(numbers.sum())
        prompt = (
            f"What is {text}? Reason between <think> and </think>. "
            "Then write the number between <answer> and </answer>.\n"
        )
        reference = f"<think>It is {total}.</think><answer>{total}</answer>"
        return dumpgym.Problem(
            prompt, {"total": total}, reference, (seed, split, index)
        )

    def verify(self, problem, completion):  # takes any object and never raises
        found = FORM.fullmatch(completion) if isinstance(completion, str) else None
        if found is None:
            return dumpgym.Verdict("bad_format", {"answer": 0.0}, False, "No answer.")
        if found[1] != problem.solution["total"]:
            return dumpgym.Verdict("wrong", {"answer": 0.0}, False, "Another number.")
        return dumpgym.Verdict("correct", {"answer": 1.0}, True, "The sum is right.")


for terms in (2, 3, 4):
    name = f"mine/Sums{terms}-v0"
    gym.register(name, entry_point=Sums, kwargs={"num_terms": terms})

if __name__ == "__main__":
    dumpgym.check_puzzle_env(lambda: Sums(num_terms=3))
    env = gym.make("mine/Sums2-v0", disable_env_checker=True)
    prompt, info = env.reset(seed=0)
    print(prompt, info)
    print(*env.step("<think>A guess.</think><answer>7</answer>")[1:], sep="\n")
