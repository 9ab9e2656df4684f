r"""The parser of Knights and Knaves answers: reads everyone's role, or says why the answer does not give it.

The published verifiers search the answer for "(name) is a (role)" and ignore the rest of it. Such a search finds the
right roles in "Zoey is a knight, or perhaps a knave", so it rewards a model that hedges. This parser must account for
every character of the answer instead.

Accepted are claims that give everyone exactly one role, in any order, in the forms in which models usually write them:

- one person at a time: "Zoey is a knight", "Zoey: knight", "Zoey (a knight)", "Zoey is not a knave";
- several people at a time: "Knights: Zoey and Jack", "Zoey and Jack are both knights", "Knaves: none";
- exhaustive claims, with which all other claims must agree: "Oliver is the only knave", "the knights are Zoey, Jack";
- pairs: "(Zoey, knight), (Oliver, knave)";
- titles and lead-in words: "The roles are:", "So:", "Therefore, the final answer is", also before a repetition;
- decoration: numbers, bullets, emphasis, check marks and emoji that introduce a claim, block quotes, a table, JSON, a
  code fence, TeX (``$\boxed{\text{Zoey}\text{ is a knight}}$``, aligned lines, lists; see ``tex``), the full-width
  punctuation of Chinese and Japanese, a remark in brackets on what a role means ("a knight (tells the truth)"), and
  the same claim twice.

Refused is everything else, because its meaning is open or because it would let an answer claim more than one thing:

- hedges and alternatives: "perhaps Zoey is a knight", "Zoey is a knight or a knave", "... or the other way round";
- contradictions: both roles for one person, or a list of knights that another claim does not fit;
- negated sentences ("it is not the case that ..."), conditions and reasons ("because Oliver lies"), even true ones;
- strangers, that is names that are not in the puzzle, and role words of other puzzles: where people are saints and
  sinners, "knight" has no meaning;
- people without a role, even if the other claims imply it: "Knights: Zoey" says nothing of Oliver;
- odd characters: look-alike letters, full-width letters, invisible characters, unusual punctuation and other emoji;
- TeX that may change what a text claims, such as ``\neg`` or ``\cancel``, and TeX that does not close.

The parser folds the answer (differences such as letter case no longer matter), unwraps it from quotes, TeX, objects and
tables (see ``markup``), and reads it claim by claim from beginning to end. The time is linear in its length, since no
pattern has a repetition inside a repetition: a completion cannot stall training with an input that makes a pattern
backtrack.
"""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NamedTuple

from dumpgym.envs.knights_knaves.language.markup import readings
from dumpgym.envs.knights_knaves.language.words import plural, with_article

