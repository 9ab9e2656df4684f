"""Puzzles in English: the published sentences, with names and sayings drawn from the puzzle's own random stream."""

import re
from collections.abc import Sequence

import numpy as np

from dumpgym.envs.puzzle import Statement
from dumpgym.envs.words import NAMES, OPENING, QUESTION, SAYINGS

INSTRUCTION = (
    "\nReason between <think> and </think>. Then, between <answer> and </answer>, state the role of every "
    'inhabitant, as in "NAME is a knight".\n'
)


def draw_names(rng: np.random.Generator, num_people: int) -> tuple[str, ...]:
    """Different names, in random order."""
    return tuple(NAMES[i] for i in rng.permutation(len(NAMES))[:num_people])


def render_quiz(statements: Sequence[Statement], names: Sequence[str], rng: np.random.Generator) -> str:
    """The puzzle as a text that ends in the question who is what."""
    sayings = [SAYINGS[i] for i in rng.integers(0, len(SAYINGS), len(names))]
    said = " ".join(
        saying.format(name=name, content=_content(statement, names, in_sentence="that {content}" in saying))
        for saying, name, statement in zip(sayings, names, statements, strict=True)
    )
    listed = f"{' and '.join(names)}." if len(names) == 2 else f"{', '.join(names[:-1])}, and {names[-1]}."
    return f"{OPENING}You meet {len(names)} inhabitants: {listed} {said} {QUESTION}"


def render_answer(names: Sequence[str], solution: Sequence[bool]) -> str:
    """The roles as numbered lines, in the published format, e.g. ``(1) Zoey is a knight``."""
    lines = (
        f"({i}) {name} is {role_phrase(knight)}"
        for i, (name, knight) in enumerate(zip(names, solution, strict=True), start=1)
    )
    return "\n".join(lines)


def role_phrase(knight: bool) -> str:
    """The role's word with its article."""
    return "a knight" if knight else "a knave"


def claim_phrase(statement: Statement) -> str:
    """What a leaf or a negated leaf says of its person, e.g. "is not a knave"."""
    negated, leaf = (statement[0] == "not", statement[1] if statement[0] == "not" else statement)
    return f"is {'not ' if negated else ''}{role_phrase(leaf[0] == 'telling-truth')}"


def _content(statement: Statement, names: Sequence[str], in_sentence: bool) -> str:
    match statement:
        case ("and" | "or" as conjunction, first, second):
            joined = f" {conjunction} "
        case ("<=>", first, second):
            joined = " if and only if "
        case ("->", first, second):
            condition = _content(first, names, in_sentence=True)
            consequence = _content(second, names, in_sentence=True)
            return f"{'if' if in_sentence else 'If'} {condition} then {consequence}"
        case _:
            leaf = statement[1] if statement[0] == "not" else statement
            return f"{names[leaf[1]]} {claim_phrase(statement)}"
    return joined.join(_content(part, names, in_sentence=True) for part in (first, second))


def phrases() -> list[str]:
    """The pieces of which prompts consist: names, and all that stands between names."""
    pieces = {OPENING + "You meet ", " inhabitants: ", ", and ", " and ", ", ", ". ", QUESTION + INSTRUCTION}
    pieces.update((" or ", " then ", " if and only if ", "If ", "if "))
    for saying in SAYINGS:
        before, between, after = re.split(r"\{name\}|\{content\}", saying)
        pieces.update((before, between, after, after + " "))
    return [*NAMES, *sorted(pieces - {""})]
