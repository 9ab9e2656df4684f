"""The sampler against ``generate`` and against teacher forcing, for several architectures."""

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from dumpgym.agents.sampling import _draw, sample_completions

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
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [5, 0, 3, 0]]


def make(name):
    torch.manual_seed(0)
    model = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
        "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
        "mistral with a sliding window": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=8)),
        "gpt2": lambda: GPT2LMHeadModel(
            GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=128, bos_token_id=3, eos_token_id=3)
        ),
    }[name]()
    for parameter in model.parameters():
        parameter.data.mul_(3)  # so that the most probable token is clearly so
    return model.eval()


@pytest.fixture(params=["llama", "qwen2", "mistral with a sliding window", "gpt2"], scope="module")
def model(request):
    return make(request.param)


def test_greedy_completions_are_those_of_generate(model):
    ours = sample_completions(model, PROMPTS, 1, max_completion_length=20, end_token_ids=[3], temperature=0)
    for prompt, completion in zip(PROMPTS, ours, strict=True):
        output = model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=20,
            eos_token_id=3,
            pad_token_id=0,
        )
        assert completion == output[0, len(prompt) :].tolist()


def test_sampled_tokens_are_those_that_a_teacher_forced_pass_would_draw(model):
    """The random numbers of row r at step t are known, so every token can be drawn anew from a full forward pass."""
    length, group = 15, 3
    ours = sample_completions(
        model,
        PROMPTS,
        group,
        max_completion_length=length,
        end_token_ids=[3, 4],
        temperature=1.3,
        generator=torch.Generator().manual_seed(7),
    )
    generator = torch.Generator().manual_seed(7)
    uniform = torch.stack([torch.rand(len(ours), generator=generator) for _ in range(length)])
    for row, completion in enumerate(ours):
        prompt = PROMPTS[row // group]
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        drawn = _draw(logits / 1.3, uniform[: len(completion), row])
        assert drawn.tolist() == completion
        assert len(completion) == length or completion[-1] in (3, 4)
        assert not {3, 4} & set(completion[:-1])


def test_draws_follow_the_probabilities():
    logits = torch.tensor([0.1, 0.2, 0.0, 0.7]).log().expand(40_000, 4)
    drawn = _draw(logits, torch.rand(40_000, generator=torch.Generator().manual_seed(0)))
    share = torch.bincount(drawn, minlength=4) / 40_000
    assert share[2] == 0
    torch.testing.assert_close(share, torch.tensor([0.1, 0.2, 0.0, 0.7]), atol=0.012, rtol=0)  # five deviations


def test_a_number_close_to_one_never_draws_an_impossible_token():
    logits = torch.tensor([[0.0, 0.0, -torch.inf]])
    assert _draw(logits, torch.tensor([1 - 2**-24])).item() == 1
