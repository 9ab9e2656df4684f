"""The forward passes that the loss needs: log-probabilities of completions, with gradient, at the least cost.

A prompt is forwarded once, and its keys and values serve all of its completions. Completions of similar length are then
forwarded on top of these, in micro-batches that may mix prompts. The gradients that the completions leave on the keys
and values are added up and go back through the prompts in one pass at the end. Models that cannot share prompts in this
way forward each completion together with its prompt.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from dumpgym.agents.grpo.log_probs import Head, logits_log_probs, token_log_probs
from dumpgym.agents.grpo.model_inputs import UNSUITED, cache_argument, left_padded, vocabulary_size

Tokens = Sequence[int]
_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")  # configurations' names for one thing


class PromptStates:
    """Keys and values of prompts, for all tokens except each prompt's last.

    Args:
        prompts: token ids of each prompt.
        mask: 1 at tokens and 0 at the padding on the left, (prompts, columns).
        cache: keys and values from the forward pass, in each layer (prompts, key heads, columns, head size); empty if
            the model does not share prompts.
    """

    def __init__(self, prompts: Sequence[Tokens], mask: Tensor, cache: DynamicCache) -> None:
        self.prompts, self.mask, self._cache = prompts, mask, cache
        layers: list[Any] = cache.layers
        self._filled = [i for i, layer in enumerate(layers) if layer.is_initialized]
        self._outputs = [states for i in self._filled for states in (layers[i].keys, layers[i].values)]
        # Detached copies, at which the graph of each micro-batch of completions ends. A micro-batch can then run its
        # backward pass, and free its activations, without touching the graph of the prompts, which all micro-batches
        # share; the gradients add up in ``leaf.grad`` until ``backward`` sends them on.
        self._leaves = [output.detach().requires_grad_(output.requires_grad) for output in self._outputs]
        self._is_plain = all(type(layer) is DynamicLayer for layer in layers)

    def select(self, numbers: Tensor) -> tuple[Tensor, DynamicCache]:
        """Copies the keys and values of prompts into rows.

        Args:
            numbers: index of the prompt of each row, (rows,); may repeat.

        Returns:
            The mask of the rows' prompts, (rows, columns), and their cache, each tensor (rows, key heads, columns, head
            size), where columns is the length of the longest of these prompts.
        """
        # ``index_select`` and not indexing: its backward pass adds up the gradients of a prompt's copies in a fixed
        # order, while that of indexing lets threads add them in any order, and two runs would differ in the last bits.
        mask = self.mask.index_select(0, numbers)
        # Columns that are padding in all of these rows are cut off. A sliding-window layer counts the columns it has
        # seen, so its columns must all stay.
        unused = mask.shape[1] - int(mask.sum(1).max()) if self._is_plain and mask.numel() else 0
        chosen = copy.copy(self._cache)
        layers: list[Any] = [copy.copy(layer) for layer in self._cache.layers]
        for number, i in enumerate(self._filled):
            layers[i].keys, layers[i].values = (
                leaf[..., unused:, :].index_select(0, numbers) for leaf in self._leaves[2 * number : 2 * number + 2]
            )
        chosen.layers = layers
        return mask[:, unused:], chosen

    def backward(self) -> None:
        """Backpropagates the gradients that completions left on the keys and values through the prompts."""
        pairs = [(o, leaf.grad) for o, leaf in zip(self._outputs, self._leaves, strict=True) if leaf.grad is not None]
        if pairs:
            torch.autograd.backward([output for output, _ in pairs], [gradient for _, gradient in pairs])


class ModelForward:
    """The forward passes of one model.

    Args:
        model: a causal language model in evaluation mode, since dropout would make log-probabilities random.
        temperature: divides the logits, as it did in sampling.
        entropy_gradient: whether entropies have a gradient.
        share_prompts: whether completions share the forward pass of their prompt; None finds out by a trial whether the
            model can.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        temperature: float,
        *,
        entropy_gradient: bool = False,
        share_prompts: bool | None = None,
    ) -> None:
        self.model, self.temperature, self.entropy_gradient = model, temperature, entropy_gradient
        self.vocabulary = vocabulary_size(model)
        self.head = _head_of(model)
        self.shares_prompts = self._can_share_prompts() if share_prompts is None else share_prompts

    def prompts(self, prompts: Sequence[Tokens]) -> PromptStates:
        """Forwards prompts without their last tokens, once for all later calls of ``log_probs``."""
        ids, mask = left_padded([prompt[:-1] for prompt in prompts], self.model.device)
        cache = DynamicCache(config=self.model.config) if self.shares_prompts else DynamicCache()
        if self.shares_prompts and ids.shape[1]:
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            cached = cache_argument(self.model.base_model, cache)
            self.model.base_model(input_ids=ids, attention_mask=mask, position_ids=positions, **cached)
        return PromptStates(prompts, mask, cache)

    def log_probs(
        self, states: PromptStates, numbers: Sequence[int], completions: Sequence[Tokens]
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies of completion tokens.

        Args:
            states: the prompts, as ``prompts`` returned them.
            numbers: index of the prompt of each completion, (rows,).
            completions: token ids of each completion, (rows,).

        Returns:
            Two tensors (tokens,), one completion after another. The log-probabilities have a gradient, unless gradients
            are disabled.
        """
        prompts = [states.prompts[number] for number in numbers]
        if self.shares_prompts:
            # The output at a prompt's last token predicts the first token of the completion, once in every row. So that
            # token is forwarded with the completion and not with the prompt: the inputs are (rows, longest completion),
            # [last prompt token, completion without its last token], on top of (rows, columns) of cached prompt.
            inputs, predicts = self._padded([prompt[-1:] for prompt in prompts], completions)
            mask, cache = states.select(torch.tensor(numbers, device=self.model.device))
            steps = torch.arange(predicts.shape[1], device=self.model.device)
            inputs["attention_mask"] = torch.cat([mask, inputs["attention_mask"]], -1)
            inputs |= {
                "position_ids": mask.sum(-1, keepdim=True) + steps,
                **cache_argument(self.model.base_model, cache),
            }
        else:
            inputs, predicts = self._padded(prompts, completions)
            inputs["use_cache"] = False
        outputs = self.model(**inputs).logits if self.head is None else self.model.base_model(**inputs)[0]
        # Hidden states (rows, longest, hidden size), or logits where the head is unknown, become (tokens, ...).
        targets = torch.tensor([token for completion in completions for token in completion], device=outputs.device)
        chosen, options = outputs[predicts], {"entropy_gradient": self.entropy_gradient}
        if self.head is None:
            return logits_log_probs(chosen, targets, self.temperature, **options)
        return token_log_probs(chosen, self.head, targets, self.temperature, **options)

    def _padded(self, starts: Sequence[Tokens], completions: Sequence[Tokens]) -> tuple[dict[str, Any], Tensor]:
        """Inputs of a forward pass over each start and its completion without the last token, right-padded.

        Returns:
            Token ids and attention mask, and which outputs predict a token of the completion, all (rows, longest).
        """
        texts = [[*start, *completion[:-1]] for start, completion in zip(starts, completions, strict=True)]
        lengths = torch.tensor(list(map(len, texts)))
        columns = torch.arange(int(lengths.max()))
        is_token = columns < lengths[:, None]
        ids = torch.zeros(is_token.shape, dtype=torch.long)
        ids[is_token] = torch.tensor([token for text in texts for token in text])
        predicts = is_token & (columns >= torch.tensor([len(start) - 1 for start in starts])[:, None])
        device = self.model.device
        return {"input_ids": ids.to(device), "attention_mask": is_token.long().to(device)}, predicts.to(device)

    @torch.no_grad()
    def _can_share_prompts(self) -> bool:
        """Whether shared prompts give the log-probabilities that full passes give.

        This is tried out and not read from the model's class: a model that puts shared prompts at wrong positions, or
        ignores the mask over their cache, raises nothing and would train on wrong log-probabilities. The trial mixes
        lengths, which needs padding on both sides, repeats a prompt, and has a prompt of one token, which leaves
        nothing to share.
        """
        vocabulary, results = self.vocabulary, []
        prompts = [[i * 7 % vocabulary for i in range(1, 1 + length)] for length in (1, 19, 7)]
        completions = [[i * 5 % vocabulary for i in range(1, 1 + length)] for length in (3, 11, 1, 4)]
        for shares in (False, True):
            self.shares_prompts = shares
            try:
                results.append(self.log_probs(self.prompts(prompts), (1, 0, 2, 1), completions)[0])
            except UNSUITED:
                if not shares:
                    raise
                return False
        return _are_close(self.model.dtype, *results)


def _are_close(dtype: torch.dtype, one: Tensor, other: Tensor) -> bool:
    tolerance = max(1e-3, 16 * torch.finfo(dtype).eps)
    return torch.allclose(one.float(), other.float(), rtol=tolerance, atol=tolerance)


@torch.no_grad()
def _head_of(model: PreTrainedModel) -> Head | None:
    """The map from last hidden states to logits, for computing logits in chunks; None if it is unknown.

    Some models scale the output of their output embedding or cap it, and configurations have different names for that.
    Whether a candidate is the model's head is checked against the logits of a forward pass.
    """
    ids = torch.arange(1, 5, device=model.device)[None] % vocabulary_size(model)
    options = {"input_ids": ids, "use_cache": False}
    hidden, logits = model.base_model(**options)[0], model(**options).logits
    config, embedding = model.config.get_text_config(), model.get_output_embeddings()
    if not isinstance(embedding, torch.nn.Linear) or hidden.shape[-1] != embedding.in_features:
        return None
    scale = getattr(config, "logit_scale", None) or 1 / (getattr(config, "logits_scaling", None) or 1)
    caps = (getattr(config, name, None) for name in _CAPS)
    plain = Head(embedding.weight, embedding.bias)
    # The configured head comes first: where logits are small, a cap changes them so little that both would pass.
    heads = (replace(plain, scale=scale, cap=next(filter(None, caps), None)), plain)
    return next((head for head in heads if _are_close(model.dtype, head(hidden), logits)), None)
