"""Kinds of models: each samples what a full forward pass says and trains an adapter, or is refused in one line."""

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from dumpgym.agents.embedded.model import build_tokenizer
from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.learner import RewardedCompletions
from tests.fakes.cases import cases
from tests.fakes.model_zoo import make_kind

CASES = cases("models")
# peft prepares every adapter of some kinds for experts, also where a tiny model has none.
pytestmark = pytest.mark.filterwarnings(
    "ignore:target_parameters=:RuntimeWarning", "ignore:The following .*_pattern keys:RuntimeWarning"
)
PROMPTS = ["Is it?", "a", "And if not, what then?"]


def save_kind(kind, folder):
    make_kind(kind).save_pretrained(folder)
    build_tokenizer([]).save_pretrained(folder)
    return str(folder)


def make_agent(folder):
    config = GRPOConfig(model=folder, lora_rank=2, max_completion_length=6, learning_rate=0.01)
    return GRPOAgent(config, seed=0)


@torch.no_grad()
def full_pass(agent, prompt, completion):
    ids = torch.tensor([[*prompt, *completion]])
    logits = agent.base(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
    return logits.log_softmax(-1)[range(len(completion)), completion]


def check_kind(kind, tmp_path):
    folder = save_kind(kind, tmp_path / "model")
    agent = make_agent(folder)
    completions = agent.generate(PROMPTS, 2)
    states = agent.forward.prompts(completions.prompt_ids)
    numbers = [row // 2 for row in range(6)]
    expected = [
        full_pass(agent, completions.prompt_ids[number], completion)
        for number, completion in zip(numbers, completions.token_ids, strict=True)
    ]
    for log_probs, of_full_pass in zip(completions.log_probs, expected, strict=True):
        torch.testing.assert_close(torch.tensor(log_probs), of_full_pass, atol=2e-4, rtol=1e-4)
    trained, _ = agent.forward.log_probs(states, numbers, completions.token_ids)
    torch.testing.assert_close(trained.detach(), torch.cat(expected), atol=2e-4, rtol=1e-4)
    before = {name: p.detach().clone() for name, p in agent.optimizer.parameters.items()}
    metrics = agent.learn(RewardedCompletions(completions, np.array([[0.0, 1.0]] * 3))).metrics
    assert metrics["grad_norm"] > 0
    assert any(not torch.equal(p, before[name]) for name, p in agent.optimizer.parameters.items())
    agent.save_model(tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), tmp_path / "adapter")
    ids = torch.tensor([[5, 6, 7]])
    ours, theirs = (model(input_ids=ids, use_cache=False).logits for model in (agent.base, loaded))
    torch.testing.assert_close(ours, theirs)


def kinds(outcome):
    """Every kind of which a case says this outcome, once; those that only the whole zoo has are slow."""
    slow = {kind: case.get("slow", False) for case in reversed(CASES) for kind in case.get(outcome, ())}
    return [pytest.param(kind, marks=[pytest.mark.slow] if slow[kind] else []) for kind in sorted(slow)]


@pytest.mark.parametrize("kind", kinds("work"))
def test_a_kind_of_model_samples_and_trains(kind, tmp_path):
    check_kind(kind, tmp_path)


@pytest.mark.parametrize("kind", kinds("refused"))
def test_a_model_that_cannot_be_used_is_refused_before_anything_runs(kind, tmp_path):
    folder = save_kind(kind, tmp_path)
    with pytest.raises(InvalidValueError, match=r"accepted: (a causal language model|0 for models of type)") as caught:
        make_agent(folder)
    assert "\n" not in str(caught.value)
