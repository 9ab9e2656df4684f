"""The wheel holds what the checkout holds, each file once, and nothing called envs or agents at its top level."""

import os
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from tests.house.checkout import copy_checkout

PACKAGES = {"dumpgym": "dumpgym", "envs": "dumpgym/envs", "agents": "dumpgym/agents"}  # in the checkout: in the wheel


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory):
    directory = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", directory, tree]
    finished = subprocess.run(build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert finished.returncode == 0, finished.stdout
    (path,) = directory.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def read_metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


@pytest.mark.parametrize("room", ["envs", "agents"])
def test_the_checkout_links_to_its_rooms(tree, room):
    assert (tree / "dumpgym" / room).readlink() == Path("..", room)


def test_the_wheel_holds_each_file_once(tree, wheel):
    expected = []
    for source, target in PACKAGES.items():
        files = (
            Path(directory, name).relative_to(tree / source)
            for directory, _, names in os.walk(tree / source)  # does not follow links
            for name in names
        )
        expected += [f"{target}/{file.as_posix()}" for file in files]
    found = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert sorted(found) == sorted(expected)


def test_nothing_else_lands_in_site_packages(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dumpgym"}
    assert len(tops) == 2


def test_the_metadata_names_license_readme_and_command(wheel):
    metadata = message_from_string(read_metadata(wheel, "METADATA"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_payload().strip(), "the README is missing"
    assert "Apache License" in read_metadata(wheel, "licenses/LICENSE")
    assert "dumpgym = dumpgym.commands.main:main" in read_metadata(wheel, "entry_points.txt")


def test_the_rooms_are_imported_from_the_wheel(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import dumpgym.agents, dumpgym.envs
print(dumpgym.agents.__file__, dumpgym.envs.__file__, sep="\\n")
"""
    finished = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
    rooms = [str(tmp_path / "dumpgym" / room / "__init__.py") for room in ("agents", "envs")]
    assert finished.stdout.splitlines() == rooms
