"""Contract tests for authors: run them on your own policy, environment or learner, as the tests run them on ours.

Fakes that such tests need belong here too, if users may want them. Nothing here depends on a test framework.
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
