"""The recipe of the model ``embedded-careless``: solutions of larger puzzles, then solutions with slips.

The training starts from the model ``embedded``, which gives up early and knows at most seven people. The first stage
shows careful solutions of up to twelve people, until the model copies the names and statements of all sizes; a reward
for the whole answer does not teach copying. The puzzles meet few conflicts, so even those of many people have short
solutions.

The second stage shows careless solutions. Slips of one kind occur at every size, those of a second kind from five
people and those of a third from eight, each in statements of one or two forms only, but there more often than not.
Success therefore falls with the number of people, to near zero on the largest puzzles, whether tokens are sampled or
not; slips with small chances everywhere would lower sampled success alone. Care that is learned on small puzzles
carries over to larger ones in part: they become learnable, and what is left must be learned on them. This makes a
frontier, by design.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from dumpgym.agents.grpo.models import load_model
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.knights_knaves.language.carelessness import SlipChance, careless_solution
from dumpgym.envs.knights_knaves.problems import PuzzleSettings, locate
from dumpgym.pretraining.pretrainer import Stage
from dumpgym.pretraining.recipe import Recipe, Text, recipe_registry

START = "embedded"
MAX_CONFLICTS = 1
CHUNK_SIZE = 768


@dataclass(frozen=True, slots=True, kw_only=True)
class CarelessStage(Stage):
    """A stage on worked solutions with slips.

    Attributes:
        weights: relative frequencies of the numbers of people, from 2.
        slips: the chances of slips; empty for careful solutions.
    """

    weights: tuple[float, ...]
    slips: tuple[SlipChance, ...] = ()


def build(
    seed: int, hidden_size: int | None, num_layers: int | None, num_heads: int | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Loads the model from which the training starts, and its tokenizer; see ``Recipe.build``.

    Raises:
        InvalidValueError: for a size, since the model has its own.
    """
    sizes = {"hidden_size": hidden_size, "num_layers": num_layers, "num_heads": num_heads}
    for name, size in sizes.items():
        if size is not None:
            raise InvalidValueError(name, size, f"no value, as the recipe starts from the model {START}")
    return load_model(START, torch.float32)


def example_texts(stages: Sequence[CarelessStage], seed: int, stage_number: int, chunk: int) -> list[Text]:
    """The (prompt, completion) texts of one chunk of one stage, from the training split; see ``Recipe.texts``.

    Every example has its own address. Those of one size are consecutive, since puzzles are drawn in whole blocks.
    """
    stage = stages[stage_number]
    rng = Random(f"{seed}/{stage_number}/{chunk}")
    sizes = range(2, 2 + len(stage.weights))
    counts = Counter(rng.choices(sizes, stage.weights, k=CHUNK_SIZE))
    texts = []
    for num_people in sizes:
        settings = PuzzleSettings(num_people=num_people, max_conflicts=MAX_CONFLICTS)
        for index in range(chunk * CHUNK_SIZE, chunk * CHUNK_SIZE + counts[num_people]):
            block, row = locate(settings, seed * 100 + stage_number, "train", index)
            puzzle, names = block.puzzles.puzzle(row), block.wording.people(row)
            # A careful search never meets the conflict at which a careless one ends.
            solution = careless_solution(puzzle, names, stage.slips, last_conflict=MAX_CONFLICTS + 1, rng=rng)
            texts.append((block.prompts[row], solution))
    return texts


recipe_registry.register(
    "embedded-careless",
    Recipe(
        stages=(
            CarelessStage(
                steps=1200,
                weights=(0.3, 0.3, 0.4, 0.5, 0.7, 1.0, 1.0, 1.0, 1.0, 1.0, 0.7),
                learning_rates=(1e-3, 2e-5),
            ),
            CarelessStage(
                steps=250,
                weights=(1.0,) * 10,
                learning_rates=(1e-3, 0.0),
                slips=(
                    SlipChance("truth", people=(2, 5), chances=(0.7, 0.8), operators=("<=>",)),
                    SlipChance("fits", people=(5, 8), chances=(0.7, 0.8), operators=("not",)),
                    SlipChance("role", people=(8, 11), chances=(0.7, 0.8), operators=("and", "or")),
                ),
            ),
        ),
        texts=example_texts,
        build=build,
        arms=(f"dumpgym/KnightsKnaves-v0?num_people=2..11&max_conflicts={MAX_CONFLICTS}",),
        description="""\
It reads Knights and Knaves puzzles in English, reasons by a search that it writes out, and answers. It is a warm start
for reinforcement learning on puzzles of 2 to 11 people whose worked solution meets at most one conflict: it can search,
but it makes slips in statements of some forms, and of more kinds the more people there are, so it solves hardly any of
the largest puzzles. The training started from the model `embedded`.""",
        limits="""\
It knows no other task and no other language, and it breaks off at the second conflict. Names outside the generator's 51
are spelt in bytes, which it never saw.""",
        tags=("knights-and-knaves",),
        decoding={"max_completion_length": 512},
    ),
    module=__name__,
)
