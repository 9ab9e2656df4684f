"""Nuisance distributions, which a curriculum should learn to avoid: nothing can be learned from them."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from dumpgym.envs.strings.drawing import random_digits, random_operands
from dumpgym.envs.strings.env import StringEnv


class RandomAnswerEnv(StringEnv):
    """Guess digits that are unrelated to the prompt.

    ## Description
    The right answer is a string of ``length`` random digits that a hash of the problem's address determines. A guess is
    right with probability 10 to the power of ``-length``, and no model does better on problems that it has not seen.
    The answer does not depend on the string in the prompt: if the same string appears at another address, its answer
    differs, so that not even a model that remembers all prompts can learn anything. Everything else is as in
    ``StringEnv``.

    ## Version History
    * v0: Initial version
    """

    word = "guess"
    sentence = "Guess the random digits that belong to {}."

    def solution(self, operands: str, key: str) -> dict[str, str]:
        """Returns random digits."""
        return {"answer": random_digits(f"answer to {key}", self.length, self.digits)}


class CoinEnv(StringEnv):
    """Write any digits; a coin decides whether they are right.

    ## Description
    Any answer of ``length`` digits is right with probability 1/2, which a hash of the problem's address and of the
    answer decides. The verdict looks like noise, but the verifier is a pure function: the same answer to the same
    problem always has the same verdict. So a group of completions has mixed rewards only if its answers differ.
    Everything else is as in ``StringEnv``.

    ## Version History
    * v0: Initial version
    """

    word = "flip"
    sentence = "Write any digits for {}. A coin decides whether they are right."

    def solution(self, operands: str, key: str) -> dict[str, str]:
        """Returns the problem's address and an answer that the coin accepts."""
        drawn = random_operands(f"answer to {key}", self.length, self.digits, 1)
        return {"answer": next(answer for answer in drawn if _is_accepted(answer, key)), "key": key}

    def fault(self, answer: str, solution: Mapping[str, Any]) -> str:
        """Asks the coin about an answer of the right length."""
        if len(answer) != len(solution["answer"]):
            return super().fault(answer, solution)
        return "" if _is_accepted(answer, solution["key"]) else "The coin rejects this answer."


def _is_accepted(answer: str, key: str) -> bool:
    return blake2b(f"{answer} for {key}".encode(), digest_size=1).digest()[0] % 2 == 0
