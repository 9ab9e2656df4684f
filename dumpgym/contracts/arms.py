"""The arms of a run: puzzle environments by their Gymnasium ids, with short names and length limits."""

import hashlib
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice, zip_longest
from typing import Any

import gymnasium as gym
from gymnasium.envs import registration
from gymnasium.envs.registration import EnvSpec, load_env_creator

from dumpgym.contracts.errors import DumpgymError, InvalidValueError, UnknownNameError
from dumpgym.contracts.puzzle_env import PuzzleEnv
from dumpgym.contracts.specs import import_module_of, read_spec

MOST_ARMS = 100_000
"""Largest number of arms that ranges can stand for."""
_RANGE = re.compile(r"=(\d+)\.\.(\d+)(?=&|$)")


@dataclass(frozen=True, slots=True)
class Arm:
    """A puzzle distribution, and the short name under which a run reports it.

    Attributes:
        name: short name, unique in a run.
        env: environment that makes and verifies the problems.
        max_completion_length: largest number of tokens in a completion, including the end token; None for the learner's
            own limit.
        is_nuisance: whether the arm is practised without being evaluated, so that it does not count in the success.
    """

    name: str
    env: PuzzleEnv
    max_completion_length: int | None = None
    is_nuisance: bool = False

    def key(self, seed: int, split: str, index: int) -> int:
        """Returns the key of the random numbers for completions of a problem, as ``Learner.generate`` takes it.

        Args:
            seed: seed of the run.
            split: "train" or "test".
            index: index of the problem in its split.

        Returns:
            A hash of the address and of the arm's name, below 2 ** 64; the same on every machine.
        """
        # By name and not by place among the arms, so that adding an arm does not change the luck of the others.
        address = json.dumps([self.name, seed, split, index])
        return int.from_bytes(hashlib.blake2b(address.encode(), digest_size=8).digest(), "big")


def make_env(spec: str) -> PuzzleEnv:
    """Makes a puzzle environment from its specification.

    Args:
        spec: a Gymnasium id, ``namespace/Name-v0`` or ``module:namespace/Name-v0``, optionally followed by keyword
            arguments in the form that ``dumpgym.contracts.specs.read_spec`` reads, e.g.
            ``dumpgym/KnightsKnaves-v0?num_people=5``.

    Returns:
        The environment itself, without Gymnasium's wrappers.

    Raises:
        InvalidValueError: if no such environment is registered, it is not a puzzle environment, or the specification is
            malformed; the environment itself may reject a value.
        UnknownNameError: if the environment has no keyword argument of this name.
        DumpgymError: if the specification sets the split.
    """
    env_id, arguments = read_spec("environment", spec)
    env_spec, names = _find_environment(env_id)
    # Names are compared with the constructor's signature before the call. Catching the TypeError of a wrong name after
    # the call would also catch a TypeError raised by a bug inside the constructor.
    for name in arguments:
        if name == "split":
            where = "training draws from train, evaluation from test, and play has --split"
            raise DumpgymError(f"split cannot be chosen in {spec!r}: {where}; accepted: {', '.join(names)}")
        if name not in names:
            raise UnknownNameError(f"argument of {env_id}", name, names)
    env = gym.make(env_spec, disable_env_checker=True, **arguments).unwrapped
    if not isinstance(env, PuzzleEnv):
        raise InvalidValueError("environment", spec, "an environment that is a dumpgym.PuzzleEnv")
    return env


def _find_environment(env_id: str) -> tuple[EnvSpec, list[str]]:
    """Returns the Gymnasium registration of an id, and the names of its keyword arguments except "split"."""
    accepted = "the id of a registered puzzle environment (see dumpgym list)"
    name = env_id
    try:
        name = import_module_of(env_id)
        spec = gym.spec(name)
        # An entry point is a callable, or the text "module:Class", which Gymnasium imports only in ``gym.make``.
        creator: Any = spec.entry_point
        if isinstance(creator, str):
            creator = load_env_creator(creator)
    except gym.error.Error as error:
        says_more = name in registration.registry or isinstance(error, gym.error.NamespaceNotFound)
        hint = _one_line(error) if says_more else _nearest_environment(name)
        raise InvalidValueError("environment", env_id, f"{accepted}; {hint}") from error
    except ModuleNotFoundError as error:
        raise InvalidValueError("environment", env_id, f"{accepted}; {_one_line(error)}") from error
    parameters = inspect.signature(creator).parameters.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return spec, [p.name for p in parameters if p.name != "split" and p.kind not in variadic]


