"""The GRPO agent: any causal language model of the Hugging Face format, trained in full or by LoRA.

One step samples groups of completions, turns rewards into advantages, and takes one clipped policy-gradient step per
mini-batch. Completions of similar length are forwarded together, on top of the keys and values of their prompts, each
of which is forwarded once. Completions without advantage, as in groups whose rewards are all equal, have no gradient
and are not forwarded at all, unless a penalty gives them one.
"""

import copy
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
import transformers
from annotated_types import Ge, Gt, Le
from jinja2 import TemplateError
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

from dumpgym.agents.grpo import TokenLoss, group_advantages, token_log_probs, token_weights
from dumpgym.agents.sampling import cache_argument, left_padded, sample_completions, select_rows
from dumpgym.errors import DumpgymError, InvalidValueError
from dumpgym.learner import Completions, Rollouts
from dumpgym.puzzle_env import Prompt, plain_text

transformers.utils.logging.disable_progress_bar()

EMBEDDED_MODEL = Path(__file__).parent / "embedded_model"


class LanguageModelAgent:
    """A language model as a learner.

    Args:
        config: see ``GRPOConfig``.
        seed: of the sampling stream and of new LoRA matrices.

    Raises:
        InvalidValueError: if the model cannot be loaded, or the configuration contradicts itself.
    """

    def __init__(self, config: "GRPOConfig", *, seed: int = 0) -> None:
        if config.dtype == "bfloat16" and config.lora_rank == 0:
            raise InvalidValueError("dtype", config.dtype, "float32, or bfloat16 together with lora_rank > 0")
        self.config = config
        self.device = torch.device(_device(config.device))
        self.base, self.tokenizer = load_model(config.model, getattr(torch, config.dtype))
        self.base.to(device=self.device).eval()  # type: ignore[call-arg]
        _check_head(self.base)
        self.model: PreTrainedModel | PeftModel = self.base
        self.reference: PreTrainedModel | None = None
        if config.lora_rank > 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                lora = LoraConfig(r=config.lora_rank, lora_alpha=2 * config.lora_rank, target_modules="all-linear")
                self.model = get_peft_model(self.base, lora)
        elif config.beta > 0:
            self.reference = copy.deepcopy(self.base).requires_grad_(False)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=config.learning_rate, betas=(0.9, config.adam_beta2), weight_decay=config.weight_decay
        )
        self.generator = torch.Generator().manual_seed(seed)
        self.end_token_ids = _end_token_ids(self.base, self.tokenizer)

    def generate(
        self, prompts: Sequence[Prompt], num_generations: int, *, greedy: bool = False, seed: int | None = None
    ) -> Completions:
        """Completes each prompt; see ``Learner.generate``."""
        rendered = [self.render_prompt(prompt) for prompt in prompts]
        prompt_ids = [self._tokenise(text) for text in rendered]
        token_ids = sample_completions(
            self.base,
            prompt_ids,
            num_generations,
            max_completion_length=self.config.max_completion_length,
            end_token_ids=self.end_token_ids,
            temperature=0.0 if greedy else self.config.temperature,
            generator=self.generator if seed is None else torch.Generator().manual_seed(seed),
        )
        ended = np.array([ids[-1] in self.end_token_ids for ids in token_ids], dtype=bool)
        without_end = [ids[:-1] if end else ids for ids, end in zip(token_ids, ended, strict=True)]
        # Templates of thinking models end the prompt in "<think>". The verifier reads completions alone and would miss
        # it, so the text has it in front, though it was not sampled and is no part of the loss.
        opened = np.repeat([text.rstrip().endswith("<think>") for text in rendered], num_generations)
        texts = [
            ("<think>" if is_open else "") + str(self.tokenizer.decode(ids))
            for is_open, ids in zip(opened, without_end, strict=True)
        ]
        return Completions(
            tuple(map(tuple, prompt_ids)),
            tuple(map(tuple, token_ids)),
            tuple(texts),
            ~ended.reshape(len(prompts), num_generations),
        )

    def render_prompt(self, prompt: Prompt) -> str:
        """The text that the model is given; see ``render_prompt`` of this module."""
        return render_prompt(self.tokenizer, prompt)

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt, within the model's own chat template where it has one."""
        return self._tokenise(self.render_prompt(prompt))

    def _tokenise(self, rendered: str) -> list[int]:
        # A chat template has written the special tokens already.
        is_plain = self.tokenizer.chat_template is None
        return list(self.tokenizer(rendered, add_special_tokens=is_plain)["input_ids"])

    def learn(self, rollouts: Rollouts) -> dict[str, float]:
        """Takes ``num_iterations * mini_batches`` optimiser steps, fewer where nothing has a gradient."""
        config = self.config
        advantages = group_advantages(rollouts.rewards, config.scale_rewards)
        rows = _rows(rollouts.completions, advantages, config.mask_truncated_completions)
        num_updates = config.num_iterations * config.mini_batches
        if num_updates > 1:
            for micro_batch in self._micro_batches(rows):
                with torch.no_grad():
                    log_probs = self._log_probs(self.base, micro_batch)[0]
                for row, values in zip(
                    micro_batch, log_probs.split([len(r.completion) for r in micro_batch]), strict=True
                ):
                    row.old_log_probs = values
        sums: dict[str, float] = defaultdict(float)
        for _ in range(config.num_iterations):
            for number in range(config.mini_batches):
                self._optimizer_step([row for row in rows if row.group % config.mini_batches == number], sums)
        per_token = 1 / max(1.0, sums["tokens"])
        metrics = {
            "loss": sums["loss"] / num_updates,
            "grad_norm": sums["grad_norm"] / max(1.0, sums["steps"]),
            "entropy": sums["entropy"] * per_token,
            "clip_ratio": sums["clipped"] * per_token,
        }
        return metrics | ({"kl": sums["kl"] * per_token} if config.beta > 0 else {})

    def _optimizer_step(self, rows: "list[_Row]", sums: dict[str, float]) -> None:
        config = self.config
        lengths = np.array([len(row.completion) for row in rows])
        weights = token_weights(lengths, np.array([row.counted for row in rows], dtype=bool), config.loss_type)
        for row, weight in zip(rows, weights, strict=True):
            row.weight = float(weight)
        with_gradient = [row for row in rows if row.counted and (config.beta > 0 or row.advantage != 0)]
        if not with_gradient:
            return
        loss_of = TokenLoss(config.epsilon, config.epsilon_high, config.beta)
        self.optimizer.zero_grad(set_to_none=True)
        for micro_batch in self._micro_batches(with_gradient):
            log_probs, entropy = self._log_probs(self.base, micro_batch)
            old = [row.old_log_probs for row in micro_batch]
            loss, parts = loss_of(
                log_probs,
                log_probs.detach() if old[0] is None else torch.cat(cast(list[Tensor], old)),
                self._per_token(micro_batch, [row.advantage for row in micro_batch]),
                self._per_token(micro_batch, [row.weight for row in micro_batch]),
                self._reference_log_probs(micro_batch) if config.beta > 0 else None,
            )
            loss.backward()
            sums["loss"] += loss.item()
            sums["tokens"] += len(log_probs)
            sums["entropy"] += float(entropy.sum())
            for name, value in parts.items():
                sums[name] += value
        sums["grad_norm"] += float(torch.nn.utils.clip_grad_norm_(self.trained, config.max_grad_norm))
        sums["steps"] += 1
        self.optimizer.step()

    def _reference_log_probs(self, micro_batch: "list[_Row]") -> Tensor:
        with torch.no_grad():
            if isinstance(self.model, PeftModel):
                with self.model.disable_adapter():
                    return self._log_probs(self.base, micro_batch)[0]
            return self._log_probs(cast(PreTrainedModel, self.reference), micro_batch)[0]

    def _micro_batches(self, rows: "Sequence[_Row]") -> "list[list[_Row]]":
        """Rows of similar length together, each batch within ``micro_batch_tokens`` with its padding."""
        batches: list[list[_Row]] = []
        for row in sorted(rows, key=lambda row: (len(row.completion), row.group)):
            if batches and (len(batches[-1]) + 1) * len(row.completion) <= self.config.micro_batch_tokens:
                batches[-1].append(row)
            else:
                batches.append([row])
        return batches

    def _per_token(self, micro_batch: "list[_Row]", values: list[float]) -> Tensor:
        repeated = np.repeat(values, [len(row.completion) for row in micro_batch])
        return torch.tensor(repeated, dtype=torch.float32, device=self.device)

    def _log_probs(self, model: PreTrainedModel, micro_batch: "list[_Row]") -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies of all completion tokens, completion after completion.

        Each prompt but its last token is forwarded once, and its keys and values serve all of its rows; the last
        prompt token, which predicts the first completion token, goes with the completions.
        """
        prompts = list(dict.fromkeys(row.prompt for row in micro_batch))
        prompt_of_row = torch.tensor([prompts.index(row.prompt) for row in micro_batch], device=self.device)
        prefix_ids, prefix_mask = left_padded([prompt[:-1] for prompt in prompts], self.device)
        cache = DynamicCache(config=model.config)
        cached = cache_argument(model.base_model, cache)
        if prefix_ids.shape[1]:
            positions = (prefix_mask.cumsum(-1) - 1).clamp(min=0)
            model.base_model(input_ids=prefix_ids, attention_mask=prefix_mask, position_ids=positions, **cached)
            select_rows(cache, prompt_of_row)
        prefix_mask = prefix_mask[prompt_of_row]
        lengths = torch.tensor([len(row.completion) for row in micro_batch])
        is_target = (torch.arange(int(lengths.max())) < lengths[:, None]).to(self.device)
        targets = torch.zeros(is_target.shape, dtype=torch.long, device=self.device)
        targets[is_target] = torch.tensor(
            [token for row in micro_batch for token in row.completion], device=self.device
        )
        last_of_prompt = torch.tensor([row.prompt[-1] for row in micro_batch], device=self.device)
        hidden = model.base_model(
            input_ids=torch.cat([last_of_prompt[:, None], targets[:, :-1]], -1),
            attention_mask=torch.cat([prefix_mask, is_target.long()], -1),
            position_ids=prefix_mask.sum(-1, keepdim=True) + torch.arange(targets.shape[1], device=self.device),
            **cached,
        ).last_hidden_state  # (rows, longest completion, hidden size)
        head = model.get_output_embeddings()
        return token_log_probs(hidden[is_target], head, targets[is_target], self.config.temperature)

    def save_model(self, directory: Path) -> None:
        """Writes the model, or its adapter, and the tokenizer as ``transformers`` and ``peft`` read them."""
        self.model.save_pretrained(str(directory))
        self.tokenizer.save_pretrained(directory)

    def save(self, directory: Path) -> None:
        """Writes the model, the optimiser and the sampling stream."""
        self.save_model(directory / "model")
        state = {"optimizer": self.optimizer.state_dict(), "generator": self.generator.get_state()}
        torch.save(state, directory / "learner.pt")

    def load(self, directory: Path) -> None:
        """Restores what ``save`` wrote into an agent of the same configuration."""
        if isinstance(self.model, PeftModel):
            set_peft_model_state_dict(self.model, load_peft_weights(str(directory / "model"), device=str(self.device)))
        else:
            saved, _ = load_model(str(directory / "model"), self.base.dtype)
            self.base.load_state_dict(saved.state_dict())
        state = torch.load(directory / "learner.pt", map_location=self.device, weights_only=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())

    def describe(self) -> dict[str, Any]:
        """Model type, parameters, device, threads and number format."""
        return {
            "model_type": self.base.config.model_type,
            "parameters": sum(p.numel() for p in self.base.parameters()),
            "trained_parameters": sum(p.numel() for p in self.trained),
            "device": str(self.device),
            "threads": torch.get_num_threads(),
            "dtype": str(self.base.dtype).removeprefix("torch."),
        }


Positive = Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPOConfig:
    """The agent's settings; names are TRL's where it has the same thing.

    Attributes:
        model: "embedded", a folder, or a name on the Hugging Face hub.
        device: "auto" takes CUDA where there is one.
        dtype: of the weights; bfloat16 needs LoRA, since full fine-tuning would lose small updates.
        lora_rank: 0 trains all weights.
        learning_rate: of AdamW, constant.
        adam_beta2: of AdamW; the other beta is 0.9.
        weight_decay: of AdamW.
        max_grad_norm: the gradient is scaled down to this norm.
        max_completion_length: in tokens, the end token included.
        temperature: of sampling in training, and of the log-probabilities in the loss.
        beta: weight of the divergence from the model as it was at the start.
        epsilon: lower clip of the probability ratio.
        epsilon_high: upper clip.
        scale_rewards: "group" divides advantages by the group's standard deviation.
        loss_type: "dapo" averages over tokens, "grpo" over each completion first.
        num_iterations: passes over each batch of rollouts.
        mini_batches: optimiser steps per pass.
        mask_truncated_completions: leave completions that were cut off out of the loss.
        micro_batch_tokens: completion tokens, padding included, that are forwarded at a time; does not change results.
    """

    model: str = "embedded"
    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    lora_rank: Annotated[int, Ge(0)] = 0
    learning_rate: Annotated[float, Gt(0)] = 4e-5
    adam_beta2: Annotated[float, Gt(0), Le(1)] = 0.99
    weight_decay: Annotated[float, Ge(0)] = 0.0
    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    max_completion_length: Positive = 640
    temperature: Annotated[float, Gt(0)] = 1.0
    beta: Annotated[float, Ge(0)] = 0.0
    epsilon: Annotated[float, Gt(0), Le(1)] = 0.2
    epsilon_high: Annotated[float, Gt(0)] = 0.2
    scale_rewards: Literal["group", "none"] = "group"
    loss_type: Literal["dapo", "grpo"] = "dapo"
    num_iterations: Positive = 1
    mini_batches: Positive = 1
    mask_truncated_completions: bool = False
    micro_batch_tokens: Positive = 4096


@dataclass(slots=True)
class _Row:
    """One completion as the loss needs it; ``old_log_probs`` has shape (tokens,)."""

    group: int
    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    advantage: float
    counted: bool
    weight: float = 0.0
    old_log_probs: Tensor | None = None


def _rows(completions: Completions, advantages: NDArray[np.float64], mask_truncated: bool) -> list[_Row]:
    counted = ~completions.truncated if mask_truncated else np.ones_like(completions.truncated)
    size = advantages.shape[1]
    return [
        _Row(i // size, completions.prompt_ids[i // size], ids, float(advantages.flat[i]), bool(counted.flat[i]))
        for i, ids in enumerate(completions.token_ids)
    ]


def load_model(name: str, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Loads a causal language model and its tokenizer.

    Args:
        name: "embedded", a folder, or a name on the Hugging Face hub.
        dtype: of the weights.

    Raises:
        InvalidValueError: if there is no such model.
    """
    model = _load(AutoModelForCausalLM, name, dtype=dtype)
    return cast(PreTrainedModel, model), load_tokenizer(name)


