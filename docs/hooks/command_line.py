"""A hook of mkdocs: the page of the command line, made from what ``dumpgym VERB --help`` prints.

The help is laid out for a terminal, in boxes. On the page every flag is an entry of a list, which also fits a phone.
"""

import contextlib
import io
import os
import re
from typing import Any

from dumpgym.commands import verb_registry
from dumpgym.commands.main import main

_PLACE = "<!-- generated: command_line -->"
_WIDTH = "120"  # one column of boxes, and no flag that takes two lines
_BOX = re.compile(r"^╭─ (?P<title>.+?) ─+╮\n(?P<body>.*?)^╰─+╯$", re.MULTILINE | re.DOTALL)
_RULE = re.compile(r"^─+$")
_DEFAULT = re.compile(r"\s*\((?:default: (?P<value>.*)|required)\)$")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces the comment ``generated: command_line``."""
    return markdown.replace(_PLACE, "\n".join(map(_verb, sorted(verb_registry)))) if _PLACE in markdown else markdown


def help_of(verb: str) -> str:
    """What ``dumpgym VERB --help`` prints."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # a StringIO has no encoding, and so no boxes
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _WIDTH
    try:
        with contextlib.redirect_stdout(printed):
            main([verb, "--help"])
    finally:
        del os.environ["COLUMNS"]
        if width is not None:
            os.environ["COLUMNS"] = width
    printed.seek(0)
    return printed.read()


def _verb(verb: str) -> str:
    text = help_of(verb)
    usage, _, description = text[: text.index("╭")].partition("\n\n")
    lines = [f"## dumpgym {verb}\n", f"```text\n{usage.removeprefix('usage: ')}\n```\n", description]
    for box in _BOX.finditer(text):
        title = box["title"]
        if title not in ("positional arguments", "options"):
            lines.append(f"### {title.capitalize()} {{: #{verb}-{title.replace(' ', '-')} }}\n")
        lines += [_entry(*entry) for entry in _entries(box["body"]) if entry[0] != "-h, --help"]
    if len(lines) == 3 and "--" in text:
        raise ValueError(f"the help of {verb} has another layout than this page expects:\n{text}")
    return "\n".join(lines)


def _entries(body: str) -> list[tuple[str, str]]:
    """The flags in a box with their help: a flag begins a line, and its help follows on it or below it, indented."""
    lines = [line.removeprefix("│ ").removesuffix("│").rstrip() for line in body.splitlines()]
    rules = [number for number, line in enumerate(lines) if _RULE.match(line)]
    entries: list[tuple[str, str]] = []
    for line in lines[rules[-1] + 1 :] if rules else lines:  # above a rule is what the group is
        if not line.startswith(" "):
            flag, _, text = line.partition("  ")
            entries.append((flag, text.strip()))
        else:
            flag, text = entries.pop()
            entries.append((flag, f"{text} {line.strip()}".strip()))
    return entries


def _entry(flag: str, text: str) -> str:
    default = _DEFAULT.search(text)
    shown = _DEFAULT.sub("", text)
    if default and default["value"] is None:
        shown += " (required)"
    elif default and default["value"] not in ("", "None"):
        shown += f" Default: `{default['value']}`."
    return f"`{flag}`\n:   {shown}\n"
