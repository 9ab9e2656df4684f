r"""The parser of Knights and Knaves answers: reads everyone's role, or says why the answer does not give it.

The published verifiers search the answer for "(name) is a (role)" and ignore the rest of it. Such a search finds the
right roles in "Zoey is a knight, or perhaps a knave", so it rewards a model that hedges. This parser must account for
every character of the answer instead.

Accepted are claims that give everyone exactly one role, in any order, in the forms in which models usually write them:

- one person at a time: "Zoey is a knight", "Zoey: knight", "Zoey (a knight)", "Zoey is not a knave";
- several people at a time: "Knights: Zoey and Jack", "Zoey and Jack are both knights", "Knaves: none";
- exhaustive claims, with which all other claims must agree: "Oliver is the only knave", "the knights are Zoey, Jack";
- decoration: numbers, bullets, emphasis, a table, JSON, a code fence, ``\boxed``, a title such as "The roles are:", a
  remark on what a role means ("a knight (tells the truth)"), and the same claim twice.

Refused is everything else, because its meaning is open or because it would let an answer claim more than one thing:

- hedges and alternatives: "perhaps Zoey is a knight", "Zoey is a knight or a knave", "... or the other way round";
- contradictions: both roles for one person, or a list of knights that another claim does not fit;
- negated sentences ("it is not the case that ..."), conditions and reasons ("because Oliver lies"), even true ones;
- strangers, that is names that are not in the puzzle, and role words of other puzzles: where people are saints and
  sinners, "knight" has no meaning;
- people without a role, even if the other claims imply it: "Knights: Zoey" says nothing of Oliver;
- odd characters: look-alike letters, invisible characters and unusual punctuation.

The parser folds the answer (differences such as letter case no longer matter), unwraps it from boxes, tables and
objects, and reads it claim by claim from beginning to end. The time is linear in its length, since no pattern has a
repetition inside a repetition: a completion cannot stall training with an input that makes a pattern backtrack.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NamedTuple

from dumpgym.envs.knights_knaves.language.words import plural, with_article

_BLANKS = " \t\v\f\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
WHITE = _BLANKS + "\r\n"  # what may surround an answer and its tags

# How a text is folded before it is read. Case folding would turn long s, the Kelvin sign and ligatures into plain
# letters, and composing accents would turn the Greek question mark and varia into ";" and "`". Answers with such odd
# characters must be refused, so folding first replaces them by a private-use character that no pattern matches.
_FOLDED = {0x2018: "'", 0x2019: "'", 0x2BC: "'", 0x2010: "-", 0x2011: "-"} | dict.fromkeys(
    [0x17F, 0x212A, 0x37E, 0x1FEF, *range(0xFB00, 0xFB07)], "\ue000"
)
_COMPOSED = re.compile(r".?[^\x00-\x7f]{1,32}")  # in pieces: composing a long run of accents takes quadratic time
_EMPHASIS = re.compile(r"(?<![*_`])[*_`]++(?![^\W_])|(?<![\w*`])[*_`]++")  # beside a word, never inside one
_BLANK_RUN = re.compile(f"[{_BLANKS}]+")
_LINE_BREAKS = re.compile(r" ?[\r\n][ \r\n]*")

# What an answer, or a part of it, may be wrapped in.
_FENCE = re.compile(r"```(?:json|python|te?xt|plaintext|markdown|md|ya?ml)?\r?\n([^`]*+)```")
_RULE = re.compile(r"(?:\A|\n)-{3,}+(?=\n|\Z)")
_LATEX = re.compile(r"(?<!\w)\\(?:boxed|text(?:bf|it|rm)?|math(?:bf|rm)) ?\{ ?([^{}\\]*+)\}(?!\w)")
_MATH = re.compile(r"(?:\$\$?|\\[\[(])[ \n]?([^$\\]*+)(?:\$\$?|\\[\])])")
_QUOTES = re.compile(r"[\"\u201c\u201d\[\]]|(?<!\w)'|'(?!\w)")
_ESCAPES = re.compile(r"(?:\\u[0-9a-f]{4})++")  # JSON's; whole runs, because a character may be two surrogates
_TABLE_ROW = re.compile(  # becomes "name: role"
    r"^\|? ?(?:(?:[0-9]{1,4}\.?|#|no\.?|:?-++:?) ?\| ?)?([^|\n]+?) ?\| ?([^|\n]+?) ?\|?$", re.MULTILINE
)

# The grammar of a folded answer, in which each run of blanks is one space and each run of line breaks is one newline.
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
    """The part of the grammar that depends on a puzzle's two role words.

    Attributes:
        articled: each role word with its article, e.g. "knight": "a knight".
        contrast: each role word against the other, e.g. "knight": "a knight, not a knave".
        singular: the role word of each singular and plural, e.g. "knights": "knight", "knight": "knight".
        other: the other role word, e.g. "knight": "knave".
        claim: pattern that follows one person's name, e.g. " is a knight" or ": knight".
        group: pattern that precedes a list of names, e.g. "knights: " or "the knaves are ".
        plural: pattern that follows a list of names, e.g. " are both knights".
        header: pattern of a title before the first claim, e.g. "the roles are:"; also matches no title.
        gloss: pattern of a role word and a remark on its meaning, e.g. "knight (tells the truth)".
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
    """A claim that some people have a role.

    Attributes:
        people: their folded names; empty if the claim is that nobody has the role.
        role: the role word.
        end: position in the text at which the claim ends.
        exhaustive: whether the claim also says that nobody else has the role.
    """

    people: Collection[str]
    role: str
    end: int
    exhaustive: bool


