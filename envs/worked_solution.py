"""Worked solutions: a depth-first search written out so that every token takes one look-up.

First, each statement is written down anew in one form, in the order of the text, so that the search need not read the
text's many forms. The people are then visited in the order in which the search meets them. A visit writes the speaker's
role, then for each person in the statement the role, the claim and whether they agree, then the statement's truth and
whether that fits the speaker. Whoever is met for the first time is tried as a knight (``try``). On a conflict the last
one tried is turned into a knave (``flip``); one that was already flipped is forgotten (``drop``), and the one tried
before it is flipped instead. The search then goes on from the statement in which the flipped person was met. So the
newest mention of a name in the search always carries its present role, which is what a small transformer can look up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dumpgym.envs.puzzle import Puzzle, Statement, evaluate
from dumpgym.envs.text import claim_phrase, role_phrase

CONNECTIVES = {"and": " and ", "or": " or ", "->": " then ", "<=>": " iff "}


@dataclass
class _Search:
    puzzle: Puzzle
    names: Sequence[str]
    words: list[str] = field(default_factory=list)
    roles: dict[int, bool] = field(default_factory=dict)  # in the order in which people were met
    met_by: dict[int, int] = field(default_factory=dict)  # person -> the speaker in whose visit they were met

    def restate(self, speaker: int) -> None:
        """Writes a statement down in the form in which the search reads it."""
        statement = self.puzzle.statements[speaker]
        sides = statement[1:] if statement[0] in CONNECTIVES else (statement,)
        claims = [f"{self.names[_person_of(side)]} {claim_phrase(side)}" for side in sides]
        self.words.append(f"{self.names[speaker]} says {CONNECTIVES.get(statement[0], '').join(claims)}\n")

    def mention(self, person: int, speaker: int) -> bool:
        """Writes a name and its role, and returns the role; somebody new is tried as a knight."""
        if person in self.roles:
            state = "knight" if self.roles[person] else "knave"
        else:
            state = "try"
            self.roles[person], self.met_by[person] = True, speaker
        self.words.append(f"{self.names[person]} {state}")
        return self.roles[person]

    def literal(self, statement: Statement, speaker: int) -> bool:
        """Writes one side of a statement and returns whether it is true."""
        self.mention(_person_of(statement), speaker)
        true = evaluate(statement, self.roles)
        self.words.append(f" {claim_phrase(statement)} {'yes' if true else 'no'}")
        return true

    def visit(self, speaker: int) -> bool:
        """Writes one visit and returns whether the statement fits its speaker."""
        statement = self.puzzle.statements[speaker]
        truthful = self.mention(speaker, speaker)
        true: bool
        self.words.append(": ")
        if statement[0] in CONNECTIVES:
            operator, first, second = statement
            left = self.literal(first, speaker)
            decided = {"and": not left, "or": left, "->": not left, "<=>": False}[operator]
            if decided:  # the second side no longer matters
                true = operator != "and"
            else:
                self.words.append(CONNECTIVES[operator])
                right = self.literal(second, speaker)
                true = left == right if operator == "<=>" else right
        else:
            true = self.literal(statement, speaker)
        self.words.append(f" {'true' if true else 'false'} {'ok' if true == truthful else 'conflict'}\n")
        return true == truthful

    def backtrack(self) -> int:
        """Flips the last person tried, and returns whose statement is to be visited again."""
        while True:
            person, knight = self.roles.popitem()
            if knight:
                self.words.append(f"{self.names[person]} flip\n")
                self.roles[person] = False
                return self.met_by[person]
            self.words.append(f"{self.names[person]} drop\n")

    def next_speaker(self, speaker: int) -> int | None:
        """The one met after this speaker; else the first who was never met; else nobody is left."""
        met = list(self.roles)
        later = met[met.index(speaker) + 1 :] + [p for p in range(len(self.names)) if p not in self.roles]
        return later[0] if later else None


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
            there, and the answer is what was last tried, with a knight for whoever was not met. A search that always
            goes on ends in the solution.
    """
    search = _Search(puzzle, names)
    for person in range(len(names)):
        search.restate(person)
    speaker: int | None = 0
    conflicts = 0
    while speaker is not None:
        if search.visit(speaker):
            speaker = search.next_speaker(speaker)
            continue
        conflicts += 1
        if not goes_on(conflicts):
            break
        speaker = search.backtrack()
    answer = ", ".join(f"{name} is {role_phrase(search.roles.get(i, True))}" for i, name in enumerate(names))
    return f"<think>\n{''.join(search.words)}</think>\n<answer>{answer}</answer>"


def phrases() -> list[str]:
    """The pieces of which worked solutions consist, names apart."""
    claims = [f" is {negation}{role_phrase(knight)}" for negation in ("", "not ") for knight in (True, False)]
    states = [" try", " knight", " knave", " flip\n", " drop\n"]
    verdicts = [" true", " false", " ok\n", " conflict\n"]
    tags = ["<think>\n", "</think>\n<answer>", "</answer>"]
    return [*claims, *states, " says ", ": ", " yes", " no", *CONNECTIVES.values(), *verdicts, ", ", *tags]
