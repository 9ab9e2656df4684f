"""The registry of students, to which users may add their own."""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.registry import Registry
from dumpgym.contracts.specs import read_spec
from dumpgym.contracts.student import Student

MakeStudent = Callable[..., Any]
"""A callable that makes a student from the arguments of its specification and ``seeds``, one number per run, if the
student can serve many runs in lockstep, or ``seed`` if it serves one run."""

student_registry = Registry[MakeStudent]("student", rooms=("dumpgym.envs.students",))
"""All students by id."""


def register_student(student_id: str, make: MakeStudent) -> None:
    """Registers a student under an id.

    Args:
        student_id: id of the student.
        make: makes the student, called as ``make(seeds=..., **arguments)`` or ``make(seed=..., **arguments)``; see
            ``MakeStudent``.

    Raises:
        InvalidValueError: if the id is registered already.
    """
    student_registry.register(student_id, make, module=make.__module__)


def make_students(spec: str, seeds: Sequence[int]) -> list[tuple[Student, Sequence[int]]]:
    """Makes the students of several runs.

    Args:
        spec: ``id?argument=value&...`` of a registered student, ``module:id?...`` with a module to import first, or
            ``module:Class?...`` for a class that is not registered.
        seeds: one per run.

    Returns:
        Each student with the seeds that it serves: one student for all seeds if it can run in lockstep, otherwise one
        student per seed.

    Raises:
        UnknownNameError: if no student has this id, or the student has no argument of this name.
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
    """Returns the callable of a registered student, or the object at ``module:Class``."""
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
