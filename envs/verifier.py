r"""The verifier of Knights and Knaves: what a completion earns, from its text alone.

A completion has one of four outcomes, and a reward rule pays each outcome; no rule gives partial credit.

===============  =======================================================  ====================  ========  ===========
outcome          when                                                     ``dump-v0``           binary    answer-only
                                                                          ``logic-rl-v0``       ``-v0``   ``-v0``
===============  =======================================================  ====================  ========  ===========
``correct``      everyone has the right role                              +1 + 2    =  3        1          2
``wrong``        everyone has one role, and at least one is wrong         +1 - 1.5  = -0.5      0         -1.5
``unparseable``  the answer says anything else, more or less than that    +1 - 2    = -1        0         -2
``bad_format``   the tags are not as asked, or it is no text at all       -1 - 2    = -3        0         -2
===============  =======================================================  ====================  ========  ===========

``dump`` is the paper's training reward (DUMP, arXiv 2504.09710), the terms ``format`` and ``answer``; ``answer-only``
is the metric of its evaluation, ``answer`` alone; ``binary`` pays a right answer 1, in the term ``answer``. The format
they ask for: ``<think>``, ``</think>``, ``<answer>`` and ``</answer>`` once each and in this order, with nothing but
white space before, between ``</think>`` and ``<answer>``, and behind, where one end-of-turn marker may stand.

``logic-rl`` pays as ``dump`` does, with the looser format of Logic-RL's code (Xie et al., arXiv 2502.14768): the four
tags once each and in this order, and any text before ``<think>``, between ``</think>`` and ``<answer>`` and after
``</answer>``, even one that takes the answer back. Ours departs from that code in two points: it is given the
completion alone, where theirs looks for "Assistant:" and drops all before it, and it reads the answer as follows.

The published verifiers search the answer for "(name) is a (role)". Here all of the answer must be accounted for, so
that a hedge, a negated sentence, a reason, a stranger or an odd character makes it unparseable; and more ways to say
the same are read: numbers, bullets, emphasis, "Zoey: knight", "is not a knave", "Knights: Zoey and Jack", "Zoey and
Jack are knights", "Oliver is the only knave", a table, JSON, \boxed, a line on top such as "The roles are:". The words
are the puzzle's own: where saints and sinners live, knights are strangers.

Time is linear in the length of the completion, whatever it holds: no pattern repeats a repetition.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from dumpgym.envs.words import KNIGHT_KNAVE, RoleWords, plural, with_article
from dumpgym.errors import InvalidValueError, UnknownNameError
from dumpgym.puzzle_env import Verdict


class RewardRule(NamedTuple):
    """What each outcome earns, by reward term, and whether text outside the tags is a bad format."""

    name: str
    version: int
    terms: Mapping[str, MappingProxyType[str, float]]
    is_strict: bool = True

    @property
    def id(self) -> str:
        """The full name, by which results should be reported, e.g. "dump-v0"."""
        return f"{self.name}-v{self.version}"


def _terms(**columns: tuple[float, float, float, float]) -> Mapping[str, MappingProxyType[str, float]]:
    outcomes = ("correct", "wrong", "unparseable", "bad_format")
    rows = zip(outcomes, zip(*columns.values(), strict=True), strict=True)
    return MappingProxyType({outcome: MappingProxyType(dict(zip(columns, row, strict=True))) for outcome, row in rows})


_PAPER = _terms(format=(1.0, 1.0, 1.0, -1.0), answer=(2.0, -1.5, -2.0, -2.0))
_VERSIONS = (  # of one name, the newest comes last
    RewardRule("dump", 0, _PAPER),
    RewardRule("logic-rl", 0, _PAPER, is_strict=False),
    RewardRule("binary", 0, _terms(answer=(1.0, 0.0, 0.0, 0.0))),
    RewardRule("answer-only", 0, _terms(answer=(2.0, -1.5, -2.0, -2.0))),
)
REWARDS: Mapping[str, RewardRule] = MappingProxyType({rule.name: rule for rule in _VERSIONS})
_RULES = {**REWARDS, **{rule.id: rule for rule in _VERSIONS}}

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
END_OF_TURN = (
    *("<|im_end|>", "<|endoftext|>", "</s>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|end_of_text|>", "<eos>"),
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
)

_BLANKS = " \t\v\f\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_WHITE = _BLANKS + "\r\n"

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


class _Grammar(NamedTuple):
    """What depends on a puzzle's two role words."""

    articled: Mapping[str, str]  # "knight": "a knight"
    contrast: Mapping[str, str]  # "knight": "a knight, not a knave"
    singular: Mapping[str, str]  # "knights": "knight", "knight": "knight"
    other: Mapping[str, str]
    claim: re.Pattern[str]
    group: re.Pattern[str]
    plural: re.Pattern[str]
    header: re.Pattern[str]
    gloss: re.Pattern[str]


