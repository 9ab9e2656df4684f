"""The configuration of a training run: frozen dataclasses whose defaults are a complete run."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, MinLen

from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.contracts.arms import expand_arms
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import policy_registry
from dumpgym.contracts.specs import read_spec, write_spec
from dumpgym.runs.validation import STRICT, PathOfFiles, read_toml, validated

Option = bool | int | float | str | tuple[float, ...]
# A run may have been moved before it resumes, and it may get other trackers and limits. The other settings decide its
# numbers: if one changed midway, the logs would match neither the old configuration nor the new one.
_MAY_CHANGE = ("output", "trackers", "steps", "budget_tokens", "budget_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """The settings of a training run.

    Attributes:
        output: directory of the run.
        seed: seed of the puzzles, the policy and the sampling.
        steps: maximum number of batches to train on.
        budget_tokens: the run ends after the step in which training has generated this many tokens.
        budget_seconds: the run ends after the step in which it has trained this many seconds, not counting evaluations.
        arms: arms of the bandit, easiest first: environment ids, with arguments if needed. A range in an argument
            stands for several arms: ``dumpgym/Copy-v0?length=2..13``.
        nuisance_arms: those of the arms that are controls from which nothing can be learned. They are practised like
            the others, but not evaluated, and they do not count in the success of the run.
        policy: the bandit policy as ``id?option=value&...``, or ``module:id?...`` for your own. Its options are stored
            in ``policy_options``, and of an alias the policy's own id.
        policy_options: options of the policy in another form, e.g. ``temperature 0.2``.
        signal: name of the signal that the policy learns from.
        prompts_per_step: groups in a batch.
        num_generations: completions per prompt.
        max_redraws: group filter: how many times per step, at most, groups with equal rewards are dropped from the
            batch and replaced by new draws; 0 turns the filter off.
        evaluate_every: steps between evaluations.
        evaluation_problems: held-out problems per arm in these evaluations.
        final_evaluation_problems: held-out problems per arm in the evaluations before and after training.
        checkpoint_every: steps between checkpoints.
        log_every: steps in a record of ``metrics.jsonl``, which holds means over these steps and the totals after the
            last one. Evaluations and checkpoints also end a record.
        max_completion_lengths: longest completion in tokens, one number per arm; if empty, the agent's limit holds for
            all arms.
        transcripts_per_arm: completions per arm that each evaluation logs.
        trackers: trackers that receive the metrics in addition to the logs.
        agent: settings of the language model and of GRPO.
    """

    output: PathOfFiles = Path("runs/train")
    seed: Annotated[int, Ge(0)] = 0
    steps: Annotated[int, Ge(1)] = 40
    budget_tokens: Annotated[int, Ge(1)] | None = None
    budget_seconds: Annotated[float, Gt(0)] | None = None
    arms: Annotated[tuple[str, ...], MinLen(1)] = tuple(f"dumpgym/KnightsKnaves{n}-v0" for n in range(2, 8))
    nuisance_arms: tuple[str, ...] = ()
    policy: str = "dump"
    policy_options: dict[str, Option] = field(default_factory=dict)
    signal: str = "mean_absolute_advantage"
    prompts_per_step: Annotated[int, Ge(1)] = 16
    num_generations: Annotated[int, Ge(2)] = 8
    max_redraws: Annotated[int, Ge(0)] = 0
    evaluate_every: Annotated[int, Ge(1)] = 5
    evaluation_problems: Annotated[int, Ge(1)] = 32
    final_evaluation_problems: Annotated[int, Ge(2)] = 100
    checkpoint_every: Annotated[int, Ge(1)] = 10
    log_every: Annotated[int, Ge(1)] = 1
    max_completion_lengths: tuple[Annotated[int, Ge(1)], ...] = ()
    transcripts_per_arm: Annotated[int, Ge(0)] = 2
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    agent: GRPOConfig = field(default_factory=GRPOConfig)

    def __post_init__(self) -> None:
        """Brings arms and policy into the form in which files and reports know them.

        That is one arm for each number of a range, and the policy's own id with its options apart.
        """
        object.__setattr__(self, "arms", expand_arms(self.arms))
        object.__setattr__(self, "nuisance_arms", expand_arms(self.nuisance_arms))
        policy, written = read_spec("policy", policy_registry.canonical(self.policy))
        options = {name.replace("-", "_"): value for name, value in self.policy_options.items()}
        for name, value in written.items():
            if options.get(name, value) != value:
                accepted = f"the option {name} once; policy_options has {name} = {options[name]!r}"
                raise InvalidValueError("policy", self.policy, accepted)
        object.__setattr__(self, "policy", policy)
        if written:
            object.__setattr__(self, "policy_options", {**options, **written})

    @property
    def policy_spec(self) -> str:
        """The policy with its options, as one writes it: ``id?option=value&...``."""
        return write_spec(self.policy, self.policy_options)


TrainConfig.__pydantic_config__ = STRICT  # type: ignore[attr-defined]
GRPOConfig.__pydantic_config__ = STRICT  # type: ignore[attr-defined]


def load_toml(path: Path) -> TrainConfig:
    """Reads a configuration file; settings that it leaves out keep their defaults.

    Raises:
        DumpgymError: if it cannot be read, is not valid TOML, or holds a key or a value that is not accepted.
    """
    return validated(read_toml(path), TrainConfig)


def config_json(config: TrainConfig) -> str:
    """The configuration as JSON that ``validated`` reads back."""
    return json.dumps(dataclasses.asdict(config) | {"output": str(config.output)}, indent=2)


def refuse_changes(config: TrainConfig, stored: TrainConfig) -> None:
    """Refuses to resume a run with settings that differ from its own, except its directory, limits and trackers.

    Args:
        config: configuration of the resuming command.
        stored: configuration of the run.

    Raises:
        InvalidValueError: if a setting that decides the run's numbers differs.
    """
    for name, mine, theirs in changed_settings(config, stored):
        if name not in _MAY_CHANGE:
            raise InvalidValueError(name, mine, f"with --resume, the run's own value {theirs!r}")


def changed_settings(config: TrainConfig, other: TrainConfig) -> Iterator[tuple[str, Any, Any]]:
    """Yields every setting in which two configurations differ: its name, e.g. "agent.beta", and the two values."""
    for f in dataclasses.fields(TrainConfig):
        mine, theirs = getattr(config, f.name), getattr(other, f.name)
        if f.name == "agent":
            for own in dataclasses.fields(mine):
                if getattr(mine, own.name) != getattr(theirs, own.name):
                    yield f"agent.{own.name}", getattr(mine, own.name), getattr(theirs, own.name)
        elif mine != theirs:
            yield f.name, mine, theirs


def progress(config: TrainConfig, steps: int | float, tokens: float, seconds: float) -> float:
    """How far a run has come towards the first of its limits; it ends at 1.

    Args:
        config: configuration of the run.
        steps: steps done.
        tokens: tokens that training has generated.
        seconds: seconds of training, without evaluations.
    """
    spent = [steps / config.steps]
    if config.budget_tokens is not None:
        spent.append(tokens / config.budget_tokens)
    if config.budget_seconds is not None:
        spent.append(seconds / config.budget_seconds)
    return float(max(spent))
