"""Contract checks for your own policies, environments and learners; the test suite runs them on the built-in ones.

Fakes that are also useful to users belong here; fakes that only the test suite needs do not. Nothing here depends on a
test framework.
"""

from dumpgym.testing.fakes import FakeLearner, FakePuzzleEnv, reference_completions
from dumpgym.testing.learner import check_learner
from dumpgym.testing.policy import check_policy, make_feedback
from dumpgym.testing.puzzle_env import check_puzzle_env

__all__ = [
    "FakeLearner",
    "FakePuzzleEnv",
    "check_learner",
    "check_policy",
    "check_puzzle_env",
    "make_feedback",
    "reference_completions",
]