class _Puzzle(NamedTuple):
    """What is known of a puzzle before a completion is read."""

    roles: dict[str, str]
    words: tuple[str, str]
    people: Mapping[str, str]  # names by folded name
    grammar: _Grammar
    lines: Sequence[str]  # of the plainest right answer
    known: dict[str, tuple[str, str]]  # outcome and reason of answers, as the completions of a group often agree


class _Claim(NamedTuple):
    """Says that these people have this role (``exhaustive``: and nobody else), in a piece of text that ends there."""

    people: Collection[str]
    role: str
    end: int
    exhaustive: bool


_CORRECT = ("correct", "All roles are right.")
_PUZZLES: dict[int, _Puzzle] = {}


def reward_rule(name: str) -> RewardRule:
    """The reward rule of a name ("dump", its newest version) or of a full id ("dump-v0").

    Raises:
        UnknownNameError: if there is none.
    """
    if name not in _RULES:
        raise UnknownNameError("reward", str(name), _RULES)
    return _RULES[name]


def verify(
    completion: object, roles: Mapping[str, str], *, role_words: RoleWords = KNIGHT_KNAVE, reward: str = "dump"
) -> Verdict:
    """Judges a completion; it sees nothing of the prompt, and no completion makes it raise.

    Args:
        completion: what the model wrote. Whatever is not a ``str`` has a bad format.
        roles: each person's name with one of the role words. Names are compared regardless of letter case and of how
            accents are composed.
        role_words: the puzzle's two role words, in lower case; which of them is the truthful one says only which
            remark may stand behind it ("a knight (tells the truth)").
        reward: name or full id of the reward rule; see ``REWARDS``.

    Returns:
        the verdict, with outcome and reward terms of the tables above, and a reason that says what is wrong.

    Raises:
        InvalidValueError: if nobody is in ``roles``, somebody has another role, or two names cannot be told apart.
        UnknownNameError: if there is no such reward rule.
    """
    rule = _RULES.get(reward) or reward_rule(reward)
    # By identity, as hashing the roles would take longer than all else; what they hold is compared, as an id may be
    # used again and a mapping may change.
    puzzle = _PUZZLES.get(id(roles))
    if puzzle is None or puzzle.roles != roles or puzzle.words != role_words:
        puzzle = _puzzle(roles, role_words)
        if len(_PUZZLES) >= 1024:
            _PUZZLES.clear()
        _PUZZLES[id(roles)] = puzzle
    outcome, reason = _judge(completion, puzzle, rule.is_strict)
    return Verdict(outcome, rule.terms[outcome].copy(), outcome == "correct", reason)


def _puzzle(roles: Mapping[str, str], role_words: RoleWords) -> _Puzzle:
    people = {}
    for name, role in roles.items():
        if not isinstance(name, str) or role not in role_words:
            raise InvalidValueError("roles", dict(roles), f"names, each with {role_words[0]!r} or {role_words[1]!r}")
        people[_fold_name(name)] = name
    if len(people) < len(roles) or "" in people or not people:
        raise InvalidValueError("roles", dict(roles), "at least one name, none empty, no two equal but for letter case")
    grammar = _grammar(*role_words)
    lines = [f"({i}) {name} is {grammar.articled[role]}" for i, (name, role) in enumerate(roles.items(), start=1)]
    return _Puzzle(dict(roles), role_words, people, grammar, lines, {"\n".join(lines): _CORRECT})


def _judge(completion: object, puzzle: _Puzzle, is_strict: bool) -> tuple[str, str]:
    """The outcome and its reason."""
    if not isinstance(completion, str):
        return "bad_format", f"The completion is no text but of type {type(completion).__name__}."
    answer = _plainly_framed(completion)
    if answer is None:
        answer, fault = _framed(completion, is_strict)
        if fault:
            return "bad_format", fault
    answer = answer.strip(_WHITE)
    judged = puzzle.known.get(answer)
    if judged is None:
        judged = _judge_answer(answer, puzzle)
        if len(puzzle.known) < 64 and len(answer) < 2048:
            puzzle.known[answer] = judged
    return judged


def _judge_answer(answer: str, puzzle: _Puzzle) -> tuple[str, str]:
    flipped = _flipped(answer, puzzle)
    if not flipped:
        found = _read(answer, puzzle)
        if isinstance(found, str):
            return "unparseable", found
        flipped = [name for name, role in puzzle.roles.items() if found[name] != role]
    if not flipped:
        return _CORRECT
    wrong = "; ".join([f"{name} is {puzzle.grammar.contrast[puzzle.roles[name]]}" for name in flipped[:3]])
    return "wrong", f"{wrong}; and {len(flipped) - 3} more." if len(flipped) > 3 else f"{wrong}."


