"""A hook of mkdocs: the pages of the experiments, with their figures, as a part of the site.

``experiments/`` appears as ``findings/`` with the same folders, so that the links between its pages hold. A new
experiment needs nothing but its README.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
LAST = ("bandit_scenarios", "gallery")  # references more than findings
_SHOWN = {".md", ".png", ".svg", ".toml"}
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_FIRST_FINDING = re.compile(r"^1\. \*\*(.+?)\*\*", re.MULTILINE | re.DOTALL)
_PLACE = "<!-- findings -->"


def pages() -> list[Path]:
    """The README of every experiment, by name."""
    return sorted(EXPERIMENTS.glob("*/README.md"), key=lambda page: (page.parent.name in LAST, page.parent.name))


def on_config(config: MkDocsConfig) -> None:
    """Adds the pages to the navigation."""
    entries: list[Any] = next(section["Findings"] for section in config.nav or [] if "Findings" in section)
    names = [f"findings/{page.relative_to(EXPERIMENTS).as_posix()}" for page in pages()]
    entries[1:] = [*names, "findings/LOG.md"]


def on_files(files: Files, *, config: MkDocsConfig) -> None:
    """Adds the pages, and the files that they link to."""
    for path in sorted(EXPERIMENTS.rglob("*")):
        if path.suffix in _SHOWN or path.name == "scores.json":
            name = f"findings/{path.relative_to(EXPERIMENTS).as_posix()}"
            files.append(File.generated(config, name, abs_src_path=str(path)))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lists the questions, each with its first finding if its page numbers them."""
    return markdown.replace(_PLACE, _list()) if _PLACE in markdown else markdown


def _list() -> str:
    lines = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        title, finding = _TITLE.search(text), _FIRST_FINDING.search(text)
        if title is None:
            raise ValueError(f"{page} has no title")
        answer = " ".join(finding[1].split()).rstrip(".") + "." if finding else ""
        lines.append(f"- [{title[1]}]({page.parent.name}/README.md) {answer}")
    return "\n".join(lines)
