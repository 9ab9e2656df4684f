"""The settings of the GRPO agent."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

LossType = Literal["grpo", "bnpo", "dapo", "dr_grpo", "gspo", "cispo"]
OptimizerName = Literal["adamw", "muon"]
ScaleRewards = Literal["group", "batch", "none"]
Positive = Annotated[int, Ge(1)]
ChatOption = bool | int | float | str
CHAT_TEMPLATE_DATE = "2024-07-26"


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPOConfig:
    """The agent's settings. An option that TRL also has carries TRL's name.

    Attributes:
        model: an embedded model such as "embedded", a folder, a file whose name ends in .gguf, or a name on the
            Hugging Face hub. If the folder holds an adapter, training continues with that adapter.
        device: "auto", "cpu" or "cuda"; "auto" uses CUDA where it is available.
        dtype: number format of the weights. Weights in bfloat16 that are trained in full have float32 master copies.
        lora_rank: rank of a new LoRA adapter; 0 trains all weights, or the adapter that ``model`` names.
        chat_template_date: the date that the model's chat template writes into prompts if it writes today's. It is the
            same in every run and on every day, so that a resumed run and the runs of a comparison read the same
            prompts. The default is the date in Meta's prompts of Llama 3.
        chat_template_kwargs: variables for the model's chat template, e.g. ``enable_thinking False``.
        optimizer: "adamw", or "muon" for the matrices between the embedding and the output head; AdamW then updates
            only the other weights, at the same learning rate.
        learning_rate: learning rate of the optimiser; a number, or a schedule over the calls of ``learn`` such as
            "cosine:4e-5:0:150".
        adam_beta2: second beta of AdamW; the first is 0.9.
        weight_decay: decoupled weight decay.
        max_grad_norm: largest norm of the gradient; a longer gradient is scaled down to it.
        max_completion_length: most tokens in a completion, its end token included.
        stop_strings: texts that end a completion, in addition to the model's end tokens.
        temperature: temperature of sampling in training, and of the log-probabilities in the loss.
        beta: weight of the divergence from the reference, the model as it was at the start of training.
        epsilon: how far the probability ratio may fall below 1 before it is clipped.
        epsilon_high: how far the probability ratio may rise above 1 before it is clipped.
        entropy_coef: weight of the entropy bonus.
        scale_rewards: what advantages are divided by: the standard deviation of the "group", of the "batch", or "none".
            The bandit's signal has its own estimator and does not depend on this option.
        loss_type: how tokens and completions are weighted and clipped; see ``GRPOLoss`` and ``token_weights``.
        num_iterations: passes over a batch.
        mini_batches: optimiser steps per pass.
        mask_truncated_completions: leave completions that were cut off out of the loss.
        micro_batch_tokens: most tokens, padding included, in one forward pass; results depend on it only by rounding.
        gradient_checkpointing: recompute activations in the backward pass, which saves memory; completions then do not
            share the forward pass of their prompt.
    """

    model: str = "embedded"
    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    lora_rank: Annotated[int, Ge(0)] = 0
    chat_template_date: str = CHAT_TEMPLATE_DATE
    chat_template_kwargs: dict[str, ChatOption] = field(default_factory=dict)
    optimizer: OptimizerName = "adamw"
    learning_rate: float | str = 4e-5
    adam_beta2: Annotated[float, Gt(0), Le(1)] = 0.99
    weight_decay: Annotated[float, Ge(0)] = 0.0
    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    max_completion_length: Positive = 640
    stop_strings: tuple[Annotated[str, MinLen(1)], ...] = ()
    temperature: Annotated[float, Gt(0)] = 1.0
    beta: Annotated[float, Ge(0)] = 0.0
    epsilon: Annotated[float, Gt(0), Le(1)] = 0.2
    epsilon_high: Annotated[float, Gt(0)] = 0.2
    entropy_coef: Annotated[float, Ge(0)] = 0.0
    scale_rewards: ScaleRewards = "group"
    loss_type: LossType = "dapo"
    num_iterations: Positive = 1
    mini_batches: Positive = 1
    mask_truncated_completions: bool = False
    micro_batch_tokens: Positive = 4096
    gradient_checkpointing: bool = False
