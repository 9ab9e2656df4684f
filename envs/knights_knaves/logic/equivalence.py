"""Equivalence of puzzles up to renaming people and replacing statements by logically equivalent ones, and the split.

Two puzzles that differ only in names ask for the same reasoning, and so do two that differ only in "A and B" versus "B
and A". If one of them were a train puzzle and the other a test puzzle, a learner that memorises could score on the test
split. So the split is not drawn: it is a function of a puzzle's structure, that is, of its equivalence class.

Each statement is written in algebraic normal form: the unique sum modulo 2 of products of people that has its truth
table. Equivalent statements have the same form, and people who do not affect the statement's truth do not occur in it.
A puzzle is then a hypergraph on people, and a renaming is an isomorphism. The hash of a structure comes from colour
refinement (Weisfeiler-Leman), which gives isomorphic hypergraphs the same hash.

The split needs only this direction. Hashes of different structures can collide, as colour refinement does not tell all
hypergraphs apart. A collision only means that two structures are in the same split; it cannot put one structure into
both. To decide whether two given puzzles are the same, ``same_up_to_renaming`` searches for the renaming.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError

Statement = tuple[Any, ...]
LEAVES = ("telling-truth", "lying")
Form = frozenset[frozenset[int]]

# Any number of rounds gives a valid split; fewer rounds can give more collisions. A different number, like any change
# to the hash, would move structures between the splits, and results on the test split would no longer be comparable.
_REFINEMENT_ROUNDS = 2
TEST_SHARE = 0.2  # share of the hash values that belong to the test split
_ONE: Form = frozenset([frozenset()])


@lru_cache(maxsize=100_000)
def normal_form(statement: Statement) -> Form:
    """Returns the algebraic normal form over the variables "person p tells the truth".

    Args:
        statement: the statement.

    Returns:
        the products whose sum modulo 2 has the statement's truth table, each as a set of people; the empty set is 1.

    Raises:
        InvalidValueError: if the value is not a statement.
    """
    match statement:
        case ("telling-truth", person):
            return frozenset([frozenset([person])])
        case ("lying", person):
            return frozenset([frozenset([person])]) ^ _ONE
        case ("not", inner):
            return normal_form(inner) ^ _ONE
        case ("<=>", first, second):
            return normal_form(first) ^ normal_form(second) ^ _ONE
        case ("->", first, second):
            return _product([normal_form(first), normal_form(second) ^ _ONE]) ^ _ONE
        case ("and", *parts):
            return _product(map(normal_form, parts))
        case ("or", *parts):
            return _product(normal_form(part) ^ _ONE for part in parts) ^ _ONE
    raise InvalidValueError("statement", statement, "a nested tuple that begins with a leaf or a connective")


def _product(forms: Iterable[Form]) -> Form:
    result = _ONE
    for form in forms:
        counts = Counter(a | b for a in result for b in form)
        result = frozenset(product for product, count in counts.items() if count % 2)
    return result


class Terms(NamedTuple):
    """The normal forms of a batch of puzzles as arrays.

    Attributes:
        people: the factors of each product, padded with -1, (puzzles, people, products, factors).
        present: whether each product is part of the sum, (puzzles, people, products).
    """

    people: NDArray[np.int64]
    present: NDArray[np.bool_]


def terms_of(puzzles: Sequence[Sequence[Statement]]) -> Terms:
    """Returns the normal forms of puzzles that are given as nested statements."""
    forms = [[[sorted(product) for product in normal_form(said)] for said in statements] for statements in puzzles]
    num_products = max((len(form) for puzzle in forms for form in puzzle), default=0)
    num_factors = max((len(product) for puzzle in forms for form in puzzle for product in form), default=0)
    shape = (len(forms), max(map(len, forms), default=0), num_products)
    people, present = np.full((*shape, num_factors), -1), np.zeros(shape, bool)
    for i, puzzle in enumerate(forms):
        for speaker, form in enumerate(puzzle):
            present[i, speaker, : len(form)] = True
            for k, product in enumerate(form):
                people[i, speaker, k, : len(product)] = product
    return Terms(people, present)


def terms_of_tables(tables: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> Terms:
    """Returns the normal forms of statements about two people, which are given as functions of two inputs.

    The products are 1, x, y and x y.

    Args:
        tables: four-bit truth tables (see ``solver``), (puzzles, people).
        first: the person x, (puzzles, people).
        second: the person y, (puzzles, people); the same as x in a statement about one person.
    """
    at_00, at_01, at_10, at_11 = (tables >> i & 1 for i in range(4))
    single = first == second
    none = np.full_like(first, -1)
    # Four products of up to two factors: (puzzles, people, 4, 2).
    people = np.stack([none, none, first, none, none, second, first, second], -1).reshape(*first.shape, 4, 2)
    # The Moebius transform of the truth table. With x = y only the inputs 00 and 11 occur, so the products are 1 and x.
    coefficients = (at_00, at_00 ^ np.where(single, at_11, at_10), at_00 ^ at_01, at_00 ^ at_01 ^ at_10 ^ at_11)
    present = np.stack(coefficients, -1).astype(bool)
    present[..., 2:] &= ~single[..., None]
    return Terms(people, present)


def structure_hashes(terms: Terms) -> NDArray[np.uint64]:
    """Returns a 64-bit hash of each puzzle's structure, (puzzles,).

    Renaming people and replacing statements by equivalent ones do not change it. The sum over people makes it
    independent of their numbering; mixing their colours first makes equal sums of different colours unlikely.
    """
    hashes: NDArray[np.uint64] = _mix(_colours(terms)).sum(1, dtype=np.uint64)
    return hashes


def _colours(terms: Terms) -> NDArray[np.uint64]:
    """Returns a colour for each person, (puzzles, people). People who correspond under a renaming have equal colours.

    Each round updates a person's colour with what they say and with what is said of them, both in terms of the previous
    colours. All sums are over unordered sets, so the colours do not depend on the numbering of people, statements or
    products.
    """
    people, present = terms
    num_puzzles, num_people = people.shape[:2]
    speaker = np.arange(num_people)[:, None, None]
    # Person p of puzzle i is number p + num_people * i. Most places for factors are empty, so the loop works on a flat
    # list of the factors that exist: ``factors``, ``person``, ``of_speaker`` and ``label`` all have its length. Absent
    # products add 0, so padding does not change a hash.
    person = np.where(people < 0, 0, people) + num_people * np.arange(num_puzzles)[:, None, None, None]
    factors = np.flatnonzero((people >= 0) & present[..., None])  # indices into the flattened ``people``
    person, of_speaker = person.ravel()[factors], (people == speaker).ravel()[factors].astype(np.uint64)
    colours = np.zeros((num_puzzles, num_people), np.uint64)
    labels = np.zeros(people.shape, np.uint64)
    for _ in range(_REFINEMENT_ROUNDS):
        # A factor's label is its colour and whether it is the speaker: "I am a knight" differs from "you are a knight".
        label = _mix(colours.ravel()[person] + of_speaker)
        labels.ravel()[factors] = label  # (puzzles, people, products, factors)
        # What is said: a product is the multiset of its labels, a statement the multiset of its products.
        products = np.where(present, _mix(labels.sum(-1, dtype=np.uint64) + np.uint64(1)), np.uint64(0))
        said = products.sum(-1, dtype=np.uint64)
        # What is heard: for each product in which a person occurs, the product, who says it, and the person's label.
        told = _mix(products + _mix(colours)[..., None])
        heard = np.zeros(colours.size, np.uint64)
        np.add.at(heard, person, _mix(label + told.ravel()[factors // people.shape[-1]]))
        colours = _mix(colours + _mix(said + _mix(heard.reshape(colours.shape))))
    return colours


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mixes the bits of 64-bit numbers (the finaliser of SplitMix64; Steele et al., 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return values ^ values >> np.uint64(31)


def is_test(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Returns which structures belong to the test split, by their hashes; all others belong to the train split.

    The rule is a fixed threshold on the hash. It has no seed and no list of test puzzles, so all streams of all seeds
    agree on it, and puzzles can be sampled without end without checking them against the other split.
    """
    tests: NDArray[np.bool_] = hashes < np.uint64(TEST_SHARE * 2**64)
    return tests


