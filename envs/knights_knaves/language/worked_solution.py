"""Worked solutions: a depth-first search, written out in a form in which every token takes one look-up.

The solution first restates all statements in one form, in the order of the text, which frees the search from the many
forms of the text. The search visits the speakers in the same order. A visit copies the speaker's statement on one line
and checks it on the next: each mentioned person's role and whether the claim about them is true, whether the statement
is true, the speaker's role, and whether the last two agree. A person who is mentioned for the first time is tried as a
knight (``try``). A speaker who has no role yet gets the role that the statement implies (``so knight``, ``so knave``).
On a conflict, the search undoes its assumptions from the last one backwards: it drops the people whose other role is
already excluded (``drop``) and turns the last person tried into a knave (``flip``). It then resumes at the visit in
which the flipped person was met.

The next token always follows an earlier occurrence of the token just written. This is the look-up that a small
transformer learns first. A name with a colon is followed by what that person says. A name with an equals sign is
followed by the person's assumed role, and the latest occurrence is the current one: a role with a question mark can
still be flipped, one without cannot. Each new assumption names the person of the previous one (``after``), so the next
person to flip or drop can be looked up too.
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
    """The state of a search, and the text that it has written so far.

    Attributes:
        puzzle: the puzzle.
        names: the people's names.
        words: the pieces of the text.
        roles: the assumed role of each person met, in the order in which they were met.
        met_by: the speaker in whose visit each person was met.
        settled: people whose other role is excluded under the present assumptions.
    """

    puzzle: Puzzle
    names: Sequence[str]
    words: list[str] = field(default_factory=list)
    roles: dict[int, bool] = field(default_factory=dict)
    met_by: dict[int, int] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)

    def copy(self, speaker: int) -> None:
        """Writes a speaker's statement on its own line."""
        statement = self.puzzle.statements[speaker]
        claims = [f"{self.names[_person_of(side)]} {claim_phrase(side)}" for side in _sides_of(statement)]
        self.words.append(f"{self.names[speaker]}: {CONNECTIVES.get(statement[0], '').join(claims)}\n")

    def suppose(self, person: int, role: bool, speaker: int, state: str) -> None:
        """Writes a newly met person's assumed role, and the person whom the search met before."""
        before = f"after {self.names[next(reversed(self.roles))]}" if self.roles else "first"
        self.roles[person], self.met_by[person] = role, speaker
        self.words.append(f"{self.names[person]}= {state} {before}")

    def role_of(self, person: int) -> bool:
        """Writes and returns the assumed role of a person whom the search has met."""
        state = "knave" if not self.roles[person] else "knight" if person in self.settled else "knight?"
        self.words.append(f"{self.names[person]}= {state}")
        return self.roles[person]

    def visit(self, speaker: int) -> bool:
        """Writes one visit, and returns whether the statement agrees with its speaker's role."""
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
        # Evaluation stops at the same side, so it does not need the role of a person who has not been met.
        true = is_true(statement, self.roles)
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
        """Flips the last person tried, and returns the speaker from whom the search resumes."""
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
    """Returns a completion that reasons as described above and then answers.

    Args:
        puzzle: the puzzle.
        names: the people's names.
        goes_on: called at each conflict with the number of conflicts so far, including this one. If it returns False,
            the search ends there, and the answer consists of the current assumptions, with a knight for each person not
            met. If it always returns True, the search ends with the solution.
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
    """Returns the pieces that make up worked solutions, except bare names."""
    claims = [f" is {negation}{role_phrase(knight)}" for negation in ("", "not ") for knight in (True, False)]
    states = [" try", " knight?", " knight", " knave", " so knight", " so knave", " flip\n", " drop\n"]
    checks = [" yes, ", " no, ", "true, ", "false, ", " ok\n", " conflict\n"]
    tags = ["<think>\n", "</think>\n<answer>", "</answer>"]
    named = [phrase for name in NAMES for phrase in (f"{name}: ", f"{name}=", f" after {name}")]
    return [*named, " first", *claims, *CONNECTIVES.values(), *states, *checks, ", ", *tags]
