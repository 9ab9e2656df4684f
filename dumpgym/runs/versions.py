"""The origin of a run: every start of it, with its command and the versions of the libraries that decide its numbers.

``versions.json`` holds the first start. Those of later starts, when the run was resumed, are in its list "resumed".
"""

import importlib.metadata
import platform
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from dumpgym.contracts.threads import thread_settings
from dumpgym.contracts.version import __version__
from dumpgym.runs.files import DamagedFileError, read_object

VERSIONS = "versions.json"
PACKAGES = ("torch", "transformers", "peft", "numpy", "scipy", "gymnasium")
ENVIRONMENT = ("dumpgym", "python", *PACKAGES, "device", "threads")
"""What a start records of its surroundings that changes numbers in the last bits, or more."""
_LATER = "resumed"


def versions() -> dict[str, Any]:
    """Versions of dumpgym, Python and the libraries that decide a run's numbers, the command, and the CPUs."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    program = Path(sys.argv[0]).name  # without its folder, which differs between machines
    command = ["dumpgym" if program == "__main__.py" else program, *sys.argv[1:]]
    origin = {"dumpgym": __version__, "python": platform.python_version(), **packages, "command": command}
    return origin | thread_settings()


def read_starts(directory: Path) -> list[dict[str, Any]]:
    """The starts of a run in their order, each with the "step" after which it began; none if none was recorded.

    Args:
        directory: directory of the run.

    Raises:
        DamagedFileError: if the record is not one of starts.
    """
    path = directory / VERSIONS
    if not path.exists():
        return []
    first = read_object(path)
    later = first.pop(_LATER, [])
    starts: list[Any] = [{"step": 0, **first}, *later] if isinstance(later, list) else [None]
    if not all(map(_is_start, starts)):
        raise DamagedFileError(path, "is damaged: a start has no command or no step")
    return starts


def _is_start(start: Any) -> bool:
    if not isinstance(start, dict) or not isinstance(start.get("command"), list):
        return False
    return type(start.get("step")) is int and all(isinstance(word, str) for word in start["command"])


def record_of_starts(starts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The content of ``versions.json``, which ``read_starts`` reads back."""
    return {**starts[0], **({_LATER: list(starts[1:])} if len(starts) > 1 else {})}


def version_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between the surroundings of two starts, such as "torch 2.13.0 after 2.12.0"."""
    return [
        f"{name} {now[name]} after {before[name]}"
        for name in ENVIRONMENT
        if name in before and name in now and before[name] != now[name]
    ]


def mixed_versions(starts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What changed from one start of a run to the next, such as "from step 40, torch 2.13.0 after 2.12.0"."""
    return [
        f"from step {now['step']}, {', '.join(changes)}"
        for before, now in pairwise(starts)
        if (changes := version_changes(before, now))
    ]
