"""The README's Python runs as it stands."""

import re
from pathlib import Path

import gymnasium
import pytest

import dumpgym

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=["loop", "environment", "policy"])
def test_an_example_runs(block, monkeypatch):
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
    monkeypatch.setattr(dumpgym.registration, "policy_registry", dict(dumpgym.policy_registry))
    exec(compile(block.replace("range(60)", "range(1)"), "README.md", "exec"), {"__name__": "readme"})
