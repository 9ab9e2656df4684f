"""``dumpgym describe``: the manual of a policy, a signal, a student or an environment, with its options."""

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from shutil import get_terminal_size
from typing import Annotated, Any

from tyro.conf import Positional, arg

from dumpgym.commands import PlainVerb, verb
from dumpgym.commands.docstrings import file_of, read_docstring
from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.specs import import_module_of, read_spec

_WIDEST = 100  # characters; longer lines are hard to read
_NOT_OPTIONS = ("self", "seed", "seeds", "split")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@verb("describe")
@dataclass(frozen=True, slots=True, kw_only=True)
class Describe(PlainVerb):
    """Explain a policy, a signal, a student or an environment: formula, source, and all options with their defaults.

    Attributes:
        name: its name, as dumpgym list prints it, or module:name for your own; options may follow, as in
            'dump?window=1200', and are checked and shown.
    """

    name: Annotated[str, Positional, arg(metavar="NAME")]

    def run(self) -> None:
        """Prints the description."""
        sys.stdout.write(described(self.name, min(get_terminal_size().columns, _WIDEST)))


@dataclass(frozen=True, slots=True)
class Description:
    """What is told of a name.

    Attributes:
        kind: "policy", "signal", "student" or "environment".
        defined: the objects with the docstrings: a class or a function, and what makes it, if that is another one.
        options: signature of the options by name.
        more: options that all of this kind have.
        values: values that the name itself sets.
    """

    kind: str
    defined: tuple[Any, ...]
    options: Mapping[str, inspect.Parameter] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


def described(spec: str, width: int) -> str:
    """The description of a name as text.

    Args:
        spec: ``name`` or ``name?option=value&...``.
        width: length of the lines, in characters.

    Raises:
        InvalidValueError: if nothing has this name, or a value is not accepted.
        UnknownNameError: if there is no such option.
    """
    name, given = read_spec("name", spec)
    found = _find(name)
    for option in given:
        if option not in found.options:
            raise UnknownNameError(f"option of {found.kind} {name!r}", option, found.options)
    if given:
        _CHECKS[found.kind](spec, name, given, found)
    documents = [read_docstring(one) for one in found.defined]
    blocks = [f"{_title(name)}: {found.kind}, {file_of(found.defined[0])}"]
    for document in documents:
        blocks.append(_wrapped(document.text, width))
        if document.returns:
            blocks.append(_filled(f"Returns: {document.returns}", width))
    explained = _explanations(found.defined)
    own = [option for option in found.options if option not in found.more]
    for title, options in (("Options", own), (f"Options of every {found.kind}", found.more)):
        if options:
            lines = (_option(found, option, given, explained.get(option, ""), width) for option in options)
            blocks.append(f"{title}:\n\n" + "\n".join(lines))
    if not found.options:
        blocks.append("It has no options.")
    return "\n\n".join(blocks) + "\n"


def _title(name: str) -> str:
    """A name, behind the alias by which it was asked for."""
    from dumpgym.contracts.policy_registry import policy_registry

    own = policy_registry.canonical(name)
    return name if own == name else f"{name}, an alias of {own}"


def _find(name: str) -> Description:
    import gymnasium as gym

    from dumpgym.contracts.policy_registry import policy_registry
    from dumpgym.contracts.student_registry import student_registry
    from dumpgym.signals.signal import COSTS, CostSignal, signal_registry

    try:
        own = import_module_of(name)
    except ModuleNotFoundError as error:
        raise InvalidValueError("name", name, f"a name that dumpgym list shows; {error}") from error
    if own in policy_registry:
        return _policy(policy_registry[own])
    signal = own.removesuffix(next((ending for ending in COSTS if own.endswith(ending)), ""))
    if signal in signal_registry:
        made = signal_registry[signal]
        defined = made.args[0] if isinstance(made, partial) else made
        # "The absolute value of LearningProgress" needs the manual of that one too.
        parents = [one for one in getattr(defined, "__mro__", ())[1:] if one in signal_registry.values()]
        return Description("signal", (defined, *parents, *((CostSignal,) if signal != own else ())))
    if own in student_registry:
        made = student_registry[own]
        defined = getattr(made, "__self__", made)  # of a class method, the class
        return Description("student", (defined,) if defined is made else (defined, made), _options(made))
    if own in gym.registry:
        return _environment(own)
    known = [*policy_registry, *signal_registry, *student_registry]
    known += [spec.id for spec in gym.registry.values() if spec.namespace is not None]
    near = " or ".join(repr(one) for one in get_close_matches(own, known, n=2))
    hint = f"; did you mean {near}?" if near else ""
    raise InvalidValueError("name", name, f"a policy, signal, student or environment that dumpgym list shows{hint}")


