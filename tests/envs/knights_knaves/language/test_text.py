"""The English: published sentences to the letter, and one reading at any depth."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.knights_knaves.language import english
from dumpgym.envs.knights_knaves.language.words import (
    KNIGHT_KNAVE,
    NAMES,
    ROLE_WORDS,
    SAYINGS,
    UNCOMMON_NAMES,
    RoleWords,
    name_pool,
    parse_role_words,
    plural,
)
from dumpgym.envs.knights_knaves.logic.generator import Distribution, sample_block
from dumpgym.envs.knights_knaves.logic.puzzle import sample_statement
from dumpgym.envs.knights_knaves.logic.statement_sets import NestedStatements

PEOPLE = [f"P{i}" for i in range(9)]


class Reader:
    """Reads a sentence back into the statement: every connective ends where its last part ends."""

    def __init__(self, said):
        self.rest = said

    def take(self, piece):
        found = self.rest.startswith(piece)
        self.rest = self.rest[len(piece) :] if found else self.rest
        return found

    def expect(self, piece):
        assert self.take(piece), f"{piece!r} expected before {self.rest!r}"

    def whole(self):
        """A sentence: a plain compound has no marker, and a plain list neither."""
        said = self.part()
        for operator, conjunction in (("<=>", " if and only if "), ("and", " and "), ("or", " or ")):
            if self.take(conjunction):
                said = (operator, said, self.part())
                break
        if self.take(", "):
            said = self.listed([said, self.part()])
        assert self.rest == ""
        return said

    def listed(self, parts):
        while True:
            for operator in ("and", "or"):
                if self.take(f", {operator} "):
                    return (operator, *parts, self.part())
            self.expect(", ")
            parts.append(self.part())

    def part(self):
        for marker, operator, conjunction in (
            ("both ", "and", " and "),
            ("either ", "or", " or "),
            ("if ", "->", " then "),
            ("it is the case that ", "<=>", " if and only if "),
        ):
            if self.take(marker):
                first = self.part()
                self.expect(conjunction)
                return (operator, first, self.part())
        if self.take("it is true that "):
            return self.part()
        if self.take("it is not the case that "):
            return ("not", self.part())
        if self.take("all of these are true: ") or self.take("at least one of these is true: "):
            return self.listed([self.part()])
        claim = re.match(r"P(\d) is (not )?a (knight|knave)", self.rest)
        assert claim, f"a claim expected before {self.rest!r}"
        self.rest = self.rest[claim.end() :]
        leaf = ("telling-truth" if claim[3] == "knight" else "lying", int(claim[1]))
        return ("not", leaf) if claim[2] else leaf


@given(st.integers(0, 10**6), st.sampled_from([(2, 2), (2, 5), (3, 2), (3, 3), (4, 2)]))
def test_a_statement_of_any_depth_has_one_reading(seed, shape):
    rng = np.random.default_rng(seed)
    said = sample_statement(lambda k: int(rng.integers(k)), 0, len(PEOPLE), *shape)
    assert Reader(english.render_content(said, PEOPLE)).whole() == said


@pytest.mark.parametrize(
    ("said", "content"),
    [
        (("lying", 1), "P1 is a knave"),
        (("not", ("lying", 1)), "P1 is not a knave"),
        (("and", ("lying", 1), ("telling-truth", 0)), "P1 is a knave and P0 is a knight"),
        (("->", ("lying", 1), ("telling-truth", 0)), "if P1 is a knave then P0 is a knight"),
        (("or", ("lying", 1), ("lying", 2), ("lying", 3)), "P1 is a knave, P2 is a knave, or P3 is a knave"),
        (
            ("and", ("or", ("lying", 1), ("lying", 2)), ("lying", 3)),
            "both either P1 is a knave or P2 is a knave and P3 is a knave",
        ),
        (
            ("or", ("or", ("lying", 1), ("lying", 2)), ("lying", 3)),
            "at least one of these is true: either P1 is a knave or P2 is a knave, or P3 is a knave",
        ),
        (
            ("->", ("->", ("lying", 1), ("lying", 2)), ("lying", 3)),
            "if it is true that if P1 is a knave then P2 is a knave then P3 is a knave",
        ),
        (
            ("not", ("<=>", ("lying", 1), ("not", ("lying", 2)))),
            "it is not the case that it is the case that P1 is a knave if and only if P2 is not a knave",
        ),
    ],
)
def test_sentences(said, content):
    assert english.render_content(said, PEOPLE) == content


def quizzes(distribution, words=KNIGHT_KNAVE, kind="common", reorder=False, number=0):
    block = sample_block(distribution, 0, "train", number)
    names = name_pool(kind, distribution.num_people)
    wording = english.draw_wording(np.random.default_rng(0), block.solutions.shape, names, words, reorder=reorder)
    return block, wording, english.render_quizzes(block.sets, wording)


@pytest.mark.parametrize("num_people", [2, 3, 8, 51, 60])
def test_tables_and_sentences_agree(num_people):
    block, wording, made = quizzes(Distribution(num_people))
    nested = NestedStatements(block.sets.statements(row) for row in range(len(block.sets)))
    assert made == english.render_quizzes(nested, wording)


@pytest.mark.parametrize("words", [*ROLE_WORDS, RoleWords("knave", "knight"), RoleWords("ox", "fairy")], ids="/".join)
def test_a_quiz_says_everything_in_its_own_words(words):
    block, wording, made = quizzes(Distribution(5), words, "uncommon")
    for row in range(0, 256, 16):
        people = wording.people(row)
        assert len(set(people)) == 5
        assert made[row].startswith(f"A very special island is inhabited only by {plural(words.truthful)} and ")
        assert made[row].endswith(english.question(words))
        assert f"You meet 5 inhabitants: {', '.join(people[:-1])}, and {people[-1]}. " in made[row]
        position = 0
        for said, name, saying in zip(block.puzzle(row).statements, people, wording.sayings[row], strict=True):
            before, _, after = SAYINGS[saying].partition("{content}")
            content = english.render_content(said, people, words)
            if "that {content}" not in SAYINGS[saying]:
                content = content[0].upper() + content[1:]
            utterance = before.format(name=name) + content + after.format(name=name) + " "
            assert utterance in made[row][position:]
            position = made[row].index(utterance, position) + 1
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|  |that If|\{|\}", made[row])
        if words != KNIGHT_KNAVE and words != KNIGHT_KNAVE[::-1]:
            assert "knight" not in made[row]


@pytest.mark.parametrize("depth", [3, 4])
def test_deep_quizzes_are_well_formed(depth):
    _, _, made = quizzes(Distribution(4, depth=depth))
    for quiz in made:
        assert not re.search(r"  |that (If|Both|Either|It|All|At) |both both|either either|\bif if\b|\{|\}", quiz)
        for opened, said in re.findall(r"(^|[ :])\"([^\"]+)\"", quiz):
            assert said[0].isupper(), opened + said


def test_reordered_statements_are_the_same_ones_in_another_order():
    _, wording, plain = quizzes(Distribution(4))
    _, moved, reordered = quizzes(Distribution(4), reorder=True)
    assert np.array_equal(wording.name_of, moved.name_of)
    assert (moved.order != np.arange(4)).any(1).all()
    for one, other in zip(plain, reordered, strict=True):
        assert one != other
        assert sorted(one) == sorted(other)


def test_answers_are_written_in_the_published_format():
    wording = english.Wording(
        ("Zoey", "Jack"), np.array([[1, 0]]), np.zeros((1, 2), int), np.array([[0, 1]]), RoleWords("angel", "devil")
    )
    assert english.render_answers(np.array([[True, False]]), wording) == ["(1) Jack is an angel\n(2) Zoey is a devil"]


def test_names_continue_beyond_the_published_ones():
    assert name_pool("common", 51) == NAMES
    names = name_pool("common", 100)
    assert len(names) >= 100
    assert len({name.casefold() for name in names}) == len(names)
    assert names[51] == "Emma-Liam"
    assert len(set(UNCOMMON_NAMES)) == len(UNCOMMON_NAMES) >= 51
    assert not set(UNCOMMON_NAMES) & set(NAMES)


@pytest.mark.parametrize("value", ["knight", "a/b/c", "knight/knight", "Knight/knave", "knight/not", "hero/heroes", 3])
def test_role_words_that_cannot_be_are_named(value):
    with pytest.raises(InvalidValueError, match=f"role_words is {value!r}"):
        parse_role_words(value)


def test_plurals():
    words = {
        "knight": "knights",
        "hero": "heroes",
        "fox": "foxes",
        "witch": "witches",
        "fairy": "fairies",
        "spy": "spies",
    }
    assert {word: plural(word) for word in words} == words
    assert plural("boy") == "boys"
