"""State that can be saved and restored to the bit: attributes by their names, as JSON-compatible values."""

from typing import Any, ClassVar

import numpy as np

from dumpgym.contracts.errors import InvalidValueError


class Stateful:
    """Something whose state is the attributes that ``state_fields`` names.

    An attribute may be an array, a generator, another ``Stateful``, or a JSON-compatible value. A subclass adds its own
    names to its parent's: ``state_fields = (*Parent.state_fields, "mine")``.
    """

    state_fields: ClassVar[tuple[str, ...]] = ()
    growing_fields: ClassVar[tuple[str, ...]] = ()
    """Arrays whose last axis has no fixed length."""
    identity_fields: ClassVar[tuple[str, ...]] = ()
    """Fields in which a state must agree with the object that takes it."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that ``load_state_dict`` needs to go on bit for bit, as JSON-compatible values."""
        return {"type": type(self).__name__} | {name: _plain(getattr(self, name)) for name in self.state_fields}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` of an object with the same options returned.

        Raises:
            InvalidValueError: if the state is of another type or of other options; nothing has changed then.
        """
        self.check_state(state)
        for name in self.state_fields:
            value, stored = getattr(self, name), state[name]
            if isinstance(value, Stateful):
                value.load_state_dict(stored)
            elif isinstance(value, np.random.Generator):
                value.bit_generator.state = stored
            else:
                setattr(self, name, np.array(stored, dtype=value.dtype) if isinstance(value, np.ndarray) else stored)

    def check_state(self, state: dict[str, Any]) -> None:
        """Refuses a state that does not fit.

        Raises:
            InvalidValueError: if the state is of another type, lacks a field, or has another identity or an array of
                another shape.
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
    if isinstance(value, Stateful):
        return value.state_dict()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.isnan(value).any():
        without = value.astype(object)
        without[np.isnan(value)] = None  # JSON has no NaN, and numpy reads None as NaN
        return without.tolist()
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
