"""Group relative policy optimisation (GRPO, arXiv 2402.03300): advantages, token log-probabilities and the loss.

What is left out of the paper's procedure: no value model (as there), no reference update in the outer loop, and by
default neither a penalty for distance from the reference (``beta`` 0) nor the division by a completion's own length
(``loss_type`` "dapo", arXiv 2503.14476); ``beta=0.04, loss_type="grpo"`` brings both back.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

ADVANTAGE_EPSILON = 1e-6
_CHUNK_LOGITS = 2**25  # logits held at a time, 128 MiB in float32


def group_advantages(rewards: NDArray[np.float64], scale_rewards: Literal["group", "none"]) -> NDArray[np.float64]:
    """Advantages of each completion within its group.

    Args:
        rewards: (groups, num_generations), at least 2 generations.
        scale_rewards: "group" divides by the group's standard deviation (with n - 1) plus 1e-6; "none" does not.

    Returns:
        (groups, num_generations); exactly 0 where all rewards of a group are equal.
    """
    if rewards.shape[1] < 2:
        raise ValueError(f"a group has {rewards.shape[1]} completion; GRPO compares at least 2")
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    if scale_rewards == "group":
        centred = centred / (rewards.std(axis=1, ddof=1, keepdims=True) + ADVANTAGE_EPSILON)
    equal = (rewards == rewards[:, :1]).all(axis=1, keepdims=True)
    return np.where(equal, 0.0, centred)


def token_log_probs(
    hidden: Tensor, head: torch.nn.Module, targets: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies of tokens, without holding all logits at once.

    The logits of a chunk of tokens are computed, used and forgotten, and computed anew in the backward pass.

    Args:
        hidden: last hidden states, (tokens, hidden size).
        head: maps hidden states to logits.
        targets: token ids, (tokens,).
        temperature: divides the logits, as it did in sampling.

    Returns:
        Log-probabilities (tokens,), with gradient, and entropies (tokens,) in nats, without.
    """

    def of_chunk(states: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        log_probs = (head(states).float() / temperature).log_softmax(-1)
        entropy = -(log_probs.detach().exp() * log_probs.detach()).sum(-1)
        return log_probs.gather(-1, ids[:, None]).squeeze(-1), entropy

    vocabulary = getattr(head, "out_features", 2**17)
    chunk = max(1, _CHUNK_LOGITS // vocabulary)
    if len(targets) <= chunk:
        return of_chunk(hidden, targets)
    parts = [
        checkpoint(of_chunk, states, ids, use_reentrant=False)
        for states, ids in zip(hidden.split(chunk), targets.split(chunk), strict=True)
    ]
    return torch.cat([log_probs for log_probs, _ in parts]), torch.cat([entropy for _, entropy in parts])


@dataclass(frozen=True, slots=True)
class TokenLoss:
    """The clipped surrogate with an optional penalty, summed over tokens with given weights.

    Attributes:
        epsilon: how far a ratio may fall below 1 before it is clipped.
        epsilon_high: how far it may rise above 1.
        beta: weight of the k3 estimate of the divergence from the reference, multiplied by the ratio so that its
            gradient is unbiased off policy.
    """

    epsilon: float
    epsilon_high: float
    beta: float

    def __call__(
        self,
        log_probs: Tensor,
        old_log_probs: Tensor,
        advantages: Tensor,
        weights: Tensor,
        reference_log_probs: Tensor | None,
    ) -> tuple[Tensor, dict[str, float]]:
        """Returns the loss and sums for the metrics; all arguments have shape (tokens,).

        Args:
            log_probs: under the model that is trained, with gradient.
            old_log_probs: under the model that sampled.
            advantages: of the completion to which the token belongs.
            weights: of the token in the loss; their denominators are fixed for the whole optimiser batch.
            reference_log_probs: under the reference; None when ``beta`` is 0.
        """
        ratio = (log_probs - old_log_probs).exp()
        clipped = ratio.clamp(1 - self.epsilon, 1 + self.epsilon_high)
        surrogate = torch.minimum(ratio * advantages, clipped * advantages)
        sums = {"clipped": float((clipped * advantages < ratio * advantages).sum())}
        loss = -surrogate
        if reference_log_probs is not None:
            difference = reference_log_probs - log_probs
            k3 = difference.exp() - difference - 1
            sums["kl"] = float(k3.detach().sum())
            loss = loss + self.beta * ratio * k3
        return (loss * weights).sum(), sums


def token_weights(
    lengths: NDArray[np.int64], counted: NDArray[np.bool_], loss_type: Literal["dapo", "grpo"]
) -> NDArray[np.float64]:
    """The weight of every token of each completion, (completions,), for one optimiser batch.

    Args:
        lengths: tokens of each completion, (completions,).
        counted: completions that take part; the others leave numerator and denominator.
        loss_type: "dapo" averages over all tokens, "grpo" over each completion's tokens and then over completions.
    """
    if loss_type == "dapo":
        denominators = np.full(len(lengths), max(1, int(lengths[counted].sum())))
    else:
        denominators = np.maximum(lengths, 1) * max(1, int(counted.sum()))
    return np.where(counted, 1.0 / denominators, 0.0)
