"""The GRPO agent: any causal language model of the Hugging Face format, trained in full or by LoRA.

The agent completes prompts (``sampling/sampler.py``) and learns from rewards (``update.py``). It runs in one process or
in several; with several, each process samples its share of the prompts and learns from its share of the groups.
"""

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from peft import PeftModel, load_peft_weights
from transformers import PreTrainedModel

from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.forward import ModelForward
from dumpgym.agents.grpo.model_inputs import UNSUITED
from dumpgym.agents.grpo.models import (
    REFERENCE,
    adapter_base,
    checkpointed_layers,
    context_length,
    continued_adapter,
    enable_checkpointing,
    end_token_ids,
    find_device,
    load_adapter_weights,
    load_model,
    new_adapter,
    require_rows,
)
from dumpgym.agents.grpo.muon import inner_matrices
from dumpgym.agents.grpo.optimizer import Optimizer
from dumpgym.agents.grpo.processes import (
    divides_optimizer_state,
    gather_over_processes,
    is_main_process,
    num_processes,
    process_index,
    start_processes,
)
from dumpgym.agents.grpo.prompts import PromptReader, begun_thought
from dumpgym.agents.grpo.sampling.sampler import Sampler
from dumpgym.agents.grpo.saving import follow_umask
from dumpgym.agents.grpo.update import GRPOUpdate
from dumpgym.contracts.arms import Arm
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.learner import Completions, Learned, RewardedCompletions
from dumpgym.contracts.puzzle_env import Prompt
from dumpgym.contracts.schedules import Schedule

# Second half of the key of draws outside training, such as evaluation's. Training counts its draws from 0, so it never
# reaches this number, and an evaluation leaves the random numbers of training unchanged.
_OWN_STREAM = 2**63


