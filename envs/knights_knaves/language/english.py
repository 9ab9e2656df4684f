"""Puzzles in English: the published sentences, and unambiguous sentences for nested statements.

A statement whose parts are plain claims has the published form ("A and B", "If A then B"). If a part is itself
compound, every compound connective begins with its own marker ("both A and B", "either A or B", "it is the case that A
if and only if B", "it is not the case that A"), so the sentence has exactly one reading at any depth. Where a marker
would follow itself ("both both"), the parts become a list.

Many puzzles are put into words at once: each person's sentence is joined from pieces that are looked up in tables.
"""

import re
from collections.abc import Sequence
from functools import cache
from operator import add
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumpgym.envs.knights_knaves.language.words import KNIGHT_KNAVE, NAMES, SAYINGS, RoleWords, plural, with_article
from dumpgym.envs.knights_knaves.logic.equivalence import LEAVES, Statement
from dumpgym.envs.knights_knaves.logic.puzzle import OPERATORS
from dumpgym.envs.knights_knaves.logic.statement_sets import CodedStatements, StatementSets

Words = NDArray[np.object_]

_CONJUNCTIONS = {"and": " and ", "or": " or ", "->": " then ", "<=>": " if and only if "}
_MARKERS = {
    "and": "both ",
    "or": "either ",
    "->": "if ",
    "<=>": "it is the case that ",
    "not": "it is not the case that ",
}
_LIST_MARKERS = {"and": "all of these are true: ", "or": "at least one of these is true: "}
_TRUE_THAT = "it is true that "


class Wording(NamedTuple):
    """The words of a block of puzzles.

    Attributes:
        names: the names to choose from.
        name_of: each person's name, as an index into ``names``, (puzzles, people).
        sayings: how each person is quoted, as an index into ``SAYINGS``, (puzzles, people).
        order: the order in which people are quoted, (puzzles, people).
        role_words: the words for the two roles.
        capital_if: whether "If" is capitalised even within a sentence, as in the published files.
    """

    names: tuple[str, ...]
    name_of: NDArray[np.int64]
    sayings: NDArray[np.int64]
    order: NDArray[np.int64]
    role_words: RoleWords
    capital_if: bool = False

    def people(self, row: int) -> tuple[str, ...]:
        """Returns the names of one puzzle's people."""
        return tuple(self.names[i] for i in self.name_of[row].tolist())


def draw_wording(
    rng: np.random.Generator,
    shape: tuple[int, int],
    names: tuple[str, ...],
    role_words: RoleWords = KNIGHT_KNAVE,
    *,
    reorder: bool = False,
) -> Wording:
    """Draws different names for the people of each puzzle, and a saying for each person.

    Args:
        rng: the random stream.
        shape: number of puzzles and number of people.
        names: the names to choose from.
        role_words: the words for the two roles.
        reorder: whether people are quoted in a different order from the one in which they are introduced.
    """
    num_puzzles, num_people = shape
    name_of = rng.permuted(np.tile(np.arange(len(names)), (num_puzzles, 1)), axis=1)[:, :num_people]
    sayings = rng.integers(0, len(SAYINGS), shape)
    order = np.tile(np.arange(num_people), (num_puzzles, 1))
    while reorder and (same := (order == np.arange(num_people)).all(1)).any():
        order[same] = rng.permuted(order[same], axis=1)
    return Wording(names, name_of, sayings, order, role_words)


def render_quizzes(sets: StatementSets, wording: Wording) -> list[str]:
    """Returns the texts of the puzzles, each of which ends with the question who is what."""
    names, name_of, sayings, order, words, capital_if = wording
    num_puzzles, num_people = name_of.shape
    tables = _piece_tables(names, words)
    # The introduction: the opening, then each person's name with its punctuation, (puzzles, 1 + people).
    listed = np.full((num_puzzles, num_people + 1), opening(words) + f"You meet {num_people} inhabitants: ", object)
    listed[:, 1:] = tables.comma[name_of]
    if num_people == 2:
        listed[:, 1] = tables.space[name_of[:, 0]]
    listed[:, -1] = tables.last[name_of[:, -1]]
    puzzle = np.arange(num_puzzles)[:, None]
    said = _contents(sets, name_of, names, words)
    if isinstance(sets, CodedStatements):
        which_if = np.where(sets.operators == OPERATORS.index("->"), 2 if capital_if else 1, 0)
        parts = [tables.before[which_if, sayings, name_of], *said, tables.after[sayings, name_of]]
    else:
        in_sentence = np.array([_in_sentence(saying) for saying in SAYINGS])[sayings] & (not capital_if)
        parts = [tables.before[0, sayings, name_of], np.where(in_sentence, *said), tables.after[sayings, name_of]]
    # From (puzzles, people, pieces) in order of introduction to (puzzles, people * pieces) in order of quotation.
    quoted = np.stack(parts, -1)[puzzle, order].reshape(num_puzzles, -1)
    end = question(words)
    return ["".join(row) + end for row in np.concatenate([listed, quoted], 1).tolist()]


