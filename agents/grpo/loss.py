"""Group relative policy optimisation (GRPO, arXiv 2402.03300) and its variants: advantages, log-probabilities, losses.

What is left out of the paper's procedure: no value model (as there), no reference update in the outer loop, and by
default neither a penalty for distance from the reference (``beta`` 0) nor the division by a completion's own length
(``loss_type`` "dapo", arXiv 2503.14476); ``beta=0.04, loss_type="grpo"`` brings both back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dumpgym.agents.grpo.config import LossType, ScaleRewards

ADVANTAGE_EPSILON = 1e-6


def group_advantages(rewards: NDArray[np.float64], scale_rewards: ScaleRewards) -> NDArray[np.float64]:
    """Advantages of each completion within its group.

    Args:
        rewards: (groups, num_generations), at least 2 generations.
        scale_rewards: what the distance from the group's mean is divided by: "group", the group's standard deviation
            (with n - 1) plus 1e-6; "batch", that of all rewards of the batch (arXiv 2508.08221); "none", nothing
            (arXiv 2503.20783).

    Returns:
        (groups, num_generations); exactly 0 where all rewards of a group are equal.

    Raises:
        ValueError: if a group has one completion.
    """
    if rewards.shape[1] < 2:
        raise ValueError(f"a group has {rewards.shape[1]} completion; GRPO compares at least 2")
    advantages: NDArray[np.float64] = rewards - rewards.mean(axis=1, keepdims=True)
    if scale_rewards == "group":
        advantages = advantages / (rewards.std(axis=1, ddof=1, keepdims=True) + ADVANTAGE_EPSILON)
    elif scale_rewards == "batch":
        advantages = advantages / (rewards.std(ddof=1) + ADVANTAGE_EPSILON)
    equal = (rewards == rewards[:, :1]).all(axis=1, keepdims=True)
    return np.where(equal, 0.0, advantages)


def token_weights(
    lengths: NDArray[np.int64], counted: NDArray[np.bool_], loss_type: LossType, max_completion_length: int
) -> NDArray[np.float64]:
    """The weight of every token of each completion, (completions,), for one optimiser batch.

    What the sum over tokens is divided by is thereby fixed for the whole batch, before any part of it is computed.

    Args:
        lengths: tokens of each completion, (completions,).
        counted: completions that take part; the others leave numerator and denominator.
        loss_type: "grpo" and "gspo" average over each completion's tokens and then over completions; "dapo", "cispo"
            and "bnpo" average over all tokens; "dr_grpo" divides by the number of completions and the length limit.
            TRL's "bnpo" averages over the tokens of each micro-batch, so that there the gradient depends on how the
            batch is cut; over the whole batch it is "dapo".
        max_completion_length: of the run, for "dr_grpo".
    """
    completions = max(1, int(counted.sum()))
    if loss_type in ("grpo", "gspo"):
        denominators = np.maximum(lengths, 1) * completions
    elif loss_type == "dr_grpo":
        denominators = np.full(len(lengths), max_completion_length * completions)
    else:
        denominators = np.full(len(lengths), max(1, int(lengths[counted].sum())))
    return np.where(counted, 1.0 / denominators, 0.0)


@dataclass(frozen=True, slots=True)
class LossTokens:
    """The tokens of some completions, one completion after another; tensors have shape (tokens,).

    Attributes:
        log_probs: under the model that is trained, with gradient.
        entropies: with gradient where there is a bonus for them.
        old_log_probs: under the model that sampled.
        reference_log_probs: under the reference; None without a penalty.
        advantages: of the completion to which the token belongs.
        weights: of the token in the loss (``token_weights``).
        entropy_weights: of the token in the mean entropy of the optimiser batch.
        lengths: tokens of each completion.
    """

    log_probs: Tensor
    entropies: Tensor
    old_log_probs: Tensor
    reference_log_probs: Tensor | None
    advantages: Tensor
    weights: Tensor
    entropy_weights: Tensor
    lengths: Sequence[int]


@dataclass(frozen=True, slots=True)
class GRPOLoss:
    """The policy's loss with its penalty and its bonus, summed over tokens with given weights.

    With r the probability ratio of a token to the model that sampled it, and A its completion's advantage::

        grpo, bnpo, dapo, dr_grpo   -min(r A, clip(r, 1 - epsilon, 1 + epsilon_high) A)
        gspo (arXiv 2507.18071)     the same, with r the geometric mean of the completion's ratios
        cispo (arXiv 2506.13585)    -stop_gradient(min(r, 1 + epsilon_high)) A log p

    TRL's ``epsilon_high`` for cispo is the bound on the ratio itself, ours plus 1.

    Attributes:
        loss_type: see above; how tokens are averaged is in their weights (``token_weights``).
        epsilon: how far a ratio may fall below 1 before it is clipped.
        epsilon_high: how far it may rise above 1.
        beta: weight of the k3 estimate of the divergence from the reference, which is multiplied by the token's ratio:
            without it its gradient is biased off policy, and on policy is that of another divergence.
        entropy_coef: weight of the entropy bonus.
    """

    loss_type: LossType = "dapo"
    epsilon: float = 0.2
    epsilon_high: float = 0.2
    beta: float = 0.0
    entropy_coef: float = 0.0

    def __call__(self, tokens: LossTokens) -> tuple[Tensor, Tensor, Tensor]:
        """Computes the loss of some completions.

        Returns:
            Three tensors (tokens,): the loss with weights and gradient, which tokens were clipped, and k3.
        """
        log_probs, advantages = tokens.log_probs, tokens.advantages
        log_ratios = log_probs - tokens.old_log_probs
        ratios = log_ratios.exp()
        k3 = torch.zeros_like(log_probs)
        if self.loss_type == "cispo":
            bound = 1 + self.epsilon_high
            losses = -ratios.clamp(max=bound).detach() * advantages * log_probs
            clipped = ratios > bound
        else:
            loss_ratios = ratios
            if self.loss_type == "gspo":
                means = torch.stack([part.mean() for part in log_ratios.split(list(tokens.lengths))])
                lengths = torch.tensor(tokens.lengths, device=means.device)
                loss_ratios = means.exp().repeat_interleave(lengths)
            bounded = loss_ratios.clamp(1 - self.epsilon, 1 + self.epsilon_high)
            losses = -torch.minimum(loss_ratios * advantages, bounded * advantages)
            clipped = bounded * advantages < loss_ratios * advantages
        if tokens.reference_log_probs is not None:
            difference = tokens.reference_log_probs - log_probs
            k3 = difference.exp() - difference - 1
            losses = losses + self.beta * ratios * k3
        losses = losses * tokens.weights
        if self.entropy_coef:
            losses = losses - self.entropy_coef * tokens.entropy_weights * tokens.entropies
        return losses, clipped, k3.detach()
