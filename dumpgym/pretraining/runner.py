"""Runs a recipe, and writes the finished model with its card."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from rich.progress import track

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.saving import follow_umask
from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.pretraining.config import PretrainConfig
from dumpgym.pretraining.pretrainer import Pretrainer, Stage
from dumpgym.pretraining.recipe import Recipe, Text, recipe_registry
from dumpgym.runs.files import check_output
from dumpgym.training.evaluation import evaluate

# Far from the seeds of training runs, so no run draws the problems of its warm start again.
_FIRST_SEED = 1000
_SAVE_EVERY = 250


def pretrain(config: PretrainConfig) -> Path:
    """Runs a recipe and returns the model's directory.

    Raises:
        DumpgymError: if there is no such recipe, or it cannot make a model of these sizes; if the output is in use and
            ``resume`` is not set, if ``resume`` is set and there is nothing to resume, or if the output was written by
            another recipe.
    """
    recipe = recipe_registry.find(config.recipe)
    state = config.output / "state.pt"
    if config.resume and not state.is_file():
        raise InvalidValueError("output", str(config.output), "with --resume, the directory of an interrupted call")
    if not config.resume:
        check_output(config.output, or_else=", or --resume")
    model, tokenizer = recipe.build(config.seed, config.hidden_size, config.num_layers, config.num_heads)
    stages = tuple(replace(stage, steps=max(1, round(stage.steps * config.scale))) for stage in recipe.stages)

    def texts(stage: int, chunk: int) -> list[Text]:
        return recipe.texts(stages, _FIRST_SEED + config.seed, stage, chunk)

    trainer = Pretrainer(model, tokenizer, stages, texts, recipe.tokens_per_batch, recipe.max_completion_length)
    try:
        config.output.mkdir(parents=True, exist_ok=True)
        if config.resume:
            trainer.load(state)
    except (OSError, ValueError) as error:
        raise DumpgymError(f"output {str(config.output)!r}: {error}") from error
    total = sum(stage.steps for stage in stages)
    done = sum(stage.steps for stage in stages[: trainer.stage]) + trainer.step
    steps = track(trainer.run(), description="pretraining", total=total, completed=done)
    for number, _ in enumerate(steps, start=done + 1):
        if number % _SAVE_EVERY == 0 or number == total:
            trainer.save(state)
    folder = config.output / "model"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    follow_umask(folder)
    card = _model_card(config, recipe, stages, trainer, _success(folder, recipe, config.evaluation_problems))
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def _success(folder: Path, recipe: Recipe, num_problems: int) -> dict[str, tuple[float, float]]:
    """Greedy and sampled held-out success per environment."""
    arms = make_arms(recipe.arms)
    agent = GRPOAgent(GRPOConfig(model=str(folder), **recipe.decoding))
    greedy, sampled = (evaluate(agent, arms, num_problems, seed=0, greedy=mode).successes for mode in (True, False))
    return {name: (sum(greedy[name]) / num_problems, sum(sampled[name]) / num_problems) for name in greedy}


def _model_card(
    config: PretrainConfig,
    recipe: Recipe,
    stages: Sequence[Stage],
    trainer: Pretrainer,
    success: Mapping[str, tuple[float, float]],
) -> str:
    rows = "\n".join(f"| {name} | {greedy:.3f} | {sampled:.3f} |" for name, (greedy, sampled) in success.items())
    shape = trainer.model.config
    chosen = "" if config.recipe == "embedded" else f"--recipe {config.recipe} "
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags: [{", ".join((*recipe.tags, "grpo", "curriculum"))}]
---
# The model {config.recipe} of dumpgym

{recipe.description}

It is a causal language model of type {shape.model_type}, with {sum(p.numel() for p in trainer.model.parameters()):,}
parameters, {shape.num_hidden_layers} layers and a hidden size of {shape.hidden_size}. It was made by
`dumpgym pretrain {chosen}--seed {config.seed}` with torch {version("torch").partition("+")[0]} from
{trainer.examples:,} texts ({trainer.tokens:,} tokens, padding included) of the training split:

{chr(10).join(f"- {stage}" for stage in stages)}

## Success on {config.evaluation_problems} held-out problems of each environment

| environment | greedy | sampled at temperature 1 |
|---|---|---|
{rows}

## Limits

{recipe.limits}
"""