class _PieceTables(NamedTuple):
    """The pieces from which sentences are joined.

    Attributes:
        before: text before the content, (3, sayings, names). The first axis says what is added at its end: nothing,
            "if" or "If" as the sentence requires, or always "If".
        after: text after the content, (sayings, names).
        claims: "NAME is a ROLE", (names, 4); the last axis is truthful, lying, not truthful, not lying.
        comma: "NAME, ", (names,).
        space: "NAME ", (names,).
        last: "and NAME. ", (names,).
        answers: "NAME is a ROLE", (2, names); the first axis is truthful, lying.
    """

    before: Words
    after: Words
    claims: Words
    comma: Words
    space: Words
    last: Words
    answers: Words


@cache
def _piece_tables(names: tuple[str, ...], words: RoleWords) -> _PieceTables:
    pieces = [re.split(r"\{content\}", saying) for saying in SAYINGS]
    before = [[start.format(name=name) for name in names] for start, _ in pieces]
    conditional, capital = (
        [
            [start + (word if _in_sentence(saying) else "If ") for start in row]
            for row, saying in zip(before, SAYINGS, strict=True)
        ]
        for word in ("if ", "If ")
    )
    after = [[end.format(name=name) + " " for name in names] for _, end in pieces]
    roles = [" is " + negation + with_article(word) for negation in ("", "not ") for word in words]
    lists = [[f"{name}, " for name in names], [f"{name} " for name in names], [f"and {name}. " for name in names]]
    answers = [[f"{name} is {with_article(word)}" for name in names] for word in words]
    claims = [[name + role for role in roles] for name in names]
    tables = ([before, conditional, capital], after, claims, *lists, answers)
    return _PieceTables(*(np.array(table, dtype=object) for table in tables))


def _in_sentence(saying: str) -> bool:
    """Whether the content comes after "that", in the middle of a sentence, and not in quotation marks."""
    return "that {content}" in saying


def _contents(sets: StatementSets, name_of: NDArray[Any], names: tuple[str, ...], words: RoleWords) -> list[Words]:
    """Returns what people say, as arrays of shape (puzzles, people).

    For coded statements these are three pieces that follow each other: the first claim, the conjunction and the second
    claim; "if" is not part of them. For nested statements they are two versions of the whole content: the first is for
    the middle of a sentence, the second, which begins with a capital letter, is for quotation marks.
    """
    if isinstance(sets, CodedStatements):
        claims = _piece_tables(names, words).claims
        puzzle = np.arange(len(name_of))[:, None]
        is_negated = sets.operators == OPERATORS.index("not")
        first, second = sets.leaves[..., 0], sets.leaves[..., 1]
        conjunctions = np.array(["", "", *(_CONJUNCTIONS[name] for name in OPERATORS[2:])], dtype=object)
        seconds = claims[name_of[puzzle, second >> 1], second & 1]
        seconds[sets.operators <= 1] = ""
        firsts = claims[name_of[puzzle, first >> 1], (first & 1) + 2 * is_negated]
        return [firsts, conjunctions[sets.operators], seconds]
    versions = np.empty((2, *name_of.shape), dtype=object)
    for row, statements in enumerate(sets):
        people = [names[i] for i in name_of[row].tolist()]
        for speaker, statement in enumerate(statements):
            content = render_content(statement, people, words)
            versions[:, row, speaker] = content, content[0].upper() + content[1:]
    return list(versions)


