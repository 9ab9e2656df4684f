"""The registry of students, simulated or your own."""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.registry import Registry
from dumpgym.contracts.specs import read_spec
from dumpgym.contracts.student import Student

MakeStudent = Callable[..., Any]
"""Called with ``seeds``, one number per run, if it makes a student that serves many runs in lockstep; with ``seed``
otherwise; and in both cases with the arguments of the specification."""

student_registry = Registry[MakeStudent]("student", rooms=("dumpgym.envs.students",))
"""All students by id."""


def register_student(student_id: str, make: MakeStudent) -> None:
    """Makes a student known under an id.

    Args:
        student_id: the id.
        make: called as ``make(seeds=..., **arguments)`` or ``make(seed=..., **arguments)``, see ``MakeStudent``.

    Raises:
        InvalidValueError: if the id is taken.
    """
    student_registry.register(student_id, make, module=make.__module__)


def make_students(spec: str, seeds: Sequence[int]) -> list[tuple[Student, Sequence[int]]]:
    """Makes the students of several runs.

    Args:
        spec: ``id?argument=value&...`` of a registered student, ``module:id?...`` with a module to import first, or
            ``module:Class?...`` for a class that is not registered.
        seeds: one per run.

    Returns:
        Each student with the seeds that it serves: a single one for all seeds if it can run in lockstep, otherwise one
        per seed.

    Raises:
        UnknownNameError: if no student has this id, or it has no such argument.
        InvalidValueError: if its module cannot be found, or an argument is out of range.
    """
    student_id, arguments = read_spec("student", spec)
    make = _find(student_id)
    parameters = inspect.signature(make).parameters
    known = [name for name in parameters if name not in ("seed", "seeds")]
    for name in arguments:
        if name not in known:
            raise UnknownNameError(f"argument of student {student_id!r}", name, known)
    if "seeds" in parameters:
        return [(make(**arguments, seeds=seeds), seeds)]
    return [(make(**arguments, seed=seed), [seed]) for seed in seeds]


def _find(student_id: str) -> MakeStudent:
    try:
        return student_registry.find(student_id)
    except UnknownNameError:
        module, colon, path = student_id.rpartition(":")
        if not colon:
            raise
    found: Any = sys.modules[module]
    for name in path.split("."):
        if not hasattr(found, name):
            raise InvalidValueError(
                "student", student_id, f"the id of a student, or module:Class; {module} has no {path}"
            )
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]
