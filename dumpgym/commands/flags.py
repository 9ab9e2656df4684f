"""The parser of the command line, which tyro makes from the dataclasses of all verbs."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import tyro
from pydantic import TypeAdapter, ValidationError

from dumpgym.commands import Verb, verb_registry
from dumpgym.contracts.errors import DumpgymError, InvalidValueError, UnknownNameError
from dumpgym.runs.validation import accepted_by

DESCRIPTION = """Train language models under a curriculum, and compare the policies that choose their training data.

`dumpgym VERB --help` lists the flags of a verb, `dumpgym --version` prints the version, and `dumpgym
--tyro-print-completion bash` prints a completion script (also for zsh, fish and tcsh)."""
# Types of pydantic's errors that are about the text of a flag. Ranges are checked later, for files and flags alike.
_UNREADABLE = ("int_parsing", "int_parsing_size", "float_parsing", "literal_error")


def parse(arguments: Sequence[str]) -> Verb:
    """Reads a command line.

    Args:
        arguments: the verb, its flags and its positional arguments.

    Raises:
        SystemExit: after showing the help or a completion script (status 0) or an error (status 2).
        DumpgymError: if there is no such verb or flag, if a flag is repeated or its value cannot be read, or if the
            file or the run with the default values cannot be read.
    """
    _check(arguments)
    # Twice: only the parsed flags say from which file the defaults come that the help and the missing flags need.
    verb = _parsed(arguments, {})
    default = verb.file_default()
    return verb if default is None else _parsed(arguments, {arguments[0]: default})


def _check(arguments: Sequence[str]) -> None:
    """Finds mistakes that tyro would show in boxes, or would not find: it takes the last of repeated flags."""
    name = arguments[0]
    if name.startswith("-"):
        return
    if name not in verb_registry:
        raise UnknownNameError("verb", name, verb_registry)
    if "-h" in arguments or "--help" in arguments:
        return
    types = dict(_flags(verb_registry[name]))
    found: set[str] = set()
    for written, values in _groups(arguments[1:]):
        if not written:
            if "" in values:
                raise InvalidValueError("argument", "", f"text that is not empty, see dumpgym {name} --help")
            continue
        flag = written.replace("_", "-")
        if flag not in types:
            raise UnknownNameError("flag", written, types, listed_by=f"dumpgym {name} --help")
        same = flag.replace("--no-", "--", 1) if types[flag] is bool else flag  # a switch and its opposite
        if same in found:
            raise DumpgymError(f"{written} is given twice; accepted: every flag once")
        found.add(same)
        _check_values(written, types[flag], values)


def _flags(config_class: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the flags of a dataclass, and of those inside it, with their types."""
    hints = get_type_hints(config_class, include_extras=True)
    for f in dataclasses.fields(config_class):
        flag, kind = f"--{prefix}{f.name.replace('_', '-')}", hints[f.name]
        if dataclasses.is_dataclass(kind):
            yield from _flags(kind, f"{prefix}{f.name}.")
        elif tyro.conf.Positional not in getattr(kind, "__metadata__", ()):
            yield flag, kind
            if kind is bool:
                yield f"--{prefix}no-{f.name.replace('_', '-')}", kind


def _groups(arguments: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yields every flag with what follows it up to the next flag, and first "" with what precedes all flags."""
    flag, values = "", list[str]()
    for argument in arguments:
        if argument.startswith("--"):
            yield flag, values
            flag, equals, value = argument.partition("=")
            values = [value] if equals else []
        else:
            values.append(argument)
    yield flag, values


def _check_values(flag: str, kind: Any, values: Sequence[str]) -> None:
    bare = _bare(kind)
    members = list(map(_bare, get_args(bare) if get_origin(bare) in (Union, UnionType) else (bare,)))
    if bare is bool or get_origin(bare) is dict:
        return
    is_list = any(get_origin(member) is tuple for member in members)
    if not values and not is_list:
        raise DumpgymError(f"{flag} has no value; accepted: one value after it")
    if NoneType in members and values == ["None"]:
        return
    if Path in members and values[0] == "":  # Python reads it as the current directory
        raise InvalidValueError(flag, "", "a path that is not empty; '.' is the current directory")
    if int in members and float not in members and not _is_whole(values[0]):  # pydantic reads 3.0 as 3
        raise InvalidValueError(flag, values[0], "a valid integer")
    try:
        TypeAdapter(kind).validate_python(tuple(values) if is_list else values[0])
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] in _UNREADABLE:
            raise InvalidValueError(flag, first["input"], accepted_by(first)) from error


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _is_whole(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


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
