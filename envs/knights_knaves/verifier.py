"""The verifier of Knights and Knaves: what a completion earns, from its text alone.

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
completion alone, where theirs looks for "Assistant:" and drops all before it, and it reads the answer as the others do.

All of the answer must be accounted for, as ``dumpgym.envs.knights_knaves.language.answer_reader`` says. Time is linear in the length of the
completion, whatever it holds.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.puzzle_env import Verdict
from dumpgym.envs.knights_knaves.language.answer_reader import (
    WHITE,
    Grammar,
    fold_name,
    quoted,
    read_answer,
    role_grammar,
)
from dumpgym.envs.knights_knaves.language.words import KNIGHT_KNAVE, RoleWords


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


class _Puzzle(NamedTuple):
    """What is known of a puzzle before a completion is read."""

    roles: dict[str, str]
    words: tuple[str, str]
    people: Mapping[str, str]  # names by folded name
    grammar: Grammar
    lines: Sequence[str]  # of the plainest right answer
    known: dict[str, tuple[str, str]]  # outcome and reason of answers, as the completions of a group often agree


_CORRECT = ("correct", "All roles are right.")
_PUZZLES: dict[int, _Puzzle] = {}
_MOST_PUZZLES = 256  # more than a batch has; the longer they live, the more the garbage collector has to look through


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
        if len(_PUZZLES) >= _MOST_PUZZLES:
            _PUZZLES.clear()
        _PUZZLES[id(roles)] = puzzle
    outcome, reason = _judge(completion, puzzle, rule.is_strict)
    return Verdict(outcome, rule.terms[outcome].copy(), outcome == "correct", reason)


def _puzzle(roles: Mapping[str, str], role_words: RoleWords) -> _Puzzle:
    people = {}
    for name, role in roles.items():
        if not isinstance(name, str) or role not in role_words:
            raise InvalidValueError("roles", dict(roles), f"names, each with {role_words[0]!r} or {role_words[1]!r}")
        people[fold_name(name)] = name
    if len(people) < len(roles) or "" in people or not people:
        raise InvalidValueError("roles", dict(roles), "at least one name, none empty, no two equal but for letter case")
    grammar = role_grammar(*role_words)
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
    answer = answer.strip(WHITE)
    judged = puzzle.known.get(answer)
    if judged is None:
        judged = _judge_answer(answer, puzzle)
        if len(puzzle.known) < 64 and len(answer) < 2048:
            puzzle.known[answer] = judged
    return judged


def _judge_answer(answer: str, puzzle: _Puzzle) -> tuple[str, str]:
    flipped = _flipped(answer, puzzle)
    if not flipped:
        found = read_answer(answer, puzzle.people, puzzle.grammar)
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
    places: list[int] = []
    at = text.find("<")  # by far the quickest way through a long thought
    while at >= 0 and len(places) <= 4:
        if text.startswith(TAGS, at):
            places.append(at)
        at = text.find("<", at + 1)
    if len(places) != 4 or not all(map(text.startswith, TAGS, places)):
        return "", _tag_fault(text, places)
    opening, thought_end, start, end = places
    if is_strict:
        before, between, after = text[:opening], text[thought_end + 8 : start], text[end + 9 :]
        if before and (before := before.strip(WHITE)):
            return "", f"Text stands before <think>: {quoted(before)}."
        if between and (between := between.strip(WHITE)):
            return "", f"Text stands between </think> and <answer>: {quoted(between)}."
        if after and (after := after.strip(WHITE)) and after not in END_OF_TURN:
            return "", f"Text stands after </answer>: {quoted(after)}."
    return text[start + 8 : end], ""


def _tag_fault(text: str, places: Sequence[int]) -> str:
    """What is wrong with the tags that stand at these places."""
    tags = [next(tag for tag in TAGS if text.startswith(tag, at)) for at in places]
    for tag in TAGS:
        if (times := text.count(tag)) != 1:
            fault = f"{tag} stands {times} times." if times else f"{tag} is missing."
            return fault if text.strip(WHITE) else "The completion is empty."
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