# The grammar of a folded answer, in which each run of blanks is one space and each run of line breaks is one newline.
# Emoji that introduce or approve; none that rejects, doubts or guesses. The selector asks for a coloured picture.
_APPROVAL = "(?:[✅✔✓☑]\ufe0f?)"
_EMOJI = f"(?:{_APPROVAL}|[🎯🏁👉➡🔹🔸🔷🔶⭐🌟✨🧩💡📝📌📍🔑🎉🏆📋🧠⚔🛡🏰🔍🔎📜👑]\ufe0f?) ?"
_BULLET = f"(?:[-+•◦▪●‣·\u2013\u2014] ?)?(?:{_EMOJI}){{0,2}}"
_NUMBER = r"#[0-9]{1,4}[.:)]? ?|[(\[]?[0-9]{1,4}(?:[)\]][.:]?|\.\)?|[:、]|\ufe0f?\u20e3| [-\u2013](?= )) ?"
_ITEM = re.compile(rf"{_BULLET}(?:(?:{_NUMBER})(?:{_EMOJI})?)?")
_LETTER = re.compile(rf"{_BULLET}\(?(?P<label>[ivx]{{1,5}}|[a-p])[.)] ?")
_LABELS = tuple(zip("abcdefghijklmnop", "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi".split(), strict=True))
_LINK = r" ?(?:[:=]|:=|==|[\u2013\u2014→⇒]|--?>|=>) ?| - "
_JOIN = "(?:and|but|while|whereas)[ \n]"
_SEPARATOR = re.compile(
    rf"(?: ?{_APPROVAL})?(?:(?P<stop> ?(?:[;.!]\n?|,?\n) ?)| ?[,、] ?| & | (?={_JOIN}|[#(\[]?[0-9]|\((?:[a-p]\)|\D)))"
    rf"(?:{_APPROVAL}\n)?(?P<join>(?:{_JOIN})?)"
)
_END = re.compile(rf"(?: ?{_APPROVAL})? ?[,;.!]?(?: ?{_APPROVAL})?\Z")
_NOBODY = re.compile(r"none|nobody|no one|\(none\)")
_NEXT_NAME = re.compile(rf" ?[,、][ \n]?(?:and )?| (?:and|&) |\n{_ITEM.pattern}")
_NAME_END = re.compile(r" ?[,、;.!:=\n✅✔✓☑]| (?:and|&|are|but|while|whereas|[-=\u2013\u2014→⇒]{1,2}>?) |\Z")
_PEOPLE = "(?:people|persons|inhabitants|islanders|characters)"
_EVERYONE = (
    rf"(?:(?:each|every) (?:person|inhabitant|islander|character)|each(?: of the {_PEOPLE})?|everyone|everybody"
    rf"|(?:all )?(?:the )?{_PEOPLE})"
)
_SO = (
    "(?:therefore|thus|hence|so|consequently|accordingly|finally|overall|in (?:conclusion|summary|short)"
    "|to (?:conclude|summari[sz]e)|as a result)(?:[,:][ \n]?|[ \n])"
    "|(?:we (?:have|get|find|(?:can )?conclude)|it follows)(?: that)?[,:]?[ \n]"
)
_MOST_PIECES = 8  # of a title; "## ✅ So, the final answer is: therefore, we conclude that " has six
_CELL = "(?:name|person|inhabitant|islander|character)"


class Grammar(NamedTuple):
    """The part of the grammar that depends on a puzzle's two role words.

    Attributes:
        articled: each role word with its article, e.g. "knight": "a knight".
        contrast: each role word against the other, e.g. "knight": "a knight, not a knave".
        singular: the role word of each singular and plural, e.g. "knights": "knight", "knight": "knight".
        other: the other role word, e.g. "knight": "knave".
        claim: pattern that follows one person's name, e.g. " is a knight" or ": knight".
        pair: pattern that follows one person's name behind an opening bracket, e.g. ", knight)".
        group: pattern that precedes a list of names, e.g. "knights: " or "the knaves are ".
        plural: pattern that follows a list of names, e.g. " are both knights".
        title: pattern of one piece of a title, e.g. "the roles are:" or "so,".
        gloss: pattern of a role word and a remark on its meaning, e.g. "knight (tells the truth)".
    """

    articled: Mapping[str, str]
    contrast: Mapping[str, str]
    singular: Mapping[str, str]
    other: Mapping[str, str]
    claim: re.Pattern[str]
    pair: re.Pattern[str]
    group: re.Pattern[str]
    plural: re.Pattern[str]
    title: re.Pattern[str]
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
    names = sorted(people, key=len, reverse=True)
    claims: list[_Claim] | str = ""
    for text in readings(answer, names):
        claims = _claims(text, names, grammar)
        if isinstance(claims, str) and (plain := grammar.gloss.sub(r"\1\2", text)) != text:
            claims = _claims(plain, names, grammar)
        if not isinstance(claims, str):
            break
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
    claim = _titled_claim_at(text, 0, people, grammar, 0)
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
            # Models often write an answer once in words, and once more under a title.
            if claim is None and separator["stop"]:
                claim = _titled_claim_at(text, separator.end(), people, grammar, len(claims))
    return f"The answer says nobody's role in {quoted(text[position:])}." if text else "The answer is empty."


