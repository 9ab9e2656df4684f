"""A hook of mkdocs: what the pages say of the registries, of experiments and of figures is read from the code."""

import dataclasses
import importlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from mkdocs.structure.pages import Page

import dumpgym
from dumpgym.commands.docstrings import file_of, read_docstring
from dumpgym.commands.list import registered

ROOT = Path(__file__).parents[2]
_PLACE = re.compile(r"<!-- generated: (\w+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces every ``<!-- generated: name -->`` by what the function of that name returns."""
    return _PLACE.sub(lambda match: GENERATORS[match[1]](), markdown)


def on_page_content(html: str, *, page: Page, **_: Any) -> str:
    """Opens the source code on the page about the GRPO learner, which is there to be read."""
    is_to_be_read = page.file.src_uri == "grpo.md"
    return (
        html.replace('<details class="mkdocstrings-source"', '<details open class="mkdocstrings-source"')
        if is_to_be_read
        else html
    )


def environments() -> str:
    """The ids of the puzzle environments with their arguments."""
    found = registered()["environments"]
    rows = [(f"`{name}`", _options(arguments)) for name, arguments in found.items()]
    return _table(("id", "arguments that the id sets"), rows)


def policies() -> str:
    """A table of all policies, and the manual of each, by the room that it is in."""
    options = registered()["policies"]
    blocks = []
    for room, title in (("curricula", "Curricula"), ("bandits", "Bandits")):
        entries = {
            name: spec.entry_point
            for name, spec in sorted(dumpgym.policy_registry.items())
            if f".agents.{room}." in spec.entry_point.__module__
        }
        blocks.append(f"## {title}\n\n{_summary(importlib.import_module(f'dumpgym.agents.{room}'))}\n")
        blocks.append(
            _table(("id", "what it does"), [(f"[`{name}`](#{name})", _summary(made)) for name, made in entries.items()])
        )
        for name, made in entries.items():
            blocks.append(f"\n### {name}\n\n`{file_of(made)}`, options: {_options(options[name]) or 'none'}\n")
            blocks.append(_manual(made))
    return "\n".join(blocks)


def signals() -> str:
    """The manual of every signal."""
    blocks = []
    for name, made in sorted(dumpgym.signal_registry.items()):
        defined = made.args[0] if isinstance(made, partial) else made
        blocks += [f"## {name}\n\n`{file_of(defined)}`\n", _manual(defined)]
    return "\n".join(blocks)


def students() -> str:
    """The manual of every student."""
    blocks = []
    for name, made in sorted(dumpgym.student_registry.items()):
        defined = getattr(made, "__self__", made)  # of a class method, the class
        blocks += [f"## {name}\n\n`{file_of(defined)}`\n", _manual(defined)]
        if made is not defined:
            blocks.append(_manual(made))
    return "\n".join(blocks)


def figures() -> str:
    """The figures of a report with their captions, in the order of the page."""
    found = dumpgym.figures.FIGURES
    rows = [(f"`{name}`", found[name].caption) for name in sorted(found, key=lambda name: found[name].place)]
    return _table(("figure", "caption"), rows)


def experiment_fields() -> str:
    """The keys of an experiment's file."""
    from dumpgym.comparing.experiment import Experiment

    documented = read_docstring(Experiment).sections["Attributes"]
    fields = {field.name: field for field in dataclasses.fields(Experiment)}
    return "\n".join(f"`{name}`{_default(fields[name])}\n:   {text}\n" for name, text in documented.items())


def bibtex() -> str:
    """``CITATION.cff`` as BibTeX: the software and the works that it refers to."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    works = [(citation, "software"), *((work, "article") for work in citation.get("references", []))]
    entries = []
    for work, kind in works:
        people = " and ".join(
            f"{person['family-names']}, {person['given-names']}"
            if "family-names" in person
            else f"{{{person['name']}}}"
            for person in work["authors"]
        )
        fields = {"title": f"{{{work['title']}}}", "author": people}
        fields |= {key: str(work[key]) for key in ("version", "year", "url") if key in work}
        key = re.sub(r"\W.*", "", work["title"]).lower() + str(work.get("year", ""))
        body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
        entries.append(f"@{kind if kind == 'software' else 'misc'}{{{key},\n{body}}}\n")
    return "```bibtex\n" + "\n".join(entries) + "```"


GENERATORS: dict[str, Callable[[], str]] = {
    f.__name__: f for f in (environments, policies, signals, students, figures, experiment_fields, bibtex)
}


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return ""
    return "" if field.default is dataclasses.MISSING else f" (default: `{field.default!r}`)"


def _summary(documented: Any) -> str:
    return read_docstring(documented).summary


def _manual(defined: Any) -> str:
    """The docstring, rendered by mkdocstrings."""
    options = (
        "{heading_level: 4, members: false, show_root_heading: false, show_root_toc_entry: false, show_bases: false}"
    )
    return f"::: {defined.__module__}.{defined.__qualname__}\n    options: {options}\n"


def _options(options: dict[str, Any]) -> str:
    return ", ".join(f"`{name}={value!r}`" for name, value in options.items())


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines) + "\n"
