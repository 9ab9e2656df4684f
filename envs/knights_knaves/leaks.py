"""Puzzles that stand in two files: to the letter, or the same up to renaming and equivalent statements."""

import ast
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dumpgym.contracts.errors import DumpgymError
from dumpgym.envs.knights_knaves.logic.equivalence import Statement, same_up_to_renaming, structure_hash


@dataclass(frozen=True, slots=True)
class Leaks:
    """How many puzzles of a second file stand in a first one; each line includes the one above.

    Attributes:
        num_first: puzzles in the first file.
        num_second: puzzles in the second.
        same_statements: with these very statements, whatever the names.
        renamed: up to renaming people and the order of the parts of "and", "or" and "<=>".
        equivalent: up to renaming people and logical equivalence of statements.
        examples: for some of the last, the places in the two files.
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
    """Looks for every puzzle of ``second`` in ``first``."""
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
    """The statements of a record that ``dumpgym export`` wrote, or of a published one.

    Args:
        record: with "statements" at the top, or in "extra_info".
        where: what an error calls the record.

    Raises:
        DumpgymError: if there are none, or they cannot be read.
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
