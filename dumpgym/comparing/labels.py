"""How the cells of a comparison are named: by the policy as one writes it, and the settings in which runs differ."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from dumpgym.runs.config import TrainConfig

# Settings that do not change what is compared, or that a label names in its own way.
_NOT_COMPARED = (
    "output",
    "seed",
    "policy",
    "policy_options",
    "checkpoint_every",
    "log_every",
    "transcripts_per_arm",
    "trackers",
)


def compared_settings(config: TrainConfig) -> dict[str, Any]:
    """The settings that decide to which cell a run belongs, by name; those of the agent begin with "agent."."""
    values = dataclasses.asdict(config)
    agent = values.pop("agent")
    return {key: value for key, value in values.items() if key not in _NOT_COMPARED} | {
        f"agent.{key}": value for key, value in agent.items()
    }


def cell_label(config: TrainConfig, differing: Sequence[str] = ()) -> str:
    """The label of a run's cell.

    Args:
        config: configuration of the run.
        differing: names of the settings in which the compared runs differ; the label names those that are not defaults.
    """
    settings, defaults = compared_settings(config), compared_settings(TrainConfig())
    others = [
        f"{key.removeprefix('agent.')} {value_text(settings[key])}"
        for key in differing
        if settings[key] != defaults[key]
    ]
    return "; ".join([config.policy_spec, *others])


def value_text(value: Any) -> str:
    """A setting's value as a label shows it, with commas between the elements of a list."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