class GRPOAgent:
    """A language model as a learner.

    Args:
        config: settings of the agent.
        seed: seed of the sampling stream and of new LoRA matrices, at least 0.

    Raises:
        InvalidValueError: if the model cannot be loaded, or if options of the configuration exclude each other.
    """

    def __init__(self, config: GRPOConfig, *, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        self.learning_rate = Schedule.parse("learning_rate", config.learning_rate, low=0)
        start_processes(config.device)
        self.device = find_device(config.device)
        self.base, self.model, self.tokenizer = self._load()
        self.prompts = PromptReader(self.tokenizer, date=config.chat_template_date, options=config.chat_template_kwargs)
        self._require_rows(self.prompts.probe())
        self.context = context_length(self.base)
        if self.context is not None and config.max_completion_length >= self.context:
            raise InvalidValueError(
                "max_completion_length", config.max_completion_length, f"less than the model's context, {self.context}"
            )
        self.forward = self._model_forward(self.base)
        # The reference for the divergence. A model that is trained in full needs a frozen copy of all its weights; an
        # adapter needs none, since the model without the adapter, or a frozen copy of the adapter, serves as one.
        self.reference = None
        if config.beta > 0 and not isinstance(self.model, PeftModel):
            self.reference = self._model_forward(copy.deepcopy(self.base).requires_grad_(False))
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer = Optimizer(
            trained,
            beta2=config.adam_beta2,
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            matrices=inner_matrices(self.model) if config.optimizer == "muon" else (),
        )
        self.update = GRPOUpdate(config, self.forward, self.optimizer, self._as_at_the_start)
        self.end_token_ids = end_token_ids(self.base, self.tokenizer)
        self.sampler = Sampler(
            self.base, self.tokenizer, end_token_ids=self.end_token_ids, stop_strings=config.stop_strings
        )
        self.sampler.prepare()
        self.draws = self.updates = 0

    def _load(self) -> tuple[PreTrainedModel, PreTrainedModel | PeftModel, Any]:
        config = self.config
        adapted = adapter_base(config.model)
        if adapted is not None and config.lora_rank > 0:
            raise InvalidValueError("lora_rank", config.lora_rank, f"0, to continue the adapter {config.model!r}")
        base, tokenizer = load_model(adapted or config.model, getattr(torch, config.dtype))
        model: PreTrainedModel | PeftModel = base
        if adapted is not None:
            model = continued_adapter(base, config.model, with_reference=config.beta > 0)
        elif config.lora_rank > 0:
            model = new_adapter(base, config.lora_rank, self.seed)
        model.to(device=self.device).eval()  # type: ignore[call-arg]
        return base, model, tokenizer

    def _model_forward(self, model: PreTrainedModel) -> ModelForward:
        if self.config.gradient_checkpointing:
            enable_checkpointing(model)
        try:
            return ModelForward(
                model,
                self.config.temperature,
                entropy_gradient=self.config.entropy_coef > 0,
                # A recomputed layer would write its keys and values into the shared cache twice, so transformers takes
                # the cache away from checkpointed layers.
                share_prompts=False if self.config.gradient_checkpointing else None,
            )
        except UNSUITED as error:
            reason = " ".join(str(error).split())[:200]
            accepted = f"a causal language model that reads tokens alone, not one of type {model.config.model_type}"
            raise InvalidValueError("model", self.config.model, f"{accepted} ({reason})") from error

    def generate(
        self,
        prompts: Sequence[Prompt],
        num_generations: int,
        *,
        greedy: bool = False,
        seed: int | None = None,
        max_completion_lengths: Sequence[int] | None = None,
        keys: Sequence[int] | None = None,
    ) -> Completions:
        """Completes each prompt; see ``Learner.generate``.

        Raises:
            InvalidValueError: if a prompt and its completion could together exceed the model's context.
        """
        started = perf_counter()
        rendered = [self.render_prompt(prompt) for prompt in prompts]
        prompt_ids = [self.prompts.encode(text) for text in rendered]
        limits = list(max_completion_lengths or [self.config.max_completion_length] * len(prompts))
        self._require_room(prompt_ids, limits)
        key = (self.seed, self.draws) if seed is None else (seed, _OWN_STREAM)
        self.draws += seed is None and not greedy and keys is None
        # Each process completes every num_processes-th prompt. ``groups`` carries the prompts' numbers in the whole
        # batch, by which draws are addressed, so the completions do not depend on the number of processes.
        mine = range(process_index(), len(prompts), num_processes())
        sampled = self.sampler(
            [prompt_ids[i] for i in mine],
            num_generations,
            max_completion_lengths=[limits[i] for i in mine],
            temperature=0.0 if greedy else self.config.temperature,
            key=key,
            groups=mine,
            prompt_keys=None if keys is None else [keys[i] for i in mine],
        )
        parts = gather_over_processes((sampled, perf_counter() - started))
        # Back into the order of the prompts: prompt i is number i // len(parts) in process i % len(parts).
        token_ids, log_probs, ended = (
            [
                getattr(parts[i % len(parts)][0], name)[i // len(parts) * num_generations + k]
                for i in range(len(prompts))
                for k in range(num_generations)
            ]
            for name in ("token_ids", "log_probs", "ended")
        )
        return Completions(
            tuple(map(tuple, prompt_ids)),
            tuple(map(tuple, token_ids)),
            tuple(self._texts(np.repeat(rendered, num_generations).tolist(), token_ids)),
            ~np.array(ended, dtype=np.bool_).reshape(len(prompts), num_generations),
            log_probs=tuple(map(tuple, log_probs)),
            seconds=max(seconds for _, seconds in parts),
        )

    def check_arms(self, arms: Sequence[Arm]) -> None:
        """Checks that the context has room for the first problem of each arm, and that its answer can be spelt.

        A tokenizer that loses characters, for example because it knows only whole words, makes every completion wrong
        and every reward the same: the run would end without an error and without success.

        Raises:
            InvalidValueError: if the context is too short, or the verifier accepts the reference completion but not
                what is left of it after encoding and decoding.
        """
        for arm in arms:
            problem = arm.env.sample_problem(0, "train", 0)
            limit = arm.max_completion_length or self.config.max_completion_length
            self._require_room([self.encode(problem.learner_prompt)], [limit])
            answer = problem.reference_completion
            spelt = str(self.tokenizer.decode(self.tokenizer(answer, add_special_tokens=False)["input_ids"]))
            if arm.env.verify(problem, answer).success and not arm.env.verify(problem, spelt).success:
                accepted = f"a model whose tokenizer can spell the answers of {arm.name}: {answer[:200]!r} becomes"
                raise InvalidValueError("model", self.config.model, f"{accepted} {spelt[:200]!r}")

    def _require_rows(self, prompt_ids: Sequence[int]) -> None:
        require_rows(self.base, self.tokenizer, prompt_ids, "every token of a prompt")

    def _require_room(self, prompt_ids: Sequence[Sequence[int]], limits: Sequence[int]) -> None:
        for ids, limit in zip(prompt_ids, limits, strict=True):
            self._require_rows(ids)
            if self.context is not None and len(ids) + limit > self.context:
                needed = f"{len(ids)} tokens of prompt and {limit} of completion"
                accepted = f"at most {self.context}, the model's context: lower max_completion_length"
                raise InvalidValueError("length of a text", needed, accepted)

    def _texts(self, rendered: Sequence[str], token_ids: Sequence[Sequence[int]]) -> Iterator[str]:
        ends = set(self.end_token_ids)
        for prompt, ids in zip(rendered, token_ids, strict=True):
            text = str(self.tokenizer.decode(ids[:-1] if ids[-1] in ends else ids))
            yield begun_thought(prompt, text) + text

    def render_prompt(self, prompt: Prompt) -> str:
        """The text that the model reads; see ``PromptReader.render``."""
        return self.prompts.render(prompt)

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt, rendered by the model's chat template if it has one."""
        return self.prompts.encode(self.render_prompt(prompt))

    def learn(self, rewarded: RewardedCompletions) -> Learned:
        """Takes ``num_iterations * mini_batches`` optimiser steps; mini-batches without any gradient are skipped.

        Raises:
            NonFiniteError: if a loss or the gradient is not finite. The step in question is not taken.
        """
        learning_rate = self.learning_rate.at(self.updates)
        with checkpointed_layers(self.base) if self.config.gradient_checkpointing else nullcontext():
            learned = self.update(rewarded, learning_rate)
        self.updates += 1
        return learned

    @contextmanager
    def _as_at_the_start(self) -> Iterator[ModelForward]:
        """Forward passes of the reference, the model as it was at the start of training."""
        if self.reference is not None:
            yield self.reference
        elif isinstance(self.model, PeftModel) and REFERENCE in self.model.peft_config:
            self.model.set_adapter(REFERENCE)
            try:
                yield self.forward
            finally:
                self.model.set_adapter("default")
        elif isinstance(self.model, PeftModel):
            with self.model.disable_adapter():
                yield self.forward

    def save_model(self, directory: Path) -> None:
        """Writes the model, or its adapter, and the tokenizer in the formats that transformers and peft read."""
        if is_main_process():
            # Without the frozen reference adapter, which only this run needs.
            chosen = {"selected_adapters": ["default"]} if isinstance(self.model, PeftModel) else {}
            self.model.save_pretrained(str(directory), **chosen)  # type: ignore[arg-type]
            self.tokenizer.save_pretrained(directory)
            follow_umask(directory)

    def save(self, directory: Path) -> None:
        """Writes the model, the optimiser's state and the position in the sampling stream; call it in every process."""
        self.save_model(directory / "model")
        self.optimizer.save(directory)
        if is_main_process():
            state = {"seed": self.seed, "draws": self.draws, "updates": self.updates}
            (directory / "learner.json").write_text(json.dumps(state), encoding="utf-8")
            follow_umask(directory)

    def load(self, directory: Path) -> None:
        """Restores what ``save`` wrote into an agent of the same configuration."""
        if isinstance(self.model, PeftModel):
            load_adapter_weights(self.model, load_peft_weights(str(directory / "model"), device=str(self.device)))
        else:
            saved, _ = load_model(str(directory / "model"), self.base.dtype)
            self.base.load_state_dict(saved.state_dict())
        self.optimizer.load(directory)
        state = json.loads((directory / "learner.json").read_text(encoding="utf-8"))
        self.seed, self.draws, self.updates = state["seed"], state["draws"], state["updates"]

    def describe(self) -> dict[str, Any]:
        """Model type, parameters, device, processes, threads, number format, and whether prompts are shared."""
        return {
            "model_type": self.base.config.model_type,
            "parameters": sum(p.numel() for p in self.base.parameters()),
            "trained_parameters": sum(p.numel() for p in self.optimizer.parameters.values()),
            "device": str(self.device),
            "processes": num_processes(),
            "divides_optimizer_state": divides_optimizer_state(),
            "threads": torch.get_num_threads(),
            "dtype": str(self.base.dtype).removeprefix("torch."),
            "shares_prompts": self.forward.shares_prompts,
        }
