"""The parts of the report's page as HTML: tables that scroll, figures that open full size. All text is escaped."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from dumpgym.reporting.figures import ReportFigure
from dumpgym.reporting.stylesheet import STYLE
from dumpgym.reporting.tables import Table

_MANY_COLUMNS = 4
"""A wider table does not fit on a phone."""


def document(title: str, body: str) -> str:
    """A page that needs no network.

    Args:
        title: title of the page.
        body: content of the page as HTML.
    """
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
{body}</body></html>
"""


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of a class of the stylesheet."""
    return f"<p{_class(kind)}>{escape(text)}</p>\n"


def section(heading: str, content: str) -> str:
    """A section that links can lead to, see ``anchor``; none without content."""
    return f'<section id="{anchor(heading)}"><h2>{escape(heading)}</h2>\n{content}</section>\n' if content else ""


def anchor(heading: str) -> str:
    """The id of a section."""
    return re.sub(r"\W+", "-", heading.lower()).strip("-")


def contents(headings: Iterable[str], files: str) -> str:
    """Links to the sections, and to the files beside the page, which are given as HTML."""
    items = "".join(f'<li><a href="#{anchor(heading)}">{escape(heading)}</a></li>' for heading in headings)
    return f'<nav aria-label="Contents"><strong>Contents</strong><ol>{items}</ol>{files}</nav>\n'


def link(target: str, text: str) -> str:
    """A link to a file beside the page, or to a section ("#id")."""
    return f'<a href="{escape(target)}">{escape(text)}</a>'


def table(rows: Table, caption: str, *, words: bool = False) -> str:
    """A table that scrolls sideways where it is wider than the page; none if it has only a head.

    Args:
        rows: the head, then the rows; the first cell of a row names it.
        caption: what the table shows.
        words: the cells hold text rather than numbers.
    """
    if len(rows) < 2:
        return ""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in rows[0])
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(map(_cell, row[1:]))}</tr>\n' for row in rows[1:]
    )
    is_wide = len(rows[0]) > _MANY_COLUMNS
    hint = '<p class="wide-hint" aria-hidden="true">Swipe the table sideways to see all columns.</p>\n'
    # A region that scrolls must be reachable by keyboard, hence tabindex.
    return (
        f"{hint if is_wide else ''}"
        f'<div class="table{" words" if words else ""}" role="region" aria-label="{escape(caption)}" tabindex="0">'
        f"<table><caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table></div>\n"
    )


def _cell(text: str) -> str:
    """A cell, with an interval on a line of its own, so that more columns fit."""
    value, bracket, interval = text.partition(" [")
    shown = f'{escape(value)} <span class="interval">[{escape(interval)}</span>' if bracket else escape(text)
    return f"<td>{shown}</td>"


def figure(name: str, shown: ReportFigure, png: bytes, folder: str = "figures") -> str:
    """A figure with its caption. The image is part of the page; a tap opens the file, which is as sharp at any size.

    Args:
        name: name of the figure and of its files.
        shown: the figure.
        png: its image.
        folder: where the files are, seen from the page.
    """
    svg, image = f"{folder}/{name}.svg", base64.b64encode(png).decode()
    return (
        f'<figure id="{escape(name)}"><a class="image" href="{escape(svg)}" title="Open full size">'
        f'<img alt="{escape(shown.description)}" src="data:image/png;base64,{image}"></a>\n'
        f"<figcaption>{escape(shown.caption)} Full size: {link(svg, 'SVG')}, {link(f'{folder}/{name}.png', 'PNG')}."
        "</figcaption></figure>\n"
    )


def definition_list(definitions: Mapping[str, str]) -> str:
    """Terms with their meaning."""
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>\n" for k, v in definitions.items()) + "</dl>\n"


def details(summary: str, content: str) -> str:
    """Content that is folded away."""
    return f"<details><summary>{escape(summary)}</summary>\n{content}</details>\n" if content else ""


def items(lines: Sequence[str]) -> str:
    """A list of sentences."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>\n" if lines else ""


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