def render_content(
    statement: Statement, names: Sequence[str], words: RoleWords = KNIGHT_KNAVE, *, nested: bool = False
) -> str:
    """Returns the content of a statement as it appears in the middle of a sentence.

    Args:
        statement: the statement.
        names: the people's names.
        words: the words for the two roles.
        nested: whether the statement is part of another one, in which case a compound statement needs its marker.
    """
    if _is_claim(statement):
        leaf = statement[1] if statement[0] == "not" else statement
        return f"{names[leaf[1]]} {claim_phrase(statement, words)}"
    operator, *parts = statement
    is_plain = not nested and all(map(_is_claim, parts))
    said = [render_content(part, names, words, nested=True) for part in parts]
    if operator == "not":
        return _MARKERS["not"] + said[0]
    marker = _MARKERS[operator]
    is_doubled = not is_plain and said[0].startswith(marker)  # "both both", "if if"
    if operator == "->" and is_doubled:
        said[0] = _TRUE_THAT + said[0]
    if operator == "<=>" and said[1].startswith(_MARKERS["->"]):  # "if and only if if"
        said[1] = _TRUE_THAT + said[1]
    is_list = len(said) > 2 or (operator in _LIST_MARKERS and is_doubled)
    if is_plain and operator != "->":
        marker = ""
    elif is_list:
        marker = _LIST_MARKERS[operator]
    if not is_list:
        return marker + _CONJUNCTIONS[operator].join(said)
    return f"{marker}{', '.join(said[:-1])},{_CONJUNCTIONS[operator]}{said[-1]}"


def _is_claim(statement: Statement) -> bool:
    """Whether a statement is a leaf or the negation of a leaf."""
    return statement[0] in LEAVES or (statement[0] == "not" and statement[1][0] in LEAVES)


def opening(words: RoleWords = KNIGHT_KNAVE) -> str:
    """Returns the first sentences of the published puzzles."""
    truthful, lying = map(plural, words)
    return (
        f"A very special island is inhabited only by {truthful} and {lying}. "
        f"{truthful.capitalize()} always tell the truth, and {lying} always lie. "
    )


def question(words: RoleWords = KNIGHT_KNAVE) -> str:
    """Returns the last sentence of the published puzzles."""
    return f"So who is {with_article(words.truthful)} and who is {with_article(words.lying)}?"


def instruction(words: RoleWords = KNIGHT_KNAVE) -> str:
    """Returns the instruction that says what an answer must look like."""
    return (
        "\nReason between <think> and </think>. Then, between <answer> and </answer>, state the role of every "
        f'inhabitant, as in "NAME is {with_article(words.truthful)}".\n'
    )


def published_instruction(words: RoleWords = KNIGHT_KNAVE) -> str:
    """Returns the paper's system message (DUMP, arXiv 2504.09710), which comes before the puzzle."""
    return (
        "You are a helpful assistant. The assistant first thinks about the reasoning process in the mind and then "
        "provides the user with the answer. The reasoning process and answer are enclosed within <think> </think> "
        "and<answer> </answer> tags, respectively, i.e., <think> reasoning process here </think><answer> answer here "
        "</answer>.  Now the user asks you to solve a logical reasoning problem. After thinking, when you finally "
        "reach a conclusion, clearly state the identity of each character within <answer> </answer> tags. i.e., "
        f"<answer> (1) Zoey is {with_article(words.truthful)}\n(2) ... </answer>.\n"
    )


def render_answers(solutions: NDArray[np.bool_], wording: Wording) -> list[str]:
    """Returns everyone's role as numbered lines, in the published format, e.g. ``(1) Zoey is a knight``.

    Args:
        solutions: who tells the truth, (puzzles, people).
        wording: the words of the puzzles.
    """
    claims = _piece_tables(wording.names, wording.role_words).answers[(~solutions).astype(np.int64), wording.name_of]
    numbers = [f"({i}) " for i in range(1, solutions.shape[1] + 1)]
    return ["\n".join(map(add, numbers, row)) for row in claims.tolist()]


def role_phrase(truthful: bool, words: RoleWords = KNIGHT_KNAVE) -> str:
    """Returns a role word with its article."""
    return with_article(words.truthful if truthful else words.lying)


def claim_phrase(statement: Statement, words: RoleWords = KNIGHT_KNAVE) -> str:
    """Returns what a leaf or a negated leaf says about its person, e.g. "is not a knave"."""
    negated, leaf = (statement[0] == "not", statement[1] if statement[0] == "not" else statement)
    return f"is {'not ' if negated else ''}{role_phrase(leaf[0] == 'telling-truth', words)}"


def phrases() -> list[str]:
    """Returns the pieces that make up prompts: the names, and all texts between names."""
    pieces = {opening() + "You meet ", " inhabitants: ", ", and ", " and ", ", ", ". ", question() + instruction()}
    pieces.update((" or ", " then ", " if and only if ", "If ", "if "))
    for saying in SAYINGS:
        before, between, after = re.split(r"\{name\}|\{content\}", saying)
        pieces.update((before, between, after, after + " "))
    return [*NAMES, *sorted(pieces - {""})]
