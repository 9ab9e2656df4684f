"""The registry of bandit policies, modelled on Gymnasium's registry of environments."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.registry import Registry
from dumpgym.contracts.specs import read_spec


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """A registered policy.

    Attributes:
        id: id of the policy.
        entry_point: makes the policy, called as ``entry_point(num_arms, seed=..., **options)``.
        vectorised: whether the policy takes ``num_runs`` and serves many runs in lockstep.
    """

    id: str
    entry_point: Callable[..., BanditPolicy]
    vectorised: bool = False

    @property
    def cheats(self) -> bool:
        """Whether the policy is told the success on every arm; see ``NeedsSuccess``."""
        return hasattr(self.entry_point, "tell_success")

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """Options of the policy besides num_arms, seed and num_runs, by name.

        If a class passes keyword arguments on to its parent, the parent's options are included. A parameter of kind
        VAR_KEYWORD is included only if the policy accepts any option.
        """
        # A policy writes only its own options in its signature and ``**common`` for those of ``BanditPolicy``. Each
        # ``**common`` is replaced here with the parameters of the next constructor, so that a misspelt option can be
        # named before anything runs.
        makers: list[Callable[..., Any]] = [self.entry_point]
        if isinstance(self.entry_point, type):
            makers = [vars(cls)["__init__"] for cls in self.entry_point.__mro__ if "__init__" in vars(cls)]
        parameters: dict[str, inspect.Parameter] = {}
        for maker in makers:
            own = inspect.signature(maker).parameters
            parameters = {name: p for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
            parameters |= {name: p for name, p in own.items() if name not in parameters}
            if not any(p.kind is p.VAR_KEYWORD for p in own.values()):
                break
        return {name: p for name, p in parameters.items() if name not in ("self", "num_arms", "seed", "num_runs")}


policy_registry = Registry[PolicySpec]("policy", rooms=("dumpgym.agents.bandits", "dumpgym.agents.curricula"))
"""All bandit policies by id."""
policy_registry.alias("ucb", "ucb1")  # the textbook's name of the method that the literature calls UCB1


def register_policy(policy_id: str, entry_point: Callable[..., BanditPolicy], *, vectorised: bool = False) -> None:
    """Registers a policy under an id.

    Args:
        policy_id: id of the policy.
        entry_point: makes the policy, called as ``entry_point(num_arms, seed=..., **options)``.
        vectorised: whether the policy takes ``num_runs``, so that its arrays have a leading axis of runs, which
            ``dumpgym.testing.policy.check_policy`` checks. Simulations of such a policy are many times faster.

    Raises:
        InvalidValueError: if the id is registered already.
    """
    spec = PolicySpec(policy_id, entry_point, vectorised)
    policy_registry.register(policy_id, spec, module=entry_point.__module__)


def find_policy(policy_id: str) -> PolicySpec:
    """Returns the registered policy of an id.

    Args:
        policy_id: ``id``, or ``module:id`` with a module to import first, which registers the id.

    Raises:
        InvalidValueError: if the module cannot be found.
        UnknownNameError: if no policy has this id.
    """
    return policy_registry.find(policy_id)


def make_policy(
    policy_id: str, *, num_arms: int, seed: int = 0, num_runs: int | None = None, **options: Any
) -> BanditPolicy:
    """Makes a registered policy.

    Args:
        policy_id: ``id``, or ``module:id`` with a module to import first.
        num_arms: number of arms, at least 1.
        seed: seed of the policy's own random generator.
        num_runs: number of runs in lockstep, for a vectorised policy; None for one run.
        options: options of the policy.

    Raises:
        UnknownNameError: if no policy has this id, or the policy has no option of this name.
        InvalidValueError: if an option is out of range, or the policy cannot serve many runs.
    """
    spec = find_policy(policy_id)
    known = spec.parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for name in options:
        if name not in known and not takes_any:
            raise UnknownNameError(f"option of policy {policy_id!r}", name, known)
    if num_runs is not None:
        if not spec.vectorised:
            raise InvalidValueError("num_runs", num_runs, f"None, as policy {policy_id!r} serves one run at a time")
        options["num_runs"] = num_runs
    return spec.entry_point(num_arms, seed=seed, **options)


def policy_for_run(
    policy_id: str,
    options: Mapping[str, Any],
    *,
    num_arms: int,
    seed: int,
    steps: int,
    num_runs: int | None = None,
) -> BanditPolicy:
    """Makes a policy for a run, whose length is the default of the policy's option ``total_steps``, if it has one.

    Args:
        policy_id: see ``make_policy``.
        options: options of the policy by name, in which "-" may replace "_".
        num_arms: see ``make_policy``.
        seed: see ``make_policy``.
        steps: number of training steps of the run.
        num_runs: see ``make_policy``.

    Raises:
        UnknownNameError: see ``make_policy``.
        InvalidValueError: see ``make_policy``.
    """
    named = {name.replace("-", "_"): value for name, value in options.items()}
    if "total_steps" in find_policy(policy_id).parameters:
        named.setdefault("total_steps", steps)
    return make_policy(policy_id, num_arms=num_arms, seed=seed, num_runs=num_runs, **named)


def spec_identity(spec: str, *, steps: int) -> tuple[Callable[..., Any], Any]:
    """What a policy of a run does, however it is spelt: its entry point, and all its options with their defaults.

    Args:
        spec: ``id?option=value&...``.
        steps: number of training steps of the run.

    Raises:
        UnknownNameError: see ``make_policy``.
        InvalidValueError: see ``make_policy``, or if the text does not have this form.
    """
    policy_id, options = read_spec("policy", spec)
    policy = find_policy(policy_id)
    defaults = {name: p.default for name, p in policy.parameters.items() if p.default is not p.empty}
    if "total_steps" in policy.parameters:
        defaults["total_steps"] = steps
    return policy.entry_point, defaults | {name.replace("-", "_"): value for name, value in options.items()}
