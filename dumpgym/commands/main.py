"""The entry point of the command line: ``dumpgym VERB ...``, the same as ``python -m dumpgym VERB ...``."""

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dumpgym.commands.flags import parse
from dumpgym.contracts.errors import DumpgymError
from dumpgym.contracts.threads import limit_spinning
from dumpgym.contracts.version import __version__

_CONTINUE = {
    "train": "; the same command with --resume continues from the last checkpoint",
    "pretrain": "; the same command with --resume continues from the last checkpoint",
    "compare": "; the same command continues where it stopped",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Returns:
        The exit status: 0 for success, 2 for bad input, 130 for an interruption, 141 when the output's reader is gone.
    """
    limit_spinning()  # before a verb loads torch
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _fit_to_terminal()
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # for your own modules, as in my_module:my-policy
    if arguments in (["--version"], ["version"]):
        arguments = ["--version"]
    if not arguments or arguments == ["help"]:
        arguments = ["--help"]
    elif arguments[0] == "help":
        arguments = [*arguments[1:], "--help"]
    try:
        if arguments == ["--version"]:
            sys.stdout.write(f"dumpgym {__version__}\n")
        else:
            parse(arguments).run()
        sys.stdout.flush()
    except DumpgymError as error:
        sys.stderr.write(f"dumpgym: {error}\n")
        return 2
    except SystemExit as end:  # of the parser, after it has shown help, a completion script or an error
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        sys.stderr.write(f"dumpgym: interrupted{_CONTINUE.get(arguments[0], '')}\n")
        return 130
    except BrokenPipeError:
        # The reader of the output is gone, as in `dumpgym list | head`. Buffered text must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def _fit_to_terminal() -> None:
    """Makes the output safe for a terminal that shows ASCII only: boxes are then drawn with it, and no print fails.

    Where the locale is "C", Python writes UTF-8 all the same, which such a terminal shows as noise. A locale that is
    not set at all, as in many containers, says nothing about the terminal.
    """
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")
    is_ascii = locale in ("C", "POSIX") and not {"PYTHONIOENCODING", "PYTHONUTF8"} & os.environ.keys()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="ascii" if is_ascii else None, errors="backslashreplace")
