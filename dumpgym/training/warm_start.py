"""The recipe of the embedded model: worked solutions of small puzzles, then solutions that give up.

The first stages teach the search itself. The last one mixes in solutions that break off at a conflict, more often the
more people there are, and answer with what they have. This leaves room for reinforcement learning: the model can search
but gives up early on larger puzzles, and the reward teaches it to continue.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from random import Random

import numpy as np
from rich.progress import track

from dumpgym.agents.embedded.config import PretrainConfig
from dumpgym.agents.embedded.model import build_model, build_tokenizer
from dumpgym.agents.embedded.pretraining import Pretrainer, Stage
from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.saving import follow_umask
from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.envs.knights_knaves.language import english, worked_solution
from dumpgym.envs.knights_knaves.problems import PuzzleSettings, locate
from dumpgym.runs.files import check_output
from dumpgym.training.evaluation import evaluate


@dataclass(frozen=True, slots=True, kw_only=True)
class PuzzleStage(Stage):
    """A stage on worked solutions.

    Attributes:
        people: smallest and largest number of people.
        stops: probabilities that a solution breaks off at a conflict, evenly spaced from the smallest number of people
            to the largest and interpolated linearly; empty for solutions that always continue to the end.
    """

    people: tuple[int, int]
    stops: tuple[float, ...] = ()


RECIPE = (
    PuzzleStage(steps=300, people=(2, 3), learning_rates=(0.0, 2e-3)),
    PuzzleStage(steps=1500, people=(2, 5), learning_rates=(2e-3, 2e-3)),
    PuzzleStage(steps=26000, people=(2, 7), learning_rates=(2e-3, 2e-5)),
    PuzzleStage(steps=300, people=(2, 7), learning_rates=(3e-4, 0.0), stops=(0.4, 0.9)),
)
CHUNK_SIZE = 768
# Far from the seeds of training runs, so no run draws the puzzles of its warm start again.
_FIRST_SEED = 1000
_SAVE_EVERY = 250


def pretrain(config: PretrainConfig, recipe: Sequence[PuzzleStage] = RECIPE) -> Path:
    """Runs the recipe and returns the model's directory.

    Raises:
        DumpgymError: if the heads cannot share the width evenly, if the output is in use and ``resume`` is not set, if
            ``resume`` is set and there is nothing to resume, or if the output was written by another recipe.
    """
    if config.hidden_size % (2 * config.num_heads):  # rotary positions turn pairs of a head's numbers
        accepted = f"a multiple of twice num_heads, {2 * config.num_heads}"
        raise InvalidValueError("hidden_size", config.hidden_size, accepted)
    state = config.output / "state.pt"
    if config.resume and not state.is_file():
        raise InvalidValueError("output", str(config.output), "with --resume, the directory of an interrupted call")
    if not config.resume:
        check_output(config.output, or_else=", or --resume")
    stages = tuple(replace(stage, steps=max(1, round(stage.steps * config.scale))) for stage in recipe)
    tokenizer = build_tokenizer([*english.phrases(), *worked_solution.phrases()])
    model = build_model(tokenizer, config.hidden_size, config.num_layers, config.num_heads, config.seed)

    def texts(stage: int, chunk: int) -> list[tuple[str, str]]:
        return example_texts(stages, _FIRST_SEED + config.seed, stage, chunk)

    trainer = Pretrainer(model, tokenizer, stages, texts)
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
    card = _model_card(config, stages, trainer, _success(folder, config.evaluation_problems))
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def example_texts(stages: Sequence[PuzzleStage], seed: int, stage_number: int, chunk: int) -> list[tuple[str, str]]:
    """The (prompt, completion) texts of one chunk of one stage, from the training split.

    Every example has its own address, so no puzzle appears twice within a recipe.
    """
    stage = stages[stage_number]
    rng = Random(f"{seed}/{stage_number}/{chunk}")
    texts = []
    for i in range(CHUNK_SIZE):
        num_people = rng.randint(*stage.people)
        continues = _patience(stage, num_people, rng)
        block, row = locate(
            PuzzleSettings(num_people=num_people), seed * 100 + stage_number, "train", chunk * CHUNK_SIZE + i
        )
        solution = worked_solution.worked_solution(block.puzzles.puzzle(row), block.wording.people(row), continues)
        texts.append((block.prompts[row], solution))
    return texts


def _patience(stage: PuzzleStage, num_people: int, rng: Random) -> Callable[[int], bool]:
    """Makes a function that says, at each conflict of a solution, whether the solution continues."""
    if not stage.stops:
        return lambda conflicts: True
    stop_chance = float(np.interp(num_people, np.linspace(*stage.people, len(stage.stops)), stage.stops))
    return lambda conflicts: rng.random() >= stop_chance


def _success(folder: Path, num_problems: int) -> dict[str, tuple[float, float]]:
    """Greedy and sampled held-out success per environment."""
    arms = make_arms([f"dumpgym/KnightsKnaves{n}-v0" for n in range(2, 9)])
    agent = GRPOAgent(GRPOConfig(model=str(folder)))
    greedy, sampled = (evaluate(agent, arms, num_problems, seed=0, greedy=mode).successes for mode in (True, False))
    return {name: (sum(greedy[name]) / num_problems, sum(sampled[name]) / num_problems) for name in greedy}


def _model_card(
    config: PretrainConfig,
    stages: Sequence[PuzzleStage],
    trainer: Pretrainer,
    success: Mapping[str, tuple[float, float]],
) -> str:
    rows = "\n".join(f"| {name} | {greedy:.3f} | {sampled:.3f} |" for name, (greedy, sampled) in success.items())
    recipe = "\n".join(f"- {stage}" for stage in stages)
    parameters = sum(p.numel() for p in trainer.model.parameters())
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags: [knights-and-knaves, grpo, curriculum]
---
# The embedded model of dumpgym

A causal language model of {parameters:,} parameters (Llama, hidden size {config.hidden_size}, {config.num_layers}
layers) that reads Knights and Knaves puzzles in English, reasons by a search that it writes out, and answers. It is a
warm start for reinforcement learning: it knows the search, but gives up early on larger puzzles.

Made by `dumpgym pretrain --seed {config.seed}` with torch {version("torch").partition("+")[0]} from
{trainer.examples:,} worked solutions ({trainer.tokens:,} tokens, padding included) of the training split:

{recipe}

## Success on {config.evaluation_problems} held-out puzzles of each size

| environment | greedy | sampled at temperature 1 |
|---|---|---|
{rows}

## Limits

It knows no other task and no other language. Names outside the generator's 51 are spelt in bytes, which it never saw.
"""
