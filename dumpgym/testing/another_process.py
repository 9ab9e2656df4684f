"""Sampling problems in another process, and their serialisation as text that can be compared.

A problem must not depend on the process that samples it, because a resumed run and an evaluation on another machine are
different processes. The usual cause of a difference is Python's hash seed, which determines the iteration order of
sets. The other process therefore runs with a different ``PYTHONHASHSEED``.
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

# sys.path must be set before the import; otherwise the other process may find another copy of this module, or none.
_CODE = """
import json, sys
request = json.load(sys.stdin)
sys.path[:] = request["path"]
from dumpgym.testing.another_process import answer
answer(request)
"""
_TIMEOUT = 600  # seconds


def puzzle_env(env: object) -> PuzzleEnv:
    """Returns the environment inside its wrappers.

    Raises:
        InvalidValueError: if it is not a ``PuzzleEnv``.
    """
    unwrapped = env.unwrapped if isinstance(env, gym.Env) else env
    if not isinstance(unwrapped, PuzzleEnv):
        raise InvalidValueError("return value of make()", type(unwrapped).__name__, "a dumpgym.PuzzleEnv")
    return unwrapped


def written(value: object) -> str:
    """Returns a value as text that is equal in every process for equal values, whatever the iteration order of sets."""
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
    if type(value).__repr__ is object.__repr__:  # it contains the memory address
        return type(value).__name__ + written(getattr(value, "__dict__", {}))
    return repr(value)


def problem_as_text(problem: Problem) -> dict[str, str]:
    """Returns the fields of a problem by name, each as text from ``written``."""
    return {f.name: written(getattr(problem, f.name)) for f in dataclasses.fields(problem)}


def problems_elsewhere(make: MakeEnv, addresses: Sequence[Address]) -> list[dict[str, str]] | None:
    """Samples problems in another process with a different hash seed.

    Args:
        make: a specification, or a callable that returns an environment.
        addresses: addresses of the problems, in the order of sampling.

    Returns:
        The ``problem_as_text`` of each address. None if the callable cannot be used in another process because it is a
        lambda, a nested function, or defined in the running script.

    Raises:
        AssertionError: if the other process cannot make the environment of a specification, or cannot sample a problem.
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
        timeout=_TIMEOUT,
        check=False,
    )
    errors = finished.stderr.strip().splitlines() or ["no message"]
    if finished.returncode != 0:
        raise AssertionError(f"sampling the problems in another process failed: {errors[-1]}")
    reply: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])  # imported modules may print before it
    if "unknown" in reply and isinstance(make, str):
        raise AssertionError(
            f"cannot make {make!r} in another process: {reply['unknown']}; include the module that registers it, as in "
            "module:namespace/Name-v0"
        )
    problems: list[dict[str, str]] | None = reply.get("problems")
    return problems


def answer(request: Mapping[str, Any]) -> None:
    """Entry point of the other process: writes the problems, or why the environment cannot be made, to stdout."""
    sys.stdout.write("\n" + json.dumps(_reply(request)) + "\n")


def _reply(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        make: MakeEnv = pickle.loads(base64.b64decode(request["make"]))
    except (AttributeError, ImportError) as error:  # defined in a script or module that this process cannot import
        return {"unknown": str(error)}
    try:
        env = make_env(make) if isinstance(make, str) else puzzle_env(make())
    except DumpgymError as error:
        return {"unknown": str(error)}
    return {"problems": [problem_as_text(env.sample_problem(*address)) for address in request["addresses"]]}
