"""A whole update, with several optimiser steps, against a loop over single completions; and what a restart keeps."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.loss import group_advantages
from dumpgym.contracts.learner import RewardedCompletions
from dumpgym.contracts.schedules import Schedule
from tests.fakes.tiny_models import save_tiny_llama

PROMPTS = ["Is it?", "And if not, what then?", "a", "Who is a knave?"]
SIZE = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(save_tiny_llama(tmp_path_factory.mktemp("model")))


def make_agent(folder, seed=1, **options):
    return GRPOAgent(GRPOConfig(model=folder, device="cpu", max_completion_length=9, **options), seed=seed)


def make_rewarded(agent):
    """Completions of 1 to 9 tokens, every third of them truncated, and a first group without variance."""
    made, rng = agent.generate(PROMPTS, SIZE), np.random.default_rng(0)
    lengths = [int(rng.integers(1, len(ids) + 1)) for ids in made.token_ids]
    cut = {
        name: tuple(row[:length] for row, length in zip(getattr(made, name), lengths, strict=True))
        for name in ("token_ids", "log_probs")
    }
    rewards = rng.normal(size=made.truncated.shape)
    rewards[0] = 1.0
    truncated = (np.arange(made.truncated.size) % 3 == 2).reshape(made.truncated.shape)
    return RewardedCompletions(dataclasses.replace(made, truncated=truncated, **cut), rewards)


def distribution(model, prompt, completion, temperature):
    """Log-probabilities of all tokens at each place of a completion, (tokens, vocabulary)."""
    logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
    return (logits / temperature).log_softmax(-1)


def plain_update(agent, rewarded, learning_rate):
    """The weights after an update by clipped gradient descent, and its metrics."""
    config, completions = agent.config, rewarded.completions
    model, reference = copy.deepcopy(agent.base), copy.deepcopy(agent.base)
    parameters = list(model.parameters())
    advantages = group_advantages(rewarded.rewards, config.scale_rewards).ravel().tolist()
    counted = ~(completions.truncated & config.mask_truncated_completions).ravel()
    all_rows = range(len(completions.token_ids))
    losses, norms, tokens = [], [], []  # of tokens: entropy, whether it was clipped, k3
    for _ in range(config.num_iterations):
        for k in range(config.mini_batches):
            rows = [row for row in all_rows if counted[row] and row // SIZE % config.mini_batches == k]
            num_tokens, loss = sum(len(completions.token_ids[row]) for row in rows), torch.zeros(())
            for row in rows:
                ids, prompt = completions.token_ids[row], completions.prompt_ids[row // SIZE]
                places, advantage = (range(len(ids)), list(ids)), advantages[row]
                full = distribution(model, prompt, ids, config.temperature)
                ratio = (full[places] - torch.tensor(completions.log_probs[row])).exp()
                entropy = -(full.exp() * full).sum(-1)
                gap = distribution(reference, prompt, ids, config.temperature).detach()[places] - full[places]
                k3 = gap.exp() - gap - 1
                bounded = ratio.clamp(1 - config.epsilon, 1 + config.epsilon_high)
                surrogate = torch.minimum(ratio * advantage, bounded * advantage)
                each = config.beta * ratio * k3 - surrogate - config.entropy_coef * entropy
                loss = loss + each.sum() / num_tokens
                if advantage or config.beta or config.entropy_coef:
                    clipped = bounded * advantage < ratio * advantage
                    tokens += torch.stack([entropy, clipped.float(), k3], 1).tolist()
            gradient = torch.autograd.grad(loss, parameters) if loss.requires_grad else [torch.zeros(())]
            norm = torch.stack([part.norm() for part in gradient]).norm().item()
            losses.append(loss.item())
            if norm == 0:
                continue
            norms.append(norm)
            with torch.no_grad():
                for parameter, part in zip(parameters, gradient, strict=True):
                    parameter -= learning_rate * min(1.0, config.max_grad_norm / norm) * part
    means = dict(zip(("entropy", "clip_ratio", "kl"), np.mean(tokens, axis=0).tolist(), strict=True))
    if config.beta == 0:
        del means["kl"]  # without a penalty it is not computed
    return parameters, {"loss": np.mean(losses), "grad_norm": np.mean(norms), **means}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_grad_norm": 0.05},
        {"num_iterations": 3},
        {"mini_batches": 2},
        {"mini_batches": 4},  # one of them has no gradient, and takes no step
        {"mask_truncated_completions": True, "entropy_coef": 0.3},
        {"mask_truncated_completions": True, "mini_batches": 2, "num_iterations": 2, "beta": 0.4, "max_grad_norm": 0.3},
    ],
    ids=str,
)
def test_an_update_is_that_of_a_plain_loop(folder, options):
    options = {"max_grad_norm": 1e9, "epsilon": 0.05, "epsilon_high": 0.1, "temperature": 0.8} | options
    agent = make_agent(folder, **options)
    agent.optimizer.methods = [torch.optim.SGD(agent.optimizer.masters.values(), lr=1.0)]
    agent.learning_rate = Schedule.constant(1.0)
    rewarded = make_rewarded(agent)
    weights, expected = plain_update(agent, rewarded, 1.0)
    metrics = agent.learn(rewarded).metrics
    for ours, theirs in zip(agent.base.parameters(), weights, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-6)
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=2e-3, abs=1e-6)
    assert agent.config.num_iterations == 1 or expected["clip_ratio"] > 0


def test_the_optimizer_has_the_settings_of_the_configuration(folder):
    optimizer = make_agent(folder, max_grad_norm=0.3, weight_decay=0.2, adam_beta2=0.95).optimizer
    assert optimizer.max_grad_norm == 0.3
    (adamw,) = optimizer.methods
    assert adamw.defaults["weight_decay"] == 0.2
    assert adamw.defaults["betas"] == (0.9, 0.95)


def test_a_restored_agent_resumes_its_schedule_and_its_random_numbers(folder, tmp_path):
    agent = make_agent(folder, learning_rate="linear:0.04:0:4")
    rewarded = make_rewarded(agent)
    for _ in range(2):
        agent.learn(rewarded)
    agent.save(tmp_path)
    restored = make_agent(folder, seed=5, learning_rate="linear:0.04:0:4")
    restored.load(tmp_path)
    assert restored.generate(PROMPTS, SIZE).token_ids == agent.generate(PROMPTS, SIZE).token_ids
    assert restored.learn(rewarded).metrics["learning_rate"] == pytest.approx(0.02)


def test_the_tokens_of_a_group_are_counted_once_in_several_iterations(folder):
    agent = make_agent(folder, num_iterations=3, mini_batches=2)
    rewarded = make_rewarded(agent)
    found = agent.learn(rewarded).by_group["num_tokens"]
    assert found.tolist() == [0, *rewarded.completions.num_tokens.sum(axis=1)[1:].tolist()]
