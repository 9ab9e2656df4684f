"""From the command line to a verb: one parser, made by tyro from the dataclasses of all verbs."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union

import tyro

from dumpgym.commands import Verb, verb_registry

DESCRIPTION = """Compare which data a language model should train on next, in a way that the result can be believed.

`dumpgym VERB --help` lists the flags of a verb, `dumpgym --version` prints the version, and `dumpgym
--tyro-print-completion bash` prints a completion script (also for zsh, fish and tcsh)."""


def parse(arguments: Sequence[str]) -> Verb:
    """Reads a command line.

    Args:
        arguments: the verb, its flags and its positional arguments.

    Raises:
        SystemExit: after the help or a completion script was shown (status 0), or an error (status 2).
        DumpgymError: if the file or the run that gives the defaults cannot be read.
    """
    verb = _parsed(arguments, {})
    default = verb.file_default()
    return verb if default is None else _parsed(arguments, {arguments[0]: default})


def _parsed(arguments: Sequence[str], defaults: Mapping[str, Verb]) -> Verb:
    commands: list[Any] = [
        Annotated[verb_class, tyro.conf.subcommand(name, default=defaults.get(name, tyro.MISSING_NONPROP))]
        for name, verb_class in sorted(verb_registry.items())
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tyro's remarks on annotations that pydantic reads
        verbs: Any = Union[tuple(commands)]  # noqa: UP007 (made at run time)
        verb: Verb = tyro.cli(
            verbs,
            prog="dumpgym",
            description=DESCRIPTION,
            args=list(arguments),
            config=(tyro.conf.OmitSubcommandPrefixes,),
        )
    return verb
