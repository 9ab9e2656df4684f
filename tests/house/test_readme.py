"""The README's Python runs as it stands, and its experiment is one."""

import re
from pathlib import Path

import gymnasium
import pytest

import dumpgym
from dumpgym.comparing.experiment import cells_of, load_experiment

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=["loop", "environment", "policy"])
def test_an_example_runs(block, monkeypatch):
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
    monkeypatch.setattr(dumpgym.contracts.policy_registry, "policy_registry", dumpgym.policy_registry.copy())
    exec(compile(block.replace("range(60)", "range(1)"), "README.md", "exec"), {"__name__": "readme"})


def test_the_experiment_is_one(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "mine.toml").write_text(example)
    experiment = load_experiment(tmp_path / "mine.toml")
    assert len(cells_of(experiment)) == 6