def _titled_claim_at(text: str, start: int, people: Collection[str], grammar: Grammar, index: int) -> _Claim | None:
    """Returns the claim that begins at a position, after an optional title; see ``_claim_at``."""
    # A claim is tried before each piece of a title, because a person may be called "Answer" or "So".
    for _ in range(_MOST_PIECES):
        if claim := _claim_at(text, start, people, grammar, index):
            return claim
        if not (piece := grammar.title.match(text, start)):
            break
        start = piece.end()
    return None


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
        if text.startswith("(", at) and (pair := _pair_at(text, at + 1, people, grammar)):
            return pair
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


def _pair_at(text: str, start: int, people: Collection[str], grammar: Grammar) -> _Claim | None:
    """Returns the claim that is a pair such as ``zoey, knight)``, behind its opening bracket; None if there is none."""
    start += text.startswith(("'", '"'), start)
    for name in people:
        if text.startswith(name, start) and (match := grammar.pair.match(text, start + len(name))):
            return _Claim((name,), match["role"], match.end(), exhaustive=False)
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
    what = r"(?:answers?|solutions?|results?|roles?|types?|identit(?:y|ies)|conclusion|assignments?|scenario)"
    kind = "(?:(?:final|correct|complete|only|unique|consistent|valid) ){0,2}"
    title = (
        rf"(?:(?:here (?:is|are) )?(?:(?:(?:the|my) {kind}|(?:final|correct|complete) )?{what}"
        rf"(?: (?:of|for) {_EVERYONE})?|{_EVERYONE}'?s? {what})|{either} ?(?:or|and|/) ?{either}(?: for {_EVERYONE})?)"
    )
    question = rf"who is (?:an? )?{either} and who is (?:an? )?{either}\??"
    titled = (
        rf"(?:(?:{title}(?: is| are)?(?: as follows)?|{question})(?: ?:[ \n]?|\n| [-\u2013\u2014] )"
        rf"|{title} (?:is|are)(?: that)? )"
    )
    table = rf"{_CELL}: (?:{what}|{either} ?(?:/|or) ?{either})\n(?::?-++:?: :?-++:?\n)?"
    honest = "(?:(?:tell|speak)(?:s|ing)? (?:only )?(?:the )?truth|truth[- ]?tellers?|truthful|honest)"
    false = "(?:lie|lies|lying|tells? lies|liars?|untruthful|dishonest)"
    # What may precede a remark. A pronoun stands for the person of the claim, whose role the remark must fit.
    aside = r"(?:(?:i\.e\.,?|that is,?|=|who|he|she|they|it) )?(?:(?:an?|the|is an?) )?(?:always )?"
    gloss = (
        rf"(?<!\w)(?:({truthful}|{plural(truthful)}) ?\({aside}{honest}\)"
        rf"|({lying}|{plural(lying)}) ?\({aside}{false}\))"
    )
    return Grammar(
        articled={word: with_article(word) for word in other},
        contrast={word: f"{with_article(word)}, not {with_article(other[word])}" for word in other},
        singular=singular,
        other=other,
        claim=re.compile(claim),
        pair=re.compile(rf"['\"]?(?: ?[,、] ?| is |{_LINK})['\"]?(?:(?:an?|the) )?(?P<role>{both})['\"]? ?\)"),
        group=re.compile(group),
        plural=re.compile(rf"(?: are (?:both |all )?|{_LINK})(?P<the>the (?:only )?)?(?P<role>{many})"),
        title=re.compile(rf"#{{1,6}} |{_EMOJI}|{_SO}|{titled}|{table}"),
        gloss=re.compile(gloss),
    )


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def quoted(text: str) -> str:
    """Quotes the beginning of a text on one line, for use in a reason."""
    return repr(text if len(text) <= 40 else text[:40] + "...")
