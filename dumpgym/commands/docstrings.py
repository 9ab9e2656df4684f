"""Docstrings in Google's style, and the manuals of environments, taken apart for the command line and the site."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SECTION = re.compile(r"^(Args|Arguments|Attributes|Returns|Yields|Raises):$", re.MULTILINE)
_ENTRY = re.compile(r"^\*{0,2}(?P<name>\w+)(?: *\([^)]*\))?: *(?P<text>.*)", re.DOTALL)
# The arguments in the manual of an environment: "* ``name=default``: text", up to the next heading.
_MANUAL = re.compile(r"^## Arguments\n(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BULLET = re.compile(r"^[*-] +`+(?P<name>\w+)[^`]*`+: *(?P<text>(?:.+\n?)+?)(?=^[*-] |^\S|\n\n|\Z)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring.

    Attributes:
        summary: its first line.
        text: what comes before the sections, with the summary, as it is written.
        sections: by title such as "Args", the explanation of every name, each on one line.
        returns: what is returned, on one line; empty if the docstring does not say it.
    """

    summary: str
    text: str
    sections: Mapping[str, Mapping[str, str]]
    returns: str = ""

    @property
    def arguments(self) -> Mapping[str, str]:
        """The explanations of the arguments, from the section of that name or from the manual's list."""
        return self.sections.get("Args") or self.sections.get("Arguments") or {}


def read_docstring(documented: Any) -> Docstring:
    """Takes apart the docstring of an object, or of the class that it inherits it from."""
    return parse_docstring(inspect.getdoc(documented) or "")


def parse_docstring(docstring: str) -> Docstring:
    """Takes apart a docstring without its common indentation."""
    text, *rest = _SECTION.split(docstring)
    bodies = dict(zip(rest[::2], rest[1::2], strict=True))
    sections = {title: _entries(body) for title, body in bodies.items()}
    if manual := _MANUAL.search(text):
        sections["Arguments"] = {found["name"]: _one_line(found["text"]) for found in _BULLET.finditer(manual["body"])}
        text = text[: manual.start()] + text[manual.end() :]
    return Docstring(text.partition("\n")[0], text.strip(), sections, _one_line(bodies.get("Returns", "")))


def file_of(defined: Any) -> str:
    """The file in the checkout that defines a class or a function."""
    name: str = defined.__module__
    if name.startswith(("dumpgym.agents.", "dumpgym.envs.")):  # these two rooms are at the top level of the checkout
        name = name.removeprefix("dumpgym.")
    return name.replace(".", "/") + ".py"


def _entries(body: str) -> dict[str, str]:
    found = (_ENTRY.match(entry.strip()) for entry in re.split(r"\n(?=    \S)", body))
    return {entry["name"]: _one_line(entry["text"]) for entry in found if entry is not None}


def _one_line(text: str) -> str:
    return " ".join(text.split())
