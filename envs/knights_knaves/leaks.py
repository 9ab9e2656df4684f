"""Leaks between two files: puzzles in both, either with equal statements or up to renaming and equivalence."""

import ast
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dumpgym.contracts.errors import DumpgymError
from dumpgym.envs.knights_knaves.logic.equivalence import Statement, same_up_to_renaming, structure_hash


@dataclass(frozen=True, slots=True)
class Leaks:
    """How many puzzles of a second file are in a first file. Each of the three counts includes the one before it.

    Attributes:
        num_first: number of puzzles in the first file.
        num_second: number of puzzles in the second file.
        same_statements: puzzles of the second file that are in the first with the same statements, whatever the names.
        renamed: the same, up to renaming people and the order of the parts of "and", "or" and "<=>".
        equivalent: the same, up to renaming people and logical equivalence of statements.
        examples: some of the equivalent puzzles, as pairs of positions in the first and the second file.
    """

    num_first: int
    num_second: int
    same_statements: int
    renamed: int
    equivalent: int
    examples: tuple[tuple[int, int], ...]


def find_leaks(
    first: Sequence[tuple[Statement, ...]], second: Sequence[tuple[Statement, ...]], *, num_examples: int = 5
) -> Leaks:
    """Looks for every puzzle of ``second`` in ``first``.

    Args:
        first: the statements of each puzzle in the first file.
        second: the statements of each puzzle in the second file.
        num_examples: maximum number of examples in the result.
    """
    # Equal structures have equal hashes, so each puzzle needs a comparison only with those of its own hash.
    by_structure: dict[tuple[int, int], dict[tuple[Statement, ...], int]] = defaultdict(dict)
    for place, statements in enumerate(first):
        by_structure[len(statements), structure_hash(statements)].setdefault(statements, place)
    same = renamed = equivalent = 0
    examples: list[tuple[int, int]] = []
    for place, statements in enumerate(second):
        candidates = by_structure.get((len(statements), structure_hash(statements)), {})
        twin = next((other for other in candidates if same_up_to_renaming(statements, other)), None)
        if twin is not None:
            equivalent += 1
            examples.append((candidates[twin], place))
        same += statements in candidates
        renamed += any(same_up_to_renaming(statements, other, equivalence=False) for other in candidates)
    return Leaks(len(first), len(second), same, renamed, equivalent, tuple(examples[:num_examples]))


def statements_of(record: Mapping[str, Any], where: str) -> tuple[Statement, ...]:
    """Returns the statements of a record written by ``dumpgym export``, or of a published record.

    Args:
        record: a record with "statements" at the top level or in "extra_info".
        where: name of the record in error messages.

    Raises:
        DumpgymError: if the record has no statements, or they cannot be read.
    """
    extra = record.get("extra_info")
    text = record.get("statements", extra.get("statements") if isinstance(extra, Mapping) else None)
    try:
        statements = ast.literal_eval(text) if isinstance(text, str) else None
    except (ValueError, SyntaxError, RecursionError):
        statements = None
    if not isinstance(statements, tuple) or not statements:
        raise DumpgymError(f"{where} has no puzzle; accepted: 'statements', or 'statements' in 'extra_info'")
    if not all(_is_statement(statement, len(statements)) for statement in statements):
        raise DumpgymError(f"{where} has statements {text!r}; accepted: a nested tuple a person, of {len(statements)}")
    return statements


def _is_statement(statement: object, num_people: int) -> bool:
    match statement:
        case ("telling-truth" | "lying", int(person)):
            return 0 <= person < num_people
        case ("not", inner):
            return _is_statement(inner, num_people)
        case ("->" | "<=>", first, second):
            return _is_statement(first, num_people) and _is_statement(second, num_people)
        case ("and" | "or", _, _, *_):
            return all(_is_statement(part, num_people) for part in statement[1:])
    return False
