"""The rooms of the house: who may import whom, directly and through others."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.import_graph import (
    LINKED,
    ROOT,
    Import,
    arrows_between,
    brought_along,
    circles,
    floors_of,
    import_graph,
    imports_of,
    is_ours,
    module_files,
)

FILES = module_files()
GRAPH = import_graph()
TORCH = {"accelerate", "peft", "safetensors", "tokenizers", "torch", "transformers"}
"""Libraries of language models."""

# Every room with the rooms that it may import; the first ones are the foundation. A room may always import itself.
MAY_IMPORT = {
    "dumpgym/contracts": set(),
    "dumpgym/signals": {"dumpgym/contracts"},
    "dumpgym/statistics": {"dumpgym/contracts"},
    "dumpgym/testing": {"dumpgym/contracts"},
    "envs/knights_knaves": {"dumpgym/contracts"},
    "envs/strings": {"dumpgym/contracts"},
    "envs/students": {"dumpgym/contracts", "dumpgym/signals", "envs/knights_knaves"},
    "envs": {"dumpgym/contracts", "dumpgym/signals", "envs/students"},
    "agents/bandits": {"dumpgym/contracts"},
    "agents/curricula": {"dumpgym/contracts", "dumpgym/signals", "agents/bandits"},
    "agents/embedded": set(),
    "agents/grpo": {"dumpgym/contracts", "agents/embedded"},
    "agents": set(),
    "dumpgym/runs": {"dumpgym/contracts", "dumpgym/signals", "agents/grpo", "agents/embedded"},
    "dumpgym/training": {
        "dumpgym/contracts", "dumpgym/signals", "dumpgym/statistics", "dumpgym/runs", "agents/grpo", "agents/embedded",
    },
    "dumpgym/pretraining": {
        "dumpgym/contracts", "dumpgym/runs", "dumpgym/training", "agents/grpo", "agents/embedded",
        "envs/knights_knaves", "envs/strings",
    },
    "dumpgym/evaluating": {
        "dumpgym/contracts", "dumpgym/statistics", "dumpgym/runs", "dumpgym/training", "agents/grpo",
        "agents/embedded",
    },
    "dumpgym/simulating": {
        "dumpgym/contracts", "dumpgym/signals", "dumpgym/statistics", "dumpgym/runs", "agents/curricula",
    },
    "dumpgym/comparing": {"dumpgym/contracts", "dumpgym/statistics", "dumpgym/runs", "dumpgym/training"},
    "dumpgym/reporting": {
        "dumpgym/contracts", "dumpgym/statistics", "dumpgym/runs", "dumpgym/simulating", "dumpgym/comparing",
    },
    "dumpgym/commands": {
        "dumpgym/contracts", "dumpgym/signals", "dumpgym/runs", "dumpgym/training", "dumpgym/simulating",
        "dumpgym/comparing", "dumpgym/evaluating", "dumpgym/pretraining", "dumpgym/reporting", "agents/grpo",
        "envs/knights_knaves",
    },
}  # fmt: skip
FACE = "dumpgym"
"""The room of ``dumpgym/__init__.py``, which offers names of all other rooms."""


def room_of(module: str) -> str:
    return "/".join(FILES[module].relative_to(ROOT).parts[:-1][:2])


ROOMS = {module: room_of(module) for module in FILES}


def run_python(code: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **{"cwd": ROOT, **options}
    )


def third_parties(modules) -> set[str]:
    """The top-level names of the modules that are neither ours nor the standard library's."""
    tops = {module.partition(".")[0] for module in modules if not is_ours(module)}
    return tops - set(sys.stdlib_module_names)


def test_the_walk_finds_every_kind_of_import():
    source = """
import torch.nn as nn
from dumpgym import contracts, make_policy
from dumpgym.envs import something
from dumpgym.contracts.policy import BanditPolicy
if TYPE_CHECKING:
    import tokenizers
else:
    import peft
try:
    import scipy
except ImportError:
    pass
class A:
    import rich
    def f(self):
        import matplotlib.pyplot as plt
"""
    assert list(imports_of(source, FILES)) == [
        Import("torch.nn", True),
        Import("dumpgym.contracts", True),
        Import("dumpgym", True),
        Import("dumpgym.envs", True),
        Import("dumpgym.contracts.policy", True),
        Import("tokenizers", False),
        Import("peft", True),
        Import("scipy", True),
        Import("rich", True),
        Import("matplotlib.pyplot", False),
    ]
    with pytest.raises(AssertionError, match="relative import"):
        list(imports_of("from . import errors", FILES))


def test_what_an_import_brings_along_is_found_at_any_distance():
    graph = {
        "dumpgym.a": [Import("dumpgym.b", True), Import("torch", False)],
        "dumpgym.b": [Import("dumpgym.c.d", True)],
        "dumpgym.c": [Import("peft", True)],
        "dumpgym.c.d": [],
    }
    found = brought_along("dumpgym.a", graph)
    assert found["peft"] == ("dumpgym.a", "dumpgym.b", "dumpgym.c.d", "dumpgym.c", "peft")
    assert "torch" not in found


def test_floors_and_circles():
    arrows = {("a", "b"), ("b", "c"), ("d", "e"), ("e", "d"), ("e", "b")}
    assert floors_of("abcde", arrows) == {"c": 0, "b": 1, "a": 2, "d": 2, "e": 2}
    assert circles(arrows) == [{"d", "e"}]


