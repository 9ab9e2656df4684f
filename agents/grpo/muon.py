"""Muon: momentum whose matrices are made orthogonal (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

# Coefficients of the iteration and its number of steps, as published: singular values end between about .7 and 1.2.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Steps of Muon on matrices.

    With gradient G, momentum M and learning rate eta, a step is::

        M <- momentum M + (1 - momentum) G
        W <- (1 - eta weight_decay) W - 0.2 sqrt(max(rows, columns)) eta orthogonal((1 - momentum) G + momentum M)

    where ``orthogonal`` brings all singular values of a matrix near 1 by five Newton-Schulz iterations. The factor
    gives updates the root mean square of AdamW's (arXiv 2502.16982), so both take the same learning rates.

    ``torch.optim.Muon`` with ``adjust_lr_fn="match_rms_adamw"`` takes the same steps, but one matrix after another and
    in bfloat16, which CPUs emulate. Here matrices of the same shape are iterated together in float32. On a CPU that is
    many times faster for small models, where it would otherwise take longer than the rest of a training step.

    Args:
        parameters: the matrices.
        lr: learning rate.
        momentum: share of the previous momentum that is kept in a step.
        weight_decay: weight decay, decoupled as in AdamW.
    """

    def __init__(
        self, parameters: Iterable[Tensor], *, lr: float = 0.0, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Takes a step along the gradients."""
        assert closure is None, "Muon reads gradients that have been computed"
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for parameters in by_shape.values():
                self._step(parameters, group)

    def _step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Takes a step on matrices of one shape."""
        gradients = torch.stack([parameter.grad for parameter in parameters if parameter.grad is not None])
        momenta = [self.state[p].setdefault("momentum_buffer", torch.zeros_like(p)) for p in parameters]
        torch._foreach_lerp_(momenta, list(gradients), 1 - group["momentum"])
        updates = orthogonal(gradients.lerp(torch.stack(momenta), group["momentum"]))
        size = 0.2 * max(parameters[0].shape) ** 0.5 * group["lr"]
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(updates), alpha=-size)


def orthogonal(matrices: Tensor) -> Tensor:
    """Brings the singular values of matrices, (count, rows, columns), near 1 and keeps their singular vectors."""
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices  # the products below are then as small as possible
    x = x / x.flatten(1).norm(dim=1).clamp_min(1e-7)[:, None, None]
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x.mT if is_tall else x


def inner_matrices(model: PreTrainedModel | PeftModel) -> frozenset[str]:
    """Names of the matrices between the embedding and the output head, which Muon is made for.

    Args:
        model: the model, or one with an adapter, whose matrices count as well.
    """
    ends = {id(layer.weight) for layer in (model.get_input_embeddings(), model.get_output_embeddings())}
    return frozenset(name for name, p in model.named_parameters() if p.dim() == 2 and id(p) not in ends)
