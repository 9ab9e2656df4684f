"""Adversarial completions for testing verifiers.

A language model that is trained on a verifier's reward finds inputs that the verifier does not handle. A wrong verdict
is then exploited, and an exception ends the run. Each entry triggers a common mistake in verifiers.
"""

from typing import NoReturn


class Hostile:
    """An object whose ``str``, ``repr``, comparison, hash, truth value and length all raise an error."""

    def _fail(self, *_: object) -> NoReturn:
        raise RuntimeError("a hostile object was accessed")

    __str__ = __repr__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = _fail


def objects() -> dict[str, object]:
    """Returns objects that are not text, by their name in messages; each call creates new ones."""
    return {
        "None": None,
        "True": True,
        "an integer": 42,
        "a float": -1.5,
        "NaN": float("nan"),
        "bytes": b"42",
        "a bytearray": bytearray(b"42"),
        "an empty list": [],
        "a list of strings": ["42"],
        "a tuple": ("42", None),
        "a dictionary": {"content": "42"},
        "a set": {"42"},
        "a type": str,
        "an object without methods": object(),
        "an object whose __str__ and __eq__ raise": Hostile(),
    }


def texts(reference: str) -> dict[str, str]:
    """Returns texts, most of them variants of a reference completion, by their name in messages."""
    half = len(reference) // 2
    return {
        "the empty string": "",
        "whitespace": " \t\r\n\x0b\x0c",
        "NUL": "\x00",
        "control characters": "".join(map(chr, range(32))) + "\x7f",
        "lone surrogates": "\ud800 \udfff",
        "characters outside the Basic Multilingual Plane": "\U0001f9de\u200d\u2642\ufe0f",
        "combining and right-to-left characters": "e\u0301\u0301\u0301 \u202e\u05d0\u0660",
        "digits that int() rejects": "\u00b2",  # "²".isdigit() is true
        "digits of other scripts": "\u0664\u0662",
        "more digits than int() accepts": "9" * 5000,
        "a number that overflows": "1e999",
        "nan as text": "nan",
        "format and regex placeholders": "{0} {} %s %(x)d \\1 $1",
        "unbalanced brackets": "(" * 20_000,
        "unclosed tags": "<answer>" * 2000,
        "a very long text": "a" * 200_000,
        "the first half of the reference": reference[:half],
        "the second half of the reference": reference[half:],
        "the reference without its last character": reference[:-1],
        "the reference twice": reference * 2,
        "the reference a hundred times": reference * 100,
        "the reference reversed": reference[::-1],
        "the reference in upper case": reference.upper(),
        "the reference surrounded by whitespace": f" {reference}\n\n",
        "the reference after other text": f"I do not know. {reference}",
        "the reference before other text": f"{reference} Or not.",
        "the reference with NUL in the middle": f"{reference[:half]}\x00{reference[half:]}",
        "the reference followed by a lone surrogate": f"{reference}\ud800",
        "the reference in braces": "{" + reference + "}",
    }
