"""Configurations made from plain values and TOML files, checked strictly."""

import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from dumpgym.contracts.errors import DumpgymError, InvalidValueError

Config = TypeVar("Config")
STRICT = ConfigDict(extra="forbid")  # otherwise a misspelt key would silently leave its setting at the default


def validated(values: dict[str, Any], config_class: type[Config]) -> Config:
    """Makes a configuration from plain values.

    Args:
        values: values by field name, nested as the dataclasses are.
        config_class: the dataclass to make.

    Raises:
        DumpgymError: for an unknown key or a value out of range, in one line that names the key and what is accepted.
    """
    try:
        return TypeAdapter(config_class).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "unexpected_keyword_argument":
            accepted = ", ".join(f.name for f in dataclasses.fields(_class_of(config_class, first["loc"])))
            raise DumpgymError(f"unknown configuration key {key!r}; accepted: {accepted}") from error
        if first["type"].startswith("missing"):
            raise DumpgymError(f"the configuration has no {key!r}; accepted: one that has") from error
        raise InvalidValueError(key, first["input"], first["msg"].removeprefix("Input should be ")) from error


def _class_of(config_class: Any, path: Sequence[int | str]) -> Any:
    """The dataclass whose field the last part of a path names, inside a dataclass or a tuple of dataclasses."""
    for part in path[:-1]:
        if isinstance(part, str):
            kind = get_type_hints(config_class)[part]
            config_class = get_args(kind)[0] if get_args(kind) else kind
    return config_class


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file.

    Raises:
        DumpgymError: if the file cannot be read or is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidValueError("configuration file", str(path), "a file that can be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DumpgymError(f"{path} is not valid TOML: {error}") from error
