"""The settings of an evaluation."""

from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Le, MinLen

from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.evaluating.source import find_model
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.validation import STRICT
from dumpgym.training.evaluation import EVALUATION_BATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """What to evaluate, and on which problems.

    Attributes:
        model: an embedded model such as "embedded", a folder with a model or an adapter, a .gguf file, a name on the
            Hugging Face hub, the directory of a run for its final model, or one of its checkpoints.
        arms: environment ids, with arguments if needed; by default those that the model's run evaluates, or those of
            ``dumpgym train``.
        num_problems: problems per arm.
        sampled: completions per problem that are sampled at the temperature, for pass@k, besides the greedy one; 0 for
            none.
        split: "test" for held-out problems, or "train".
        seed: seed of the problems and of the sampling.
        compare: another model, evaluated on the same problems.
        max_completion_lengths: longest completion in tokens, one number per arm; if empty, the agent's limit holds for
            all arms.
        batch_size: completions generated together; results depend on it only by rounding.
        agent: settings of the language model, by default those of the model's run; those that concern learning have no
            effect.
    """

    model: str
    arms: Annotated[tuple[str, ...], MinLen(1)] = TrainConfig().arms
    num_problems: Annotated[int, Ge(1), Le(1_000_000)] = 100
    sampled: Annotated[int, Ge(0), Le(100_000)] = 0
    split: Literal["test", "train"] = "test"
    seed: Annotated[int, Ge(0)] = 0
    compare: str | None = None
    max_completion_lengths: tuple[Annotated[int, Ge(1)], ...] = ()
    batch_size: Annotated[int, Ge(1)] = EVALUATION_BATCH
    agent: GRPOConfig = field(default_factory=GRPOConfig)

    @classmethod
    def of_model(cls, model: str, **settings: Any) -> Self:
        """The settings for a model: with those of the run that made it, if a run did, as defaults.

        The run's final model is then evaluated exactly as at the end of the run.

        Args:
            model: see Attributes.
            settings: values that differ, by name.

        Raises:
            InvalidValueError: if the run has no final model yet.
        """
        run = find_model(model).run
        values: dict[str, Any] = {}
        if run is not None:
            counts = [spec not in run.nuisance_arms for spec in run.arms]
            arms, limits = (tuple(compress(of_arms, counts)) for of_arms in (run.arms, run.max_completion_lengths))
            values = {"arms": arms, "max_completion_lengths": limits, "seed": run.seed}
            agent = replace(run.agent, model=GRPOConfig().model)  # ``model`` of this configuration takes its place
            values |= {"num_problems": run.final_evaluation_problems, "agent": agent}
        return cls(**{"model": model, **values, **settings})


EvaluateConfig.__pydantic_config__ = STRICT  # type: ignore[attr-defined]
