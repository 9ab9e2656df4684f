"""A puzzle that a model with random weights solves occasionally, so that a tiny run receives varied rewards."""

import gymnasium

import dumpgym


class Letters(dumpgym.PuzzleEnv):
    """A completion succeeds if the sum of its code points, modulo ``modulus``, is in the upper half.

    The verifier raises an error in runs with the seed ``unlucky_seed``.
    """

    def __init__(self, *, modulus=97, unlucky_seed=None, split="train", render_mode=None):
        super().__init__(split=split, render_mode=render_mode)
        self.modulus, self.unlucky_seed = modulus, unlucky_seed

    def sample_problem(self, seed, split, index):
        prompt = f"Letters for {index}, {split}, {seed}: "
        return dumpgym.Problem(prompt, {}, chr(self.modulus - 1), (seed, split, index))

    def verify(self, problem, completion):
        if problem.address[0] == self.unlucky_seed:
            raise RuntimeError("the verifier broke")
        rest = sum(map(ord, completion)) % self.modulus if isinstance(completion, str) else 0
        right = 2 * rest >= self.modulus
        return dumpgym.Verdict("correct" if right else "wrong", {"answer": float(rest)}, right)


gymnasium.register("tests/Letters-v0", entry_point=Letters)
