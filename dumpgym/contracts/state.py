"""State that is saved and restored bit for bit: named attributes, as JSON-compatible values."""

from typing import Any, ClassVar

import numpy as np

from dumpgym.contracts.errors import InvalidValueError


class Stateful:
    """Base class of objects whose state can be saved and restored bit for bit.

    The state consists of the attributes that ``state_fields`` names: NumPy arrays, ``np.random.Generator`` objects,
    other ``Stateful`` objects, and JSON-compatible values. Options need not be part of it, as a state is loaded into
    an object that was made with the same options. The methods are:

    - ``state_dict()``: returns the state as JSON-compatible values.
    - ``load_state_dict(state)``: restores a state.
    - ``check_state(state)``: raises an error if a state does not fit.

    A subclass adds its own names to those of its parent::

        class Mine(Parent):
            state_fields = (*Parent.state_fields, "mine")
    """

    # The state is JSON and not a pickle: a checkpoint can be read without this package and compared as text, and
    # loading one executes no code. Python writes a float with the digits that restore it exactly, so no bit is lost.

    state_fields: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that make up the state."""
    growing_fields: ClassVar[tuple[str, ...]] = ()
    """Names of the array fields whose last axis has no fixed length."""
    # The shapes of arrays catch most states of another object, but not all: the state of a student of 2, 3 and 5 people
    # has the same shapes as that of one of 2, 3 and 4 people, and would load without an error.
    identity_fields: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that must be equal in a state and in the object that loads it."""

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that ``load_state_dict`` needs to resume bit for bit, as JSON-compatible values."""
        return {"type": type(self).__name__} | {name: _plain(getattr(self, name)) for name in self.state_fields}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state that ``state_dict`` of an object with the same options returned.

        Raises:
            InvalidValueError: if the state does not fit; see ``check_state``. Nothing has changed in this case.
        """
        # The check covers nested objects too and comes before any change: an error halfway would leave an object whose
        # fields are partly old and partly new.
        self.check_state(state)
        for name in self.state_fields:
            value, stored = getattr(self, name), state[name]
            if isinstance(value, Stateful):
                value.load_state_dict(stored)
            elif isinstance(value, np.random.Generator):
                value.bit_generator.state = stored
            else:
                # JSON turns arrays into lists without a dtype; the present array has the right one.
                setattr(self, name, np.array(stored, dtype=value.dtype) if isinstance(value, np.ndarray) else stored)

    def check_state(self, state: dict[str, Any]) -> None:
        """Raises an error if a state does not fit this object.

        Raises:
            InvalidValueError: if the state is that of another class, lacks a field, differs in an identity field, or
                has an array of another shape.
        """
        own = type(self).__name__
        if state.get("type") != own:
            raise InvalidValueError("type of the state", state.get("type"), f"{own!r}")
        for name in self.state_fields:
            if name not in state:
                raise InvalidValueError(f"fields of the state of {own}", sorted(state), f"{name!r} among them")
            value = getattr(self, name)
            if name in self.identity_fields and state[name] != _plain(value):
                raise InvalidValueError(f"{name} in the state of {own}", state[name], f"{value!r}")
            if isinstance(value, Stateful):
                value.check_state(state[name])
            elif isinstance(value, np.ndarray):
                fixed = value.shape[:-1] if name in self.growing_fields else value.shape
                shape = np.shape(state[name])
                if len(shape) != value.ndim or shape[: len(fixed)] != fixed:
                    raise InvalidValueError(f"shape of {name} in the state of {own}", shape, f"{value.shape}")


def _plain(value: Any) -> Any:
    """Converts a value to its JSON-compatible form."""
    if isinstance(value, Stateful):
        return value.state_dict()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.isnan(value).any():
        # JSON has no NaN: Python's encoder writes the word NaN, which other parsers reject. None becomes null, and
        # np.array(..., dtype=float) reads None as NaN, so loading needs no special case.
        without = value.astype(object)
        without[np.isnan(value)] = None
        return without.tolist()
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
