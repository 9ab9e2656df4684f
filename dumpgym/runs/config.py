"""The configuration of a training run: frozen dataclasses whose defaults are a complete run."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, MinLen

from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.policy_registry import policy_for_run, policy_registry
from dumpgym.runs.validation import STRICT, read_toml, validated
from dumpgym.signals.signal import make_signal

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
        arms: arms of the bandit, easiest first: environment ids, with arguments if needed.
        policy: id of the bandit policy; of an alias, the policy's own id is stored.
        policy_options: options of the policy, e.g. ``temperature 0.2``.
        signal: name of the signal that the policy learns from.
        prompts_per_step: groups in a batch.
        num_generations: completions per prompt.
        max_redraws: group filter: how many times per step, at most, groups with equal rewards are dropped from the
            batch and replaced by new draws; 0 turns the filter off.
        evaluate_every: steps between evaluations.
        evaluation_problems: held-out problems per arm in these evaluations.
        final_evaluation_problems: held-out problems per arm in the evaluations before and after training.
        checkpoint_every: steps between checkpoints.
        max_completion_lengths: longest completion in tokens, one number per arm; if empty, the agent's limit holds for
            all arms.
        transcripts_per_arm: completions per arm that each evaluation logs.
        trackers: trackers that receive the metrics in addition to the logs.
        agent: settings of the language model and of GRPO.
    """

    output: Path = Path("runs/train")
    seed: Annotated[int, Ge(0)] = 0
    steps: Annotated[int, Ge(1)] = 40
    budget_tokens: Annotated[int, Ge(1)] | None = None
    budget_seconds: Annotated[float, Gt(0)] | None = None
    arms: Annotated[tuple[str, ...], MinLen(1)] = tuple(f"dumpgym/KnightsKnaves{n}-v0" for n in range(2, 8))
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
    max_completion_lengths: tuple[Annotated[int, Ge(1)], ...] = ()
    transcripts_per_arm: Annotated[int, Ge(0)] = 2
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    agent: GRPOConfig = field(default_factory=GRPOConfig)

    def __post_init__(self) -> None:
        """Replaces an alias of the policy, so that files and reports know it by one name."""
        object.__setattr__(self, "policy", policy_registry.canonical(self.policy))


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


def check_names(config: TrainConfig) -> None:
    """Checks that everything a configuration names exists, before anything is loaded or written.

    Raises:
        DumpgymError: if an arm, the policy, one of its options or the signal does not exist or is out of range.
    """
    arms = make_arms(config.arms, config.max_completion_lengths)
    make_signal(config.signal, (len(arms),))
    policy_for_run(config.policy, config.policy_options, num_arms=len(arms), seed=0, steps=config.steps)


def refuse_changes(config: TrainConfig, stored: TrainConfig) -> None:
    """Refuses to resume a run with settings that differ from its own, except its directory, limits and trackers.

    Args:
        config: configuration of the resuming command.
        stored: configuration of the run.

    Raises:
        InvalidValueError: if a setting that decides the run's numbers differs.
    """
    for f in dataclasses.fields(TrainConfig):
        mine, theirs = getattr(config, f.name), getattr(stored, f.name)
        if f.name not in _MAY_CHANGE and mine != theirs:
            raise InvalidValueError(f.name, mine, f"with --resume, the run's own value {theirs!r}")


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
