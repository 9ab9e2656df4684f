"""What a new token may look at, in the form that a model's attention wants."""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel


class AttentionMasks:
    """Masks for one new token a row, as a model's attention wants them.

    Args:
        model: whose attention is "sdpa" or "eager", over everything or over a sliding window.

    Raises:
        ValueError: if it has another attention.
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
        # Booleans are what "sdpa" is usually given, but on the CPU each layer would make of them what is added.
        self._is_added = implementation == "eager" or model.device.type == "cpu"
        self._open = torch.zeros((), dtype=model.dtype, device=model.device)
        self._closed = torch.full_like(self._open, torch.finfo(model.dtype).min)

    def __call__(self, valid: Tensor, column: Tensor) -> Tensor | dict[str, Tensor]:
        """The masks, (rows, 1, 1, columns); by type of layer if there are several types.

        Args:
            valid: whether a column holds a token of the row, (rows, columns).
            column: of the new token, (1,).
        """
        masks = {kind: self._mask(kind, valid, column) for kind in self._kinds}
        return masks if len(masks) > 1 else masks[self._kinds[0]]

    def _mask(self, kind: str, valid: Tensor, column: Tensor) -> Tensor:
        if kind == "sliding_attention" and self._window is not None:
            valid = valid & (torch.arange(valid.shape[1], device=valid.device) > column - self._window)
        mask = valid[:, None, None, :]
        return torch.where(mask, self._open, self._closed) if self._is_added else mask
