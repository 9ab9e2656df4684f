"""An experiment: a TOML file, written before the first run, that says which policies are compared on what.

    name = "window"
    question = "Does the length of DUMP's window matter?"
    metric = "area"                  # the primary metric
    seeds = 8                        # paired: run s of every cell shares weights, problems and evaluation
    warm_starts = ["runs/a/model", "runs/b/model"]    # run s starts from number s modulo 2
    policies = ["uniform", "dump", "dump?window=75"]

    [axes]                           # every value of every axis, with every policy
    max_redraws = [0, 2]

    [train]                          # settings of all runs, as in a file for ``dumpgym train``
    budget_tokens = 1_000_000

Instead of ``policies`` and ``[axes]``, a file may have several ``[[grids]]`` with these keys. With ``extends =
"other.toml"``, a file takes what it leaves out from another file in the same folder.
"""

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen

from dumpgym.comparing.labels import value_text
from dumpgym.comparing.warm_starts import check_warm_starts
from dumpgym.contracts.errors import LARGEST_WHOLE_NUMBER, InvalidValueError, require_number
from dumpgym.contracts.policy_registry import policy_registry, spec_identity
from dumpgym.contracts.specs import read_spec
from dumpgym.runs.checks import check_config
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.validation import STRICT, read_toml, validated

EXPERIMENT = "experiment.json"
"""Name of the file in which a comparison's directory keeps the experiment."""
Metric = Literal["area", "final", "tokens_to_threshold"]
Seeds = Annotated[int, Ge(1), Le(10_000)]
_GIVEN = ("output", "seed", "policy", "policy_options")
"""Settings of a run that the experiment sets itself, and that neither ``[train]`` nor an axis may set."""
_LONGEST_NAME = 180  # bytes, which leaves room for the endings of logs and of partial files


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
        margin: differences of the primary metric below this do not matter; used by the equivalence test. It is in the
            units of the metric: below 1 for "area" and "final", and tokens for "tokens_to_threshold", which so has no
            default.
        seeds: paired runs per cell.
        first_seed: the seeds are first_seed, first_seed + 1, ...
        warm_starts: models to start from, in place of ``model`` in ``[train.agent]``. Run s of every cell starts from
            number s modulo their number, so that pairs share it and a finding is not that of a single checkpoint.
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
    seeds: Seeds = 8
    first_seed: Annotated[int, Ge(0)] = 0
    warm_starts: tuple[str, ...] = ()
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
        config: configuration of its runs, except output, seed and warm start.
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
    values = _read_extended(path)
    single = {key: values.pop(key) for key in ("policies", "axes") if key in values}
    if single and "grids" in values:
        raise InvalidValueError("keys of the experiment", sorted(single), "either these, or grids")
    if single:
        values["grids"] = [single]
    if isinstance(values.setdefault("train", {}), dict):  # what else it may be is refused with all other types
        values["train"] = {**values["train"], **(changes or {})}
    experiment = validated(values, Experiment)
    if not re.fullmatch(r"\w[\w.-]*", experiment.name):
        accepted = "letters, digits, '_', '-' and '.', with a letter, a digit or '_' first"
        raise InvalidValueError("name", experiment.name, accepted)
    for key in experiment.train:
        if key in _GIVEN:
            raise InvalidValueError("key of [train]", key, f"any but {', '.join(_GIVEN)}, which the experiment sets")
    for grid in experiment.grids:
        _check_axes(grid, experiment.train)
    _check_margin(experiment)
    return experiment


