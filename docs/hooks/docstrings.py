"""A griffe extension: docstrings of the code, which are plain text, as Markdown."""

import re
from typing import Any

from griffe import Extension, Object

_DOCTEST = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)
# An indented block after "::" is a code block in Markdown too, but there the paragraph ends in one colon.
_LITERAL = re.compile(r"::(\n\s*\n(?:[ ]{4}.*(?:\n|$)|\s*\n)+)")
_CODE = re.compile(r"(```.*?```|``.+?``|`[^`\n]+`|:\n\s*\n(?:[ ]{4}[^\n]*(?:\n|$)|\s*\n)+)", re.DOTALL)
# griffe takes what comes before a colon in the first line for a type; an empty type means that of the signature.
_RETURNS = re.compile(r"^((?:Returns|Yields):\n[ ]+)(?=\S)", re.MULTILINE)
_TAG = re.compile(r"<(?=/?\w)")


def as_markdown(text: str) -> str:
    """Turns "::" before a block into ":", puts doctests into fences, keeps tags such as "<think>" and returned types.

    Args:
        text: a docstring without its common indentation.
    """
    text = _LITERAL.sub(r":\1", _RETURNS.sub(r"\1: ", text))
    text = _DOCTEST.sub(lambda match: f"```pycon\n{match[0]}\n```", text)
    parts = _CODE.split(text)  # code is at the odd places
    return "".join(part if place % 2 else _TAG.sub("&lt;", part) for place, part in enumerate(parts))


class MarkdownDocstrings(Extension):
    """Rewrites the docstring of every object that griffe collects."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Rewrites one docstring."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
