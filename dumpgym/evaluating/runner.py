"""The work of ``dumpgym evaluate``: loads a model, or two, and evaluates it on the problems of arms."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.models import load_tokenizer
from dumpgym.contracts.arms import Arm, make_arms
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.learner import Learner, check_arms
from dumpgym.evaluating.config import EvaluateConfig
from dumpgym.evaluating.results import difference_record, evaluation_record
from dumpgym.evaluating.source import find_model
from dumpgym.runs.versions import versions
from dumpgym.training.evaluation import Evaluation, evaluate

_MODES = {"greedy": True, "sampled": False}


def make_agent(model: str, agent: GRPOConfig, *, seed: int = 0) -> GRPOAgent:
    """Loads a model as an agent that only completes prompts.

    Args:
        model: see ``EvaluateConfig``.
        agent: settings of the agent, except its model.
        seed: seed of the sampling stream.

    Raises:
        InvalidValueError: if the model cannot be loaded.
    """
    # Without what costs memory and serves learning only: the frozen reference, and a new adapter.
    settings = {"model": find_model(model).name, "beta": 0.0, "lora_rank": 0, "gradient_checkpointing": False}
    return GRPOAgent(dataclasses.replace(agent, **settings), seed=seed)  # type: ignore[arg-type]


def evaluate_model(
    config: EvaluateConfig, *, on_progress: Callable[[str, float], None] = lambda text, share: None
) -> dict[str, Any]:
    """Evaluates a model, or two on the same problems, as ``dumpgym evaluate`` does.

    Args:
        config: what to evaluate; ``EvaluateConfig.of_model`` takes the settings of the model's run.
        on_progress: called with what is being done, and with the share that is done, from 0 to 1.

    Returns:
        JSON-compatible results: "dumpgym", "versions", "config"; "model", and with ``config.compare`` also "other",
        each with its "name", "greedy" and "sampled" results; "difference" with those of the first model minus the
        second. What is not there is None. See ``evaluating.results`` for the numbers.

    Raises:
        DumpgymError: if a model, an arm or a problem does not exist, or a setting is out of range. What can be checked
            without loading a model is checked first.
    """
    arms = make_arms(config.arms, config.max_completion_lengths)
    if config.agent.model not in (GRPOConfig().model, config.model):
        raise InvalidValueError("agent.model", config.agent.model, f"none, as the model is {config.model!r}")
    models = [config.model] if config.compare is None else [config.model, config.compare]
    sources = [find_model(model).name for model in models]
    for arm in arms:
        arm.env.sample_problem(config.seed, config.split, config.num_problems - 1)  # a finite set may have fewer
    for name in sources[1:]:
        load_tokenizer(name)  # a name that is wrong is told now, not after the first model has been evaluated
    found = [dict(_evaluate_one(config, arms, model, i, len(models), on_progress)) for i, model in enumerate(models)]
    records: list[dict[str, Any]] = [_model_record(*pair) for pair in zip(models, found, strict=True)]
    difference = None
    if len(found) > 1:
        difference = {
            mode: difference_record(found[0][mode], found[1][mode], greedy=greedy) if mode in found[0] else None
            for mode, greedy in _MODES.items()
        }
    made_by = versions()
    return {
        "dumpgym": made_by["dumpgym"],
        "versions": made_by,
        "config": dataclasses.asdict(config),
        "model": records[0],
        "other": records[1] if len(records) > 1 else None,
        "difference": difference,
    }


def _evaluate_one(
    config: EvaluateConfig,
    arms: Sequence[Arm],
    model: str,
    number: int,
    count: int,
    on_progress: Callable[[str, float], None],
) -> Iterator[tuple[str, Evaluation]]:
    work, done = count * (1 + config.sampled), number * (1 + config.sampled)
    on_progress(f"loading {model}", done / work)
    agent: Learner = make_agent(model, config.agent, seed=config.seed)
    check_arms(agent, arms)
    for mode, greedy in _MODES.items():
        size = 1 if greedy else config.sampled
        if size == 0:
            continue

        def tell(share: float, mode: str = mode, size: int = size, done: int = done) -> None:
            on_progress(f"evaluating {model}, {mode}", (done + share * size) / work)

        tell(0.0)
        yield (
            mode,
            evaluate(
                agent,
                arms,
                config.num_problems,
                seed=config.seed,
                greedy=greedy,
                split=config.split,
                num_generations=size,
                batch_size=config.batch_size,
                on_progress=tell,
            ),
        )
        done += size


def _model_record(name: str, found: dict[str, Evaluation]) -> dict[str, Any]:
    return {
        "name": name,
        **{
            mode: evaluation_record(found[mode], greedy=greedy) if mode in found else None
            for mode, greedy in _MODES.items()
        },
    }
