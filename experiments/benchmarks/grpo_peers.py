"""TRL's GRPO trainer, set up to do what our agent does, for the benchmark and for tests on the same tensors."""

import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about optional packages, at import
    import trl

Rewards = Callable[[Sequence[str], Sequence[str]], list[float]]
"""Computes the rewards of completions from their prompts and texts."""


def hashed_rewards(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    """Rewards of -0.5 or 3 by a hash of position and text, so nearly every group has variance."""
    return [3.0 if zlib.crc32(f"{i} {text}".encode()) % 3 == 0 else -0.5 for i, text in enumerate(completions)]


def make_trainer(
    model: str,
    prompts: Sequence[str],
    rewards: Rewards,
    output: Path,
    *,
    num_generations: int,
    max_completion_length: int,
    micro_batch: int,
    steps: int,
    device: str = "cpu",
    callbacks: Sequence[TrainerCallback] = (),
    **options: Any,
) -> Any:
    """A trainer whose every step is one generation and one optimiser step over all prompts.

    Args:
        model: folder of the model.
        prompts: prompts of a step, as plain text.
        rewards: computes the rewards of the completions.
        output: directory for the files that TRL writes.
        num_generations: completions per prompt.
        max_completion_length: limit in tokens.
        micro_batch: completions per forward pass.
        steps: number of steps to train.
        device: "cpu" or "cuda".
        callbacks: callbacks of the trainer.
        options: further settings of ``trl.GRPOConfig``, which override these.

    Raises:
        ValueError: if the completions of a step cannot be split into micro-batches.
    """
    rows = len(prompts) * num_generations
    if rows % micro_batch:
        raise ValueError(f"micro_batch is {micro_batch}; accepted: a divisor of {rows}, the completions of a step")
    settings: dict[str, Any] = {
        "output_dir": str(output),
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": rows // micro_batch,
        "num_generations": num_generations,
        "max_completion_length": max_completion_length,
        "max_steps": steps,
        "loss_type": "dapo",
        "beta": 0.0,
        "temperature": 1.0,
        "top_k": 0,
        "learning_rate": 0.0,
        "adam_beta2": 0.99,
        "bf16": False,
        "gradient_checkpointing": False,
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": False,
        "shuffle_dataset": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "model_init_kwargs": {"dtype": "float32"},
    }

    def reward(prompts: list[str], completions: list[str], **_: Any) -> list[float]:
        return rewards(prompts, completions)

    trainer = trl.GRPOTrainer(
        model,
        reward_funcs=reward,
        args=trl.GRPOConfig(**{**settings, **options}),
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


class Stopwatch(TrainerCallback):
    """Measures the seconds of a trainer's steps and of the generation in them.

    Args:
        between: called after every step; its time does not count.
    """

    def __init__(self, between: Callable[[], None] = lambda: None) -> None:
        self.between = between
        self.steps: list[float] = []
        self.generation: list[float] = []
        self.tokens: list[int] = []

    def watch(self, trainer: Any) -> None:
        """Times the trainer's generation."""
        generate = trainer._generate_single_turn

        def timed(*arguments: Any, **options: Any) -> Any:
            started = perf_counter()
            result = generate(*arguments, **options)
            self.generation.append(perf_counter() - started)
            self.tokens.append(sum(map(len, result[0])))
            return result

        trainer._generate_single_turn = timed

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._started = perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.steps.append(perf_counter() - self._started)
        self.between()
