"""Settings that must be made before a library is imported, and that tests on any machine share."""

import os
import sys

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # a test that needs a download is a broken test
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models of the tests are so small that threads only get in the way
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a test that wants two threads must not spin for a busy core
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else it warns when a test starts a subprocess

# The same examples on every run, and no deadline: a busy machine is no failure.
settings.register_profile("dumpgym", deadline=None, derandomize=True)
settings.load_profile("dumpgym")


@pytest.fixture(scope="module")
def own_policies():
    """A registry for the tests of one file: a policy that they import is not registered in those of others."""
    from dumpgym.contracts import policy_registry  # after the settings above

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_registry, "policy_registry", policy_registry.policy_registry.copy())
        patch.delitem(sys.modules, "tests.fakes.told_policies", raising=False)
        yield
