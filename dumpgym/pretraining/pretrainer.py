"""Supervised training of a causal language model on texts, each a prompt and its completion, in stages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from dumpgym.agents.grpo.muon import Muon, inner_matrices

Example = tuple[list[int], list[int]]  # token ids of a prompt, and of its completion with the end token


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a recipe.

    Attributes:
        steps: number of optimiser steps.
        learning_rates: learning rates at the start and at the end of the stage, linear in between.
    """

    steps: int
    learning_rates: tuple[float, float]


@dataclass
class Batches:
    """The token batches of one stage, made from one chunk of texts at a time.

    A chunk depends only on its number, so two numbers, of the next chunk and of the next batch in it, are all that a
    resumed stage needs.

    Args:
        chunk: returns the texts of chunk number k, each a prompt and its completion.
        tokenizer: the model's tokenizer, whose end token is added to each completion.
        tokens_per_batch: most tokens in a batch, padding included.
        max_completion_length: longest completion in tokens; longer ones are left out.
        next_chunk: number of the chunk to continue with.
        next_batch: number of the batch in that chunk to continue with.
    """

    chunk: Callable[[int], list[tuple[str, str]]]
    tokenizer: PreTrainedTokenizerFast
    tokens_per_batch: int
    max_completion_length: int
    next_chunk: int = 0
    next_batch: int = 0

    def __iter__(self) -> Iterator[list[Example]]:
        while True:
            batches = self._batches_of(self.next_chunk)
            for batch in batches[self.next_batch :]:
                self.next_batch += 1
                yield batch
            self.next_chunk, self.next_batch = self.next_chunk + 1, 0

    def _batches_of(self, number: int) -> list[list[Example]]:
        texts = self.chunk(number)
        prompts = self.tokenizer([prompt for prompt, _ in texts], add_special_tokens=False)["input_ids"]
        completions = self.tokenizer([completion for _, completion in texts], add_special_tokens=False)["input_ids"]
        end = [self.tokenizer.eos_token_id]
        examples = [(p, c + end) for p, c in zip(prompts, completions, strict=True)]
        examples = [example for example in examples if len(example[1]) <= self.max_completion_length]
        # Examples of similar length share a batch, which saves padding. The batches are shuffled below; otherwise every
        # chunk would train on short texts first and on long ones last.
        examples.sort(key=_length)
        batches: list[list[Example]] = [[]]
        for example in examples:
            if (len(batches[-1]) + 1) * _length(example) > self.tokens_per_batch:
                batches.append([])
            batches[-1].append(example)
        batches = [batch for batch in batches if batch]
        Random(number).shuffle(batches)
        return batches


def _length(example: Example) -> int:
    return len(example[0]) + len(example[1])


def _optimizers(model: PreTrainedModel) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon for the matrices between embedding and head, and AdamW for all other parameters."""
    names = inner_matrices(model)
    inner = [p for name, p in model.named_parameters() if name in names]
    others = [p for name, p in model.named_parameters() if name not in names]
    return (
        Muon(inner, weight_decay=0.01),
        torch.optim.AdamW(others, lr=0.0, weight_decay=0.0, betas=(0.9, 0.95)),
    )


class Pretrainer:
    """Trains a model by a recipe; can be stopped and resumed between any two steps.

    Args:
        model: the model, which is trained in place.
        tokenizer: the model's tokenizer.
        stages: the stages of the recipe.
        texts: returns the texts of one chunk for (stage number, chunk number).
        tokens_per_batch: most tokens in a batch, padding included.
        max_completion_length: longest completion in tokens.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        stages: Sequence[Stage],
        texts: Callable[[int, int], list[tuple[str, str]]],
        tokens_per_batch: int,
        max_completion_length: int,
    ) -> None:
        self.model, self.tokenizer, self.stages, self.texts = model, tokenizer, stages, texts
        self.tokens_per_batch, self.max_completion_length = tokens_per_batch, max_completion_length
        self.optimizers = _optimizers(model)
        self.stage = self.step = self.examples = self.tokens = 0
        self.batches = self._new_batches()

    def run(self) -> Iterator[dict[str, float]]:
        """Trains to the end of the recipe and yields the metrics of each step."""
        while self.stage < len(self.stages):
            batches = iter(self.batches)
            while self.step < self.stages[self.stage].steps:
                yield self._train(next(batches))
            self.stage, self.step = self.stage + 1, 0
            self.batches = self._new_batches()

    def _new_batches(self) -> Batches:
        stage = self.stage
        return Batches(
            lambda number: self.texts(stage, number), self.tokenizer, self.tokens_per_batch, self.max_completion_length
        )

    def _train(self, batch: list[Example]) -> dict[str, float]:
        stage = self.stages[self.stage]
        start, end = stage.learning_rates
        learning_rate = start + (end - start) * self.step / stage.steps
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
        length = max(map(_length, batch))
        inputs = torch.full((len(batch), length), self.tokenizer.pad_token_id)
        is_target = torch.zeros(inputs.shape, dtype=torch.bool)
        for row, (prompt, completion) in enumerate(batch):
            inputs[row, : len(prompt) + len(completion)] = torch.tensor(prompt + completion)
            is_target[row, len(prompt) : len(prompt) + len(completion)] = True
        # inputs and is_target are (batch, length). Padding is on the right, where causal attention from a token never
        # reaches, so no attention mask is needed. The loss is the mean over completion tokens; prompts are not learned.
        hidden = self.model.base_model(input_ids=inputs, use_cache=False).last_hidden_state[:, :-1]
        # The output at a token predicts the next one. Only outputs that predict a target go through the head, because
        # logits are the largest tensor: (targets, vocabulary), not (batch, length, vocabulary).
        logits = self.model.get_output_embeddings()(hidden[is_target[:, 1:]])
        targets = inputs[:, 1:][is_target[:, 1:]]
        loss = cross_entropy(logits, targets)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self.examples += len(batch)
        self.tokens += inputs.numel()
        accuracy = (logits.argmax(-1) == targets).float().mean().item()
        return {"loss": loss.item(), "token_accuracy": accuracy, "learning_rate": learning_rate}

    def save(self, path: Path) -> None:
        """Writes everything that ``load`` needs. The file is replaced in one step, so it is never half written."""
        progress = {name: getattr(self, name) for name in ("stage", "step", "examples", "tokens")}
        progress |= {"next_chunk": self.batches.next_chunk, "next_batch": self.batches.next_batch}
        state = {
            "stages": self._stages(),
            "batches": self._batch_limits(),
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "progress": progress,
        }
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Restores a saved state. Stages that had not begun when it was saved may differ from the saved recipe's.

        Raises:
            ValueError: if another recipe saved it.
        """
        state = torch.load(path, weights_only=True)
        begun = state["progress"]["stage"] + 1
        if state["batches"] != self._batch_limits() or state["stages"][:begun] != self._stages()[:begun]:
            raise ValueError(f"{path} was written by another recipe: {state['stages']}, {state['batches']}")
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        progress = state["progress"]
        for name in ("stage", "step", "examples", "tokens"):
            setattr(self, name, progress[name])
        self.batches = self._new_batches()
        self.batches.next_chunk, self.batches.next_batch = progress["next_chunk"], progress["next_batch"]

    def _stages(self) -> list[str]:
        return [repr(stage) for stage in self.stages]

    def _batch_limits(self) -> list[int]:
        return [self.tokens_per_batch, self.max_completion_length]
