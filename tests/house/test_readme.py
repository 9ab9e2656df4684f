"""The README's Python runs as it is written, its experiment is one, and its links lead somewhere."""

import re
import shlex
from pathlib import Path

import dumpgym
from dumpgym.commands.flags import parse
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


def test_every_command_finds_what_the_ones_before_it_left(tmp_path, monkeypatch):
    """Nobody writes twice into one directory, and what resumes, shows or reports has been made."""
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "window.toml").write_text(example)
    commands = [
        shlex.split(line, comments=True)[1:]
        for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
        for line in block.splitlines()
        if line.startswith("dumpgym ")
    ]
    assert len(commands) >= 10
    made = {"runs/a", "runs/b"}  # stand for any two runs
    for verb, *arguments in commands:
        if verb in ("show", "evaluate", "report") or "--resume" in arguments:
            assert next(word for word in arguments if word.startswith("runs/")) in made, arguments
            continue
        parsed = parse([verb, *arguments])
        if verb == "compare":
            output = f"runs/{load_experiment(parsed.experiment).name}"
        else:
            output = str(getattr(parsed, "output", ""))
        if output and not getattr(parsed, "dry_run", False):
            assert output not in made, f"{output} is written twice"
            made.add(output)


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{page} links to {target}"


def test_counts_are_those_of_the_registries():
    assert f"{len(dumpgym.policy_registry)} policies" in README
    assert f"{len(dumpgym.figures.FIGURES)} figures" in README


def test_the_first_screen_says_what_it_is():
    assert len(README.splitlines()) <= 120
