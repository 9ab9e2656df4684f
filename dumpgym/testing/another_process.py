"""Problems as text that can be compared, and the problems that an environment gives in another process.

A problem must not depend on the process that asks for it: a run that is resumed, and an evaluation on another machine,
are other processes. What differs between two processes of one program is, above all, the seed of Python's hashes, and
so the order of sets; the other process here has another one.
"""

import base64
import dataclasses
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import gymnasium as gym
import numpy as np

from dumpgym.contracts.arms import make_env
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.contracts.puzzle_env import Problem, PuzzleEnv

Address = tuple[int, str, int]
MakeEnv = str | Callable[[], gym.Env[str, str]]

# sys.path comes first, so that the other process finds the same modules, this one among them.
_CODE = """
import json, sys
request = json.load(sys.stdin)
sys.path[:] = request["path"]
from dumpgym.testing.another_process import answer
answer(request)
"""
_LONGEST_WAIT = 600  # seconds


def puzzle_env(env: object) -> PuzzleEnv:
    """The environment inside its wrappers.

    Raises:
        InvalidValueError: if it is no ``PuzzleEnv``.
    """
    unwrapped = env.unwrapped if isinstance(env, gym.Env) else env
    if not isinstance(unwrapped, PuzzleEnv):
        raise InvalidValueError("what make() returns", type(unwrapped).__name__, "a dumpgym.PuzzleEnv")
    return unwrapped


def written(value: object) -> str:
    """A value as text that is the same in every process for equal values, whatever the order of their sets."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{written(key)}: {written(entry)}" for key, entry in value.items())) + "}"
    if isinstance(value, AbstractSet):
        return "{" + ", ".join(sorted(map(written, value))) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, np.ndarray | np.generic):
        return written(value.tolist())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__ + written({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if type(value).__repr__ is object.__repr__:  # which shows a place in memory
        return type(value).__name__ + written(getattr(value, "__dict__", {}))
    return repr(value)


def problem_as_text(problem: Problem) -> dict[str, str]:
    """The parts of a problem, by name, as ``written``."""
    return {f.name: written(getattr(problem, f.name)) for f in dataclasses.fields(problem)}


def problems_elsewhere(make: MakeEnv, addresses: Sequence[Address]) -> list[dict[str, str]] | None:
    """The problems at some addresses as another process makes them, where the seed of hashes is another one.

    Args:
        make: a specification, or a callable that returns an environment.
        addresses: of the problems, in the order in which they are asked for.

    Returns:
        one ``problem_as_text`` an address; None if the callable cannot be sent to another process, as it is a lambda, a
        nested function, or defined in the script that runs.

    Raises:
        AssertionError: if the other process cannot make the environment of a specification, or a problem.
    """
    try:
        pickled = pickle.dumps(make)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    own_seed = os.environ.get("PYTHONHASHSEED")
    request = {"path": sys.path, "make": base64.b64encode(pickled).decode(), "addresses": list(addresses)}
    finished = subprocess.run(
        [sys.executable, "-c", _CODE],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONHASHSEED": "1" if own_seed != "1" else "2", "PYTHONIOENCODING": "utf-8"},
        timeout=_LONGEST_WAIT,
        check=False,
    )
    errors = finished.stderr.strip().splitlines() or ["no message"]
    if finished.returncode != 0:
        raise AssertionError(f"another process cannot make the problems: {errors[-1]}")
    reply: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])  # what a module prints comes before
    if "unknown" in reply and isinstance(make, str):
        raise AssertionError(
            f"another process cannot make {make!r}: {reply['unknown']}; name the module that registers it, as in "
            "module:namespace/Name-v0"
        )
    problems: list[dict[str, str]] | None = reply.get("problems")
    return problems


def answer(request: Mapping[str, Any]) -> None:
    """What the other process does: writes the problems to standard output, or why there is no environment."""
    sys.stdout.write("\n" + json.dumps(_reply(request)) + "\n")


def _reply(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        make: MakeEnv = pickle.loads(base64.b64decode(request["make"]))
    except (AttributeError, ImportError) as error:  # it is defined where this process has nothing
        return {"unknown": str(error)}
    try:
        env = make_env(make) if isinstance(make, str) else puzzle_env(make())
    except DumpgymError as error:
        return {"unknown": str(error)}
    return {"problems": [problem_as_text(env.sample_problem(*address)) for address in request["addresses"]]}
