"""The verifier of Knights and Knaves: maps the text of a completion to an outcome and a reward.

A completion has one of four outcomes, and a reward rule (``dumpgym.contracts.rewards``) assigns a reward to each
outcome. No rule gives partial credit.

===============  =======================================================
outcome          when
===============  =======================================================
``correct``      everyone has the right role
``wrong``        everyone has exactly one role, and some role is wrong
``unparseable``  the answer says more than that, less or something else
``bad_format``   the tags are not as requested, or it is not text
===============  =======================================================

The rules ``dump``, ``binary`` and ``answer-only`` require the same format: ``<think>``, ``</think>``, ``<answer>`` and
``</answer>`` once each and in this order, with only white space before ``<think>``, between ``</think>`` and
``<answer>`` and after ``</answer>``, except that end-of-turn markers may follow ``</answer>``: a chat template may
close a turn with one marker and a text with another, and batches are padded with them.

``logic-rl`` gives the same rewards as ``dump`` but requires the looser format of Logic-RL's code (Xie et al., arXiv
2502.14768): the four tags once each and in this order. It allows any text before ``<think>``, between ``</think>`` and
``<answer>`` and after ``</answer>``, even text that retracts the answer. It departs from that code in two points: it
receives only the completion, while theirs searches for "Assistant:" and drops everything before it; and it reads the
answer as the other rules do.

The whole answer must be accounted for; see ``dumpgym.envs.knights_knaves.language.answer_reader``. The time is linear
in the length of the completion, whatever its content.

The verifier is strict because training reinforces any text that earns the reward, whether or not it solves the puzzle.
If tags could repeat, a completion could submit several answers. If text could surround the tags, a completion could
retract its answer. If an answer were only searched for matching phrases, it could hedge. The price is that a right
answer in an unforeseen form counts as ``unparseable``; the verdict's reason quotes the part that could not be read.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.puzzle_env import Verdict
from dumpgym.contracts.rewards import reward_rule
from dumpgym.envs.knights_knaves.language.answer_reader import Grammar, quoted, read_answer, role_grammar
from dumpgym.envs.knights_knaves.language.markup import WHITE, fold_name
from dumpgym.envs.knights_knaves.language.words import KNIGHT_KNAVE, RoleWords

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
END_OF_TURN = (
    *("<|im_end|>", "<|endoftext|>", "</s>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|end_of_text|>", "<eos>"),
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
)
_END_OF_TURNS = re.compile(f"(?:(?:{'|'.join(map(re.escape, END_OF_TURN))})[{WHITE}]*+)++")


class _Puzzle(NamedTuple):
    """All that can be computed for a puzzle before a completion is read, and the answers judged so far.

    Attributes:
        roles: each person's role, by name.
        words: the truthful and the lying role word.
        people: each person's name, by folded name.
        grammar: the grammar for these role words.
        lines: the lines of the right answer in the published format, e.g. "(1) Zoey is a knight".
        known: outcome and reason, by answer.
    """

    roles: dict[str, str]
    words: tuple[str, str]
    people: Mapping[str, str]
    grammar: Grammar
    lines: Sequence[str]
    known: dict[str, tuple[str, str]]


_CORRECT = ("correct", "All roles are right.")
# The puzzles verified recently, by the identity of their ``roles``. The bound exceeds the number of puzzles in a batch.
# It is no larger because long-lived objects cost time in each full pass of the garbage collector.
_PUZZLES: dict[int, _Puzzle] = {}
_MOST_PUZZLES = 256
# With at most 64 answers of fewer than 2048 characters for each puzzle, cached answers take at most 32 MiB of ASCII.
_MOST_KNOWN_ANSWERS, _KNOWN_ANSWER_LENGTH = 64, 2048


def verify(
    completion: object, roles: Mapping[str, str], *, role_words: RoleWords = KNIGHT_KNAVE, reward: str = "dump"
) -> Verdict:
    """Judges a completion. It does not see the prompt, and no completion makes it raise an error.

    Args:
        completion: the text that the model wrote. An object that is not a ``str`` has a bad format.
        roles: each person's role, one of the role words, by name. Names are compared regardless of letter case and of
            how accents are composed.
        role_words: the puzzle's two role words, in lower case. Their order matters only for remarks on what a role
            means, such as "a knight (tells the truth)".
        reward: name or full id of the reward rule; see ``dumpgym.contracts.rewards``.

    Returns:
        the verdict, with the outcome and reward terms of the table above, and a reason that says what is wrong.

    Raises:
        InvalidValueError: if ``roles`` is empty, some role is no role word, or two names cannot be told apart.
        UnknownNameError: if there is no such reward rule.
    """
    rule = reward_rule(reward)
    # A group has many completions of one puzzle, so the puzzle's folded names, grammar and known answers are worth
    # keeping. The key is the identity of ``roles``, because hashing its items would take longer than the rest of a
    # typical call. An identity can be reused and a mapping can change, so a hit counts only if the contents are equal.
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
        raise InvalidValueError(
            "roles", dict(roles), "at least one name, none empty, no two equal except in letter case"
        )
    grammar = role_grammar(*role_words)
    lines = [f"({i}) {name} is {grammar.articled[role]}" for i, (name, role) in enumerate(roles.items(), start=1)]
    return _Puzzle(dict(roles), role_words, people, grammar, lines, {"\n".join(lines): _CORRECT})


def _judge(completion: object, puzzle: _Puzzle, is_strict: bool) -> tuple[str, str]:
    """Returns the outcome and its reason."""
    if not isinstance(completion, str):
        return "bad_format", f"The completion is no text but of type {type(completion).__name__}."
    answer = _plainly_framed(completion)
    if answer is None:
        answer, fault = _framed(completion, is_strict)
        if fault:
            return "bad_format", fault
    answer = answer.strip(WHITE)
    # The completions of a group often agree on the answer, even if no two thoughts are equal. The outcome of a
    # well-formed completion depends only on its answer, so the cache cannot change a verdict.
    judged = puzzle.known.get(answer)
    if judged is None:
        judged = _judge_answer(answer, puzzle)
        if len(puzzle.known) < _MOST_KNOWN_ANSWERS and len(answer) < _KNOWN_ANSWER_LENGTH:
            puzzle.known[answer] = judged
    return judged


def _judge_answer(answer: str, puzzle: _Puzzle) -> tuple[str, str]:
    """Returns the outcome and reason of a well-formed completion with this answer."""
    # A wrong answer in the published format needs no grammar: comparing its lines with the right ones finds the same
    # people in a fraction of the time. (A right answer in this format is in ``puzzle.known`` from the start.)
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
    """Returns the answer of a completion in the most common form, in half the time of ``_framed``; else None.

    None does not mean that the format is bad, only that ``_framed`` must decide.
    """
    # The numbers are lengths: 7 of "<think>", 8 of "</think>" and "<answer>", 9 of "</answer>". The conditions leave
    # no "<" except the four tags, in the right order, and no text outside them except line breaks before "<answer>".
    # Such a completion is well-formed under every rule, so this shortcut needs no ``is_strict``. It is faster because
    # every search runs inside ``str`` methods, without a Python loop over each "<" of the thought.
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
    """Returns the answer and an empty string, or an empty string and a sentence that says what is wrong."""
    places: list[int] = []
    # ``str.find`` jumps from one "<" to the next, which is by far the fastest way through a long thought. Five tags are
    # one too many, so the loop can stop there.
    at = text.find("<")
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
            return "", f"Text appears before <think>: {quoted(before)}."
        if between and (between := between.strip(WHITE)):
            return "", f"Text appears between </think> and <answer>: {quoted(between)}."
        if after and (after := after.strip(WHITE)) and not _END_OF_TURNS.fullmatch(after):
            return "", f"Text appears after </answer>: {quoted(after)}."
    return text[start + 8 : end], ""


def _tag_fault(text: str, places: Sequence[int]) -> str:
    """Returns a sentence that says what is wrong with the tags at these places."""
    tags = [next(tag for tag in TAGS if text.startswith(tag, at)) for at in places]
    for tag in TAGS:
        if (times := text.count(tag)) != 1:
            fault = f"{tag} appears {times} times." if times else f"{tag} is missing."
            return fault if text.strip(WHITE) else "The completion is empty."
    first = next(i for i in range(4) if tags[i] != TAGS[i])
    return f"{tags[first]} appears before {TAGS[first]}."


def _flipped(answer: str, puzzle: _Puzzle) -> list[str]:
    """Returns who has the wrong role, if the answer has the published format in the order of ``roles``; else nobody."""
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
