"""The registry of bandit policies, a mirror of Gymnasium's registry of environments."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dumpgym.errors import InvalidValueError, UnknownNameError
from dumpgym.policy import BanditPolicy


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """An id and the callable that makes the policy, called as ``entry_point(num_arms, seed=..., **kwargs)``."""

    id: str
    entry_point: Callable[..., BanditPolicy]

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The options beside num_arms and seed."""
        parameters = inspect.signature(self.entry_point).parameters
        return {name: p for name, p in parameters.items() if name not in ("num_arms", "seed")}


policy_registry: dict[str, PolicySpec] = {}


def register_policy(policy_id: str, entry_point: Callable[..., BanditPolicy]) -> None:
    """Makes a policy known under an id.

    Raises:
        InvalidValueError: if the id is taken.
    """
    if policy_id in policy_registry:
        raise InvalidValueError("policy id", policy_id, "an id that is not registered yet")
    policy_registry[policy_id] = PolicySpec(policy_id, entry_point)


def make_policy(policy_id: str, *, num_arms: int, seed: int = 0, **kwargs: Any) -> BanditPolicy:
    """Makes a registered policy.

    Raises:
        UnknownNameError: if no policy has this id, or the policy has no such option.
        InvalidValueError: if an option is out of range.
    """
    if policy_id not in policy_registry:
        raise UnknownNameError("policy", policy_id, policy_registry)
    spec = policy_registry[policy_id]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in spec.parameters.values())
    for name in kwargs:
        if name not in spec.parameters and not takes_any:
            raise UnknownNameError(f"option of policy {policy_id!r}", name, spec.parameters)
    return spec.entry_point(num_arms, seed=seed, **kwargs)
