"""The shapes of the embedded models, small causal language models in the Hugging Face format, and their tokenizers.

A tokenizer has the phrases of the puzzles as single tokens, so a completion takes few decoding steps. All other text
is spelt in bytes, so every text survives encoding and decoding unchanged.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

Model = TypeVar("Model", bound=PreTrainedModel)

END_OF_TEXT = "<|endoftext|>"
MAX_POSITIONS = 2048
ROPE_THETA = 500.0  # the longest rotary wavelength is then about MAX_POSITIONS, the longest text


def build_tokenizer(phrases: Iterable[str]) -> PreTrainedTokenizerFast:
    """Builds a byte tokenizer with phrases as additional tokens; where several phrases match, the longest is used."""
    vocabulary = {symbol: i for i, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, normalized=False)])
    multibyte = [p for p in dict.fromkeys(phrases) if len(p) > 1]
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in multibyte])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=MAX_POSITIONS,
    )


def build_model(
    tokenizer: PreTrainedTokenizerFast, hidden_size: int, num_layers: int, num_heads: int, seed: int
) -> LlamaForCausalLM:
    """Builds a Llama model with random weights that depend only on the seed."""
    config = LlamaConfig(
        **_shape(tokenizer, hidden_size, num_layers, num_heads),
        intermediate_size=3 * hidden_size,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
    )
    return _built(LlamaForCausalLM, config, seed)


def build_model_without_positions(
    tokenizer: PreTrainedTokenizerFast, hidden_size: int, num_layers: int, num_heads: int, seed: int
) -> SmolLM3ForCausalLM:
    """Builds a SmolLM3 model without any position encoding, with random weights that depend only on the seed.

    Its layers see the order of tokens only through the causal mask (NoPE, arXiv 2305.19466). Rotary or learned
    positions that training has not reached make longer texts fail altogether; without positions, a skill learned on
    short texts works in part on slightly longer ones, which reinforcement learning can then build on.
    """
    config = SmolLM3Config(
        **_shape(tokenizer, hidden_size, num_layers, num_heads),
        intermediate_size=4 * hidden_size,
        no_rope_layers=[0] * num_layers,
    )
    return _built(SmolLM3ForCausalLM, config, seed)


def _shape(tokenizer: PreTrainedTokenizerFast, hidden_size: int, num_layers: int, num_heads: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden_size,
        "num_hidden_layers": num_layers,
        "num_attention_heads": num_heads,
        "num_key_value_heads": num_heads,
        "max_position_embeddings": MAX_POSITIONS,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _built(model_class: Callable[[Any], Model], config: PretrainedConfig, seed: int) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_class(config)
