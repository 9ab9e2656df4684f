"""The simulated students by their ids."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.specs import read_spec
from dumpgym.contracts.student import Student

student_registry: dict[str, str] = {
    "skills": "dumpgym.envs.students.skills:SkillsStudent",
    "softmax": "dumpgym.envs.students.softmax:SoftmaxStudent",
    "replay": "dumpgym.envs.students.replay:ReplayStudent.from_run",
}
"""Where each student is made. It is called with ``seeds``, a sequence of one number a run, if it serves many runs in
lockstep, with ``seed`` otherwise, and with the arguments of the specification."""


def make_students(spec: str, seeds: Sequence[int]) -> list[tuple[Student, Sequence[int]]]:
    """Makes the students of some runs.

    Args:
        spec: ``id?argument=value&...`` of a registered student, or ``module:Class?...`` of one's own.
        seeds: one a run.

    Returns:
        Each student with the seeds that it serves: one for all in lockstep where the student can, else one a seed.

    Raises:
        UnknownNameError: if no student has this id, or it has no such argument.
        InvalidValueError: if its module cannot be found, or an argument is out of range.
    """
    student_id, arguments = read_spec("student", spec)
    make = _maker(student_id)
    known = [name for name in inspect.signature(make).parameters if name not in ("seed", "seeds")]
    for name in arguments:
        if name not in known:
            raise UnknownNameError(f"argument of student {student_id!r}", name, known)
    if "seeds" in inspect.signature(make).parameters:
        return [(make(**arguments, seeds=seeds), seeds)]
    return [(make(**arguments, seed=seed), [seed]) for seed in seeds]


def _maker(student_id: str) -> Callable[..., Any]:
    if ":" not in student_id and student_id not in student_registry:
        raise UnknownNameError("student", student_id, student_registry)
    module, _, path = student_registry.get(student_id, student_id).partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise InvalidValueError("student", student_id, f"the id of a student, or module:Class; {error}") from error
    return found  # type: ignore[no-any-return]
