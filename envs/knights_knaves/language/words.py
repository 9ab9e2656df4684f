"""The words of the puzzles: names, sayings and role words.

``NAMES`` and ``SAYINGS`` are those of the published puzzles, in the order in which the published generator indexes them
(DUMP, arXiv 2504.09710). Studies of memorisation vary the role words and use uncommon names (Xie et al., arXiv
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

# {content} is either inside quotation marks or after "that", in the middle of a sentence.
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
    """Returns at least as many different names as there are people.

    Args:
        kind: "common" for the published names, "uncommon" for rarer ones.
        num_people: number of people. If the single names do not suffice, double names such as "Emma-Liam" follow them.

    Raises:
        InvalidValueError: if the kind is unknown.
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
    """The words for the two roles. The truthful role comes first, so "knave/knight" swaps the usual meaning."""

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
# Words that occur next to a role in answers, so the grammar of answers would be ambiguous if they were roles.
_NO_ROLES = frozenset(
    "a an all and are both everybody everyone for identity is no nobody none not one or role s the type".split()
)


def parse_role_words(value: str) -> RoleWords:
    """Reads two role words, the truthful one first.

    Args:
        value: two different English nouns in lower-case letters, e.g. "saint/sinner".

    Raises:
        InvalidValueError: if the value has another form.
    """
    words = RoleWords(*value.split("/")) if isinstance(value, str) and value.count("/") == 1 else None
    if words is None or not all(re.fullmatch("[a-z]{2,20}", word) and word not in _NO_ROLES for word in words):
        known = ", ".join("/".join(pair) for pair in ROLE_WORDS)
        raise InvalidValueError("role_words", value, f"two nouns in lower-case letters, such as {known}")
    if words.truthful in (words.lying, plural(words.lying)) or words.lying == plural(words.truthful):
        raise InvalidValueError("role_words", value, "two different nouns")
    return words


def with_article(word: str) -> str:
    """Returns a noun with its indefinite article."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def plural(word: str) -> str:
    """Returns the regular plural of a noun."""
    if re.search("(?:[sxzo]|ch|sh)$", word):
        return word + "es"
    return re.sub("(?<=[^aeiou])y$", "ie", word) + "s"
