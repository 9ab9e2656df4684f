r"""TeX in an answer, read as plain text: boxes, pieces of text, mathematics, spaces, aligned lines and lists.

Models often write a plain answer in TeX, as in ``$\boxed{A \text{ is a knight}}$``. Only markup that changes nothing
about what the text claims is read. Every other command leaves the text as it is, so that the answer is refused, because
many commands do change it: ``\neg``, ``\cancel``, ``\overline``, ``\lor``, ``\neq``.
"""

import re
from collections.abc import Collection
from functools import lru_cache

# Folded text is in lower case, so these are too.
_TOKEN = (
    r"\\(?P<edge>begin|end) ?\{(?P<environment>[a-z]{1,16}\*?)\}(?: ?\{[lcr|@ ]*+\})?"
    r"|\\\\(?:\[[0-9.]{1,4} ?[a-z]{2}\])?|\\(?:left|right)\.|\\[a-z]{1,20}+|\\[^a-z]|\$\$?|[{}&~]"
)
_SPECIAL = frozenset("\\${}&~")
# Marks of what was removed, private-use characters that no answer may contain: a piece of markup, and a wide space.
_JOINT, _WIDE = "\ue001", "\ue002"
_SPLIT_WORD = re.compile(rf"\w{_JOINT}++\w")
_STOP_TWICE = re.compile(rf"\.(?={_JOINT}++\.)")  # one ends the text in a box, the other the sentence around it
_WIDE_RUN = re.compile(rf" ?(?:{_WIDE} ?)++")

_LAYOUT = (
    "boxed fbox mbox text textbf textit textrm textsf texttt textsc textnormal textup emph underline operatorname "
    "mathbf mathrm mathit mathsf mathtt mathnormal boldsymbol bm bf rm it sf tt bfseries itshape displaystyle "
    "textstyle large huge left right left. right. big bigl bigr bigg biggl biggr hline toprule midrule bottomrule"
)
_ARROWS = "to rightarrow longrightarrow mapsto implies"
_PLAIN = {
    **dict.fromkeys(_LAYOUT.split(), _JOINT),
    **dict.fromkeys([",", ";", ":", ">", " ", "\n", "space", "enspace", "thinspace"], " "),
    **dict.fromkeys(["quad", "qquad"], _WIDE),
    **dict.fromkeys(["\\", "newline", "linebreak", "par"], "\n"),
    **dict.fromkeys(_ARROWS.split(), "→"),
    **dict.fromkeys(["land", "wedge"], " and "),
    **dict.fromkeys(["bullet", "cdot"], "• "),
    **{character: character for character in "{}#%_$&*"},
    **{"colon": ":", "item": "\n• ", "therefore": "therefore ", "checkmark": "✓"},
}
_ROWS = frozenset("array tabular matrix".split())  # "&" separates two cells
_LINES = frozenset(  # "&" only aligns
    "align aligned alignat cases center equation gather gathered split displaymath math enumerate itemize quote".split()
)
_CLOSING = {"\\(": "\\)", "\\[": "\\]", "{": "}"}


def plain_text(text: str, names: Collection[str]) -> str:
    r"""Reads TeX as plain text, in linear time.

    Args:
        text: a folded text.
        names: the folded names, whose characters are never markup: a person may be called "Ke$ha".

    Returns:
        The text without markup, in which a line of TeX is a line; or the text as it is if a command is not known, if
        braces, environments or mathematics do not close, or if markup is inside a word.
    """
    if _JOINT in text or _WIDE in text:
        return text
    pieces: list[str] = []
    opened: list[str] = []  # what must close next, innermost last
    environments: list[str] = []
    end = 0
    for token in _tokens(frozenset(name for name in names if not _SPECIAL.isdisjoint(name))).finditer(text):
        pieces.append(text[end : token.start()])
        end = token.end()
        plain = _read(token, opened, environments)
        if plain is None:
            return text
        pieces.append(plain)
    pieces.append(text[end:])
    joined = "".join(pieces)
    if opened or _SPLIT_WORD.search(joined):
        return text
    joined = re.sub(" {2,}+", " ", _STOP_TWICE.sub("", joined).replace(_JOINT, ""))
    return _WIDE_RUN.sub(_wide_space, joined)


@lru_cache(maxsize=256)
def _tokens(names: frozenset[str]) -> re.Pattern[str]:
    """Returns the pattern of markup and of the names that contain its characters, longer names first."""
    escaped = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(f"(?P<name>(?<!\\w)(?:{escaped})(?!\\w))|{_TOKEN}" if names else f"(?P<name>(?!))|{_TOKEN}")


def _read(token: re.Match[str], opened: list[str], environments: list[str]) -> str | None:
    """Returns the plain text of a piece of markup, and keeps account of what is open; None if it cannot be read."""
    markup = token[0]
    if token["name"]:
        return markup
    if token["edge"]:
        return _edge(token["edge"], token["environment"].removesuffix("*"), opened, environments)
    if markup in ("$", "$$"):
        if markup == "$$" and opened[-1:] == ["$"]:  # one formula ends and the next begins
            return _JOINT
        _toggle(markup, opened)
        return "\n" if markup == "$$" else _JOINT
    if markup in _CLOSING:
        opened.append(_CLOSING[markup])
    elif markup in _CLOSING.values():
        if not opened or opened.pop() != markup:
            return None
    elif markup == "&":
        return "&" if not environments else "|" if environments[-1] in _ROWS else _JOINT
    elif markup == "~":  # a space in TeX; but "~A" negates A, and "~~A~~" strikes it out
        before, after = token.string[token.start() - 1 : token.start()], token.string[token.end() : token.end() + 1]
        return " " if before.isalnum() and after.isalnum() else None
    else:
        return "\n" if markup.startswith("\\\\") else _PLAIN.get(markup[1:])
    return "\n" if markup in ("\\[", "\\]") else _JOINT


def _wide_space(run: re.Match[str]) -> str:
    """Returns a line break for a wide space that divides two claims, and a space beside punctuation or a relation."""
    neighbours = run.string[run.start() - 1 : run.start()] + run.string[run.end() : run.end() + 1]
    return "\n" if set(neighbours).isdisjoint(",;.:=|→") else " "


def _edge(edge: str, environment: str, opened: list[str], environments: list[str]) -> str | None:
    if environment not in _ROWS and environment not in _LINES:
        return None
    if edge == "begin":
        opened.append(f"end {environment}")
        environments.append(environment)
    elif not opened or opened.pop() != f"end {environment}":
        return None
    else:
        environments.pop()
    return "\n"


def _toggle(markup: str, opened: list[str]) -> None:
    if opened[-1:] == [markup]:
        opened.pop()
    else:
        opened.append(markup)
