"""Group relative policy optimisation (GRPO, arXiv 2402.03300) and its variants: advantages, token weights and losses.

What differs from the paper, and why:

- The reference is not replaced by the trained model in an outer loop; it is the model as it was at the start.
- By default there is no penalty for distance from the reference. A rule-based verifier leaves a model less to exploit
  than a learned reward model does, and without the penalty no reference is needed. ``beta=0.04`` restores it.
- By default a completion's loss is not divided by the completion's own length (``loss_type="dapo"``, arXiv 2503.14476).
  The division makes a token of a long wrong completion count less than one of a short wrong completion (arXiv
  2503.20783). ``loss_type="grpo"`` restores it.
- The estimate k3 in the penalty is multiplied by the probability ratio (see ``GRPOLoss``).

As in the paper, there is no value model, and advantages are divided by the group's standard deviation. By default a
batch takes one optimiser step. The ratio to the model that sampled is then exactly 1, so the clipping has no effect;
``num_iterations`` and ``mini_batches`` raise the number of steps.
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
    """The advantage of each completion within its group.

    Args:
        rewards: rewards of the completions, (groups, num_generations), with at least 2 generations.
        scale_rewards: what the distance from the group's mean is divided by: "group", the group's standard deviation
            (with n - 1) plus 1e-6; "batch", the standard deviation of all rewards of the batch plus 1e-6 (arXiv
            2508.08221); "none", nothing (arXiv 2503.20783).

    Returns:
        Advantages, (groups, num_generations); exactly 0 where all rewards of a group are equal.

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
    # Equal rewards are found by comparing them and not by std == 0: in floating point, the mean of three rewards of 0.1
    # is not 0.1, so their standard deviation is 2e-17 and their advantages are tiny but not 0. ``update.py`` would
    # forward such a group to learn from rounding errors. The comparison is exact, and so are the zeros.
    equal = (rewards == rewards[:, :1]).all(axis=1, keepdims=True)
    return np.where(equal, 0.0, advantages)


def token_weights(
    lengths: NDArray[np.int64], counted: NDArray[np.bool_], loss_type: LossType, max_completion_length: int
) -> NDArray[np.float64]:
    """Weights of the tokens in the loss of one optimiser batch.

    The loss is the sum of weighted token losses. The weights hold its denominators, which are thus fixed for the whole
    optimiser batch before any part of it is computed.

    Args:
        lengths: number of tokens of each completion, (completions,).
        counted: whether each completion takes part, (completions,); the others count in no numerator or denominator.
        loss_type: "grpo" and "gspo" average over each completion's tokens and then over completions; "dapo", "cispo"
            and "bnpo" average over all tokens; "dr_grpo" divides by the number of completions times the length limit.
            TRL's "bnpo" averages over the tokens of each micro-batch, so its gradient depends on how the batch is cut;
            over the whole batch it equals "dapo".
        max_completion_length: the run's length limit, for "dr_grpo".

    Returns:
        The weight of every token of each completion, (completions,).
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
        log_probs: log-probability under the model that is trained, with gradient.
        entropies: entropy of the model at the token, with gradient if there is an entropy bonus.
        old_log_probs: log-probability under the model that sampled.
        reference_log_probs: log-probability under the reference; None without a penalty.
        advantages: advantage of the completion that the token belongs to.
        weights: weight of the token in the loss (``token_weights``).
        entropy_weights: weight of the token in the mean entropy of the optimiser batch.
        lengths: number of tokens of each completion, (completions,).
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
    """The GRPO loss of each token, with the penalty and the entropy bonus, multiplied by the token's weight.

    Let p be a token's probability under the model that is trained, r its ratio to the probability under the model that
    sampled, and A the advantage of its completion::

        grpo, bnpo, dapo, dr_grpo   -min(r A, clip(r, 1 - epsilon, 1 + epsilon_high) A)
        gspo (arXiv 2507.18071)     the same, with r the geometric mean of the completion's ratios
        cispo (arXiv 2506.13585)    -stop_gradient(min(r, 1 + epsilon_high)) A log p

    TRL's ``epsilon_high`` for cispo is the bound on the ratio itself, which is ours plus 1.

    Attributes:
        loss_type: one of the losses above; the weights of the tokens hold how they are averaged (``token_weights``).
        epsilon: how far a ratio may fall below 1 before it is clipped.
        epsilon_high: how far a ratio may rise above 1 before it is clipped.
        beta: weight of the divergence from the reference, KL(model || reference), estimated by k3 times the ratio.
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
            Three tensors (tokens,): the weighted loss, with gradient; whether each token was clipped; and k3.
        """
        log_probs, advantages = tokens.log_probs, tokens.advantages
        # Everything has shape (tokens,). In the first step after sampling the ratios are 1, but they carry the
        # gradient: d r / d log p = r.
        log_ratios = log_probs - tokens.old_log_probs
        ratios = log_ratios.exp()
        k3 = torch.zeros_like(log_probs)
        if self.loss_type == "cispo":
            # The bounded ratio is a weight without gradient, so a clipped token still has a gradient through log p. The
            # other losses drop it.
            bound = 1 + self.epsilon_high
            losses = -ratios.clamp(max=bound).detach() * advantages * log_probs
            clipped = ratios > bound
        else:
            loss_ratios = ratios
            if self.loss_type == "gspo":
                # (completions,), then back to (tokens,): all tokens of a completion share one ratio and one clipping.
                means = torch.stack([part.mean() for part in log_ratios.split(list(tokens.lengths))])
                lengths = torch.tensor(tokens.lengths, device=means.device)
                loss_ratios = means.exp().repeat_interleave(lengths)
            # The minimum removes the gradient of a token whose ratio has already moved beyond the bound in the
            # direction of its advantage, and keeps the gradient of a token that has moved the wrong way.
            bounded = loss_ratios.clamp(1 - self.epsilon, 1 + self.epsilon_high)
            losses = -torch.minimum(loss_ratios * advantages, bounded * advantages)
            clipped = bounded * advantages < loss_ratios * advantages
        if tokens.reference_log_probs is not None:
            # With q the reference's probability, k3 = q / p - log(q / p) - 1 estimates KL(p || q) from samples of p.
            # But its gradient with the samples held fixed, (1 - q / p) d log p, averages to the gradient of another
            # divergence, KL(q || p), and it is biased if an older model sampled. Times the ratio r, the gradient is
            # r (k3 + 1 - q / p) d log p = r log(p / q) d log p, which averages to that of KL(p || q) in both cases.
            difference = tokens.reference_log_probs - log_probs
            k3 = difference.exp() - difference - 1
            losses = losses + self.beta * ratios * k3
        losses = losses * tokens.weights
        if self.entropy_coef:
            losses = losses - self.entropy_coef * tokens.entropy_weights * tokens.entropies
        return losses, clipped, k3.detach()
