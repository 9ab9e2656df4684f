r"""How an answer of Knights and Knaves is read: everyone's role, or why it gives none.

The published verifiers search the answer for "(name) is a (role)". Here all of the answer must be accounted for, so
that a hedge, a negated sentence, a reason, a stranger or an odd character makes it unparseable; and more ways to say
the same are read: numbers, bullets, emphasis, "Zoey: knight", "is not a knave", "Knights: Zoey and Jack", "Zoey and
Jack are knights", "Oliver is the only knave", a table, JSON, \boxed, a line on top such as "The roles are:". The words
are the puzzle's own: where saints and sinners live, knights are strangers.

An answer is folded, so that letter case and the like no longer matter, unwrapped from boxes, tables and objects, and
then read claim by claim from its beginning to its end. No pattern repeats a repetition, so that time is linear.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NamedTuple

from dumpgym.envs.knights_knaves.language.words import plural, with_article

_BLANKS = " \t\v\f\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
WHITE = _BLANKS + "\r\n"  # what may stand round an answer and its tags

# How a text is folded before it is read. Long s, the Kelvin sign, ligatures and the like must not become plain letters.
_FOLDED = {0x2018: "'", 0x2019: "'", 0x2BC: "'", 0x2010: "-", 0x2011: "-"} | dict.fromkeys(
    [0x17F, 0x212A, 0x37E, 0x1FEF, *range(0xFB00, 0xFB07)], "\ue000"
)
_COMPOSED = re.compile(r".?[^\x00-\x7f]{1,32}")  # in pieces, as composing a long run of accents takes quadratic time
_EMPHASIS = re.compile(r"(?<![*_`])[*_`]++(?![^\W_])|(?<![\w*`])[*_`]++")  # beside a word, never inside one
_BLANK_RUN = re.compile(f"[{_BLANKS}]+")
_LINE_BREAKS = re.compile(r" ?[\r\n][ \r\n]*")

# What may be wrapped round an answer, or round parts of it.
_FENCE = re.compile(r"```(?:json|python|te?xt|plaintext|markdown|md|ya?ml)?\r?\n([^`]*+)```")
_RULE = re.compile(r"(?:\A|\n)-{3,}+(?=\n|\Z)")
_LATEX = re.compile(r"(?<!\w)\\(?:boxed|text(?:bf|it|rm)?|math(?:bf|rm)) ?\{ ?([^{}\\]*+)\}(?!\w)")
_MATH = re.compile(r"(?:\$\$?|\\[\[(])[ \n]?([^$\\]*+)(?:\$\$?|\\[\])])")
_QUOTES = re.compile(r"[\"\u201c\u201d\[\]]|(?<!\w)'|'(?!\w)")
_ESCAPES = re.compile(r"(?:\\u[0-9a-f]{4})++")  # of JSON; in runs, as a letter may be a pair of surrogates
_TABLE_ROW = re.compile(  # becomes "name: role"
    r"^\|? ?(?:(?:[0-9]{1,4}\.?|#|no\.?|:?-++:?) ?\| ?)?([^|\n]+?) ?\| ?([^|\n]+?) ?\|?$", re.MULTILINE
)

# The grammar of a folded answer, in which a run of blanks is one space and a run of line breaks one newline.
_BULLET = "(?:[-+•◦▪●‣·\u2013\u2014] ?)?"
_ITEM = re.compile(rf"{_BULLET}(?:#[0-9]{{1,4}}[.:)]? ?|[(\[]?[0-9]{{1,4}}(?:[)\]][.:]?|\.\)?|:| [-\u2013](?= )) ?)?")
_LETTER = re.compile(rf"{_BULLET}\(?(?P<label>[ivx]{{1,5}}|[a-p])[.)] ?")
_LABELS = tuple(zip("abcdefghijklmnop", "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi".split(), strict=True))
_LINK = r" ?(?:[:=]|:=|==|[\u2013\u2014→⇒]|--?>|=>) ?| - "
_JOIN = "(?:and|but|while|whereas) "
_SEPARATOR = re.compile(rf"(?: ?(?:[,;.!]\n?|\n) ?| & | (?={_JOIN}|[#(\[]?[0-9]|\([a-p]\)))(?P<join>(?:{_JOIN})?)")
_END = re.compile(r" ?[,;.!]?\Z")
_NOBODY = re.compile(r"none|nobody|no one|\(none\)")
_NEXT_NAME = re.compile(rf" ?,[ \n]?(?:and )?| (?:and|&) |\n{_ITEM.pattern}")
_NAME_END = re.compile(r" ?[,;.!:=\n]| (?:and|&|are|but|while|whereas|[-=\u2013\u2014→⇒]{1,2}>?) |\Z")
_PEOPLE = "(?:people|persons|inhabitants|islanders|characters)"
_EVERYONE = (
    rf"(?:(?:each|every) (?:person|inhabitant|islander|character)|each(?: of the {_PEOPLE})?|everyone|everybody"
    rf"|(?:all )?(?:the )?{_PEOPLE})"
)
_SO = "(?:(?:therefore|thus|hence|so|in conclusion|finally)[,:]?[ \n])?"
_CELL = "(?:name|person|inhabitant|islander|character)"


class Grammar(NamedTuple):
    """What depends on a puzzle's two role words.

    Attributes:
        articled: "knight": "a knight".
        contrast: "knight": "a knight, not a knave".
        singular: "knights": "knight", "knight": "knight".
        other: "knight": "knave".
        claim: what stands behind a name that has a role.
        group: what stands before the names of those who have a role.
        plural: what stands behind the names of several who have a role.
        header: what may stand on top of an answer.
        gloss: a role word and a remark on what it means.
    """

    articled: Mapping[str, str]
    contrast: Mapping[str, str]
    singular: Mapping[str, str]
    other: Mapping[str, str]
    claim: re.Pattern[str]
    group: re.Pattern[str]
    plural: re.Pattern[str]
    header: re.Pattern[str]
    gloss: re.Pattern[str]


class _Claim(NamedTuple):
    """Says that these people have this role (``exhaustive``: and nobody else), in a piece of text that ends there."""

    people: Collection[str]
    role: str
    end: int
    exhaustive: bool


def read_answer(answer: str, people: Mapping[str, str], grammar: Grammar) -> dict[str, str] | str:
    """Reads what an answer says of everyone.

    Args:
        answer: the text between the tags, without white space around it.
        people: everybody's name by the name as ``fold_name`` gives it.
        grammar: what ``role_grammar`` gives for the puzzle's words.

    Returns:
        everyone's role by name, or a sentence that says why the answer has no such meaning.
    """
    if fenced := _FENCE.fullmatch(answer):
        answer = fenced[1]
    text = _unwrapped(_fold(answer), grammar)
    claims = _claims(text, sorted(people, key=len, reverse=True), grammar)
    if isinstance(claims, str):
        return claims
    claimed = {(person, claim.role) for claim in claims for person in claim.people}
    found = {people[person]: role for person, role in claimed}
    if missing := [name for name in people.values() if name not in found]:
        return f"The answer gives no role to {_listed(missing)}."
    if len(found) < len(claimed):
        both = [name for folded, name in people.items() if {(folded, word) for word in grammar.other} <= claimed]
        return f"The answer gives both roles to {_listed(both)}."
    for role, group in {(claim.role, frozenset(claim.people)) for claim in claims if claim.exhaustive}:
        if group != {person for person, claimed_role in claimed if claimed_role == role}:
            return f"The answer contradicts its own list of who is {with_article(role)}."
    return found


def _claims(text: str, people: Collection[str], grammar: Grammar) -> list[_Claim] | str:
    """The claims of a folded answer."""
    claim = _claim_at(text, 0, people, grammar, 0)
    if claim is None and (header := grammar.header.match(text)):  # only now, as somebody may be called "Answer"
        claim = _claim_at(text, header.end(), people, grammar, 0)
    claims: list[_Claim] = []
    position = 0
    while claim is not None:
        claims.append(claim)
        position, claim = claim.end, None
        if _END.match(text, position):
            return claims
        if separator := _SEPARATOR.match(text, position):  # its "and" may be somebody's name
            claim = _claim_at(text, separator.end(), people, grammar, len(claims))
            if claim is None and separator["join"]:
                claim = _claim_at(text, separator.start("join"), people, grammar, len(claims))
    return f"The answer says nobody's role in {quoted(text[position:])}." if text else "The answer is empty."


def _claim_at(text: str, start: int, people: Collection[str], grammar: Grammar, index: int) -> _Claim | None:
    """The claim that begins here, or behind its bullet and number. Letters must count, as "(F)" may mean "false"."""
    starts = [start]
    if (lead := _ITEM.match(text, start)) and lead.end() > start:
        starts.append(lead.end())
    if (lead := _LETTER.match(text, start)) and index < len(_LABELS) and lead["label"] in _LABELS[index]:
        starts.append(lead.end())
    for at in starts:
        for name in people:
            if text.startswith(name, at) and (match := grammar.claim.match(text, at + len(name))):
                role = match["role"] or match["bracketed"]
                role = grammar.other[role] if match["negated"] else role
                if match["excluded"] == role or (match["negated"] and match["only"]):
                    return None
                return _Claim((name,), role, match.end(), match["only"] is not None)
        if match := grammar.group.match(text, at):
            names, end = _names_at(text, match.end(), people)
            if not names and (nobody := _NOBODY.match(text, match.end())):
                end = nobody.end()
            if end > match.end():
                role = grammar.singular[match["role"]]
                return _Claim(names, role, end, exhaustive=match["the"] is not None or role != match["role"])
        names, end = _names_at(text, at + 5 if text.startswith("both ", at) else at, people)
        if len(names) > 1 and (match := grammar.plural.match(text, end)):
            return _Claim(names, grammar.singular[match["role"]], match.end(), match["the"] is not None)
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


@lru_cache(maxsize=256)
def role_grammar(truthful: str, lying: str) -> Grammar:
    """What depends on a puzzle's two role words.

    Args:
        truthful: the word for who tells the truth, a noun in lower case.
        lying: the word for who lies.
    """
    other = {truthful: lying, lying: truthful}
    singular = {plural(truthful): truthful, plural(lying): lying, truthful: truthful, lying: lying}
    both = "|".join(sorted((truthful, lying), key=len, reverse=True))  # as one may begin with the other
    many = "|".join(sorted((plural(truthful), plural(lying)), key=len, reverse=True))
    either = f"(?:{many}|{both})"
    role = rf"(?:(?:an?|the(?P<only> only)?) )?(?P<role>{both})"
    verb = r"(?: is|'s(?= (?:not )?(?:an?|the) ))(?P<negated> not|n't)?:? "
    excluded = rf"(?:,? \(?not (?:an? |the )?(?P<excluded>{both})\b\)?)?"
    claim = (
        rf"(?:(?:'s? (?:role|type|identity))?(?:{verb}|{_LINK})| (?=an? )){role}{excluded}"
        rf"| ?\((?:(?:an?|the) )?(?P<bracketed>{both})\)"
    )
    group = (
        rf"(?:#{{1,6}} )?(?:(?P<the>the )(?:only )?)?(?P<role>{many}|{both})"
        rf"(?: ?[:=\u2013\u2014]| -| are:?| is:?|(?=\n))[ \n]?{_ITEM.pattern}"
    )
    what = r"(?:answers?|solutions?|results?|roles?|types?|identit(?:y|ies)|conclusion|assignments?)"
    title = (
        rf"(?:(?:(?:here (?:is|are) )?(?:(?:(?:the|my) )?(?:(?:final|correct|complete) )?{what}"
        rf"(?: (?:of|for) {_EVERYONE})?|{_EVERYONE}'?s? {what})|{either} ?(?:or|and|/) ?{either}(?: for {_EVERYONE})?)"
        rf"(?: is| are)?(?: as follows)?|who is (?:an? )?{either} and who is (?:an? )?{either}\??)"
    )
    table = rf"(?:{_CELL}: (?:{what}|{either} ?(?:/|or) ?{either})\n:?-++:?: :?-++:?\n)?"
    header = rf"(?:(?:#{{1,6}} )?{_SO}{title}(?: ?:[ \n]?|\n)){{0,2}}{_SO}{table}"
    honest = "(?:always )?(?:tells? the truth|truth-?tellers?|truthful|honest)"
    false = "(?:always )?(?:lies?|liars?|lying)"
    gloss = (
        rf"(?<!\w)(?:({truthful}|{plural(truthful)}) \((?:a )?{honest}\)|({lying}|{plural(lying)}) \((?:a )?{false}\))"
    )
    return Grammar(
        articled={word: with_article(word) for word in other},
        contrast={word: f"{with_article(word)}, not {with_article(other[word])}" for word in other},
        singular=singular,
        other=other,
        claim=re.compile(claim),
        group=re.compile(group),
        plural=re.compile(rf"(?: are (?:both |all )?|{_LINK})(?P<the>the (?:only )?)?(?P<role>{many})"),
        header=re.compile(header),
        gloss=re.compile(gloss),
    )


def _fold(text: str) -> str:
    """The text without emphasis, differences of letter case, ways to compose accents and kinds of white space."""
    if not text.isascii():
        text = _COMPOSED.sub(lambda piece: unicodedata.normalize("NFC", piece[0]), text.translate(_FOLDED))
    text = text.casefold()
    if "*" in text or "_" in text or "`" in text:
        text = _EMPHASIS.sub("", text)
    return _LINE_BREAKS.sub("\n", _BLANK_RUN.sub(" ", text)).strip(" \n")


@lru_cache(maxsize=4096)
def fold_name(name: str) -> str:
    """A name as it stands in a folded answer; two names that give the same cannot be told apart."""
    return _fold(name)


def _unwrapped(text: str, grammar: Grammar) -> str:
    """A folded answer without rules, boxes, the marks of an object or a table, and remarks on what a role means."""
    if "---" in text:
        text = _RULE.sub("", text).strip("\n")
    if "\\" in text or "$" in text:
        text = _LATEX.sub(r"\1", _LATEX.sub(r"\1", text))
        text = math[1] if (math := _MATH.fullmatch(text)) else text
    if text.startswith(("{", "[")) and text.endswith(("}", "]")):
        if "\\u" in text:
            text = _fold(_ESCAPES.sub(lambda escapes: str(json.loads(f'"{escapes[0]}"')), text))
        text = _QUOTES.sub("", text[1:-1].replace("[]", "none")).strip(" \n")
    if "|" in text:
        text = _TABLE_ROW.sub(r"\1: \2", text)
    return grammar.gloss.sub(r"\1\2", text).strip(" \n")


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def quoted(text: str) -> str:
    """The beginning of a text, in quotation marks and on one line, for a reason."""
    return repr(text if len(text) <= 40 else text[:40] + "...")
