"""Completions that a verifier meets sooner or later: what no model should write, and what some model writes one day.

A language model that is trained on a verifier's reward searches for what the verifier did not expect, and a verifier
that raises an error ends the run. Every entry stands for a mistake that verifiers make.
"""

from typing import NoReturn


class Hostile:
    """An object with which nothing can be done: text of it, comparison, truth and length all raise an error."""

    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("a hostile object was looked at")

    __str__ = __repr__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = _refuse


def objects() -> dict[str, object]:
    """Objects that are no text, by what they are called in messages; new ones on each call."""
    return {
        "None": None,
        "True": True,
        "an integer": 42,
        "a float": -1.5,
        "NaN": float("nan"),
        "bytes": b"42",
        "a bytearray": bytearray(b"42"),
        "an empty list": [],
        "a list of text": ["42"],
        "a tuple": ("42", None),
        "a dictionary": {"content": "42"},
        "a set": {"42"},
        "a type": str,
        "an object without methods": object(),
        "an object whose __str__ and __eq__ raise": Hostile(),
    }


def texts(reference: str) -> dict[str, str]:
    """Texts, most of them close to a problem's reference completion, by what they are called in messages."""
    half = len(reference) // 2
    return {
        "the empty text": "",
        "white space": " \t\r\n\x0b\x0c",
        "NUL": "\x00",
        "control characters": "".join(map(chr, range(32))) + "\x7f",
        "lone surrogates": "\ud800 \udfff",
        "signs beyond the first plane": "\U0001f9de\u200d\u2642\ufe0f",
        "combining and right-to-left signs": "e\u0301\u0301\u0301 \u202e\u05d0\u0660",
        "digits that int() refuses": "\u00b2",  # "²".isdigit() is true
        "digits of other scripts": "\u0664\u0662",
        "more digits than int() takes": "9" * 5000,
        "a number that overflows": "1e999",
        "NaN in words": "nan",
        "braces and percents": "{0} {} %s %(x)d \\1 $1",
        "unbalanced brackets": "(" * 20_000,
        "unclosed tags": "<answer>" * 2000,
        "huge text": "a" * 200_000,
        "the first half of the reference": reference[:half],
        "the second half of the reference": reference[half:],
        "the reference without its last character": reference[:-1],
        "the reference twice": reference * 2,
        "the reference a hundred times": reference * 100,
        "the reference backwards": reference[::-1],
        "the reference in capitals": reference.upper(),
        "the reference between spaces": f" {reference}\n\n",
        "the reference after other text": f"I do not know. {reference}",
        "the reference before other text": f"{reference} Or not.",
        "the reference around NUL": f"{reference[:half]}\x00{reference[half:]}",
        "the reference before a lone surrogate": f"{reference}\ud800",
        "the reference in curly brackets": "{" + reference + "}",
    }
