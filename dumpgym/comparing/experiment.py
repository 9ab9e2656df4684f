"""An experiment: a TOML file, written before the first run, that says which policies are compared on what.

    name = "window"
    question = "Does the length of DUMP's window matter?"
    metric = "area"                  # the primary metric
    seeds = 8                        # paired: run s of every cell shares weights, problems and evaluation
    policies = ["uniform", "dump", "dump?window=75"]

    [axes]                           # every value of every axis, with every policy
    max_redraws = [0, 2]

    [train]                          # settings of all runs, as in a file for ``dumpgym train``
    budget_tokens = 1_000_000

Instead of ``policies`` and ``[axes]``, a file may have several ``[[grids]]`` with these keys.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen

from dumpgym.comparing.labels import value_text
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import policy_registry
from dumpgym.contracts.specs import read_spec
from dumpgym.runs.config import TrainConfig, check_names
from dumpgym.runs.validation import STRICT, read_toml, validated

EXPERIMENT = "experiment.json"
"""Name of the file in which a comparison's directory keeps the experiment."""
Metric = Literal["area", "final", "tokens_to_threshold"]
_GIVEN = ("output", "seed", "policy", "policy_options")
"""Settings of a run that the experiment sets itself, and that ``[train]`` therefore may not set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Every policy with every combination of the axes' values.

    Attributes:
        policies: ``id?option=value&...``, or ``module:id?...`` for your own.
        axes: the values of a setting by its name, e.g. "signal" or "agent.learning_rate".
    """

    policies: Annotated[tuple[str, ...], MinLen(1)]
    axes: dict[str, Annotated[tuple[Any, ...], MinLen(1)]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Replaces aliases of policies, so that each has one name in files and reports."""
        object.__setattr__(self, "policies", tuple(map(policy_registry.canonical, self.policies)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """The contents of an experiment's file.

    Attributes:
        name: name of the experiment and of its folder.
        question: the question that it answers.
        metric: the primary metric, computed from greedy held-out success averaged over arms: "area", its mean over
            generated tokens up to the budget; "final", its value after the last step; "tokens_to_threshold", the tokens
            generated until it reaches the threshold.
        threshold: success to reach, for the number of tokens until then.
        margin: differences of the primary metric below this do not matter; used by the equivalence test.
        seeds: paired runs per cell.
        first_seed: the seeds are first_seed, first_seed + 1, ...
        control: the policy that all others are compared with.
        settings_tried: number of settings tried for every policy, on other seeds, before this experiment; 0 says that
            there was no tuning.
        machine_shared: whether the machine did other work during the runs, so that their seconds cannot be compared;
            true by itself if several runs are at work at the same time.
        grids: the policies and settings to compare.
        train: settings of all runs, by their names in ``TrainConfig``.
    """

    name: str
    question: str = ""
    metric: Metric = "area"
    threshold: Annotated[float, Gt(0), Le(1)] = 0.5
    margin: Annotated[float, Gt(0)] = 0.02
    seeds: Annotated[int, Ge(1)] = 8
    first_seed: Annotated[int, Ge(0)] = 0
    control: str = "uniform"
    settings_tried: Annotated[int, Ge(0)] | None = None
    machine_shared: bool | None = None
    grids: Annotated[tuple[Grid, ...], MinLen(1)]
    train: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Replaces an alias of the control, as in ``Grid``."""
        object.__setattr__(self, "control", policy_registry.canonical(self.control))


Grid.__pydantic_config__ = STRICT  # type: ignore[attr-defined]
Experiment.__pydantic_config__ = STRICT  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A policy with one value of every axis, to be run with every seed.

    Attributes:
        label: the policy and the values of the axes; also the name of the cell's folder.
        config: configuration of its runs, except output and seed.
    """

    label: str
    config: TrainConfig


def load_experiment(path: Path, changes: Mapping[str, Any] | None = None) -> Experiment:
    """Reads an experiment.

    Args:
        path: path of the TOML file.
        changes: settings of all runs that override those of the file.

    Raises:
        DumpgymError: if the file cannot be read, or holds a key or a value that is not accepted.
    """
    values = read_toml(path)
    single = {key: values.pop(key) for key in ("policies", "axes") if key in values}
    if single and "grids" in values:
        raise InvalidValueError("keys of the experiment", sorted(single), "either these, or grids")
    if single:
        values["grids"] = [single]
    values["train"] = {**values.get("train", {}), **(changes or {})}
    experiment = validated(values, Experiment)
    if not re.fullmatch(r"[\w.-]+", experiment.name):
        raise InvalidValueError("name", experiment.name, "letters, digits, '_', '-' and '.'")
    for key in experiment.train:
        if key in _GIVEN:
            raise InvalidValueError("key of [train]", key, f"any but {', '.join(_GIVEN)}, which the experiment sets")
    return experiment


def cells_of(experiment: Experiment) -> list[PlannedCell]:
    """All cells of an experiment, each once, including those of the control.

    Raises:
        DumpgymError: if a cell cannot be run, for the same reasons as with ``dumpgym train``; if two different cells
            would have the same folder; or if the control is not among the policies.
    """
    cells: dict[str, PlannedCell] = {}
    for cell in itertools.chain.from_iterable(_cells_of_grid(experiment, grid) for grid in experiment.grids):
        if cells.setdefault(cell.label, cell) != cell:
            raise InvalidValueError("cell", cell.label, "one configuration for each name")
    if not any(_policy_of(cell.config) == read_spec("policy", experiment.control) for cell in cells.values()):
        raise InvalidValueError("policies", list(cells), f"the control {experiment.control!r} among them")
    return list(cells.values())


def _policy_of(config: TrainConfig) -> tuple[str, dict[str, Any]]:
    return config.policy, dict(config.policy_options)


def _cells_of_grid(experiment: Experiment, grid: Grid) -> Iterator[PlannedCell]:
    if repeated := [spec for place, spec in enumerate(grid.policies) if spec in grid.policies[:place]]:
        raise InvalidValueError("policies", list(grid.policies), f"every policy once, and not {repeated[0]!r} twice")
    for spec in grid.policies:
        policy, options = read_spec("policy", spec)
        for values in itertools.product(*grid.axes.values()):
            axes = dict(zip(grid.axes, values, strict=True))
            settings: dict[str, Any] = {"policy": policy, "policy_options": options}
            for key, value in experiment.train.items():
                settings[key] = dict(value) if isinstance(value, dict) else value
            for key, value in axes.items():
                _set(settings, key.split("."), value)
            config = validated(settings, TrainConfig)
            check_names(config)
            named = [spec, *(f"{key.rpartition('.')[2]}={value_text(value)}" for key, value in axes.items())]
            yield PlannedCell(re.sub(r"[^\w.=+-]+", "-", "+".join(named)), config)


def _set(settings: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *parents, last = path
    for key in parents:  # copied, because all cells share the tables of [train]
        settings[key] = dict(settings.get(key, {}))
        settings = settings[key]
    settings[last] = value


def to_record(experiment: Experiment) -> dict[str, Any]:
    """The experiment as JSON-compatible values that ``from_record`` reads back."""
    return dataclasses.asdict(experiment)


def from_record(record: Mapping[str, Any]) -> Experiment:
    """The experiment that ``to_record`` wrote."""
    values = dict(record)
    if "machine_shared" not in values and values.get("settings_tried") == 0:
        del values["settings_tried"]  # files that are older than the key have 0 where nothing was said
    return validated(values, Experiment)
