"""The verifier of Knights and Knaves: what a completion earns, from its text alone.

==============  ==========  ==========  =====  ===================================================
outcome         ``format``  ``answer``  total  when
==============  ==========  ==========  =====  ===================================================
``correct``             +1        +2      3    everyone has the right role
``wrong``               +1        -1.5   -0.5  everyone has one role, and at least one is wrong
``unparseable``         +1        -2     -1    the answer says anything else, more or less than that
``bad_format``          -1        -2     -3    the tags are not as asked, or it is no text at all
==============  ==========  ==========  =====  ===================================================

The numbers are the paper's (DUMP, arXiv 2504.09710). The paper searches the answer for "(name) is a (role)". Here all
of the answer must be accounted for, so that a hedge, a negated sentence, a reason, a stranger or an odd character makes
it unparseable; and more ways to say the same are read: numbers, bullets, emphasis, "Zoey: knight", "is not a knave",
"Knights: Zoey and Jack", "Zoey and Jack are knights", a table, JSON, a line on top such as "The roles are:".

Time is linear in the length of the completion, whatever it holds: no pattern repeats a repetition.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NamedTuple

from dumpgym.errors import InvalidValueError
from dumpgym.puzzle_env import Verdict

ROLES = ("knight", "knave")
REWARD_TERMS = {
    "correct": {"format": 1.0, "answer": 2.0},
    "wrong": {"format": 1.0, "answer": -1.5},
    "unparseable": {"format": 1.0, "answer": -2.0},
    "bad_format": {"format": -1.0, "answer": -2.0},
}
END_OF_TURN = ("<|im_end|>", "<|endoftext|>", "</s>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|end_of_text|>")

_BLANKS = " \t\v\f\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_WHITE = _BLANKS + "\r\n"
_TAG = re.compile("</?(?:think|answer)>")

# How a text is folded before it is read. Long s, the Kelvin sign, ligatures and the like must not become plain letters.
_FOLDED = {0x2019: "'", 0x2010: "-", 0x2011: "-"} | dict.fromkeys(
    [0x17F, 0x212A, 0x37E, 0x1FEF, *range(0xFB00, 0xFB07)], "\ue000"
)
_COMPOSED = re.compile(r".?[^\x00-\x7f]{1,32}")  # in pieces, as composing a long run of accents takes quadratic time
_EMPHASIS = re.compile(r"(?<![*_`])[*_`]++(?![^\W_])|(?<![\w*`])[*_`]++")  # beside a word, never inside one
_BLANK_RUN = re.compile(f"[{_BLANKS}]+")
_LINE_BREAKS = re.compile(r" ?[\r\n][ \r\n]*")

# The grammar of a folded answer, in which a run of blanks is one space and a run of line breaks one newline.
_ROLE = re.compile(r"(?:a |the )?(?P<role>knight|knave)")
_CLAIM = re.compile(
    r"(?:(?:'s? (?:role|type|identity))?(?: is(?P<negated> not|n't)? | ?(?:[:=\u2013\u2014→⇒]|--?>|=>) ?| - )"
    rf"{_ROLE.pattern}| ?\((?:a )?(?P<bracketed>knight|knave)\))"
)
_ITEM = re.compile(r"(?:[-+•◦▪\u2013] )?(?:\([0-9]{1,4}\) ?|[0-9]{1,4}[.)] ?)?")
_SEPARATOR = re.compile(r"(?: ?(?:[,;.]\n?|\n) ?| & | (?=and |\(?[0-9]))(?P<and>(?:and )?)")
_END = re.compile(r" ?[,;.]?\Z")
_GROUP_TOP = r"(?:the )?(?P<role>knight|knave)s?(?: ?[:=\u2013\u2014]| -| are| is)"
_GROUP = re.compile(rf"{_GROUP_TOP}[ \n]?{_ITEM.pattern}")
_GROUP_END = re.compile(rf" ?[;.\n]|,?\Z|,? (?:and )?{_GROUP_TOP}")
_NOBODY = re.compile(r"none|nobody|no one|\(none\)")
_NEXT_NAME = re.compile(rf" ?,[ \n]?(?:and )?| (?:and|&) |\n{_ITEM.pattern}")
_NAME_END = re.compile(r" ?[,;.\n]| (?:and|&|are) |\Z")
_PLURAL = re.compile(r" are (?:both |all )?(?:the )?(?P<role>knight|knave)s")
_EVERYONE = r"(?:(?:each|every) (?:person|inhabitant|islander)|everyone|everybody|the (?:people|inhabitants|islanders))"
_HEADER = re.compile(
    r"(?:(?:#{1,6} )?(?:(?:here (?:is|are) )?(?:(?:the|my) )?(?:(?:final|correct|complete) )?"
    rf"(?:answers?|solutions?|results?|roles?|identities)(?: (?:of|for) {_EVERYONE})?(?: is| are)?(?: as follows)?"
    rf"|knights? (?:or|and) knaves?(?: for {_EVERYONE})?|{_EVERYONE}'s? role"
    r"|who is a knight and who is a knave)(?: ?:[ \n]?|\n))?"
    r"(?:(?:name|person|inhabitant|islander): (?:role|type|identity)\n:?-++:?: :?-++:?\n)?"  # the top of a table
)
_TABLE_ROW = re.compile(r"^\| ?([^|\n]+?) ?\| ?([^|\n]+?) ?\|$", re.MULTILINE)  # becomes "name: role"
_FENCE = re.compile(r"```(?:json|text|markdown)?\r?\n([^`]*+)```")
_FLAT_OBJECT = re.compile(r"\{[^{}\[\]]*+\}")  # no nesting, so no recursion


class _Claim(NamedTuple):
    """Says that these people have this role (``exhaustive``: and nobody else), in a piece of text that ends there."""

    people: Collection[str]
    role: str
    end: int = 0
    exhaustive: bool = False


def verify(completion: object, roles: Mapping[str, str]) -> Verdict:
    """Judges a completion; it sees nothing of the prompt, and no completion makes it raise.

    Format: ``<think>``, ``</think>``, ``<answer>`` and ``</answer>`` once each and in this order, with nothing but
    white space before, between ``</think>`` and ``<answer>``, and behind, where one end-of-turn marker may stand.

    Args:
        completion: what the model wrote. Whatever is not a ``str`` has a bad format.
        roles: each person's name with "knight" or "knave". Names are compared regardless of letter case and of how
            accents are composed.

    Returns:
        the verdict, with the outcome and the reward terms of the table above (DUMP, arXiv 2504.09710).

    Raises:
        InvalidValueError: if nobody is in ``roles``, somebody has another role, or two names cannot be told apart.
    """
    if not all(isinstance(name, str) and role in ROLES for name, role in roles.items()):
        raise InvalidValueError("roles", roles, "a name and 'knight' or 'knave' for each person")
    expected = _by_folded_name(tuple(roles.items()))
    answer = answer_of(completion)
    if answer is None:
        return _verdict("bad_format", "The four tags do not stand once each and in order, with nothing outside them.")
    is_right = _canonical(answer, roles)
    if is_right is None:
        found = _read(answer, expected)
        if isinstance(found, str):
            return _verdict("unparseable", found)
        is_right = found == expected
    return _verdict("correct", "All roles are right.") if is_right else _verdict("wrong", "A role is wrong.")


def answer_of(completion: object) -> str | None:
    """The text between the answer tags, or None if the format is bad."""
    if not isinstance(completion, str):
        return None
    before, closing, tail = completion.rpartition("</answer>")
    thought, opening, answer = before.rpartition("<answer>")
    thought, tail = thought.strip(_WHITE), tail.strip(_WHITE)
    is_framed = closing and opening and thought.startswith("<think>") and thought.endswith("</think>")
    if not is_framed or (tail and tail not in END_OF_TURN):
        return None
    for text in (thought[len("<think>") : -len("</think>")], answer):
        if "<" in text and _TAG.search(text):
            return None
    return answer


def _verdict(outcome: str, reason: str) -> Verdict:
    return Verdict(outcome, dict(REWARD_TERMS[outcome]), outcome == "correct", reason)


def _canonical(answer: str, roles: Mapping[str, str]) -> bool | None:
    """Whether an answer of the plainest form is right; None if it is not of that form and must be read closely."""
    answer = answer.strip(_WHITE)
    lines = answer.split("\n" if "\n" in answer else ", ", len(roles))
    found = {}
    for i, line in enumerate(lines, start=1):
        name, _, role = line.removeprefix(f"({i}) ").partition(" is a ")
        if name not in roles or role not in ROLES or name in found:
            return None
        found[name] = role
    return found == roles if len(found) == len(roles) else None


def _read(answer: str, people: Collection[str]) -> dict[str, str] | str:
    """The role of everyone, by folded name, or a sentence that says why the answer has no such meaning."""
    answer = answer.strip(_WHITE)
    if fenced := _FENCE.fullmatch(answer):
        answer = fenced[1].strip(_WHITE)
    claims = _read_object(answer, people) if answer.startswith("{") else _read_text(_fold(answer), people)
    if isinstance(claims, str):
        return claims
    claimed = {(person, claim.role) for claim in claims for person in claim.people}
    found = dict(claimed)
    if len(found) < len(claimed) or found.keys() != set(people):
        return "The answer does not give exactly one role to everyone and none to anybody else."
    for role, group in {(claim.role, frozenset(claim.people)) for claim in claims if claim.exhaustive}:
        if group != {person for person in people if found[person] == role}:
            return f"The answer contradicts its own list of every {role}."
    return found


def _read_object(answer: str, people: Collection[str]) -> list[_Claim] | str:
    """The claims of a JSON object from names to roles."""
    try:
        pairs = json.loads(answer, object_pairs_hook=list) if _FLAT_OBJECT.fullmatch(answer) else []
    except ValueError:
        pairs = []
    read = [(_fold(name), _ROLE.fullmatch(_fold(str(role)))) for name, role in pairs if len(pairs) == len(people)]
    return [
        _Claim((name,), role["role"]) for name, role in read if role
    ] or "The answer is no flat JSON object of roles."


def _read_text(text: str, people: Collection[str]) -> list[_Claim] | str:
    """The claims of a folded answer in words."""
    text = _TABLE_ROW.sub(r"\1: \2", text)
    claim = _claim_at(text, 0, people)
    if claim is None and (header := _HEADER.match(text)):  # only now, as somebody may be called "Answer"
        claim = _claim_at(text, header.end(), people)
    claims, position = [], 0
    while claim is not None:
        claims.append(claim)
        position, claim = claim.end, None
        if _END.match(text, position):
            return claims
        if separator := _SEPARATOR.match(text, position):  # its "and" may be somebody's name
            claim = _claim_at(text, separator.end(), people) or _claim_at(text, separator.start("and"), people)
    return f"The answer says neither knight nor knave of anybody in {text[position : position + 40]!r}."


def _claim_at(text: str, start: int, people: Collection[str]) -> _Claim | None:
    """The claim that begins here, behind its bullet or number."""
    start = lead.end() if (lead := _ITEM.match(text, start)) else start
    for name in people:
        if text.startswith(name, start) and (match := _CLAIM.match(text, start + len(name))):
            role = match["role"] or match["bracketed"]
            return _Claim((name,), ROLES[role == "knight"] if match["negated"] else role, match.end())
    if group := _GROUP.match(text, start):
        names, end = _names_at(text, group.end(), people)
        if not names and (nobody := _NOBODY.match(text, group.end())):
            end = nobody.end()
        if end > group.end() and _GROUP_END.match(text, end):
            return _Claim(names, group["role"], end, exhaustive=True)
    names, end = _names_at(text, start, people)
    if len(names) > 1 and (match := _PLURAL.match(text, end)):
        return _Claim(names, match["role"], match.end())
    return None


def _names_at(text: str, start: int, people: Collection[str]) -> tuple[set[str], int]:
    """The names listed here, and where the list ends."""
    names: set[str] = set()
    end = start
    while name := next((n for n in people if text.startswith(n, start) and _NAME_END.match(text, start + len(n))), ""):
        names.add(name)
        end = start + len(name)
        if not (separator := _NEXT_NAME.match(text, end)):
            break
        start = separator.end()
    return names, end


@lru_cache(maxsize=4096)
def _by_folded_name(roles: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """The roles by folded name, the longest name first, so that "Ann" never stands for the start of "Ann Lee"."""
    folded = {_fold(name): role for name, role in roles}
    if len(folded) < len(roles) or "" in folded or not folded:
        raise InvalidValueError("roles", dict(roles), "at least one name, none empty, no two equal but for letter case")
    return dict(sorted(folded.items(), key=lambda item: -len(item[0])))


def _fold(text: str) -> str:
    """The text without emphasis, differences of letter case, ways to compose accents and kinds of white space."""
    if not text.isascii():
        text = _COMPOSED.sub(lambda piece: unicodedata.normalize("NFC", piece[0]), text.translate(_FOLDED))
    text = text.casefold()
    if "*" in text or "_" in text or "`" in text:
        text = _EMPHASIS.sub("", text)
    return _LINE_BREAKS.sub("\n", _BLANK_RUN.sub(" ", text)).strip(" \n")
