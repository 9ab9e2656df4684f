"""Specifications: ids with arguments in the form of a query string, as users write them on the command line.

Examples: ``dumpgym/KnightsKnaves-v0?num_people=5``, ``dump?window=1200&temperature=0.2``,
``skills?nuisance=noisy,too-hard``.
"""

import ast
import importlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from dumpgym.contracts.errors import InvalidValueError


def read_spec(kind: str, spec: str) -> tuple[str, dict[str, Any]]:
    """Splits a specification into its id and its arguments.

    Args:
        kind: kind of thing that the specification names, for the error message, e.g. "policy".
        spec: ``id`` or ``id?name=value&name=value``. A value is read as a Python literal if it is one, otherwise as a
            string. Values may be percent-encoded, e.g. ``%26`` for ``&``.

    Returns:
        The id, and the arguments by name.

    Raises:
        InvalidValueError: if the specification does not have this form.
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
    """Returns the value of a Python literal, or the text itself if it is not one."""
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):  # TypeError: a literal without a value, e.g. {[]: 1}
        return text
    return value


def write_spec(name: str, arguments: Mapping[str, Any]) -> str:
    """The specification that ``read_spec`` reads back.

    Args:
        name: the id.
        arguments: the arguments by name: text, numbers, truth values, or lists of them.
    """
    texts = [f"{key}={_written(value)}" for key, value in arguments.items()]
    return f"{name}?{'&'.join(texts)}" if texts else name


def _written(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) + "," * (len(value) == 1)
    return str(value).replace("%", "%25").replace("&", "%26")


def import_module_of(name: str) -> str:
    """Imports the module of ``module:id``, which registers the id, and returns the id.

    Raises:
        ModuleNotFoundError: if the module does not exist.
    """
    module, colon, own_name = name.rpartition(":")
    if colon:
        if not all(part.isidentifier() for part in module.split(".")):
            raise ModuleNotFoundError(f"{module!r} is no name of a module")
        importlib.import_module(module)
    return own_name
