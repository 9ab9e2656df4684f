"""Tiny models with random weights of as many kinds of causal language models in transformers as are cheap to make."""

import torch
from transformers import AutoConfig, AutoModelForCausalLM

# The names that configurations use for their sizes; each configuration takes those that it knows.
SIZES = {
    "vocab_size": 264, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 8, "eos_token_id": 3, "pad_token_id": 0, "max_position_embeddings": 128,
    "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 128, "d_model": 16, "n_heads": 2, "n_layers": 2,
    "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "state_size": 4,
    "n_routed_experts": 4, "n_group": 1, "topk_group": 1, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 4, "v_head_dim": 8, "first_k_dense_replace": 1,
}  # fmt: skip
MAMBA2 = {"mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 4, "mamba_n_groups": 1, "mamba_expand": 2}
LATENT = {"head_dim": None, "num_key_value_heads": 2}
OTHERS = {
    "axk1": LATENT,
    "axk2": LATENT,
    "bailing_hybrid": {"num_hidden_layers": 4, "layer_group_size": 2, **LATENT},
    "bamba": {**MAMBA2, "attn_layer_indices": [1]},
    "codegen": {"rotary_dim": 4},
    "dbrx": {"attn_config": {"rope_theta": 1e4, "kv_n_heads": 1, "attn_pdrop": 0.0, "clip_qkv": 8.0}},
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT,
    "deepseek_v32": LATENT,
    "diffllama": {"num_key_value_heads": 2},
    "falcon": {"head_dim": None},
    "falcon_h1": {**MAMBA2, "mamba_d_ssm": 32},
    "gemma4_text": {"vocab_size_per_layer_input": 264, "hidden_size_per_layer_input": 4, "global_head_dim": 16,
                    "layer_types": ["sliding_attention", "full_attention"], "num_kv_shared_layers": 0},
    "glm4_moe_lite": LATENT,
    "gpt_neo": {"num_layers": 2, "attention_types": [[["global", "local"], 1]], "window_size": 8, "num_heads": 2},
    "gptj": {"rotary_dim": 4},
    "granitemoehybrid": {**MAMBA2, "layer_types": ["mamba", "attention"]},
    "jamba": {"attn_layer_offset": 1, "attn_layer_period": 2, "mamba_d_state": 4, "mamba_dt_rank": 4},
    "glm_moe_dsa": LATENT,
    "kimi_linear": {**LATENT, "layer_types": ["linear_attention", "full_attention"]},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm3": {"layer_types": ["conv", "full_attention"]},
    "longcat_flash": LATENT,
    "mamba2": {"num_heads": 4, "head_dim": 8, "n_groups": 1},
    "minicpm3": LATENT,
    "minimax": {"layer_types": ["linear_attention", "full_attention"]},
    "nemotron_h": {"layer_types": ["mamba", "attention"], "mamba_num_heads": 4, "mamba_head_dim": 8, "n_groups": 1},
    "qwen3_5_text": {"layer_types": ["linear_attention", "full_attention"]},
    "qwen3_next": {"layer_types": ["linear_attention", "full_attention"]},
    "recurrent_gemma": {"num_hidden_layers": 3, "lru_width": 16, "attention_window_size": 8},
    "rwkv": {"attention_hidden_size": 16, "context_length": 64},
    "youtu": LATENT,
    "sarvam_mla": LATENT,
}  # fmt: skip


def make_config(kind):
    """The configuration of a tiny model of this kind."""
    config_class = type(AutoConfig.for_model(kind))
    known = config_class.__dataclass_fields__.keys() | config_class.attribute_map.keys()
    sizes = {key: value for key, value in SIZES.items() if key in known} | OTHERS.get(kind, {})
    return config_class(**{key: value for key, value in sizes.items() if value is not None})


def make_kind(kind):
    """A model in evaluation mode, with its weights scaled up, so that its output clearly depends on what it reads."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(make_config(kind)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model
