"""The recipe of the model ``embedded``: worked solutions of small puzzles, then solutions that give up.

The first stages teach the search itself. The last one mixes in solutions that break off at a conflict, more often the
more people there are, and answer with what they have. This leaves room for reinforcement learning: the model can search
but gives up early on larger puzzles, and the reward teaches it to continue.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from dumpgym.agents.embedded.model import build_model, build_tokenizer
from dumpgym.envs.knights_knaves.language import english, worked_solution
from dumpgym.envs.knights_knaves.problems import PuzzleSettings, locate
from dumpgym.pretraining.pretrainer import Stage
from dumpgym.pretraining.recipe import Recipe, Text, chosen_sizes, recipe_registry


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


CHUNK_SIZE = 768


def build(
    seed: int, hidden_size: int | None, num_layers: int | None, num_heads: int | None
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Builds the untrained model and its tokenizer; see ``Recipe.build``.

    Raises:
        InvalidValueError: if the heads cannot share the width evenly.
    """
    width, layers, heads = chosen_sizes((hidden_size, num_layers, num_heads), (128, 4, 4))
    tokenizer = build_tokenizer([*english.phrases(), *worked_solution.phrases()])
    return build_model(tokenizer, width, layers, heads, seed), tokenizer


def example_texts(stages: Sequence[PuzzleStage], seed: int, stage_number: int, chunk: int) -> list[Text]:
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


recipe_registry.register(
    "embedded",
    Recipe(
        stages=(
            PuzzleStage(steps=300, people=(2, 3), learning_rates=(0.0, 2e-3)),
            PuzzleStage(steps=1500, people=(2, 5), learning_rates=(2e-3, 2e-3)),
            PuzzleStage(steps=26000, people=(2, 7), learning_rates=(2e-3, 2e-5)),
            PuzzleStage(steps=300, people=(2, 7), learning_rates=(3e-4, 0.0), stops=(0.4, 0.9)),
        ),
        texts=example_texts,
        build=build,
        arms=tuple(f"dumpgym/KnightsKnaves{n}-v0" for n in range(2, 9)),
        description="""\
It reads Knights and Knaves puzzles in English, reasons by a search that it writes out, and answers. It is a warm start
for reinforcement learning: it knows the search, but gives up early on larger puzzles.""",
        limits="""\
It knows no other task and no other language. Names outside the generator's 51 are spelt in bytes, which it never
saw.""",
        tags=("knights-and-knaves",),
    ),
    module=__name__,
)
