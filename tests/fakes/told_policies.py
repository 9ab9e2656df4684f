"""A policy that is told the success on every arm and makes nothing of it.

Tests that name it, as ``tests.fakes.told_policies:told-thompson``, have the fixture ``own_policies``: otherwise it
would be one of the registered policies in all tests that follow.
"""

import numpy as np

from dumpgym.agents.bandits.thompson import Thompson
from dumpgym.contracts.policy_registry import register_policy


class ToldThompson(Thompson):
    """Thompson sampling that remembers what it was told last, and in ``told`` everything since it was made."""

    state_fields = (*Thompson.state_fields, "success")
    refresh, problems = 2, 3

    def __init__(self, num_arms, **options):
        super().__init__(num_arms, **options)
        self.success, self.told = np.full(self.shape, np.nan), []

    def tell_success(self, success):
        self.success = success
        self.told.append(success.tolist())


register_policy("told-thompson", ToldThompson, vectorised=True)
