"""The README's Python runs as it is written, its experiment is one, and its links lead somewhere."""

import re
from pathlib import Path

import dumpgym
from dumpgym.comparing.experiment import cells_of, load_experiment

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_loop_runs():
    (loop,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    short = loop.replace("range(60)", "range(1)").replace("select_arms(16)", "select_arms(2)")
    exec(compile(short, "README.md", "exec"), {"__name__": "readme"})


def test_the_experiment_is_one(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "mine.toml").write_text(example)
    assert len(cells_of(load_experiment(tmp_path / "mine.toml"))) == 3


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{page} links to {target}"


def test_counts_are_those_of_the_registries():
    assert f"{len(dumpgym.policy_registry)} policies" in README
    assert f"{len(dumpgym.figures.FIGURES)} figures" in README


def test_the_first_screen_says_what_it_is():
    assert len(README.splitlines()) <= 120
