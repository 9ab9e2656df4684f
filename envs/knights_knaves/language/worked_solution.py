"""Worked solutions: a depth-first search, written out in a form in which every token takes one look-up.

The search is that of ``logic.search``, and its order is the one in which people are introduced. The solution first
restates all statements in one form, in that order, which frees the search from the many forms of the text. A visit
copies the speaker's statement on one line and checks it on the next: each mentioned person's role and whether the claim
about them is true, whether the statement is true, the speaker's role, and whether the last two agree. A person who is
mentioned for the first time is tried as a knight (``try``). A speaker who has no role yet gets the role that the
statement implies (``so knight``, ``so knave``). On a conflict, each assumption that is undone has a line: of people
whose other role is already excluded (``drop``), and of the last person tried, who becomes a knave (``flip``).

The next token always follows an earlier occurrence of the token just written. This is the look-up that a small
transformer learns first. A name with a colon is followed by what that person says. A name with an equals sign is
followed by the person's assumed role, and the latest occurrence is the current one: a role with a question mark can
still be flipped, one without cannot. Each new assumption names the person of the previous one (``after``), so the next
person to flip or drop can be looked up too.
"""

from collections.abc import Callable, Sequence

from dumpgym.envs.knights_knaves.language.english import claim_phrase, role_phrase
from dumpgym.envs.knights_knaves.language.words import NAMES
from dumpgym.envs.knights_knaves.logic.equivalence import Statement
from dumpgym.envs.knights_knaves.logic.puzzle import Puzzle
from dumpgym.envs.knights_knaves.logic.search import Note, Search, Undoing, Visit, no_slip, person_of, sides_of

CONNECTIVES = {"and": " and ", "or": " or ", "->": " then ", "<=>": " iff "}


def worked_solution(
    puzzle: Puzzle,
    names: Sequence[str],
    goes_on: Callable[[int], bool] = lambda conflicts: True,
    slips: Callable[[str, str], bool] = no_slip,
) -> str:
    """Returns a completion that reasons as described above and then answers.

    Args:
        puzzle: the puzzle.
        names: the people's names.
        goes_on: called at each conflict with the number of conflicts so far, including this one. If it returns False,
            the search ends there, and the answer consists of the current assumptions, with a knight for each person not
            met. If it always returns True, a search without slips ends with the solution.
        slips: called with the kind of slip that the search can make at this point, one of ``search.SLIPS``, and the
            operator of the statement; returns whether it makes the slip. The search continues from what it has written.
    """
    search = Search(puzzle.statements, slips)
    words = [_copy(puzzle.statements[person], name, names) for person, name in enumerate(names)]
    conflicts = 0
    for step in search.steps():
        if isinstance(step, Undoing):
            words.append(f"{names[step.person]}= {'flip' if step.is_flip else 'drop'}\n")
            continue
        words.append(_copy(puzzle.statements[step.speaker], names[step.speaker], names) + _check(step, names))
        conflicts += not step.agrees
        if not step.agrees and not goes_on(conflicts):
            break
    answer = ", ".join(f"{name} is {role_phrase(search.roles.get(i, True))}" for i, name in enumerate(names))
    return f"<think>\n{''.join(words)}</think>\n<answer>{answer}</answer>"


def _copy(statement: Statement, speaker: str, names: Sequence[str]) -> str:
    """Returns a speaker's statement on its own line."""
    claims = [f"{names[person_of(side)]} {claim_phrase(side)}" for side in sides_of(statement)]
    return f"{speaker}: {CONNECTIVES.get(statement[0], '').join(claims)}\n"


def _check(visit: Visit, names: Sequence[str]) -> str:
    """Returns the line that checks a statement."""
    sides = [f"{_noted(note, names)}{' yes, ' if fits else ' no, '}" for note, fits in visit.sides]
    truth = "true, " if visit.truth else "false, "
    verdict = "" if visit.own.is_new else " ok" if visit.agrees else " conflict"
    return f"{''.join(sides)}{truth}{_noted(visit.own, names)}{verdict}\n"


def _noted(note: Note, names: Sequence[str]) -> str:
    """Returns a person's assumed role, with the person before if it is a new one."""
    role = "knight" if note.role else "knave"
    if not note.is_new:
        return f"{names[note.person]}= {role}{'' if note.is_settled else '?'}"
    after = "first" if note.after is None else f"after {names[note.after]}"
    return f"{names[note.person]}= {f'so {role}' if note.is_settled else 'try'} {after}"


def phrases() -> list[str]:
    """Returns the pieces that make up worked solutions, except bare names."""
    claims = [f" is {negation}{role_phrase(knight)}" for negation in ("", "not ") for knight in (True, False)]
    states = [" try", " knight?", " knight", " knave", " so knight", " so knave", " flip\n", " drop\n"]
    checks = [" yes, ", " no, ", "true, ", "false, ", " ok\n", " conflict\n"]
    tags = ["<think>\n", "</think>\n<answer>", "</answer>"]
    named = [phrase for name in NAMES for phrase in (f"{name}: ", f"{name}=", f" after {name}")]
    return [*named, " first", *claims, *CONNECTIVES.values(), *states, *checks, ", ", *tags]