def read_answer(answer: str, people: Mapping[str, str], grammar: Grammar) -> dict[str, str] | str:
    """Reads everyone's role from an answer.

    Args:
        answer: the text between the tags, without white space around it.
        people: everyone's name, by the name that ``fold_name`` returns.
        grammar: the result of ``role_grammar`` for the puzzle's role words.

    Returns:
        everyone's role by name, or a sentence that says why the answer does not give it.
    """
    if fenced := _FENCE.fullmatch(answer):
        answer = fenced[1]
    text = _unwrapped(_fold(answer), grammar)
    claims = _claims(text, sorted(people, key=len, reverse=True), grammar)
    if isinstance(claims, str):
        return claims
    # Claims may repeat each other, but everyone must have a role and nobody may have both. Nothing is inferred:
    # "Knights: Zoey" does not make Oliver a knave, because the prompt asks for everyone's role.
    claimed = {(person, claim.role) for claim in claims for person in claim.people}
    found = {people[person]: role for person, role in claimed}
    if missing := [name for name in people.values() if name not in found]:
        return f"The answer gives no role to {_listed(missing)}."
    if len(found) < len(claimed):
        both = [name for folded, name in people.items() if {(folded, word) for word in grammar.other} <= claimed]
        return f"The answer gives both roles to {_listed(both)}."
    # "Knights: Zoey. Jack is a knight" contradicts itself although nobody has two roles. The set removes repeated
    # lists: without it, an answer that repeats its lists would take quadratic time.
    for role, group in {(claim.role, frozenset(claim.people)) for claim in claims if claim.exhaustive}:
        if group != {person for person, claimed_role in claimed if claimed_role == role}:
            return f"The answer contradicts its own list of who is {with_article(role)}."
    return found


def _claims(text: str, people: Collection[str], grammar: Grammar) -> list[_Claim] | str:
    """Returns the claims of a folded answer, or a sentence that says which part of it is not a claim.

    The whole text must consist of an optional title, one or more claims with a separator between each two, and an
    optional final punctuation mark.

    Args:
        text: the folded answer.
        people: the folded names, longest first, so that "Emma" does not match the beginning of "Emma-Liam".
        grammar: the grammar for the puzzle's role words.
    """
    claim = _claim_at(text, 0, people, grammar, 0)
    # A title is tried second, because a person may be called "Answer".
    if claim is None and (header := grammar.header.match(text)):
        claim = _claim_at(text, header.end(), people, grammar, 0)
    claims: list[_Claim] = []
    position = 0
    while claim is not None:
        claims.append(claim)
        position, claim = claim.end, None
        if _END.match(text, position):
            return claims
        # The separator's "and" is optional, so that a person may be called "And".
        if separator := _SEPARATOR.match(text, position):
            claim = _claim_at(text, separator.end(), people, grammar, len(claims))
            if claim is None and separator["join"]:
                claim = _claim_at(text, separator.start("join"), people, grammar, len(claims))
    return f"The answer says nobody's role in {quoted(text[position:])}." if text else "The answer is empty."


