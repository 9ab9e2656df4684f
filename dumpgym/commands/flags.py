"""The parser of the command line, which tyro makes from the dataclasses of all verbs."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union

import tyro

from dumpgym.commands import Verb, verb_registry

DESCRIPTION = """Train language models under a curriculum, and compare the policies that choose their training data.

`dumpgym VERB --help` lists the flags of a verb, `dumpgym --version` prints the version, and `dumpgym
--tyro-print-completion bash` prints a completion script (also for zsh, fish and tcsh)."""


def parse(arguments: Sequence[str]) -> Verb:
    """Reads a command line.

    Args:
        arguments: the verb, its flags and its positional arguments.

    Raises:
        SystemExit: after showing the help or a completion script (status 0) or an error (status 2).
        DumpgymError: if the file or the run with the default values cannot be read.
    """
    # Twice: only the parsed flags say from which file the defaults come that the help and the missing flags need.
    verb = _parsed(arguments, {})
    default = verb.file_default()
    return verb if default is None else _parsed(arguments, {arguments[0]: default})


def _parsed(arguments: Sequence[str], defaults: Mapping[str, Verb]) -> Verb:
    commands: list[Any] = [
        Annotated[verb_class, tyro.conf.subcommand(name, default=defaults.get(name, tyro.MISSING_NONPROP))]
        for name, verb_class in sorted(verb_registry.items())
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tyro warns of annotations that it does not know and pydantic reads
        verbs: Any = Union[tuple(commands)]  # noqa: UP007 (the members are known only at run time)
        verb: Verb = tyro.cli(
            verbs,
            prog="dumpgym",
            description=DESCRIPTION,
            args=list(arguments),
            config=(tyro.conf.OmitSubcommandPrefixes,),
        )
    return verb
