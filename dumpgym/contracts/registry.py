"""One registry for policies, signals and students: names that a command line or a file can use for objects."""

import importlib
import pkgutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Generic, Literal, Self, TypeVar

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.specs import import_module_of

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries by name.

    The registry is a read-only mapping, in which an alias finds its entry but is not listed. The files in its rooms
    register their entries when they are imported, and the registry imports all of them at the first look-up. So a new
    file in a room needs no list to be edited, and ``import dumpgym`` loads none of these files.

    Args:
        kind: name of an entry in error messages, e.g. "policy".
        rooms: packages whose files register entries.
        key: name of a key in error messages, "id" or "name".
    """

    def __init__(self, kind: str, rooms: Sequence[str] = (), key: Literal["id", "name"] = "id") -> None:
        self.kind, self.rooms, self.key = kind, tuple(rooms), key
        self._entries: dict[str, Entry] = {}
        self._aliases: dict[str, str] = {}
        self._is_loaded = False
        self._loading = threading.RLock()  # a second thread must not look up while half of the files are imported

    def register(self, name: str, entry: Entry, *, module: str) -> None:
        """Registers an entry.

        Args:
            name: name of the entry, unique in this registry.
            entry: the entry.
            module: name of the module that defines the entry.

        Raises:
            InvalidValueError: if the name is registered already.
        """
        # A user's name must not shadow a built-in one that is not loaded yet, so the rooms are loaded first. A file in
        # a room does not trigger this: importing one file must not import all others, some of which may import it.
        if not module.startswith(tuple(f"{room}." for room in self.rooms)):
            self._load()
        if name in self._entries or name in self._aliases:
            article = "an" if self.key == "id" else "a"
            raise InvalidValueError(f"{self.kind} {self.key}", name, f"{article} {self.key} that is not registered yet")
        self._entries[name] = entry

    def alias(self, alias: str, name: str) -> None:
        """Gives an entry a second name, under which it is found but not listed.

        Nothing is loaded, so the entry may be registered later. Whoever stores a name stores ``canonical`` of it.

        Args:
            alias: the second name.
            name: name of the entry.

        Raises:
            InvalidValueError: if the second name is taken.
        """
        if alias in self._entries or alias in self._aliases:
            raise InvalidValueError(f"{self.kind} alias", alias, "a name that is not registered yet")
        self._aliases[alias] = name

    @property
    def aliases(self) -> Mapping[str, str]:
        """The names of entries by their aliases."""
        return MappingProxyType(self._aliases)

    def canonical(self, spec: str) -> str:
        """Returns a name, or a specification such as "name?option=value", with the entry's name for an alias."""
        name, mark, rest = spec.partition("?")
        return self._aliases.get(name, name) + mark + rest

    def find(self, name: str) -> Entry:
        """Returns the entry of ``id``, or of ``module:id`` after importing the module, which registers the id.

        Raises:
            InvalidValueError: if the module cannot be found.
            UnknownNameError: if nothing is registered under the id.
        """
        try:
            own_name = import_module_of(name)
        except ModuleNotFoundError as error:
            raise InvalidValueError(self.kind, name, f"a {self.kind} that is registered; {error}") from error
        if own_name not in self:
            raise UnknownNameError(self.kind, own_name, self, listed_by="dumpgym list")
        return self[own_name]

    def copy(self) -> Self:
        """Returns a registry with the same entries; entries added to the copy do not appear in this registry."""
        self._load()
        new = type(self)(self.kind, self.rooms, self.key)
        new._entries, new._aliases, new._is_loaded = dict(self._entries), dict(self._aliases), True
        return new

    def __getitem__(self, name: str) -> Entry:
        self._load()
        return self._entries[self._aliases.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._entries)

    def __len__(self) -> int:
        self._load()
        return len(self._entries)

    def _load(self) -> None:
        with self._loading:
            if self._is_loaded:
                return
            self._is_loaded = True  # set first, because the files below come back here to register
            loaded = False
            try:
                for room in self.rooms:
                    for module in pkgutil.iter_modules(importlib.import_module(room).__path__):
                        importlib.import_module(f"{room}.{module.name}")
                loaded = True
            finally:
                self._is_loaded = loaded  # a file that cannot be imported is tried again at the next look-up
