"""Models with random weights, two layers and a vocabulary of 40 tokens, for each architecture under test."""

import torch
import transformers
from transformers import AutoModelForCausalLM

from dumpgym.agents.embedded.model import build_model, build_tokenizer

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "bos_token_id": None,
    "eos_token_id": 3,
    "pad_token_id": 0,
}
MIXED = {
    "head_dim": 8,
    "query_pre_attn_scalar": 8,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"],
}
CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**SIZES),
    "llama, eager": lambda: transformers.LlamaConfig(**SIZES, attn_implementation="eager"),
    "qwen2": lambda: transformers.Qwen2Config(**SIZES),
    "qwen3": lambda: transformers.Qwen3Config(**SIZES, head_dim=8),
    "gemma2": lambda: transformers.Gemma2Config(
        **SIZES, **MIXED, attn_implementation="eager", final_logit_softcapping=2.0, attn_logit_softcapping=5.0
    ),
    "gemma3": lambda: transformers.Gemma3TextConfig(**SIZES, **MIXED),
    "mistral": lambda: transformers.MistralConfig(**SIZES, sliding_window=8),
    "granite": lambda: transformers.GraniteConfig(**SIZES, logits_scaling=3.0),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=128, bos_token_id=3, eos_token_id=3
    ),
    "mamba": lambda: transformers.MambaConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, state_size=4, bos_token_id=None, eos_token_id=3
    ),
    "lfm2": lambda: transformers.Lfm2Config(**SIZES, layer_types=["conv", "full_attention"]),
}
UNUSUAL = {
    "smollm3": lambda: transformers.SmolLM3Config(**SIZES, no_rope_layers=[1, 0]),
    "phi3, longrope": lambda: transformers.Phi3Config(
        **SIZES,
        max_position_embeddings=128,
        original_max_position_embeddings=40,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4,
        },
    ),
}
"""Architectures that are not among those that every test of sampling and of forward passes runs."""
RECURRENT = ("mamba", "lfm2")
"""Architectures whose cache contains more than keys and values."""


def make(kind):
    """Returns a model in evaluation mode. Its weights are scaled up so that the most probable token clearly leads."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config((CONFIGS | UNUSUAL)[kind]()).eval()
    for parameter in model.parameters():
        parameter.data.mul_(3)
    return model


def save_tiny_llama(folder, phrases=(" knight", " knave"), num_layers=1):
    """Saves an embedded model with random weights and its tokenizer, and returns the folder."""
    tokenizer = build_tokenizer(phrases)
    build_model(tokenizer, hidden_size=16, num_layers=num_layers, num_heads=2, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
