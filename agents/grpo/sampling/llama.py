"""Decoding of models that are built like Llama, without the calls of their modules.

A step of a tiny model on a CPU is bound by what surrounds its operations: each module is called through several layers
of Python, and a normalisation is six operations. Here the operations of all layers are called directly. With the model
``embedded-strings``, 64 rows and one thread, a batch is sampled in 70 % of the time.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from dumpgym.agents.grpo.sampling.shared import SharedPromptDecoder, attend
from dumpgym.agents.grpo.sampling.sheet import Ends
from dumpgym.agents.grpo.sampling.static import Layout

_OF_MODEL = {"embed_tokens", "layers", "norm", "rotary_emb"}
_OF_LAYER = {"input_layernorm", "self_attn", "post_attention_layernorm", "mlp"}
_OF_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_OF_MLP = {"gate_proj", "up_proj", "down_proj", "act_fn"}


class LlamaDecoder(SharedPromptDecoder):
    """A ``SharedPromptDecoder`` for models with the modules of Llama and nothing else.

    Models with the same modules may still differ from Llama, for example by a factor on the residual stream, so a trial
    must show that a model's log-probabilities are those of this decoder; see ``Sampler``.

    Args:
        model: see ``SharedPromptDecoder``.
        ends: what ends a completion.
        layout: shapes of the batches.

    Raises:
        ValueError: if the model has other modules, adapters or another number format than float32, or runs on another
            device than a CPU.
    """

    def __init__(self, model: PreTrainedModel, ends: Ends, layout: Layout) -> None:
        super().__init__(model, ends, layout)
        if model.device.type != "cpu" or model.dtype != torch.float32:
            raise ValueError(f"{model.dtype} on {model.device.type} is not float32 on a CPU")
        base: Any = model.base_model
        self._base, self._head = base, model.get_output_embeddings()
        layers = list(base.layers)
        parts: list[tuple[Any, set[str]]] = [(base, _OF_MODEL)]
        for layer in layers:
            parts += [(layer, _OF_LAYER), (layer.self_attn, _OF_ATTENTION), (layer.mlp, _OF_MLP)]
        children = [(dict(part.named_children()), names) for part, names in parts]
        if any(found.keys() != names for found, names in children):
            raise ValueError(f"modules of models of type {model.config.model_type} are not those of Llama")
        linear = [self._head, *(found[name] for found, names in children for name in names if name.endswith("_proj"))]
        if any(type(module) is not nn.Linear for module in linear):
            raise ValueError("some modules are no plain linear maps")
        self._blocks = [_Block(layer) for layer in layers]
        self._final_norm = _norm_of(base.norm)
        self._rotates = any(block.rotates for block in self._blocks)

    # The step leaves nothing behind but numbers in buffers of ordinary tensors, so it can do without the records that
    # ``no_grad`` keeps of versions and views.
    @torch.inference_mode()
    def _decode(self, rows: int, columns: int) -> None:
        super()._decode(rows, columns)

    def _forward(self, rows: int, mask: Any) -> Tensor:
        hidden = functional.embedding(self._token[:rows, 0], self._base.embed_tokens.weight)  # (rows, hidden size)
        rotation = self._base.rotary_emb(hidden, self._position[:rows]) if self._rotates else None
        for layer, block in zip(self._layers, self._blocks, strict=True):
            normed = functional.rms_norm(hidden, *block.attention_norm)
            # (rows, heads, 1, head size), with fewer heads of keys and values under grouped-query attention
            query, key, value = (
                functional.linear(normed, *weights).view(rows, -1, 1, block.head_size) for weights in block.inputs
            )
            if block.rotates and rotation is not None:
                query, key = (_rotated(states, *rotation) for states in (query, key))
            keys, values = layer.update(key, value)
            found, _ = attend(block.attention, query, keys, values, mask, block.scaling, self._prompts)
            hidden = hidden + functional.linear(found.reshape(rows, -1), *block.output)
            normed = functional.rms_norm(hidden, *block.mlp_norm)
            gate, up = (functional.linear(normed, *weights) for weights in block.up)
            hidden = hidden + functional.linear(block.activation(gate) * up, *block.down)
        return functional.linear(functional.rms_norm(hidden, *self._final_norm), self._head.weight, self._head.bias)


class _Block:
    """The weights of one layer. They are the model's own tensors, so they change with the model."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.attention, self.activation = attention, mlp.act_fn
        self.scaling, self.head_size = float(attention.scaling), int(attention.head_dim)
        self.rotates = bool(getattr(attention, "use_rope", True))
        self.attention_norm, self.mlp_norm = _norm_of(layer.input_layernorm), _norm_of(layer.post_attention_layernorm)
        self.inputs = [(m.weight, m.bias) for m in (attention.q_proj, attention.k_proj, attention.v_proj)]
        self.up = [(m.weight, m.bias) for m in (mlp.gate_proj, mlp.up_proj)]
        self.output, self.down = ((m.weight, m.bias) for m in (attention.o_proj, mlp.down_proj))


def _norm_of(module: Any) -> tuple[tuple[int, ...], Tensor, float]:
    """The arguments of ``rms_norm`` after the states."""
    return tuple(module.weight.shape), module.weight, float(module.variance_epsilon)


def _rotated(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions of one token per row.

    Args:
        states: queries or keys, (rows, heads, 1, size).
        cos: cosine of each position, (rows, 1, size).
        sin: sine of each position, (rows, 1, size).
    """
    first, second = states.chunk(2, -1)
    return states * cos[:, None] + torch.cat((-second, first), -1) * sin[:, None]
