"""What a training run is made of: frozen dataclasses whose default instance is the main job."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, MinLen

from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.runs.validation import STRICT, read_toml, validated

Option = bool | int | float | str | tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A training run.

    Attributes:
        output: the run's directory.
        seed: of the puzzles, the policy and the sampling.
        steps: batches to train on, at most.
        budget_tokens: the run also ends with the step in which so many tokens have been generated in training.
        budget_seconds: the run also ends with the step in which it has trained so long, evaluations apart.
        arms: environment ids; the bandit's arms, easiest first.
        policy: id of the bandit policy.
        policy_options: options of the policy, e.g. ``temperature 0.2``.
        signal: the bandit's reward, by its name in the registry of signals.
        prompts_per_step: groups in a batch.
        num_generations: completions per prompt.
        max_redraws: group filter: most times in a step that groups of equal rewards are left out of the batch and
            others drawn in their place; 0 leaves none out.
        evaluate_every: steps between two evaluations.
        evaluation_problems: held-out problems per arm in these.
        final_evaluation_problems: held-out problems per arm before and after training.
        checkpoint_every: steps between two checkpoints.
        max_completion_lengths: in tokens, one an arm; none: the agent's own limit for all.
        transcripts_per_arm: completions of each arm that an evaluation logs.
        trackers: that are shown the metrics besides the logs.
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


TrainConfig.__pydantic_config__ = STRICT  # type: ignore[attr-defined]
GRPOConfig.__pydantic_config__ = STRICT  # type: ignore[attr-defined]


def load_toml(path: Path) -> TrainConfig:
    """Reads a configuration file; what it leaves out keeps its default.

    Raises:
        DumpgymError: if it cannot be read, is no TOML, or holds a key or a value that is not accepted.
    """
    return validated(read_toml(path), TrainConfig)


def to_json(config: TrainConfig) -> str:
    """The configuration as JSON that ``validated`` reads back."""
    return json.dumps(dataclasses.asdict(config) | {"output": str(config.output)}, indent=2)
