"""Worked solutions: a depth-first search written out so that every token takes one look-up.

First, each statement is written down anew in one form, in the order of the text, so that the search need not read the
text's many forms. The search visits the speakers in the same order. A visit copies the speaker's statement on one line
and checks it on the next: each person's role and whether it fits what is said of them, whether the statement is true,
the speaker's role, and whether the two agree. Whoever is spoken of for the first time is tried as a knight (``try``); a
speaker of whom nothing was supposed yet is what the statement makes them (``so knight``, ``so knave``). On a conflict
the last one tried is turned into a knave (``flip``), after those whose other role is out of the question are
forgotten (``drop``). The search then goes on from the visit in which the flipped person was met.

What comes next is always found behind an earlier occurrence of the token that was just written, which is what a small
transformer learns to look up first. Behind a name with a colon stands what that person says; behind a name with an
equals sign stands what is supposed of them, and the newest is the present one: a role with a question mark can still be
flipped, one without cannot. Whoever is supposed something anew is linked to the one before (``after``), so that
whoever is to be flipped or dropped next can be looked up too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dumpgym.envs.knights_knaves.language.english import claim_phrase, role_phrase
from dumpgym.envs.knights_knaves.language.words import NAMES
from dumpgym.envs.knights_knaves.logic.equivalence import Statement
from dumpgym.envs.knights_knaves.logic.puzzle import Puzzle, is_true

CONNECTIVES = {"and": " and ", "or": " or ", "->": " then ", "<=>": " iff "}


@dataclass
class _Search:
    puzzle: Puzzle
    names: Sequence[str]
    words: list[str] = field(default_factory=list)
    roles: dict[int, bool] = field(default_factory=dict)  # in the order in which people were met
    met_by: dict[int, int] = field(default_factory=dict)  # person -> the speaker in whose visit they were met
    settled: set[int] = field(default_factory=set)  # people whose other role is out of the question for now

    def copy(self, speaker: int) -> None:
        """Writes what somebody says on a line of its own."""
        statement = self.puzzle.statements[speaker]
        claims = [f"{self.names[_person_of(side)]} {claim_phrase(side)}" for side in _sides_of(statement)]
        self.words.append(f"{self.names[speaker]}: {CONNECTIVES.get(statement[0], '').join(claims)}\n")

    def suppose(self, person: int, role: bool, speaker: int, state: str) -> None:
        """Writes that somebody is met, in what role, and whom the search met before."""
        before = f"after {self.names[next(reversed(self.roles))]}" if self.roles else "first"
        self.roles[person], self.met_by[person] = role, speaker
        self.words.append(f"{self.names[person]}= {state} {before}")

    def role_of(self, person: int) -> bool:
        """Writes the present role of somebody whom the search has met, and returns it."""
        state = "knave" if not self.roles[person] else "knight" if person in self.settled else "knight?"
        self.words.append(f"{self.names[person]}= {state}")
        return self.roles[person]

    def visit(self, speaker: int) -> bool:
        """Writes one visit and returns whether the statement fits its speaker."""
        statement = self.puzzle.statements[speaker]
        self.copy(speaker)
        for side in _sides_of(statement):
            person = _person_of(side)
            if person in self.roles:
                self.role_of(person)
            else:
                self.suppose(person, True, speaker, "try")
            fits = is_true(side, self.roles)
            self.words.append(" yes, " if fits else " no, ")
            if (statement[0], fits) in (("and", False), ("or", True), ("->", False)):
                break  # the second side no longer matters
        true = is_true(statement, self.roles)  # which stops at the same side
        self.words.append("true, " if true else "false, ")
        if speaker in self.roles:
            agrees = self.role_of(speaker) == true
            self.words.append(" ok\n" if agrees else " conflict\n")
            return agrees
        self.suppose(speaker, true, speaker, f"so {'knight' if true else 'knave'}")
        self.settled.add(speaker)
        self.words.append("\n")
        return True

    def backtrack(self) -> int:
        """Flips the last person tried, and returns whose statement is to be visited again."""
        while True:
            person, _ = self.roles.popitem()
            if person not in self.settled:
                self.words.append(f"{self.names[person]}= flip\n")
                self.roles[person] = False
                self.settled.add(person)
                return self.met_by[person]
            self.settled.remove(person)
            self.words.append(f"{self.names[person]}= drop\n")


def _sides_of(statement: Statement) -> Sequence[Statement]:
    return statement[1:] if statement[0] in CONNECTIVES else (statement,)


def _person_of(side: Statement) -> int:
    leaf: tuple[str, int] = side[1] if side[0] == "not" else side
    return leaf[1]


def worked_solution(
    puzzle: Puzzle, names: Sequence[str], goes_on: Callable[[int], bool] = lambda conflicts: True
) -> str:
    """A completion that reasons as above and then answers.

    Args:
        puzzle: the puzzle.
        names: the people's names.
        goes_on: asked at each conflict with the number of conflicts so far, this one included; False ends the search
            there, and the answer is what was last supposed, with a knight for whoever was not met. A search that always
            goes on ends in the solution.
    """
    search = _Search(puzzle, names)
    for person in range(len(names)):
        search.copy(person)
    speaker = conflicts = 0
    while speaker < len(names):
        if search.visit(speaker):
            speaker += 1
            continue
        conflicts += 1
        if not goes_on(conflicts):
            break
        speaker = search.backtrack()
    answer = ", ".join(f"{name} is {role_phrase(search.roles.get(i, True))}" for i, name in enumerate(names))
    return f"<think>\n{''.join(search.words)}</think>\n<answer>{answer}</answer>"


def phrases() -> list[str]:
    """The pieces of which worked solutions consist, bare names apart."""
    claims = [f" is {negation}{role_phrase(knight)}" for negation in ("", "not ") for knight in (True, False)]
    states = [" try", " knight?", " knight", " knave", " so knight", " so knave", " flip\n", " drop\n"]
    checks = [" yes, ", " no, ", "true, ", "false, ", " ok\n", " conflict\n"]
    tags = ["<think>\n", "</think>\n<answer>", "</answer>"]
    named = [phrase for name in NAMES for phrase in (f"{name}: ", f"{name}=", f" after {name}")]
    return [*named, " first", *claims, *CONNECTIVES.values(), *states, *checks, ", ", *tags]
