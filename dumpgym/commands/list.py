"""``dumpgym list``: everything that is registered."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from dumpgym.commands import PlainVerb, verb


@verb("list")
@dataclass(frozen=True, slots=True, kw_only=True)
class List(PlainVerb):
    """List the environments, policies, signals and students that are registered.

    Attributes:
        json: print one JSON object, which includes the options of every policy and their defaults.
    """

    json: bool = False

    def run(self) -> None:
        """Prints the list."""
        found = registered()
        sys.stdout.write(json.dumps(found, indent=2) + "\n" if self.json else _text(found))


def registered() -> dict[str, Any]:
    """Everything that is registered, JSON-compatible.

    Returns:
        "environments" with their arguments by id; "curriculum_environments"; "policies" with their own options by id;
        "policy_aliases", second names of policies by which they are found;
        "policy_options" that all policies have; "signals" and "signal_endings"; "students".
    """
    import gymnasium as gym

    from dumpgym.contracts.policy import PolicyOptions
    from dumpgym.contracts.policy_registry import policy_registry
    from dumpgym.contracts.student_registry import student_registry
    from dumpgym.signals.signal import COSTS, signal_registry

    specs = [spec for spec in gym.registry.values() if spec.namespace == "dumpgym"]
    common = PolicyOptions.__annotations__
    return {
        "environments": {spec.id: dict(spec.kwargs) for spec in specs if spec.name != "Curriculum"},
        "curriculum_environments": [spec.id for spec in specs if spec.name == "Curriculum"],
        "policies": {
            name: {
                option: None if parameter.default is parameter.empty else parameter.default
                for option, parameter in spec.parameters.items()
                if option not in common
            }
            for name, spec in sorted(policy_registry.items())
        },
        "policy_aliases": dict(policy_registry.aliases),
        "policy_options": [name for name in common if name not in ("seed", "num_runs")],
        "signals": sorted(signal_registry),
        "signal_endings": list(COSTS),
        "students": sorted(student_registry),
    }


def _text(found: dict[str, Any]) -> str:
    environments = [f"{name}  {arguments or ''}" for name, arguments in found["environments"].items()]
    policies = [
        f"{name}  {' '.join(f'{option}={default!r}' for option, default in options.items())}"
        for name, options in found["policies"].items()
    ]
    policies += [f"{alias}  an alias of {name}" for alias, name in found["policy_aliases"].items()]
    blocks = {
        "environments": environments,
        "the curriculum as an environment": found["curriculum_environments"],
        f"policies, with their options (all also have {', '.join(found['policy_options'])})": policies,
        f"signals, each also with the ending {' or '.join(found['signal_endings'])}": found["signals"],
        "students": found["students"],
    }
    return "".join(f"{title}:\n" + "".join(f"  {line.rstrip()}\n" for line in lines) for title, lines in blocks.items())
