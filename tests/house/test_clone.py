"""A clone needs no neighbour: nothing outside the repository is read, and the suite is collected in a bare copy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import checkout
from tests.house.checkout import ROOT, checkout_files, copy_checkout

# The rooms whose tests read data. Collecting all rooms takes as long as importing torch and every tracker.
COLLECTED = ("tests/contracts", "tests/envs/knights_knaves", "tests/runs", "tests/signals")


def names_of_outside(file: str, text: str) -> list[str]:
    """What a Python file names that is outside the repository: strings with "..", and parents of the root."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            steps = node.value.split("/")
            if steps[0] == ".." and "\n" not in node.value and steps.count("..") > len(Path(file).parts) - 1:
                found.append(node.value)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            above = ast.unparse(node)
            index = node.slice.value if isinstance(node.slice, ast.Constant) else None
            if "__file__" in above and isinstance(index, int) and index > len(Path(file).parts) - 1:
                found.append(above)
    return found


def test_no_file_reads_what_is_outside_the_repository():
    python = [name for name in checkout_files() if name.endswith(".py")]
    assert len(python) > 200
    outside = {name: names_of_outside(name, (ROOT / name).read_text(encoding="utf-8")) for name in python}
    assert {name: found for name, found in outside.items() if found} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"open('{'../' * 3}data/x')", ["../" * 3 + "data/x"]),
        ("open('../../data/x')", []),
        ("Path(__file__).resolve().parents[3] / 'data'", ["Path(__file__).resolve().parents[3]"]),
        ("Path(__file__).resolve().parents[2] / 'data'", []),
        ("'... and so on'", []),
    ],
)
def test_what_is_outside_is_recognised(text, found):
    assert names_of_outside("tests/house/test_x.py", text) == found


def test_the_suite_is_collected_in_a_copy_without_neighbours(tmp_path):
    copy = copy_checkout(tmp_path / "alone" / "copy")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *COLLECTED]
    ended = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
    assert "error" not in ended.stdout.splitlines()[-1]


def test_an_archive_without_git_has_the_same_files(tmp_path, monkeypatch):
    expected = sorted(checkout_files())
    copy = copy_checkout(tmp_path / "copy")
    for built in (
        "runs/mine/config.json",
        "dumpgym/__pycache__/x.pyc",
        ".venv/bin/python",
        "dumpgym.egg-info/PKG-INFO",
    ):
        (copy / built).parent.mkdir(parents=True, exist_ok=True)
        (copy / built).write_text("")
    monkeypatch.setattr(checkout, "ROOT", copy)
    assert checkout_files() == expected
