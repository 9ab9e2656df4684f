"""What the pages say in code exists: commands, flags, public names, snippets and the pages of the navigation."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

import dumpgym
from dumpgym.commands import verb_registry
from dumpgym.commands.main import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {page.relative_to(DOCS).as_posix(): page.read_text() for page in sorted(DOCS.rglob("*.md"))}
FENCE = re.compile(r"```(\w+)[^\n]*\n(.*?)```", re.DOTALL)


def code(language):
    """The blocks of a language with the page that they are on."""
    return [(name, block) for name, text in PAGES.items() for kind, block in FENCE.findall(text) if kind == language]


LINES = [line for _, block in code("bash") for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = sorted({line.partition(" #")[0].partition(" >")[0].strip() for line in LINES
                   if "dumpgym " in line and not line.startswith("pip")})  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_flags_that_exist(command, capsys):
    words = shlex.split(command)
    verb, *arguments = words[words.index("dumpgym") + 1 :]
    if verb.startswith("--tyro"):
        return
    if verb in verb_registry:
        assert main([verb, "--help"]) == 0
        known = re.findall(r"--[\w.-]+", capsys.readouterr().out)
        assert {word for word in arguments if word.startswith("--")} <= set(known)
    else:
        assert (verb, arguments) == ("--version", [])


def test_python_uses_public_names_only():
    for name, block in code("python"):
        if "--8<--" in block:
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "dumpgym":
                assert node.attr in dumpgym.__all__, f"{name}: dumpgym.{node.attr}"


@pytest.mark.parametrize("path", sorted((DOCS / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_import_public_names_only(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.module.startswith("dumpgym"), f"from {node.module} import"
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "dumpgym":
            assert node.attr in dumpgym.__all__, f"dumpgym.{node.attr}"


def test_every_example_is_on_a_page():
    shown = set(re.findall(r"--8<--\nexamples/(.+)\n--8<--", "\n".join(PAGES.values())))
    assert shown == {path.name for path in (DOCS / "examples").iterdir() if path.name != "ruff.toml" and path.is_file()}


def test_every_page_is_in_the_navigation():
    def pages(entry):
        if isinstance(entry, str):
            return [entry]
        return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in pages(part)]

    class Loader(yaml.SafeLoader):
        """mkdocs' own tags are of no interest here."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    config = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)
    assert sorted(pages(config["nav"])) == sorted(PAGES)
