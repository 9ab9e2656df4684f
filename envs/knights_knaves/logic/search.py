"""The depth-first search that worked solutions write out, without its words.

The search visits the speakers in order and checks each statement under the roles that it assumes. A person who is
mentioned for the first time is tried as a knight. A speaker who has no role yet gets the role that the statement
implies. On a conflict, the search undoes its assumptions from the last one backwards: it drops the people whose other
role is already excluded and turns the last person tried into a knave. It then resumes at the visit in which this person
was met.

The search can make slips: it reads a role, judges a claim or judges a statement wrongly, and continues from what it
noted. Whoever reads its notes therefore cannot tell a slip from a careful step except by checking it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from dumpgym.envs.knights_knaves.logic.equivalence import Statement
from dumpgym.envs.knights_knaves.logic.puzzle import is_true

SLIPS = ("role", "fits", "truth")
"""The kinds of slip: a role that is read wrongly, a claim about a person and a statement that are judged wrongly."""
CONNECTIVES = ("and", "or", "->", "<=>")
_DECISIVE = {("and", False), ("or", True), ("->", False)}  # after such a side the others no longer matter


class Note(NamedTuple):
    """A person's role as the search notes it.

    Attributes:
        person: the person.
        role: whether the person is assumed to be a knight.
        is_settled: whether the other role is excluded under the present assumptions.
        is_new: whether the search meets the person here; otherwise it reads the role that it noted before.
        after: the person whom the search met before a new one; None for the first one and for those met before.
    """

    person: int
    role: bool
    is_settled: bool
    is_new: bool = False
    after: int | None = None


class Visit(NamedTuple):
    """The check of one statement.

    Attributes:
        speaker: who made the statement.
        sides: each mentioned person's role, and whether the claim about this person is true. Sides that no longer
            matter are left out.
        truth: whether the statement is true.
        own: the speaker's role.
        agrees: whether the last two agree; if not, this is a conflict.
    """

    speaker: int
    sides: tuple[tuple[Note, bool], ...]
    truth: bool
    own: Note
    agrees: bool


class Undoing(NamedTuple):
    """An assumption that is undone.

    Attributes:
        person: the person who was met last.
        is_flip: whether the person is a knave from now on; otherwise the person counts as not met.
    """

    person: int
    is_flip: bool


def no_slip(kind: str, operator: str) -> bool:
    """Makes no slip of any kind."""
    return False


@dataclass
class Search:
    """The search in one puzzle.

    Attributes:
        statements: what each person says. Claims are about one person: statements have a depth of at most 2.
        slips: called with a kind of ``SLIPS`` and the operator of the statement where the search can make such a slip;
            returns whether it does.
        roles: the assumed role of each person met, in the order in which they were met.
        met_by: the speaker in whose visit each person was met.
        settled: people whose other role is excluded under the present assumptions.
    """

    statements: Sequence[Statement]
    slips: Callable[[str, str], bool] = no_slip
    roles: dict[int, bool] = field(default_factory=dict)
    met_by: dict[int, int] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)

    def steps(self) -> Iterator[Visit | Undoing]:
        """Yields the steps up to the end, or up to a conflict with nothing left to flip, which only slips lead to."""
        speaker = 0
        while speaker < len(self.statements):
            visit = self._visit(speaker)
            yield visit
            if visit.agrees:
                speaker += 1
                continue
            if len(self.settled) == len(self.roles):
                return
            undone = self._undo()
            yield from undone
            speaker = self.met_by[undone[-1].person]

    def _visit(self, speaker: int) -> Visit:
        operator, *_ = statement = self.statements[speaker]
        sides: list[tuple[Note, bool]] = []
        for side in sides_of(statement):
            person = person_of(side)
            note = self._read(person, operator) if person in self.roles else self._meet(person, True, speaker)
            fits = is_true(side, self.roles) != self.slips("fits", operator)
            sides.append((note, fits))
            if (operator, fits) in _DECISIVE:
                break
        truth = _combined(operator, [fits for _, fits in sides]) != self.slips("truth", operator)
        if speaker in self.roles:
            own = self._read(speaker, operator)
        else:
            self.settled.add(speaker)
            own = self._meet(speaker, truth, speaker)
        return Visit(speaker, tuple(sides), truth, own, own.role == truth)

    def _meet(self, person: int, role: bool, speaker: int) -> Note:
        after = next(reversed(self.roles), None)
        self.roles[person], self.met_by[person] = role, speaker
        return Note(person, role, person in self.settled, True, after)

    def _read(self, person: int, operator: str) -> Note:
        if self.slips("role", operator):
            # A tried knight becomes a knave, which the notes show as a role that cannot be flipped.
            self.roles[person] = not self.roles[person]
            self.settled.add(person)
        return Note(person, self.roles[person], person in self.settled)

    def _undo(self) -> list[Undoing]:
        undone = []
        while next(reversed(self.roles)) in self.settled:
            person, _ = self.roles.popitem()
            self.settled.remove(person)
            undone.append(Undoing(person, False))
        last = next(reversed(self.roles))
        self.roles[last] = False
        self.settled.add(last)
        return [*undone, Undoing(last, True)]


def sides_of(statement: Statement) -> Sequence[Statement]:
    """Returns the parts of a statement, each a claim about one person."""
    return statement[1:] if statement[0] in CONNECTIVES else (statement,)


def person_of(side: Statement) -> int:
    """Returns the person whom a claim is about."""
    leaf: tuple[str, int] = side[1] if side[0] == "not" else side
    return leaf[1]


def _combined(operator: str, fits: Sequence[bool]) -> bool:
    """Whether a statement is true, from whether its sides are true up to the one that decides."""
    match operator:
        case "or":
            return any(fits)
        case "->":
            return not fits[0] or fits[-1]
        case "<=>":
            return fits[0] == fits[1]
    return all(fits)


def has_at_most(most: int, statements: Sequence[Statement]) -> bool:
    """Whether the search, without slips, meets at most ``most`` conflicts before it ends in the solution."""
    conflicts = (step for step in Search(statements).steps() if isinstance(step, Visit) and not step.agrees)
    return next(islice(conflicts, most, None), None) is None
