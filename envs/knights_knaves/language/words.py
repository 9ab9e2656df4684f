"""The words of the puzzles: names, sayings and role words.

``NAMES`` and ``SAYINGS`` are those of the published puzzles, in the order in which their generator indexes them (DUMP,
arXiv 2504.09710). Other role words and uncommon names are what memorisation studies vary (Xie et al., arXiv
2410.23123).
"""

import re
from functools import cache
from itertools import count
from typing import NamedTuple

from dumpgym.contracts.errors import InvalidValueError

NAMES = tuple(
    "Emma Liam Olivia Noah Ava Ethan Sophia Mason Isabella William Mia James Charlotte Benjamin Amelia Lucas Harper "
    "Henry Evelyn Alexander Abigail Michael Emily Daniel Elizabeth Jacob Sofia Logan Avery Jackson Ella Sebastian "
    "Scarlett Jack Grace Aiden Chloe Owen Victoria Samuel Riley Matthew Aria Joseph Lily Luke Aurora David Zoey "
    "Oliver Penelope".split()
)

UNCOMMON_NAMES = tuple(
    "Aldric Anaïs Aoife Arvid Bertrand Björn Brónagh Calista Cosmo Dagmar D'Arcy Drusilla Eirlys Eluned Emrys Fintan "
    "Freyja Gwendal Hadrian Hildegard Ignatia Ingrid Isaura Jocasta Jean-Luc Kasimir Leocadia Ludmila Lucretia Maëlle "
    "Marisol Mirabel Mordecai Nerys Niamh Octavian Odalys Orsolya Petronella Quintus Radomir Rosamund Saoirse Sigrun "
    "Tiberius Thorben Ulrika Vasilisa Wilhelmina Xenia Yseult Zdeněk".split()
)

NAME_KINDS = {"common": NAMES, "uncommon": UNCOMMON_NAMES}

# {content} stands inside quotation marks, or behind "that" in the middle of a sentence.
SAYINGS = (
    "{name} said that {content}.",
    "{name} told you that {content}.",
    '{name} said, "{content}."',
    '{name} stated, "{content}".',
    'According to {name}, "{content}".',
    'In {name}\'s words: "{content}".',
    '{name} remarked, "{content}".',
    '"{content}," {name} declared.',
    '{name} was heard saying, "{content}".',
    "{name} expressed that {content}.",
    '"{content}" - {name}.',
    'As {name} put it, "{content}".',
    '{name} asserted: "{content}".',
    '"{content}," {name} mentioned.',
    '{name} commented, "{content}".',
    'In a statement by {name}: "{content}".',
    '{name} noted, "{content}".',
    '"{content}," {name} claimed.',
)


@cache
def name_pool(kind: str, num_people: int) -> tuple[str, ...]:
    """Names enough for everybody.

    Args:
        kind: "common" for the published names, "uncommon" for rare ones.
        num_people: how many are needed; beyond the single names there are double ones, such as "Emma-Liam".

    Raises:
        InvalidValueError: if there is no such kind.
    """
    if kind not in NAME_KINDS:
        raise InvalidValueError("names", kind, f"one of {', '.join(NAME_KINDS)}")
    names = single = NAME_KINDS[kind]
    for distance in count(1):
        if len(names) >= num_people:
            break
        names += tuple(f"{name}-{single[(i + distance) % len(single)]}" for i, name in enumerate(single))
    return names


class RoleWords(NamedTuple):
    """What the two roles are called; the truthful role comes first, so that "knave/knight" swaps them."""

    truthful: str
    lying: str


KNIGHT_KNAVE = RoleWords("knight", "knave")
ROLE_WORDS = (
    KNIGHT_KNAVE,
    RoleWords("saint", "sinner"),
    RoleWords("hero", "villain"),
    RoleWords("angel", "devil"),
    RoleWords("altruist", "egoist"),
    RoleWords("sage", "fool"),
    RoleWords("pioneer", "laggard"),
)
# Words that stand around a role in answers, and so cannot be one.
_NO_ROLES = frozenset(
    "a an all and are both everybody everyone for identity is no nobody none not one or role s the type".split()
)


def parse_role_words(value: str) -> RoleWords:
    """Reads two role words, the truthful one first.

    Args:
        value: for example "saint/sinner". Any two different English nouns of lower-case letters will do.

    Raises:
        InvalidValueError: if it is anything else.
    """
    words = RoleWords(*value.split("/")) if isinstance(value, str) and value.count("/") == 1 else None
    if words is None or not all(re.fullmatch("[a-z]{2,20}", word) and word not in _NO_ROLES for word in words):
        known = ", ".join("/".join(pair) for pair in ROLE_WORDS)
        raise InvalidValueError("role_words", value, f"two nouns in lower-case letters, such as {known}")
    if words.truthful in (words.lying, plural(words.lying)) or words.lying == plural(words.truthful):
        raise InvalidValueError("role_words", value, "two different nouns")
    return words


def with_article(word: str) -> str:
    """A noun with its indefinite article."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def plural(word: str) -> str:
    """A noun's regular plural."""
    if re.search("(?:[sxzo]|ch|sh)$", word):
        return word + "es"
    return re.sub("(?<=[^aeiou])y$", "ie", word) + "s"
