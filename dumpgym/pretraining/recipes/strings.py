"""The recipe of the model ``embedded-strings``: tasks on short strings, then a few longer ones.

The first stages teach the tasks on short strings. The model has no position encoding, so the skills work in part on
strings that are slightly longer, and not at all on the longest. The last stage shows a few longer strings, fewer the
longer they are; without it, the first length beyond the short ones can be at zero, from where no reward leads any
further. This makes a frontier: each length becomes learnable once the length before it is learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from transformers import PreTrainedTokenizerFast, SmolLM3ForCausalLM

from dumpgym.agents.embedded.model import build_model_without_positions, build_tokenizer
from dumpgym.envs.strings.controls import CoinEnv, RandomAnswerEnv
from dumpgym.envs.strings.env import StringEnv
from dumpgym.envs.strings.prompts import LETTERS
from dumpgym.envs.strings.tasks import CopyEnv, CumulativeSumEnv, ReverseEnv, SortEnv
from dumpgym.pretraining.pretrainer import Stage
from dumpgym.pretraining.recipe import Recipe, Text, chosen_sizes, recipe_registry

SHORTEST, LONGEST = 2, 13
CHUNK_SIZE = 1024
_TASKS = ((CopyEnv, 0), (CopyEnv, len(LETTERS)), (ReverseEnv, 0), (SortEnv, 0), (CumulativeSumEnv, 0))
"""The tasks and their preambles."""
_CONTROLS = (CoinEnv, RandomAnswerEnv)
_CONTROL_LENGTH, _CONTROL_WEIGHT = 4, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class StringStage(Stage):
    """A stage on strings of several lengths.

    Attributes:
        short: largest length with weight 1.
        leak: weight of the next length; 0 for no longer strings.
        decay: ratio of the weight of each further length to that of the length before it.
    """

    short: int
    leak: float = 0.0
    decay: float = 0.5

    def weight(self, length: int) -> float:
        """Returns the weight of a length."""
        return 1.0 if length <= self.short else self.leak * self.decay ** (length - self.short - 1)


@cache
def _environments() -> tuple[StringEnv, ...]:
    lengths = range(SHORTEST, LONGEST + 1)
    learned = [task(length=length, preamble=preamble) for task, preamble in _TASKS for length in lengths]
    # The model learns to write random digits for the controls. The answers of a group then differ, so that the verdicts
    # of a coin look like noise, and impossible problems cost no more tokens than others.
    return (*learned, *(control(length=_CONTROL_LENGTH) for control in _CONTROLS))


def build(
    seed: int, hidden_size: int | None, num_layers: int | None, num_heads: int | None
) -> tuple[SmolLM3ForCausalLM, PreTrainedTokenizerFast]:
    """Builds the untrained model and its tokenizer; see ``Recipe.build``.

    Raises:
        InvalidValueError: if the heads cannot share the width evenly.
    """
    width, layers, heads = chosen_sizes((hidden_size, num_layers, num_heads), (64, 2, 4))
    # A task's word is one token, and every character of the tasks is one. Other text is spelt in bytes.
    tokenizer = build_tokenizer(sorted({f"{env.word} " for env in _environments()}))
    return build_model_without_positions(tokenizer, width, layers, heads, seed), tokenizer


def example_texts(stages: Sequence[StringStage], seed: int, stage_number: int, chunk: int) -> list[Text]:
    """The (prompt, completion) texts of one chunk of one stage, from the training split; see ``Recipe.texts``."""
    rng = Random(f"{seed}/{stage_number}/{chunk}")
    envs = _environments()
    stage = stages[stage_number]
    weights = [_CONTROL_WEIGHT if isinstance(env, _CONTROLS) else stage.weight(env.length) for env in envs]
    texts = []
    for i, env in enumerate(rng.choices(envs, weights, k=CHUNK_SIZE)):
        problem = env.sample_problem(seed * 100 + stage_number, "train", chunk * CHUNK_SIZE + i)
        texts.append((problem.prompt, problem.reference_completion))
    return texts


recipe_registry.register(
    "embedded-strings",
    Recipe(
        stages=(
            StringStage(steps=500, short=5, learning_rates=(0.0, 4e-3)),
            StringStage(steps=1700, short=5, learning_rates=(4e-3, 4e-3)),
            StringStage(steps=1200, short=5, learning_rates=(4e-3, 0.0)),
            StringStage(steps=150, short=5, learning_rates=(2e-3, 0.0), leak=0.15),
        ),
        texts=example_texts,
        build=build,
        arms=tuple(
            f"dumpgym/{task}-v0?length={length}"
            for task in ("Copy", "Reverse", "Sort", "CumulativeSum")
            for length in range(SHORTEST, LONGEST + 1)
        ),
        description="""\
It copies, reverses, sorts and adds up short strings of digits. It is a warm start for reinforcement learning: it has no
position encoding, so each length becomes learnable once the length before it is learned, and the longest strings have
no success at the start.""",
        limits="""\
It knows the prompts in symbols of these tasks and nothing else.""",
        tags=("strings",),
        max_completion_length=64,
        decoding={"max_completion_length": 48},
    ),
    module=__name__,
)