def _plainly_framed(text: str) -> str | None:
    """The answer of most completions, in half the time of ``_framed``; None where a closer look is needed."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end)
    thought_end = text.rfind("</think>", 0, start)
    if (
        end > start > thought_end >= 7
        and end + 9 == len(text)
        and text.startswith("<think>")
        and text.find("<", 7, thought_end) < 0
        and text.find("<", start + 8, end) < 0
        and text[thought_end + 8 : start] in ("\n", "", "\n\n")
    ):
        return text[start + 8 : end]
    return None


def _framed(text: str, is_strict: bool) -> tuple[str, str]:
    """The answer, and what is wrong with the format, if anything."""
    places = []
    at = text.find("<")  # by far the quickest way through a long thought
    while at >= 0:
        if text.startswith(TAGS, at):
            places.append(at)
        at = text.find("<", at + 1)
    if len(places) != 4 or not all(map(text.startswith, TAGS, places)):
        return "", _tag_fault(text, places)
    opening, thought_end, start, end = places
    if is_strict:
        before, between, after = text[:opening], text[thought_end + 8 : start], text[end + 9 :]
        if before and (before := before.strip(_WHITE)):
            return "", f"Text stands before <think>: {_quoted(before)}."
        if between and (between := between.strip(_WHITE)):
            return "", f"Text stands between </think> and <answer>: {_quoted(between)}."
        if after and (after := after.strip(_WHITE)) and after not in END_OF_TURN:
            return "", f"Text stands after </answer>: {_quoted(after)}."
    return text[start + 8 : end], ""


def _tag_fault(text: str, places: Sequence[int]) -> str:
    """What is wrong with the tags that stand at these places."""
    tags = [next(tag for tag in TAGS if text.startswith(tag, at)) for at in places]
    for tag in TAGS:
        if (times := tags.count(tag)) != 1:
            fault = f"{tag} stands {times} times." if times else f"{tag} is missing."
            return fault if text.strip(_WHITE) else "The completion is empty."
    first = next(i for i in range(4) if tags[i] != TAGS[i])
    return f"{tags[first]} stands before {TAGS[first]}."


def _flipped(answer: str, puzzle: _Puzzle) -> list[str]:
    """Who has the other role in an answer that is the plainest one but for that; nobody if it differs in more."""
    a, other = puzzle.grammar.articled, puzzle.grammar.other
    flipped: list[str] = []
    lines = answer.split("\n")
    if len(lines) != len(puzzle.lines):
        return flipped
    for line, right, name in zip(lines, puzzle.lines, puzzle.roles, strict=True):
        if line != right:
            role = puzzle.roles[name]
            if line != right.removesuffix(a[role]) + a[other[role]]:
                return []
            flipped.append(name)
    return flipped


def _read(answer: str, puzzle: _Puzzle) -> dict[str, str] | str:
    """Everyone's role, or a sentence that says why the answer has no such meaning."""
    if fenced := _FENCE.fullmatch(answer):
        answer = fenced[1]
    text = _unwrapped(_fold(answer), puzzle.grammar)
    claims = _claims(text, sorted(puzzle.people, key=len, reverse=True), puzzle.grammar)
    if isinstance(claims, str):
        return claims
    claimed = {(person, claim.role) for claim in claims for person in claim.people}
    found = {puzzle.people[person]: role for person, role in claimed}
    if missing := [name for name in puzzle.roles if name not in found]:
        return f"The answer gives no role to {_listed(missing)}."
    if len(found) < len(claimed):
        both = [name for folded, name in puzzle.people.items() if {(folded, word) for word in puzzle.words} <= claimed]
        return f"The answer gives both roles to {_listed(both)}."
    for role, group in {(claim.role, frozenset(claim.people)) for claim in claims if claim.exhaustive}:
        if group != {person for person, claimed_role in claimed if claimed_role == role}:
            return f"The answer contradicts its own list of who is {with_article(role)}."
    return found


def _claims(text: str, people: Collection[str], grammar: _Grammar) -> list[_Claim] | str:
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
    return f"The answer says nobody's role in {_quoted(text[position:])}." if text else "The answer is empty."


def _claim_at(text: str, start: int, people: Collection[str], grammar: _Grammar, index: int) -> _Claim | None:
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
def _grammar(truthful: str, lying: str) -> _Grammar:
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
    return _Grammar(
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


_fold_name = lru_cache(maxsize=4096)(_fold)


def _unwrapped(text: str, grammar: _Grammar) -> str:
    """A folded answer without rules, boxes, the marks of an object or a table, and remarks on what a role means."""
    if "---" in text:
        text = _RULE.sub("", text).strip("\n")
    if "\\" in text or "$" in text:
        text = _LATEX.sub(r"\1", _LATEX.sub(r"\1", text))
        text = math[1] if (math := _MATH.fullmatch(text)) else text
    if text.startswith(("{", "[")) and text.endswith(("}", "]")):
        text = _QUOTES.sub("", text[1:-1].replace("[]", "none")).strip(" \n")
    if "|" in text:
        text = _TABLE_ROW.sub(r"\1: \2", text)
    return grammar.gloss.sub(r"\1\2", text).strip(" \n")


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
