"""The public face: every name is there for Python and for editors, and nothing else is."""

import ast
import importlib

import pytest

import dumpgym
from tests.house.import_graph import ROOT


def names_for_editors():
    """The names that type checkers see, with the modules that they come from."""
    tree = ast.parse((ROOT / "dumpgym" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {alias.asname: node.module for node in block.body for alias in node.names}


def test_editors_and_python_see_the_same_names():
    seen = names_for_editors()
    assert sorted(seen) == dumpgym.__all__
    homes = {**dumpgym._HOME, "figures": "dumpgym.reporting"}
    assert seen == homes


@pytest.mark.parametrize("name", dumpgym.__all__)
def test_a_name_is_found(name):
    value = getattr(dumpgym, name)
    if name in dumpgym._HOME:
        assert value is getattr(importlib.import_module(dumpgym._HOME[name]), name)
    assert value.__doc__
    assert name in dir(dumpgym)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'dumpgym' has no attribute 'make_polcy'"):
        _ = dumpgym.make_polcy
