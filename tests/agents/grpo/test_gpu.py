"""What only a GPU can show: that graphs replay what was captured, and that CUDA computes what the CPU does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dumpgym.agents.embedded.model import build_tokenizer
from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.sampling.graphs import CudaCapture
from dumpgym.agents.grpo.sampling.sampler import Sampler
from dumpgym.agents.grpo.sampling.sheet import Ends, uniform_numbers
from dumpgym.agents.grpo.sampling.static import ON_CUDA, StaticDecoder
from dumpgym.contracts.learner import RewardedCompletions
from tests.fakes.tiny_models import CONFIGS, make

pytestmark = pytest.mark.gpu

PROMPTS = [[9, 10, 11, 12, 13, 14], [5, 0, 3, 0], [5, 6, 7], [8]]
LIMITS = [40, 4, 15, 9]


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gemma2", "gemma3", "mistral", "gpt2"])
def test_captured_steps_draw_what_plain_steps_draw(kind):
    model = make(kind).to("cuda")
    layout = replace(ON_CUDA, row_buckets=(2, 4, 8, 12), column_step=8, check_every=4)
    uniform, limits = uniform_numbers((1, 0), range(12), 40), [limit for limit in LIMITS for _ in range(3)]
    drawn = []
    with torch.no_grad():
        for capture in (None, CudaCapture()):
            decoder = StaticDecoder(model, Ends([3], (), build_tokenizer([])), layout, capture=capture)
            for _ in range(3):  # warm-up, capture, replay
                drawn.append(decoder(PROMPTS, 3, uniform, limits, 1.0).completions(12)[0])
    assert all(tokens == drawn[0] for tokens in drawn)


@pytest.mark.parametrize("kind", CONFIGS)
def test_sampling_on_the_gpu_has_the_log_probabilities_of_a_pass_on_the_cpu(kind):
    model = make(kind)
    on_gpu = make(kind).to("cuda")
    sampler = Sampler(on_gpu, build_tokenizer([]), end_token_ids=[3])
    for _ in range(3):
        sampled = sampler(PROMPTS, 2, max_completion_lengths=LIMITS)
    for row, (completion, log_probs) in enumerate(zip(sampled.token_ids, sampled.log_probs, strict=True)):
        prompt = PROMPTS[row // 2]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        expected = logits.log_softmax(-1)[range(len(completion)), completion]
        torch.testing.assert_close(torch.tensor(log_probs), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_saved_agent_resumes_from_where_it_stood(tmp_path, dtype):
    config = GRPOConfig(device="cuda", dtype=dtype, max_completion_length=32, learning_rate=1e-3, mini_batches=2)
    agent = GRPOAgent(config)
    prompts = ["Is it?", "And if not, what then?"]
    rewards = np.random.default_rng(0).choice([-1.0, 3.0], size=(2, 4))
    agent.learn(RewardedCompletions(agent.generate(prompts, 4), rewards))
    agent.save(tmp_path)
    restored = GRPOAgent(config, seed=9)
    restored.load(tmp_path)
    for mine, its in zip(agent.base.parameters(), restored.base.parameters(), strict=True):
        assert torch.equal(mine, its)
    rewarded = RewardedCompletions(agent.generate(prompts, 4), rewards)
    assert rewarded.completions.token_ids == restored.generate(prompts, 4).token_ids
    losses = [one.learn(rewarded).metrics["grad_norm"] for one in (agent, restored)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_weights_that_change_are_seen_by_captured_steps():
    """Graphs know the weights by their address, and the optimiser changes them in place."""
    agent = GRPOAgent(GRPOConfig(device="cuda", max_completion_length=24, learning_rate=0.01))
    prompts = ["Is it?", "And if not, what then?"]
    for _ in range(3):
        completions = agent.generate(prompts, 4)
        agent.learn(RewardedCompletions(completions, np.random.default_rng(0).choice([-1.0, 3.0], size=(2, 4))))
    greedy = agent.generate(prompts, 1, greedy=True)
    for ids, completion, log_probs in zip(greedy.prompt_ids, greedy.token_ids, greedy.log_probs, strict=True):
        text = torch.tensor([[*ids, *completion]], device="cuda")
        with torch.no_grad():
            logits = agent.base(input_ids=text).logits[0, len(ids) - 1 : -1]
        expected = logits.log_softmax(-1)[range(len(completion)), list(completion)].cpu()
        torch.testing.assert_close(torch.tensor(log_probs), expected, atol=1e-3, rtol=0)
