"""A puzzle that a model of random weights solves now and then, so that a tiny run has something to learn."""

import gymnasium

import dumpgym


class Letters(dumpgym.PuzzleEnv):
    """Say something whose letters add up to a number in the upper half, modulo ``modulus``.

    With an ``unlucky_seed``, its verifier breaks in runs of that seed.
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