def _claim_at(text: str, start: int, people: Collection[str], grammar: Grammar, index: int) -> _Claim | None:
    """Returns the claim that begins at a position, after an optional bullet, number or letter; None if there is none.

    Args:
        text: the folded answer.
        start: the position.
        people: the folded names, longest first.
        grammar: the grammar for the puzzle's role words.
        index: number of claims before this one.
    """
    starts = [start]
    if (lead := _ITEM.match(text, start)) and lead.end() > start:
        starts.append(lead.end())
    # A letter must be the one that numbers this claim: "(F) Zoey is a knight" could otherwise mean that this is false.
    if (lead := _LETTER.match(text, start)) and index < len(_LABELS) and lead["label"] in _LABELS[index]:
        starts.append(lead.end())
    for at in starts:
        for name in people:
            if text.startswith(name, at) and (match := grammar.claim.match(text, at + len(name))):
                role = match["role"] or match["bracketed"]
                role = grammar.other[role] if match["negated"] else role
                # "A knight, not a knight" contradicts itself, and "not the only knave" does not say which role it is.
                if match["excluded"] == role or (match["negated"] and match["only"]):
                    return None
                return _Claim((name,), role, match.end(), match["only"] is not None)
        if match := grammar.group.match(text, at):
            names, end = _names_at(text, match.end(), people)
            if not names and (nobody := _NOBODY.match(text, match.end())):
                end = nobody.end()
            if end > match.end():
                # A plural or an article lists everyone who has the role. "Knight: Zoey" may be one item of several.
                role = grammar.singular[match["role"]]
                return _Claim(names, role, end, exhaustive=match["the"] is not None or role != match["role"])
        names, end = _names_at(text, at + 5 if text.startswith("both ", at) else at, people)
        if len(names) > 1 and (match := grammar.plural.match(text, end)):
            return _Claim(names, grammar.singular[match["role"]], match.end(), match["the"] is not None)
    return None


def _names_at(text: str, start: int, people: Collection[str]) -> tuple[set[str], int]:
    """Returns the names of the list that begins at a position, and the position at which it ends."""
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
    """Returns the grammar for a puzzle's two role words.

    Args:
        truthful: the word for a person who tells the truth, a noun in lower case.
        lying: the word for a person who lies, a noun in lower case.
    """
    other = {truthful: lying, lying: truthful}
    singular = {plural(truthful): truthful, plural(lying): lying, truthful: truthful, lying: lying}
    # Longer words first, because one word may begin with the other.
    both = "|".join(sorted((truthful, lying), key=len, reverse=True))
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
    """Removes emphasis and differences of letter case, of composed accents and of white space."""
    if not text.isascii():
        text = _COMPOSED.sub(lambda piece: unicodedata.normalize("NFC", piece[0]), text.translate(_FOLDED))
    text = text.casefold()
    if "*" in text or "_" in text or "`" in text:
        text = _EMPHASIS.sub("", text)
    return _LINE_BREAKS.sub("\n", _BLANK_RUN.sub(" ", text)).strip(" \n")


@lru_cache(maxsize=4096)
def fold_name(name: str) -> str:
    """Folds a name as answers are folded. Two names with the same result cannot be told apart."""
    return _fold(name)


def _unwrapped(text: str, grammar: Grammar) -> str:
    """Removes rules, boxes, the punctuation of objects and tables, and remarks on what a role means, after folding."""
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
    """Quotes the beginning of a text on one line, for use in a reason."""
    return repr(text if len(text) <= 40 else text[:40] + "...")
