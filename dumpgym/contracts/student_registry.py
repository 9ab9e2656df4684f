"""The registry of students, to which users may add their own."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.registry import Registry
from dumpgym.contracts.specs import read_spec
from dumpgym.contracts.student import Student

MakeStudent = Callable[..., Any]
"""A callable that makes a student from the arguments of its specification and ``seeds``, one number per run, if the
student can serve many runs in lockstep, or ``seed`` if it serves one run."""

_ACCEPTED = "the id of a student, or module:Class of a dumpgym.Student"
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
    make, parameters, arguments = _read(spec)
    if "seeds" in parameters:
        return [(make(**arguments, seeds=seeds), seeds)]
    return [(make(**arguments, seed=seed), [seed]) for seed in seeds]


def student_identity(spec: str) -> tuple[MakeStudent, Mapping[str, Any]]:
    """What a specification makes, however it is spelt: the callable, and all its arguments with their defaults.

    Raises:
        UnknownNameError: see ``make_students``.
        InvalidValueError: see ``make_students``.
    """
    make, parameters, arguments = _read(spec)
    return make, {name: p.default for name, p in parameters.items() if p.default is not p.empty} | arguments


def _read(spec: str) -> tuple[MakeStudent, Mapping[str, inspect.Parameter], dict[str, Any]]:
    """The callable of a specification, its parameters, and the arguments, of which none is missing."""
    student_id, arguments = read_spec("student", spec)
    make = _find(student_id)
    try:
        parameters = inspect.signature(make).parameters
    except ValueError as error:  # as of int
        raise InvalidValueError("student", student_id, f"{_ACCEPTED}; this one has no signature") from error
    if not {"seed", "seeds"} & parameters.keys():
        raise InvalidValueError("student", student_id, f"{_ACCEPTED}; this one takes neither seed nor seeds")
    known = {name: p for name, p in parameters.items() if name not in ("seed", "seeds")}
    for name in arguments:
        if name not in known:
            raise UnknownNameError(f"argument of student {student_id!r}", name, known)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for name, p in known.items():
        if p.default is p.empty and p.kind not in variadic and name not in arguments:
            raise InvalidValueError("student", spec, f"one with its argument {name}, as in '{student_id}?{name}=...'")
    return make, parameters, arguments


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
            raise InvalidValueError("student", student_id, f"{_ACCEPTED}; {module} has no {path}")
        found = getattr(found, name)
    if not callable(found):
        raise InvalidValueError("student", student_id, f"{_ACCEPTED}; this one cannot be called")
    return found  # type: ignore[no-any-return]
