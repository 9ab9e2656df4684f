"""The origin of a run: the versions of the libraries that decide its numbers, and the command that started it."""

import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import Any

from dumpgym.contracts.version import __version__

PACKAGES = ("torch", "transformers", "peft", "numpy", "scipy", "gymnasium")


def versions() -> dict[str, Any]:
    """Versions of dumpgym, Python and the libraries that decide a run's numbers, and the command of this process."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    program = Path(sys.argv[0]).name  # without its folder, which differs between machines
    command = ["dumpgym" if program == "__main__.py" else program, *sys.argv[1:]]
    return {"dumpgym": __version__, "python": platform.python_version(), **packages, "command": command}