def split_of(statements: Sequence[Statement]) -> str:
    """Returns the split of a puzzle, which is the same for all renamings and equivalent statements."""
    return "test" if is_test(structure_hashes(terms_of([statements])))[0] else "train"


def structure_hash(statements: Sequence[Statement]) -> int:
    """Returns the hash of one puzzle's structure; see ``structure_hashes``."""
    return int(structure_hashes(terms_of([statements]))[0])


def renamed(statement: Statement, names: Sequence[int]) -> Statement:
    """Returns the statement with person ``p`` renumbered as ``names[p]``."""
    if statement[0] in LEAVES:
        return (statement[0], names[statement[1]])
    return (statement[0], *(renamed(part, names) for part in statement[1:]))


def same_up_to_renaming(first: Sequence[Statement], second: Sequence[Statement], *, equivalence: bool = True) -> bool:
    """Whether some renaming of people turns one puzzle into the other.

    Args:
        first: statements of one puzzle.
        second: statements of the other puzzle.
        equivalence: whether logically equivalent statements count as equal; if not, statements count as equal only if
            they differ at most in the order of the parts of "and", "or" and "<=>".
    """
    if len(first) != len(second):
        return False
    # Colours prune the search: a renaming can only map a person to one of the same colour. Whatever colours cannot tell
    # apart, the backtracking below decides, so the result is exact.
    colours = [_colours(terms_of([statements]))[0].tolist() for statements in (first, second)]
    if Counter(colours[0]) != Counter(colours[1]):
        return False
    target = [normal_form(said) for said in second] if equivalence else [_unordered(said) for said in second]
    mentioned = [frozenset().union(*normal_form(said)) if equivalence else _people_of(said) for said in first]
    names: dict[int, int] = {}

    def fits(speaker: int) -> bool:
        """Whether a statement is what its speaker's counterpart says; True while people in it are not yet renamed."""
        if speaker not in names or not mentioned[speaker] <= names.keys():
            return True
        if not equivalence:
            order = [names.get(person, -1) for person in range(len(first))]
            return _unordered(renamed(first[speaker], order)) == target[names[speaker]]
        form = frozenset(frozenset(names[p] for p in product) for product in normal_form(first[speaker]))
        return form == target[names[speaker]]

    def extend(person: int) -> bool:
        if person == len(first):
            return True
        affected = [s for s in range(len(first)) if s == person or person in mentioned[s]]
        for counterpart in range(len(second)):
            if colours[0][person] == colours[1][counterpart] and counterpart not in names.values():
                names[person] = counterpart
                if all(map(fits, affected)) and extend(person + 1):
                    return True
                del names[person]
        return False

    return extend(0)


def _unordered(statement: Statement) -> Statement:
    """Returns the statement with a set in place of parts whose order does not matter."""
    if statement[0] in LEAVES:
        return statement
    parts = map(_unordered, statement[1:])
    return (statement[0], frozenset(parts)) if statement[0] in ("and", "or", "<=>") else (statement[0], *parts)


@cache
def _people_of(statement: Statement) -> frozenset[int]:
    if statement[0] in LEAVES:
        return frozenset([statement[1]])
    return frozenset().union(*map(_people_of, statement[1:]))
