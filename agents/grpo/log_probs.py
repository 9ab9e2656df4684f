"""Log-probabilities and entropies of tokens, computed chunk by chunk so that all logits never exist at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_CHUNK_LOGITS = 2**24  # logits held at a time, 64 MiB in float32


@dataclass(frozen=True, slots=True)
class Head:
    """What maps hidden states to logits: y = scale * (W h + b), or cap * tanh(y / cap) where there is a cap.

    Attributes:
        weight: W, (vocabulary, hidden size).
        bias: b, (vocabulary,), or None.
        scale: as above.
        cap: as above, or None.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    cap: float | None = None

    def __call__(self, hidden: Tensor) -> Tensor:
        """Logits in float32, (tokens, vocabulary)."""
        values = torch.nn.functional.linear(hidden, self.weight, self.bias).float()
        if self.scale != 1:
            values = values * self.scale
        return values if self.cap is None else (values / self.cap).tanh() * self.cap


def token_log_probs(
    hidden: Tensor, head: Head, targets: Tensor, temperature: float, *, entropy_gradient: bool = False
) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies of tokens, without holding all logits at once.

    The logits of a chunk of tokens are computed, used and forgotten, and computed anew in the backward pass, where what
    they leave on the head's weight is added up in place.

    Args:
        hidden: last hidden states, (tokens, hidden size).
        head: maps hidden states to logits.
        targets: token ids, (tokens,).
        temperature: divides the logits, as it did in sampling.
        entropy_gradient: whether the entropies are differentiated.

    Returns:
        Log-probabilities (tokens,), with gradient, and entropies (tokens,) in nats.
    """
    apply: Callable[..., tuple[Tensor, Tensor]] = _ChunkedLogProbs.apply
    return apply(hidden, head.weight, head.bias, targets, head.scale, head.cap, temperature, entropy_gradient)


def logits_log_probs(
    logits: Tensor, targets: Tensor, temperature: float, *, entropy_gradient: bool = False
) -> tuple[Tensor, Tensor]:
    """The same of logits that are there already, (tokens, vocabulary)."""
    log_probs = (logits.float() / temperature).log_softmax(-1)
    distribution = log_probs if entropy_gradient else log_probs.detach()
    entropies = -(distribution.exp() * distribution).sum(-1)
    return log_probs.gather(-1, targets[:, None]).squeeze(-1), entropies


class _ChunkedLogProbs(torch.autograd.Function):
    """``token_log_probs``.

    With z the logits over the temperature, p their softmax and H its entropy, for the token t::

        d log p_t / dz = onehot(t) - p
        d H / dz       = -p (log p + H)
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        scale: float,
        cap: float | None,
        temperature: float,
        entropy_gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        chunk = max(1, _CHUNK_LOGITS // len(weight))
        head = Head(weight, bias, scale, cap)
        log_probs, entropies = hidden.new_empty((2, len(targets)), dtype=torch.float32)
        kept = None
        for first in range(0, len(targets), chunk):
            part = slice(first, first + chunk)
            all_log_probs = (head(hidden[part]) / temperature).log_softmax(-1)
            log_probs[part] = all_log_probs.gather(-1, targets[part, None]).squeeze(-1)
            entropies[part] = -torch.linalg.vecdot(all_log_probs.exp(), all_log_probs)
            kept = all_log_probs if len(targets) <= chunk and cap is None else None
        ctx.save_for_backward(hidden, weight, bias, targets, entropies, kept)
        ctx.chunk, ctx.scale, ctx.cap, ctx.temperature = chunk, scale, cap, temperature
        ctx.entropy_gradient = entropy_gradient
        if not entropy_gradient:
            ctx.mark_non_differentiable(entropies)
        return log_probs, entropies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_log_probs: Tensor, by_entropies: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets, entropies, kept = ctx.saved_tensors
        head = Head(weight, bias, ctx.scale, ctx.cap)
        by_hidden, by_weight, by_bias = (
            torch.zeros_like(tensor) if wanted else None
            for tensor, wanted in zip((hidden, weight, bias), ctx.needs_input_grad[:3], strict=True)
        )
        for first in range(0, len(targets), ctx.chunk):
            part = slice(first, first + ctx.chunk)
            logits = head(hidden[part]) if kept is None else None
            all_log_probs = (logits / ctx.temperature).log_softmax(-1) if logits is not None else kept
            slope = all_log_probs.exp()  # p, and then the gradient on z
            if ctx.entropy_gradient:
                surprise = -(all_log_probs + entropies[part, None])
                slope *= by_entropies[part, None] * surprise - by_log_probs[part, None]
            else:
                slope *= -by_log_probs[part, None]
            slope.scatter_add_(-1, targets[part, None], by_log_probs[part, None])
            if ctx.cap is not None and logits is not None:
                slope *= 1 - (logits / ctx.cap) ** 2
            slope = (slope * (ctx.scale / ctx.temperature)).to(weight.dtype)
            if by_hidden is not None:
                torch.mm(slope, weight, out=by_hidden[part])
            if by_weight is not None:
                by_weight.addmm_(slope.T, hidden[part])
            if by_bias is not None:
                by_bias += slope.sum(0)
        return by_hidden, by_weight, by_bias, None, None, None, None, None
