"""Attention masks of a new token, in the form that a model's attention expects."""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel


class AttentionMasks:
    """Attention masks for one new token per row.

    Args:
        model: a model whose attention is "sdpa" or "eager", and full or over a sliding window.

    Raises:
        ValueError: if the model has another kind of attention.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config.get_text_config()
        self._window: int | None = getattr(config, "sliding_window", None)
        only = "full_attention" if self._window is None else "sliding_attention"
        self._kinds = sorted(set(getattr(config, "layer_types", None) or [only]))
        implementation = model.config._attn_implementation
        if not set(self._kinds) <= {"full_attention", "sliding_attention"}:
            raise ValueError(f"no masks for layers of types {', '.join(self._kinds)}")
        if implementation not in ("sdpa", "eager"):
            raise ValueError(f"no masks for attention {implementation!r}")
        # "sdpa" takes booleans, but on the CPU each layer would convert them into a mask that is added to the scores.
        # That mask is made here instead, once for all layers.
        self._is_added = implementation == "eager" or model.device.type == "cpu"
        self._open = torch.zeros((), dtype=model.dtype, device=model.device)
        self._closed = torch.full_like(self._open, torch.finfo(model.dtype).min)

    def __call__(self, valid: Tensor, column: Tensor) -> Tensor | dict[str, Tensor]:
        """Returns the mask, (rows, 1, 1, columns), or a mask for each type of layer if the model has several types.

        Args:
            valid: whether each column holds a token of the row, (rows, columns).
            column: column of the new token, (1,).
        """
        masks = {kind: self._mask(kind, valid, column) for kind in self._kinds}
        return masks if len(masks) > 1 else masks[self._kinds[0]]

    def _mask(self, kind: str, valid: Tensor, column: Tensor) -> Tensor:
        if kind == "sliding_attention" and self._window is not None:
            valid = valid & (torch.arange(valid.shape[1], device=valid.device) > column - self._window)
        mask = valid[:, None, None, :]
        return torch.where(mask, self._open, self._closed) if self._is_added else mask
