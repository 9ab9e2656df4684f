"""Log-probabilities and entropies of tokens, computed in chunks, so that the logits of a batch are never all in memory.

Logits are by far the largest tensor of a forward pass: 4096 tokens with a vocabulary of 151,936 take 2.5 GB in float32,
and a loss written in plain PyTorch also holds their log-softmax and its gradient. With chunks, the memory for logits
does not grow with the number of tokens; the price is a second multiplication by the head in the backward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_CHUNK_LOGITS = 2**24  # logits in memory at a time, 64 MiB in float32


@dataclass(frozen=True, slots=True)
class Head:
    """The map from hidden states to logits: y = scale * (W h + b), or cap * tanh(y / cap) if there is a cap.

    Attributes:
        weight: W, (vocabulary, hidden size).
        bias: b, (vocabulary,), or None.
        scale: factor of the logits.
        cap: bound on the absolute value of the logits, or None.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    cap: float | None = None

    def __call__(self, hidden: Tensor) -> Tensor:
        """Logits in float32, (tokens, vocabulary), of hidden states (tokens, hidden size)."""
        values = torch.nn.functional.linear(hidden, self.weight, self.bias).float()
        if self.scale != 1:
            values = values * self.scale
        return values if self.cap is None else (values / self.cap).tanh() * self.cap


def token_log_probs(
    hidden: Tensor, head: Head, targets: Tensor, temperature: float, *, entropy_gradient: bool = False
) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies of tokens, without all logits in memory at once.

    The logits of a chunk of tokens are computed, used and dropped, and computed again in the backward pass.

    Args:
        hidden: last hidden states, (tokens, hidden size).
        head: maps hidden states to logits.
        targets: token ids, (tokens,).
        temperature: divides the logits, as it did in sampling.
        entropy_gradient: whether the entropies have a gradient.

    Returns:
        Log-probabilities (tokens,), with gradient, and entropies (tokens,) in nats.
    """
    apply: Callable[..., tuple[Tensor, Tensor]] = _ChunkedLogProbs.apply
    return apply(hidden, head.weight, head.bias, targets, head.scale, head.cap, temperature, entropy_gradient)


def logits_log_probs(
    logits: Tensor, targets: Tensor, temperature: float, *, entropy_gradient: bool = False
) -> tuple[Tensor, Tensor]:
    """The same as ``token_log_probs``, from logits that are already computed, (tokens, vocabulary)."""
    log_probs = (logits.float() / temperature).log_softmax(-1)
    distribution = log_probs if entropy_gradient else log_probs.detach()
    entropies = -(distribution.exp() * distribution).sum(-1)
    return log_probs.gather(-1, targets[:, None]).squeeze(-1), entropies


class _ChunkedLogProbs(torch.autograd.Function):
    """``token_log_probs`` with its own backward pass.

    Let z be the logits divided by the temperature, p their softmax and H its entropy. For the token t::

        d log p_t / dz = onehot(t) - p
        d H / dz       = -p (log p + H)

    The backward pass is written out because autograd would keep tensors of the size of the logits from every chunk.
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
        # hidden (tokens, hidden size), weight (vocabulary, hidden size), targets (tokens,).
        chunk = max(1, _CHUNK_LOGITS // len(weight))  # tokens
        head = Head(weight, bias, scale, cap)
        log_probs, entropies = hidden.new_empty((2, len(targets)), dtype=torch.float32)
        kept = None
        for first in range(0, len(targets), chunk):
            part = slice(first, first + chunk)
            all_log_probs = (head(hidden[part]) / temperature).log_softmax(-1)
            log_probs[part] = all_log_probs.gather(-1, targets[part, None]).squeeze(-1)
            entropies[part] = -torch.linalg.vecdot(all_log_probs.exp(), all_log_probs)
            # If all tokens fit into one chunk, it is kept for the backward pass: it is within the limit anyway. With a
            # cap, the derivative of the tanh needs the logits themselves, so they are computed again.
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
            # (chunk, vocabulary): p at first, then, in place, the gradient on z, and finally the gradient on W h + b.
            slope = all_log_probs.exp()
            if ctx.entropy_gradient:
                surprise = -(all_log_probs + entropies[part, None])
                slope *= by_entropies[part, None] * surprise - by_log_probs[part, None]
            else:
                slope *= -by_log_probs[part, None]
            slope.scatter_add_(-1, targets[part, None], by_log_probs[part, None])
            # The derivative of cap * tanh(y / cap) in y is 1 - (logits / cap) ** 2.
            if ctx.cap is not None and logits is not None:
                slope *= 1 - (logits / ctx.cap) ** 2
            slope = (slope * (ctx.scale / ctx.temperature)).to(weight.dtype)
            if by_hidden is not None:
                torch.mm(slope, weight, out=by_hidden[part])
            # Added in place, since the gradient of each chunk is as large as the weight, (vocabulary, hidden size).
            if by_weight is not None:
                by_weight.addmm_(slope.T, hidden[part])
            if by_bias is not None:
                by_bias += slope.sum(0)
        return by_hidden, by_weight, by_bias, None, None, None, None, None
