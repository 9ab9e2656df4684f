"""Configurations made from plain values and TOML files, checked strictly."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from dumpgym.contracts.errors import LARGEST_WHOLE_NUMBER, DumpgymError, InvalidValueError, require_number

Config = TypeVar("Config")
# Otherwise a misspelt key would silently leave its setting at the default, and a run could be asked for a temperature
# of infinity.
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_ACCEPTED = {  # by the type of pydantic's error, where its own message names the inside of Python
    "too_short": "at least {min_length} value{s}",
    "string_too_short": "text that is not empty",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table of keys and values",
    "dataclass_type": "a table of keys and values",
    "path_type": "a path, as text",
    "int_parsing": "a valid integer",
    "int_parsing_size": "a valid integer of at most 64 bits",
    "float_parsing": "a valid number",
}


def _not_empty(path: object) -> object:
    if path == "" or "\0" in str(path):
        raise PydanticCustomError("empty_path", "a path that is not empty; '.' is the current directory")
    return path


PathOfFiles = Annotated[Path, BeforeValidator(_not_empty)]
"""A path that a user gives. Python reads an empty one as the current directory, which nobody means by it."""


def validated(values: Mapping[str, Any], config_class: type[Config]) -> Config:
    """Makes a configuration from plain values.

    A value must have the type of its setting: text is no number, a fraction is no whole number, and true is not 1. A
    whole number may stand for any number, and a list for a tuple.

    Args:
        values: values by field name, nested as the dataclasses are.
        config_class: the dataclass to make.

    Raises:
        DumpgymError: for an unknown key or a value out of range, in one line that names the key and what is accepted.
    """
    _refuse_long_numbers(values)
    try:
        # As JSON, because TOML and JSON write a tuple as a list and a path as text. Python's own strict mode would
        # refuse both, and its lax mode takes "3" and true for numbers.
        adapter = _adapter(config_class)  # type: ignore[arg-type]  # mypy does not know that every class is hashable
        found: Config = adapter.validate_json(json.dumps(values, default=_plain), strict=True)
    except ValidationError as error:
        raise _readable(error.errors(), config_class) from error
    return found


# Making an adapter takes longer than reading a run, and a report reads hundreds of runs.
@cache
def _adapter(config_class: Any) -> TypeAdapter[Any]:
    return TypeAdapter(config_class)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise InvalidValueError("value in the configuration", value, "text, a number, true, false, a list or a table")


def _refuse_long_numbers(value: object, key: str = "") -> None:
    """Seeds, counts and sizes end up in 64 bits of numpy or torch, which raise errors of their own much later."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _refuse_long_numbers(inner, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_long_numbers(inner, key)
    elif isinstance(value, int) and abs(value) > LARGEST_WHOLE_NUMBER:
        require_number(key, value, whole=True)


def _readable(errors: Sequence[ErrorDetails], config_class: Any) -> DumpgymError:
    """The first of pydantic's errors as a line, together with those of the other types that the setting may have."""
    first = errors[0]
    key, owner = _place(config_class, first["loc"])
    own = first.get("ctx", {}).get("error")
    if isinstance(own, DumpgymError):  # raised by the configuration's own ``__post_init__``
        return own
    if first["type"] == "unexpected_keyword_argument":
        known = [f.name for f in dataclasses.fields(owner)]
        near = get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return DumpgymError(f"unknown configuration key {key!r}; accepted: {', '.join(known)}{hint}")
    if first["type"].startswith("missing"):
        kind = _place(config_class, first["loc"], with_field=True)[1]
        return DumpgymError(f"{key} is missing; accepted: {key} = {_example(kind)}")
    accepted = dict.fromkeys(accepted_by(error) for error in errors if _place(config_class, error["loc"])[0] == key)
    *others, last = accepted
    return InvalidValueError(key, first["input"], f"{', '.join(others)} or {last}" if others else last)


def accepted_by(error: ErrorDetails) -> str:
    """What would be accepted in place of the value of one of pydantic's errors."""
    context = error.get("ctx", {})
    if error["type"] in _ACCEPTED:
        return _ACCEPTED[error["type"]].format(**context, s="s" * (context.get("min_length") != 1))
    return error["msg"].removeprefix("Input should be ")


def _example(kind: Any) -> str:
    return "[...]" if get_origin(kind) is tuple else "'...'" if kind is str else "..."


def _place(config_class: Any, path: Sequence[int | str], *, with_field: bool = False) -> tuple[str, Any]:
    """What a place in pydantic's errors is called, and the type that holds it, or with ``with_field`` has it.

    Where a setting may have one of several types, pydantic adds the type to the place ("window.bool"); no user wrote
    that.
    """
    names: list[str] = []
    owner = kind = config_class
    for part in path:
        kind = _without_none(kind)
        if get_origin(kind) in (Union, UnionType):
            kind = None  # what follows is inside of one of the types
            continue
        owner = kind
        names.append(str(part))
        if dataclasses.is_dataclass(kind):
            kind = get_type_hints(kind).get(str(part))
        elif get_args(kind):
            kind = get_args(kind)[1 if get_origin(kind) is dict else 0]
    return ".".join(names), kind if with_field else owner


def _without_none(kind: Any) -> Any:
    members = [member for member in get_args(kind) if member is not NoneType]
    if get_origin(kind) in (Union, UnionType) and len(members) == 1:
        return members[0]
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


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
