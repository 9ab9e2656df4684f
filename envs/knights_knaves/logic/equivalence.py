"""When two puzzles are the same one: up to renaming people and replacing statements by equivalent ones.

Each statement is written as its algebraic normal form, the one sum modulo 2 of products of people that has its truth
table. Equivalent statements have the same form, and people on whom the truth does not depend do not occur in it. A
puzzle then is a hypergraph on people, and renaming is its isomorphism: a hash by colour refinement
(Weisfeiler-Leman) is equal for all renamings, and a search settles whether two puzzles of one hash are the same.
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

_REFINEMENT_ROUNDS = 2
TEST_SHARE = 0.2  # of structures, that is of hash values
_ONE: Form = frozenset([frozenset()])


@lru_cache(maxsize=100_000)
def normal_form(statement: Statement) -> Form:
    """The algebraic normal form over "person p tells the truth": a sum modulo 2 of products of people.

    Raises:
        InvalidValueError: if it is no statement.
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
        people: the factors of each product, -1 where there are fewer, (puzzles, people, products, factors).
        present: which products there are, (puzzles, people, products).
    """

    people: NDArray[np.int64]
    present: NDArray[np.bool_]


def terms_of(puzzles: Sequence[Sequence[Statement]]) -> Terms:
    """The normal forms of puzzles given as nested statements."""
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
    """The normal forms of statements about two people, given as functions of two inputs (see ``solver``).

    All arrays are (puzzles, people). The products are 1, x, y and x y.
    """
    at_00, at_01, at_10, at_11 = (tables >> i & 1 for i in range(4))
    single = first == second
    none = np.full_like(first, -1)
    people = np.stack([none, none, first, none, none, second, first, second], -1).reshape(*first.shape, 4, 2)
    coefficients = (at_00, at_00 ^ np.where(single, at_11, at_10), at_00 ^ at_01, at_00 ^ at_01 ^ at_10 ^ at_11)
    present = np.stack(coefficients, -1).astype(bool)
    present[..., 2:] &= ~single[..., None]
    return Terms(people, present)


def structure_hashes(terms: Terms) -> NDArray[np.uint64]:
    """A 64-bit hash of each puzzle that no renaming and no equivalent statement changes, (puzzles,)."""
    hashes: NDArray[np.uint64] = _mix(_colours(terms)).sum(1, dtype=np.uint64)
    return hashes


def _colours(terms: Terms) -> NDArray[np.uint64]:
    """A colour for each person, (puzzles, people): equal for people who correspond under some renaming.

    In each round, a person's colour takes up what they say and what is said of them, in colours. All sums are over
    unordered sets, so nothing depends on the numbering.
    """
    people, present = terms
    num_puzzles, num_people = people.shape[:2]
    speaker = np.arange(num_people)[:, None, None]
    person = np.where(people < 0, 0, people) + num_people * np.arange(num_puzzles)[:, None, None, None]
    factors = np.flatnonzero((people >= 0) & present[..., None])  # places in ``people`` where somebody stands
    person, of_speaker = person.ravel()[factors], (people == speaker).ravel()[factors].astype(np.uint64)
    colours = np.zeros((num_puzzles, num_people), np.uint64)
    labels = np.zeros(people.shape, np.uint64)
    for _ in range(_REFINEMENT_ROUNDS):
        label = _mix(colours.ravel()[person] + of_speaker)
        labels.ravel()[factors] = label
        products = np.where(present, _mix(labels.sum(-1, dtype=np.uint64) + np.uint64(1)), np.uint64(0))
        said = products.sum(-1, dtype=np.uint64)
        told = _mix(products + _mix(colours)[..., None])
        heard = np.zeros(colours.size, np.uint64)
        np.add.at(heard, person, _mix(label + told.ravel()[factors // people.shape[-1]]))
        colours = _mix(colours + _mix(said + _mix(heard.reshape(colours.shape))))
    return colours


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatters 64-bit numbers (the finaliser of SplitMix64; Steele et al., 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return values ^ values >> np.uint64(31)


def is_test(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which structures belong to the test split; all others are train."""
    tests: NDArray[np.bool_] = hashes < np.uint64(TEST_SHARE * 2**64)
    return tests


def split_of(statements: Sequence[Statement]) -> str:
    """The split to which a puzzle's structure belongs: the same for all renamings and equivalent statements."""
    return "test" if is_test(structure_hashes(terms_of([statements])))[0] else "train"


def structure_hash(statements: Sequence[Statement]) -> int:
    """The hash of one puzzle; see ``structure_hashes``."""
    return int(structure_hashes(terms_of([statements]))[0])


def renamed(statement: Statement, names: Sequence[int]) -> Statement:
    """The statement with person ``p`` called ``names[p]``."""
    if statement[0] in LEAVES:
        return (statement[0], names[statement[1]])
    return (statement[0], *(renamed(part, names) for part in statement[1:]))


def same_up_to_renaming(first: Sequence[Statement], second: Sequence[Statement], *, equivalence: bool = True) -> bool:
    """Whether some renaming of people turns one puzzle into the other.

    Args:
        first: a puzzle's statements.
        second: another's.
        equivalence: whether statements count as equal that are logically equivalent; else only those do that differ
            in the order of the parts of "and", "or" and "<=>".
    """
    if len(first) != len(second):
        return False
    colours = [_colours(terms_of([statements]))[0].tolist() for statements in (first, second)]
    if Counter(colours[0]) != Counter(colours[1]):
        return False
    target = [normal_form(said) for said in second] if equivalence else [_unordered(said) for said in second]
    mentioned = [frozenset().union(*normal_form(said)) if equivalence else _people_of(said) for said in first]
    names: dict[int, int] = {}

    def fits(speaker: int) -> bool:
        """Whether a statement, if all its people have their new names, is what its speaker's counterpart says."""
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
    """The statement with sets in place of parts whose order says nothing."""
    if statement[0] in LEAVES:
        return statement
    parts = map(_unordered, statement[1:])
    return (statement[0], frozenset(parts)) if statement[0] in ("and", "or", "<=>") else (statement[0], *parts)


@cache
def _people_of(statement: Statement) -> frozenset[int]:
    if statement[0] in LEAVES:
        return frozenset([statement[1]])
    return frozenset().union(*map(_people_of, statement[1:]))
