"""Specifications: what a user names on the command line, an id with arguments in the form of a query string.

``dumpgym/KnightsKnaves-v0?num_people=5``, ``dump?window=1200&temperature=0.2``, ``skills?nuisance=noisy,too-hard``.
"""

import ast
import importlib
from typing import Any
from urllib.parse import unquote

from dumpgym.contracts.errors import InvalidValueError


def read_spec(kind: str, spec: str) -> tuple[str, dict[str, Any]]:
    """The id of a specification and its arguments.

    Args:
        kind: what an error calls it, e.g. "policy".
        spec: ``id`` or ``id?name=value&name=value``. A value is read as a Python literal if it is one and as a string
            otherwise; ``%26`` stands for ``&``.

    Raises:
        InvalidValueError: if the specification has not this form.
    """
    name, mark, query = spec.partition("?")
    return name, _read_arguments(kind, spec, query) if mark else {}


def _read_arguments(kind: str, spec: str, query: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if not (equals and name.isidentifier()) or name in arguments:
            raise InvalidValueError(kind, spec, "an id, then ?name=value&name=value, each name once")
        arguments[name] = _read_value(unquote(value))
    return arguments


def _read_value(text: str) -> object:
    """The Python literal that the text is, or else the text."""
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):  # TypeError: a literal that cannot be made, e.g. {[]: 1}
        return text
    return value


def import_module_of(name: str) -> str:
    """Imports the module of ``module:id``, which registers the id, and returns the id.

    Raises:
        ModuleNotFoundError: if there is no such module.
    """
    module, colon, own_name = name.rpartition(":")
    if colon:
        if not all(part.isidentifier() for part in module.split(".")):
            raise ModuleNotFoundError(f"{module!r} is no name of a module")
        importlib.import_module(module)
    return own_name
