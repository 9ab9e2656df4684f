"""What surrounds the claims of an answer: letter case and emphasis, fences, block quotes, TeX, objects and tables."""

import json
import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache

from dumpgym.envs.knights_knaves.language.tex import plain_text

_BLANKS = " \t\v\f\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
WHITE = _BLANKS + "\r\n"  # what may surround an answer and its tags

# How a text is folded before it is read. Case folding would turn long s, the Kelvin sign and ligatures into plain
# letters, and composing accents would turn the Greek question mark and varia into ";" and "`". Answers with such odd
# characters must be refused, so folding first replaces them by a private-use character that no pattern matches.
# Full-width punctuation is what Chinese and Japanese keyboards write; full-width letters are odd characters.
_FULL_WIDTH = {ord(plain) + 0xFEE0: plain for plain in "!\"#&'()*,-./:;=>?[]_{|}"} | {0x3002: "."}
_ODD = dict.fromkeys([0x17F, 0x212A, 0x37E, 0x1FEF, *range(0xFB00, 0xFB07)], "\ue000")
_FOLDED = {0x2018: "'", 0x2019: "'", 0x2BC: "'", 0x2010: "-", 0x2011: "-"} | _FULL_WIDTH | _ODD
_COMPOSED = re.compile(r".?[^\x00-\x7f]{1,32}")  # in pieces: composing a long run of accents takes quadratic time
_EMPHASIS = re.compile(r"(?<![*_`\\])[*_`]++(?![^\W_])|(?<![\w*`\\])[*_`]++")  # beside a word, never inside one
_BLANK_RUN = re.compile(f"[{_BLANKS}]+")
_LINE_BREAKS = re.compile(r" ?[\r\n][ \r\n]*")

_FENCE = re.compile(r"```(?:json|python|te?xt|plaintext|markdown|md|ya?ml|latex|tex)?\r?\n([^`]*+)```")
_QUOTE_MARKS = re.compile(r"^(?:> ?)++", re.MULTILINE)
_RULE = re.compile(r"(?:\A|\n)-{3,}+(?=\n|\Z)")
_BEFORE_STOP = re.compile(r"\n(?=[,;.!])")
_QUOTES = re.compile(r"[\"\u201c\u201d\[\]]|(?<!\w)'|'(?!\w)")
_LISTED_PAIR = re.compile(r'(?<![:\w])(?<!:[ \n])\[ ?("[^"\[\]]*+" ?, ?"[^"\[\]]*+") ?\]')  # becomes "(name, role)"
_ESCAPES = re.compile(r"(?:\\u[0-9a-f]{4})++")  # JSON's; whole runs, because a character may be two surrogates
_TABLE_ROW = re.compile(  # becomes "name: role"
    r"^\|? ?(?:(?:[0-9]{1,4}\.?|#|no\.?|:?-++:?) ?\| ?)?([^|\n]+?) ?:? ?\| ?([^|\n]+?) ?\|?$", re.MULTILINE
)


def fold(text: str) -> str:
    """Removes emphasis and differences of letter case, of composed accents, of punctuation's width and of white space.

    In the result each run of blanks is one space and each run of line breaks is one newline.
    """
    if not text.isascii():
        text = _COMPOSED.sub(lambda piece: unicodedata.normalize("NFC", piece[0]), text.translate(_FOLDED))
    text = text.casefold()
    if "*" in text or "_" in text or "`" in text:
        text = _EMPHASIS.sub("", text)
    return _one_space(text)


@lru_cache(maxsize=4096)
def fold_name(name: str) -> str:
    """Folds a name as answers are folded. Two names with the same result cannot be told apart."""
    return fold(name)


def readings(answer: str, names: Collection[str]) -> Iterator[str]:
    """Yields the folded text of an answer, as it is and with ever more of its wrapping removed.

    Every reading holds all that the answer says. The first is the answer as it is because the characters of a name are
    no markup: people may be called "A|B" or "Ke$ha".

    Args:
        answer: the text between the tags, without white space around it.
        names: the folded names, which are never TeX.
    """
    fenced = _FENCE.fullmatch(answer)
    text = fold(fenced[1] if fenced else answer)
    yield text
    plain = _unquoted(text)
    plain = _without_brackets(plain)
    if "\\" in plain or "$" in plain:
        plain = _without_brackets(_BEFORE_STOP.sub("", _one_space(plain_text(plain, names))))
    if plain != text:
        yield plain
    if "|" in plain:
        yield _TABLE_ROW.sub(r"\1: \2", plain)


def _unquoted(text: str) -> str:
    """Removes the marks of block quotes, and rules."""
    if ">" in text:
        text = _one_space(_QUOTE_MARKS.sub("", text))
    return _RULE.sub("", text).strip("\n") if "---" in text else text


def _without_brackets(text: str) -> str:
    """Removes the punctuation of an object or a list, such as JSON's, that is the whole text."""
    if not (text.startswith(("{", "[")) and text.endswith(("}", "]"))):
        return text
    if "\\u" in text:
        text = fold(_ESCAPES.sub(lambda escapes: str(json.loads(f'"{escapes[0]}"')), text))
    inside = _LISTED_PAIR.sub(r"(\1)", text[1:-1]).replace("[]", "none")
    return _QUOTES.sub("", inside).strip(" \n")


def _one_space(text: str) -> str:
    return _LINE_BREAKS.sub("\n", _BLANK_RUN.sub(" ", text)).strip(" \n")