def load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Loads the tokenizer of a model without its weights.

    Args:
        name: "embedded", a folder, or a name on the Hugging Face hub.

    Raises:
        InvalidValueError: if there is no such model.
    """
    return cast(PreTrainedTokenizerFast, _load(AutoTokenizer, name))


def _load(auto_class: Any, name: str, **options: Any) -> Any:
    try:
        return auto_class.from_pretrained(str(EMBEDDED_MODEL) if name == "embedded" else name, **options)
    except (OSError, ValueError) as error:
        accepted = "'embedded', a folder with config.json, model.safetensors and tokenizer.json, or a hub name"
        raise InvalidValueError("model", name, accepted) from error


def render_prompt(tokenizer: PreTrainedTokenizerFast, prompt: Prompt) -> str:
    """The text that a model is given.

    Args:
        tokenizer: of the model, with its chat template where it has one.
        prompt: plain text, which is what one user says, or chat messages.

    Returns:
        The prompt within the chat template, up to where the model's turn begins. A template that refuses the system
        role gets the system's words at the start of the user's. Without a template, the prompt as plain text.

    Raises:
        DumpgymError: if the template refuses the messages.
    """
    if tokenizer.chat_template is None:
        return plain_text(prompt)
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(m) for m in prompt]
    try:
        return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
    except TemplateError as error:
        if messages[0]["role"] != "system":
            raise DumpgymError(f"the model's chat template refuses the prompt: {error}") from error
    user = {"role": "user", "content": plain_text(messages[:2])}
    return render_prompt(tokenizer, [user, *messages[2:]])


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.split(":")[0] not in ("cpu", "cuda") or (name.startswith("cuda") and not torch.cuda.is_available()):
        raise InvalidValueError("device", name, "auto, cpu" + (", cuda" if torch.cuda.is_available() else ""))
    return name


def _end_token_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> tuple[int, ...]:
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = configured if isinstance(configured, list) else [configured]
    return tuple(sorted({i for i in (*ids, tokenizer.eos_token_id) if i is not None}))


@torch.no_grad()
def _check_head(model: PreTrainedModel) -> None:
    """Refuses models whose logits are not simply the output embedding of the last hidden states."""
    ids = torch.zeros(1, 4, dtype=torch.long, device=model.device)
    hidden = model.base_model(input_ids=ids).last_hidden_state
    if not torch.allclose(model.get_output_embeddings()(hidden), model(input_ids=ids).logits, rtol=1e-2, atol=1e-2):
        raise InvalidValueError(
            "model", model.config.model_type, "models whose logits are a linear map of the last hidden states"
        )