def _nearest_environment(name: str) -> str:
    """A hint at the environment that a name may mean, except Gymnasium's own robots and games."""
    known = [spec_id for spec_id, spec in registration.registry.items() if not _is_of_gymnasium(spec)]
    short = {spec_id.rpartition("/")[2]: spec_id for spec_id in known} | {spec_id: spec_id for spec_id in known}
    near = get_close_matches(name, short, n=1)
    return f"did you mean {short[near[0]]!r}?" if near else "none of those has a similar name"


def _is_of_gymnasium(spec: EnvSpec) -> bool:
    made_by = spec.entry_point
    module = made_by if isinstance(made_by, str) else getattr(made_by, "__module__", "")
    return module.startswith("gymnasium.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def expand_arms(specs: Iterable[str]) -> tuple[str, ...]:
    """Writes out ranges of whole numbers: ``dumpgym/Copy-v0?length=2..4`` is three arms, with the lengths 2, 3 and 4.

    Args:
        specs: specifications of environments, in which any argument's value may be a range ``first..last``. With
            several ranges, the last one changes fastest.

    Raises:
        InvalidValueError: if a range ends before it begins, or there would be more than 100,000 arms.
    """
    # The limit is checked while they are written out: a slip of the keyboard must not fill the memory.
    expanded = (one for spec in specs for one in _expanded(spec))
    arms = tuple(islice(expanded, MOST_ARMS + 1))
    if len(arms) > MOST_ARMS:
        raise InvalidValueError("number of arms", f"more than {MOST_ARMS}", "ranges with fewer numbers")
    return arms


def _expanded(spec: str) -> Iterator[str]:
    found = _RANGE.search(spec)
    if found is None:
        yield spec
        return
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise InvalidValueError("arm", spec, f"a range from the smaller number to the larger, {last}..{first}")
    for number in range(first, last + 1):
        yield from _expanded(f"{spec[: found.start(1)]}{number}{spec[found.end(2) :]}")


def make_arms(
    specs: Sequence[str], max_completion_lengths: Sequence[int] = (), nuisance: Sequence[str] = ()
) -> tuple[Arm, ...]:
    """Makes the arms of a run from the specifications of their environments; see ``make_env``.

    Args:
        specs: specification of every arm's environment; see ``expand_arms`` for ranges.
        max_completion_lengths: length limit of every arm in tokens; empty for the learner's own limit.
        nuisance: those of the specifications whose arms are practised without being evaluated.

    Raises:
        DumpgymError: if an environment cannot be made, two arms have the same name, the number of limits is neither 0
            nor the number of arms, or a nuisance arm is not among the arms or leaves none to evaluate.
    """
    specs, nuisance = expand_arms(specs), expand_arms(nuisance)
    if others := [spec for spec in nuisance if spec not in specs]:
        raise InvalidValueError("nuisance arm", others[0], f"one of the arms {', '.join(specs)}")
    if specs and not set(specs) - set(nuisance):
        raise InvalidValueError("nuisance arms", list(nuisance), "some of the arms, so that others can be evaluated")
    if max_completion_lengths and len(max_completion_lengths) != len(specs):
        raise DumpgymError(
            f"max_completion_lengths has {len(max_completion_lengths)} numbers and there are {len(specs)} arms; "
            "accepted: one per arm, or none"
        )
    arms: list[Arm] = []
    for spec, limit in zip_longest(specs, max_completion_lengths):
        name = _arm_name(spec)
        if any(arm.name == name for arm in arms):
            raise InvalidValueError("arm", spec, "arms with different names")
        arms.append(Arm(name, make_env(spec), limit, spec in nuisance))
    return tuple(arms)


def arms_that_count(arms: Iterable[Arm]) -> list[Arm]:
    """Returns the arms that are evaluated and count in the success, which are all but the nuisance arms."""
    return [arm for arm in arms if not arm.is_nuisance]


def limits_of(arms: Iterable[Arm]) -> list[int] | None:
    """Returns the length limits of arms in the form that ``Learner.generate`` takes, None if no arm has a limit.

    Raises:
        InvalidValueError: if only some of the arms have a limit.
    """
    limits = [arm.max_completion_length for arm in arms]
    known = [limit for limit in limits if limit is not None]
    if known and len(known) < len(limits):
        raise InvalidValueError("max_completion_length", None, "a number where other arms have one")
    return known or None


def _arm_name(spec: str) -> str:
    """Returns the id without namespace and "-v0", then the arguments, with "|" for "/".

    A "/" in the name would split the keys of metrics, such as ``arms/<name>/count``.
    """
    env_id, mark, query = spec.partition("?")
    name = env_id.rpartition("/")[2].rpartition(":")[2].removesuffix("-v0")
    return name + mark + query.replace("/", "|")
