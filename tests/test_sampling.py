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

from dumpgym.agents.embedded import build_tokenizer
from dumpgym.agents.sampling import Sampler, uniform_numbers
from dumpgym.agents.sampling_draws import draw

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


def make_sampler(model, ends, **options):
    return Sampler(model, build_tokenizer([]), end_token_ids=ends, **options)


def test_greedy_completions_are_those_of_generate(model):
    sampled = make_sampler(model, [3])(PROMPTS, 1, max_completion_lengths=[20] * 4, temperature=0)
    for prompt, completion in zip(PROMPTS, sampled.token_ids, strict=True):
        output = model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=20,
            eos_token_id=3,
            pad_token_id=0,
        )
        assert completion == output[0, len(prompt) :].tolist()


def test_tokens_and_log_probabilities_are_those_of_a_teacher_forced_pass(model):
    """The random numbers of every row are known, so every token can be drawn anew from a full forward pass."""
    limits, group = [15, 4, 15, 9], 3
    sampled = make_sampler(model, [3, 4])(PROMPTS, group, max_completion_lengths=limits, temperature=1.3, key=(7, 2))
    uniform = torch.from_numpy(uniform_numbers((7, 2), range(12), 15))
    for row, completion in enumerate(sampled.token_ids):
        prompt, limit = PROMPTS[row // group], limits[row // group]
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        log_probs = (logits / 1.3).log_softmax(-1)
        assert draw(log_probs, uniform[row, : len(completion)]).tolist() == completion
        expected = log_probs[range(len(completion)), completion]
        torch.testing.assert_close(torch.tensor(sampled.log_probs[row]), expected, atol=1e-4, rtol=0)
        assert sampled.ended[row] == (completion[-1] in (3, 4))
        assert len(completion) == limit or sampled.ended[row]
        assert not {3, 4} & set(completion[:-1])


def test_a_row_does_not_depend_on_what_else_is_in_the_batch(model):
    sampler = make_sampler(model, [3])
    together = sampler(PROMPTS, 2, max_completion_lengths=[12] * 4, key=(1, 0)).token_ids
    apart = [sampler([PROMPTS[i]], 2, max_completion_lengths=[12], key=(1, 0), groups=[i]).token_ids for i in range(4)]
    assert together == [row for rows in apart for row in rows]


def test_draws_follow_the_probabilities():
    log_probs = torch.tensor([0.1, 0.2, 0.0, 0.7]).log().expand(40_000, 4)
    drawn = draw(log_probs, torch.rand(40_000, generator=torch.Generator().manual_seed(0)))
    share = torch.bincount(drawn, minlength=4) / 40_000
    assert share[2] == 0
    torch.testing.assert_close(share, torch.tensor([0.1, 0.2, 0.0, 0.7]), atol=0.012, rtol=0)  # five deviations


def test_a_number_close_to_one_never_draws_an_impossible_token():
    log_probs = torch.tensor([[0.0, 0.0, -torch.inf]]).log_softmax(-1)
    assert draw(log_probs, torch.tensor([1 - 2**-24])).item() == 1
