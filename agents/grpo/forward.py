"""Log-probabilities of completions, with gradient, at the least cost: the forward passes behind the loss.

Prompts are forwarded once, and their keys and values serve all completions: a batch of completions of similar length
is forwarded on top of them, whichever prompts they belong to. The gradients that the completions leave on the keys and
values go back through the prompts in one pass at the end. Where a model cannot share its prompts in this way, each
completion is forwarded together with its prompt.
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
from dumpgym.agents.grpo.model_inputs import UNSUITED, cache_argument, left_padded

Tokens = Sequence[int]


class PromptStates:
    """Keys and values of prompts, but for each prompt's last token.

    Args:
        prompts: token ids.
        mask: of the true tokens, left-padded, (prompts, longest).
        cache: what the forward pass of the prompts left.
    """

    def __init__(self, prompts: Sequence[Tokens], mask: Tensor, cache: DynamicCache) -> None:
        self.prompts, self.mask, self._cache = prompts, mask, cache
        layers: list[Any] = cache.layers
        self._filled = [i for i, layer in enumerate(layers) if layer.is_initialized]
        self._outputs = [states for i in self._filled for states in (layers[i].keys, layers[i].values)]
        # Each batch of completions has a graph of its own, which ends here.
        self._leaves = [output.detach().requires_grad_(output.requires_grad) for output in self._outputs]
        self._is_plain = all(type(layer) is DynamicLayer for layer in layers)

    def select(self, numbers: Tensor) -> tuple[Tensor, DynamicCache]:
        """Mask and cache of some prompts, (rows,), each as often as it is named.

        By ``index_select``: the gradients of a prompt's copies are then added up in a fixed order, whereas threads add
        up those of indexing as they come.
        """
        mask = self.mask.index_select(0, numbers)
        # Columns that are padding in all of these rows; a layer with a window keeps an account of its columns.
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
        """Sends the gradients that completions left on the keys and values through the prompts."""
        pairs = [(o, leaf.grad) for o, leaf in zip(self._outputs, self._leaves, strict=True) if leaf.grad is not None]
        if pairs:
            torch.autograd.backward([output for output, _ in pairs], [gradient for _, gradient in pairs])


class ModelForward:
    """The forward passes of one model.

    Args:
        model: a causal language model in evaluation mode, so that nothing is dropped out.
        temperature: divides the logits, as it did in sampling.
        entropy_gradient: whether the entropies are differentiated.
        share_prompts: None shares them where the model can, which is tried out; False never does.
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
        self.vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self.head = _head_of(model)
        self.shares_prompts = self._can_share_prompts() if share_prompts is None else share_prompts

    def prompts(self, prompts: Sequence[Tokens]) -> PromptStates:
        """Forwards prompts but for their last tokens, once for all completions that ``log_probs`` will be asked for."""
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
            states: of the prompts.
            numbers: which of the prompts each completion belongs to, (rows,).
            completions: token ids, (rows,).

        Returns:
            Two tensors (tokens,), completion after completion. Log-probabilities have a gradient, unless it is off.
        """
        prompts = [states.prompts[number] for number in numbers]
        if self.shares_prompts:
            # The last token of a prompt, which predicts the first of the completion, goes with the completion.
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
        targets = torch.tensor([token for completion in completions for token in completion], device=outputs.device)
        chosen, options = outputs[predicts], {"entropy_gradient": self.entropy_gradient}
        if self.head is None:
            return logits_log_probs(chosen, targets, self.temperature, **options)
        return token_log_probs(chosen, self.head, targets, self.temperature, **options)

    def _padded(self, starts: Sequence[Tokens], completions: Sequence[Tokens]) -> tuple[dict[str, Any], Tensor]:
        """Each start and its completion but for the last token, right-padded, and which outputs predict a token."""
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
        """Whether sharing gives what full passes give, for prompts and completions of unlike lengths."""
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
    """What maps the last hidden states to logits, so that these need not all be held; None where it is not known.

    Some models scale or cap what their output embedding gives, each under a name of its own.
    """
    ids = torch.arange(1, 5, device=model.device)[None] % model.get_output_embeddings().weight.shape[0]
    hidden, logits = model.base_model(input_ids=ids)[0], model(input_ids=ids).logits
    config, embedding = model.config.get_text_config(), model.get_output_embeddings()
    if not isinstance(embedding, torch.nn.Linear):
        return None
    scale = getattr(config, "logit_scale", None) or 1 / (getattr(config, "logits_scaling", None) or 1)
    cap = getattr(config, "final_logit_softcapping", None)
    plain = Head(embedding.weight, embedding.bias)
    heads = (plain, replace(plain, scale=scale, cap=cap))
    return next((head for head in heads if _are_close(model.dtype, head(hidden), logits)), None)