def _policy(spec: Any) -> Description:
    from dumpgym.contracts.policy import PolicyOptions

    options = {name: p for name, p in spec.parameters.items() if p.kind not in _VARIADIC}
    more = tuple(name for name in options if name in PolicyOptions.__annotations__)
    return Description("policy", (spec.entry_point,), options, more)


def _environment(env_id: str) -> Description:
    import gymnasium as gym
    from gymnasium.envs.registration import load_env_creator

    from dumpgym.contracts.puzzle_env import PuzzleEnv

    spec = gym.spec(env_id)
    creator: Any = spec.entry_point
    if isinstance(creator, str):
        creator = load_env_creator(creator)
    # The manual of a family, such as StringEnv, holds for each of its environments.
    families = [
        one for one in getattr(creator, "__mro__", ())[1:] if issubclass(one, PuzzleEnv) and one is not PuzzleEnv
    ]
    return Description("environment", (creator, *families), _options(creator), values=spec.kwargs)


def _options(made: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(made).parameters.items()
    return {name: p for name, p in parameters if name not in _NOT_OPTIONS and p.kind not in _VARIADIC}


def _explanations(defined: Iterable[Any]) -> dict[str, str]:
    """The explanation of every option, from the class itself or the nearest parent that explains it."""
    found: dict[str, str] = {}
    for one in defined:
        for documented in inspect.getmro(one) if isinstance(one, type) else (one,):
            if documented.__doc__:
                found = dict(read_docstring(documented).arguments) | found
    return found


def _check_policy(spec: str, name: str, given: Mapping[str, Any], found: Description) -> None:
    from dumpgym.contracts.policy_registry import make_policy

    # The range of a floor or a cap depends on the number of arms, which is known only in a run.
    own = {option: value for option, value in given.items() if option not in found.more}
    lengths = [len(str(value).split(",")) for value in own.values() if "," in str(value)]
    if _is_complete(found, given):
        make_policy(name, num_arms=lengths[0] if lengths else 6, **own)


def _check_student(spec: str, name: str, given: Mapping[str, Any], found: Description) -> None:
    from dumpgym.contracts.student_registry import make_students

    if _is_complete(found, given):
        make_students(spec, [0])


def _check_environment(spec: str, name: str, given: Mapping[str, Any], found: Description) -> None:
    from dumpgym.contracts.arms import make_env
    from dumpgym.contracts.puzzle_env import PuzzleEnv

    if isinstance(found.defined[0], type) and issubclass(found.defined[0], PuzzleEnv):
        make_env(spec)


_CHECKS: dict[str, Callable[[str, str, Mapping[str, Any], Description], None]] = {
    "policy": _check_policy,
    "student": _check_student,
    "environment": _check_environment,
}
"""By kind, what refuses values that are out of range. A signal has no options."""


def _is_complete(found: Description, given: Mapping[str, Any]) -> bool:
    return all(p.default is not p.empty or name in given for name, p in found.options.items())


def _option(found: Description, name: str, given: Mapping[str, Any], explanation: str, width: int) -> str:
    default = found.options[name].default
    known = "no default" if default is inspect.Parameter.empty else f"default {default!r}"
    if name in given:
        head = f"{name} = {given[name]!r} ({known})"
    elif name in found.values:
        head = f"{name} = {found.values[name]!r} (set by the id; {known})"
    else:
        head = f"{name} ({known})"
    return f"  {head}\n{_filled(explanation, width, '    ')}" if explanation else f"  {head}"


def _wrapped(text: str, width: int) -> str:
    """Text with its paragraphs and lists filled; formulas, tables and examples stay as they are."""
    return "\n\n".join(_block(block, width) for block in re.split(r"\n{2,}", text))


def _block(block: str, width: int) -> str:
    if re.match(r"\s|\||>>>", block):
        return block
    title, _, rest = block.partition("\n")
    if title.startswith("#"):
        return "\n".join([title, *([_block(rest, width)] if rest else [])])
    if re.match(r"[*-] ", block):
        items = re.split(r"\n(?=[*-] )", block)
        return "\n".join(_filled(item, width, "  ").removeprefix("  ") for item in items)
    return _filled(block, width)


def _filled(text: str, width: int, indent: str = "") -> str:
    plain = re.sub(r"::$", ":", " ".join(text.split()).replace("``", ""))
    return textwrap.fill(
        plain, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