def _read_extended(path: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Reads a file, and puts its keys in place of those of the file that it extends; those of tables one by one.

    Args:
        path: path of the file.
        below: files that extend this one, directly or through others.

    Raises:
        DumpgymError: if a file cannot be read, is not valid TOML, or extends itself.
    """
    values = read_toml(path)
    if "extends" not in values:
        return values
    extended = values.pop("extends")
    if not isinstance(extended, str) or not extended or path.parent / extended in (path, *below):
        raise InvalidValueError("extends", extended, f"the name of another file in the folder of {path.name}")
    return _merged(_read_extended(path.parent / extended, (path, *below)), values)


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**values, **changes}
    for key in values.keys() & changes.keys():
        if isinstance(values[key], dict) and isinstance(changes[key], dict):
            merged[key] = _merged(values[key], changes[key])
    return merged


def _check_axes(grid: Grid, train: Mapping[str, Any]) -> None:
    for key, values in grid.axes.items():
        name = key.partition(".")[0]
        if name in _GIVEN:
            raise InvalidValueError("key of axes", key, f"any but {', '.join(_GIVEN)}, which the experiment sets")
        table = train.get(name)
        if key in train or (isinstance(table, dict) and key.removeprefix(f"{name}.") in table):
            raise InvalidValueError("key of axes", key, "a setting that neither [train] nor a flag sets as well")
        repeated = [value for place, value in enumerate(values) if value in values[:place]]
        if repeated:
            raise InvalidValueError(f"axes.{key}", list(values), f"every value once, and not {repeated[0]!r} twice")


def _check_margin(experiment: Experiment) -> None:
    margin, budget = experiment.margin, experiment.train.get("budget_tokens")
    if experiment.metric != "tokens_to_threshold":
        if margin >= 1:
            accepted = f"a difference of success below 1, in which {experiment.metric!r} is measured"
            raise InvalidValueError("margin", margin, accepted)
    elif margin < 1 or (isinstance(budget, int) and margin >= budget):
        accepted = "a number of tokens of at least 1 and less than the budget, as metric is 'tokens_to_threshold'"
        raise InvalidValueError("margin", margin, accepted)


def cells_of(experiment: Experiment) -> list[PlannedCell]:
    """All cells of an experiment, each once, including those of the control.

    Grids may share cells. Within a grid every cell is new: a policy in two spellings, such as ``dump`` and
    ``dump?window=300`` where 300 is the default, would run everything twice and could not be told apart in the report.

    Raises:
        DumpgymError: if a cell cannot be run, for the same reasons as with ``dumpgym train``; if two different cells
            would have the same folder, or the same cell would be run twice; if the control is not among the policies;
            or if a warm start is no model, is given twice, or is given beside another choice of the model.
    """
    check_warm_starts(experiment.warm_starts)
    require_number("first_seed", experiment.first_seed, high=LARGEST_WHOLE_NUMBER - experiment.seeds, whole=True)
    cells: dict[str, PlannedCell] = {}
    found: list[tuple[Identity, PlannedCell]] = []
    for grid in experiment.grids:
        of_grid: set[str] = set()
        for cell in _cells_of_grid(experiment, grid):
            identity = _identity(cell.config)
            same = next((other for known, other in found if known == identity), None)
            if cell.label in of_grid or (same is not None and same.label != cell.label):
                name = same.label if same is not None else cell.label
                raise InvalidValueError("cell", cell.label, f"every cell once; {name!r} is the same")
            if cells.setdefault(cell.label, cell) != cell:
                raise InvalidValueError("cell", cell.label, "one configuration for each name")
            of_grid.add(cell.label)
            found.append((identity, cell))
    if not any(_policy_of(cell.config) == read_spec("policy", experiment.control) for cell in cells.values()):
        raise InvalidValueError("policies", list(cells), f"the control {experiment.control!r} among them")
    return list(cells.values())


Identity = tuple[Any, TrainConfig]
"""What a cell runs, however its policy is spelt: the policy with all its options, and the other settings."""


def _identity(config: TrainConfig) -> Identity:
    policy = spec_identity(config.policy_spec, steps=config.steps)
    return policy, replace(config, policy="", policy_options={})


def _policy_of(config: TrainConfig) -> tuple[str, dict[str, Any]]:
    return config.policy, dict(config.policy_options)


def _cells_of_grid(experiment: Experiment, grid: Grid) -> Iterator[PlannedCell]:
    if repeated := [spec for place, spec in enumerate(grid.policies) if spec in grid.policies[:place]]:
        raise InvalidValueError("policies", list(grid.policies), f"every policy once, and not {repeated[0]!r} twice")
    for spec in grid.policies:
        policy, options = read_spec("policy", spec)
        for values in itertools.product(*grid.axes.values()):
            axes = dict(zip(grid.axes, values, strict=True))
            settings: dict[str, Any] = {"policy": policy, "policy_options": options, "seed": experiment.first_seed}
            settings |= experiment.train
            for key, value in axes.items():
                _set(settings, key.split("."), value)
            if experiment.warm_starts:
                _set_first_warm_start(settings, experiment.warm_starts)
            config = validated(settings, TrainConfig)
            check_config(config)
            named = [spec, *(f"{key.rpartition('.')[2]}={value_text(value)}" for key, value in axes.items())]
            yield PlannedCell(_folder_name("+".join(named)), config)


def _set_first_warm_start(settings: dict[str, Any], warm_starts: Sequence[str]) -> None:
    agent = settings.get("agent", {})
    if isinstance(agent, dict) and "model" in agent:
        accepted = f"no model in [train.agent] or in axes beside it; there is {agent['model']!r}"
        raise InvalidValueError("warm_starts", list(warm_starts), accepted)
    _set(settings, ("agent", "model"), warm_starts[0])


def _folder_name(label: str) -> str:
    """The label with characters that suit a folder, and short enough for the file systems' 255 bytes."""
    name = re.sub(r"[^\w.=+-]+", "-", label)
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[:_LONGEST_NAME].decode(errors='ignore')}-{digest}"


def _set(settings: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *parents, last = path
    for key in parents:  # copied, because all cells share the tables of [train]
        inner = settings.get(key, {})
        if not isinstance(inner, dict):
            raise InvalidValueError("key of axes", ".".join(path), f"the name of a setting; {key} is {inner!r}")
        settings[key] = dict(inner)
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
