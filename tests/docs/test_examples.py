"""Every example of the documentation runs as a script, and is short."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dumpgym.commands.main import main
from dumpgym.comparing.experiment import cells_of, load_experiment
from dumpgym.runs.checks import check_config
from dumpgym.runs.config import load_toml
from tests.fakes.packed_runs import unpack_runs

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NEEDS_RUNS = {"my_figure.py"}
"""Examples that take the directory of finished runs."""
LONGEST = 60  # lines


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Finished runs of a comparison."""
    return unpack_runs("group_filtering", tmp_path_factory.mktemp("runs"))


def run_script(path, *arguments, folder):
    """Runs an example in a fresh interpreter, in which the checkout's dumpgym is found."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-W", "error", str(path), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("script", [path.name for path in SCRIPTS if path.name not in NEEDS_RUNS])
def test_an_example_runs(script, tmp_path):
    finished = run_script(EXAMPLES / script, folder=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert not list(tmp_path.iterdir())


def test_the_figure_is_drawn(runs, tmp_path):
    finished = run_script(EXAMPLES / "my_figure.py", runs, folder=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "final_by_arm.png").stat().st_size > 1000


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_an_example_is_short(script):
    assert len(script.read_text().splitlines()) < LONGEST


def test_the_settings_of_a_run_are_accepted():
    check_config(load_toml(EXAMPLES / "run.toml"))


def test_the_experiment_has_the_cells_that_its_page_counts():
    experiment = load_experiment(EXAMPLES / "experiment.toml")
    assert (len(cells_of(experiment)), experiment.seeds) == (8, 8)
    page = (ROOT / "docs" / "guides" / "compare-curricula.md").read_text()
    assert "eight cells of eight seeds each" in page


def test_the_list_is_json(capsys):
    assert main(["list", "--json"]) == 0
    assert "dump" in json.loads(capsys.readouterr().out)["policies"]
