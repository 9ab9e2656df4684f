"""The command line: one file per verb, and what verbs share (flags, display).

A verb is a frozen dataclass: its fields are the flags, its docstring is the help, and ``run`` does the work, mostly by
calling another room. Decorated with ``verb``, it is found without being listed anywhere. Heavy imports belong inside
``run``, because every call of ``dumpgym`` imports all verbs.
"""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

from dumpgym.contracts.registry import Registry


class Verb(Protocol):
    """What the command line needs from a verb."""

    def file_default(self) -> Self | None:
        """The instance whose values the flags override, from the file or the run that they name; None without one."""
        ...

    def run(self) -> None:
        """Does the work.

        Raises:
            DumpgymError: for bad input, shown as one line with exit status 2.
        """
        ...


verb_registry = Registry[type[Verb]]("verb", rooms=("dumpgym.commands",), key="name")
"""The verbs of ``dumpgym`` by name."""
VerbClass = TypeVar("VerbClass", bound=type[Verb])


def verb(name: str) -> Callable[[VerbClass], VerbClass]:
    """Decorates the dataclass of a verb.

    Args:
        name: name of the verb on the command line.

    Raises:
        InvalidValueError: if the name is taken.
    """

    def register(verb_class: VerbClass) -> VerbClass:
        verb_registry.register(name, verb_class, module=verb_class.__module__)
        return verb_class

    return register


class PlainVerb:
    """A verb whose defaults are always those of its fields."""

    __slots__ = ()

    def file_default(self) -> None:
        """See ``Verb``."""
        return None