def test_the_rooms_are_those_that_are_known():
    assert {room for room in ROOMS.values() if room != FACE} == set(MAY_IMPORT)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(room):
    for module in (module for module, place in ROOMS.items() if place == room):
        for found in GRAPH[module]:
            if is_ours(found.module):
                other = ROOMS[found.module]
                allowed = other == room or other in MAY_IMPORT[room] or found.module == "dumpgym"
                assert allowed, f"{FILES[module].relative_to(ROOT)} imports {found.module}"


def test_no_two_rooms_import_each_other():
    rooms = {module: room for module, room in ROOMS.items() if room != FACE}
    arrows = arrows_between({module: GRAPH[module] for module in rooms}, rooms)
    assert circles(arrows) == []


def test_nobody_imports_the_public_face():
    for module in FILES:
        wanted = {found.module for found in GRAPH[module]}
        assert "dumpgym" not in wanted, f"{module} imports dumpgym itself: import what defines the name"


def test_imports_name_the_package():
    for module, imports in GRAPH.items():
        for found in imports:
            top = found.module.partition(".")[0]
            assert top not in LINKED, f"{module} imports {found.module}: write dumpgym.{found.module}"


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        ("dumpgym/contracts", {"gymnasium", "numpy"}),
        ("dumpgym/signals", {"gymnasium", "numpy"}),
        ("dumpgym/testing", {"gymnasium", "numpy"}),
        ("dumpgym/statistics", {"gymnasium", "numpy", "scipy"}),
        ("agents/bandits", {"gymnasium", "numpy", "scipy"}),
        ("agents/curricula", {"gymnasium", "numpy", "scipy"}),
        ("envs/knights_knaves", {"gymnasium", "numpy"}),
        ("envs/strings", {"gymnasium", "numpy"}),
        ("envs/students", {"gymnasium", "numpy", "scipy"}),
    ],
)
def test_libraries_that_a_room_brings_along(room, allowed):
    for module in (module for module, place in ROOMS.items() if place == room):
        found = third_parties(brought_along(module, GRAPH))
        assert found <= allowed, f"{module} brings along {sorted(found - allowed)}"


LANGUAGE_MODEL_MODULES = {"dumpgym.evaluating.runner", "dumpgym.training.launch"}


def test_only_the_grpo_agent_and_who_launches_it_bring_torch_along():
    for module in FILES:
        if (
            ROOMS[module] not in ("agents/grpo", "agents/embedded", "dumpgym/pretraining")
            and module not in LANGUAGE_MODEL_MODULES
        ):
            chains = brought_along(module, GRAPH)
            heavy = [name for name in chains if name.partition(".")[0] in TORCH]
            assert not heavy, " -> ".join(chains[heavy[0]])


def test_only_figures_bring_matplotlib_along():
    for module in FILES:
        chains = brought_along(module, GRAPH)
        for name, chain in chains.items():
            if name.partition(".")[0] == "matplotlib":
                assert any(one.startswith("dumpgym.reporting.") for one in chain), " -> ".join(chain)


def test_importing_dumpgym_imports_nothing_heavy():
    heavy = sorted({*TORCH, "matplotlib", "pydantic", "rich", "scipy", "tyro"})
    finished = run_python(f"import sys, dumpgym; print([name for name in {heavy} if name in sys.modules])")
    assert finished.stdout == "[]\n", finished.stderr


EXPERIMENT = """
name = "small"
seeds = 2
policies = ["uniform", "dump"]
[train]
budget_tokens = 1000
"""


VERBS = [
    ["list"],
    ["list", "--json"],
    ["compare", "small.toml", "--dry-run"],
    ["simulate", "--policies", "dump", "--seeds", "2", "--steps", "2", "--processes", "1", "--no-best-allocation"],
    ["export", "--num-people", "3", "--num-puzzles", "2", "--output", "puzzles.jsonl"],
    ["play", "dumpgym/KnightsKnaves2-v0", "--show-prompt"],
    ["describe", "dump?window=1200"],
    ["train", "--help"],
]


def test_verbs_without_a_model_load_no_torch(tmp_path):
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    code = f"""
import sys
from dumpgym.commands.main import main
for arguments in {VERBS}:
    assert main(arguments) == 0, arguments
    assert "torch" not in sys.modules, arguments
import dumpgym.reporting.page, dumpgym.commands.show, dumpgym.commands.evaluate
assert "torch" not in sys.modules, "reporting"
"""
    finished = run_python(code, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("room", LINKED)
def test_a_linked_room_has_one_name(room):
    assert run_python(f"import dumpgym.{room}").stderr == ""
    refused = run_python(f"import {room}")
    assert refused.returncode == 1
    assert f"ImportError: this package is imported as dumpgym.{room}" in refused.stderr


@pytest.mark.parametrize("package", [m for m, path in FILES.items() if path.name == "__init__.py"])
def test_every_room_says_what_belongs_there(package):
    text = ast.get_docstring(ast.parse(FILES[package].read_text(encoding="utf-8"))) or ""
    assert len(text.split()) >= 12, f"{package} has no paragraph that says what belongs there"


def test_no_room_is_a_corridor():
    folders: dict[Path, int] = {}
    for path in FILES.values():
        folders[path.parent] = folders.get(path.parent, 0) + 1
    assert max(folders.values()) <= 20, max(folders, key=folders.__getitem__)
