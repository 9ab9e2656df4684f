"""The house rules of who may import whom."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("envs", "agents")
CONTRACTS = ("errors", "puzzle_env", "state", "specs", "schedules", "policy", "learner", "registration")
CONTRACT_MODULES = {f"dumpgym.{name}" for name in CONTRACTS}
LANGUAGE_MODEL_FILES = {
    f"agents/{name}.py"
    for name in (
        "decoding_cache",
        "embedded",
        "grpo",
        "grpo_update",
        "language_model",
        "models",
        "optimizer",
        "policy_forward",
        "pretraining",
        "processes",
        "sampling",
        "sampling_draws",
        "sampling_graphs",
        "sampling_masks",
        "sampling_plain",
        "sampling_shared",
        "sampling_static",
    )
}
LANGUAGE_MODEL_LIBRARIES = {"accelerate", "peft", "safetensors", "tokenizers", "torch", "transformers"}
FILES = sorted(path.relative_to(ROOT).as_posix() for room in ("dumpgym", *ROOMS) for path in (ROOT / room).glob("*.py"))


@dataclass(frozen=True)
class Import:
    """One import: the module, and whether it happens when the file itself is imported."""

    module: str
    eager: bool


def module_name(dotted: str) -> str:
    """The longest part of ``dotted`` that is a module of ours, so that an imported class counts as its module."""
    parts = dotted.split(".")
    while len(parts) > 1:
        directory = ROOT.joinpath(*parts[1:-1]) if parts[1] in ROOMS else ROOT.joinpath(*parts[:-1])
        if (directory / f"{parts[-1]}.py").exists() or (len(parts) == 2 and parts[1] in ROOMS):
            break
        parts.pop()
    return ".".join(parts)


def imports_of(source: str) -> Iterator[Import]:
    """All imports of a file: those in functions and for type checkers are not eager."""

    def walk(node: ast.AST, eager: bool) -> Iterator[Import]:
        match node:
            case ast.Import(names=names):
                targets = [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                assert level == 0, f"relative import in line {node.lineno}"
                targets = [f"{module}.{alias.name}" for alias in names] if is_ours(module) else [module]
            case _:
                targets = []
        for target in targets:
            yield Import(module_name(target) if is_ours(target) else target, eager)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.body:
                yield from walk(child, eager=False)
            for child in node.orelse:
                yield from walk(child, eager)
            return
        in_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, eager and not in_function)

    return walk(ast.parse(source), eager=True)


def is_ours(module: str) -> bool:
    return top_level(module) == "dumpgym"


def top_level(module: str) -> str:
    return module.partition(".")[0]


def imports_of_file(file: str) -> list[Import]:
    return list(imports_of((ROOT / file).read_text(encoding="utf-8")))


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_walk_finds_every_kind_of_import():
    source = """
import torch.nn as nn
from dumpgym import errors, make_policy
from dumpgym.envs import something
from dumpgym.contracts.policy import Feedback
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
    assert list(imports_of(source)) == [
        Import("torch.nn", True),
        Import("dumpgym.contracts.errors", True),
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
        list(imports_of("from . import errors"))


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_flat(room):
    nested = [path for path in (ROOT / room).glob("*/**/*.py") if "__pycache__" not in path.parts]
    assert not nested


@pytest.mark.parametrize("file", FILES)
def test_imports_are_absolute(file):
    for found in imports_of_file(file):
        assert top_level(found.module) not in ROOMS, f"{file} imports {found.module}: write dumpgym.{found.module}"


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(ROOMS)])
def test_a_room_imports_only_the_contracts_and_itself(file):
    room = f"dumpgym.{Path(file).parent}"
    for found in imports_of_file(file):
        if is_ours(found.module):
            own = found.module == room or found.module.startswith(f"{room}.")
            assert own or found.module in CONTRACT_MODULES, f"{file} imports {found.module}"


@pytest.mark.parametrize("name", CONTRACTS)
def test_contracts_import_only_gymnasium_numpy_and_the_standard_library(name):
    allowed = {"gymnasium", "numpy", *sys.stdlib_module_names}
    for found in imports_of_file(f"dumpgym/{name}.py"):
        assert found.module in CONTRACT_MODULES or top_level(found.module) in allowed, f"{name} imports {found.module}"


@pytest.mark.parametrize("file", [file for file in FILES if file not in LANGUAGE_MODEL_FILES])
def test_language_model_libraries_are_imported_only_by_language_model_files(file):
    for found in imports_of_file(file):
        if found.eager:
            assert top_level(found.module) not in LANGUAGE_MODEL_LIBRARIES, f"{file} imports {found.module}"


@pytest.mark.parametrize("file", [file for file in FILES if not file.endswith("figures.py")])
def test_matplotlib_is_imported_only_where_figures_are_drawn(file):
    assert "matplotlib" not in {top_level(found.module) for found in imports_of_file(file)}


def test_importing_dumpgym_imports_nothing_heavy():
    heavy = sorted({*LANGUAGE_MODEL_LIBRARIES, "matplotlib"})
    finished = run_python(f"import sys, dumpgym; print([name for name in {heavy} if name in sys.modules])")
    assert finished.stdout == "[]\n", finished.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_one_name(room):
    assert run_python(f"import dumpgym.{room}").stderr == ""
    refused = run_python(f"import {room}")
    assert refused.returncode == 1
    assert f"ImportError: this package is imported as dumpgym.{room}" in refused.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_the_guard_is_the_first_statement_of_a_room(room):
    statements = ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8")).body
    assert isinstance(statements[1], ast.If)
    assert ast.unparse(statements[1].test) == f"__name__ != 'dumpgym.{room}'"
