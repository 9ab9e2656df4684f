"""Contract tests for authors: run them on your own policy, environment or learner, as the tests run them on ours.

Fakes that such tests need belong here too, if users may want them. Nothing here depends on a test framework.
"""

from dumpgym.testing.policy import check_policy, make_feedback

__all__ = ["check_policy", "make_feedback"]
