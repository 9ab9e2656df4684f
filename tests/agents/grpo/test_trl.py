"""Losses, gradients and advantages beside TRL's on the same tensors, and the benchmark's small form."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.loss import group_advantages
from dumpgym.contracts.learner import Completions, RewardedCompletions
from tests.fakes.tiny_models import save_tiny_llama

EXPERIMENTS = Path(__file__).parents[3] / "experiments" / "benchmarks"
PROMPTS = ["Is it?", "And if not, what then?", "a"]
GROUP, LIMIT = 4, 9
ROWS = len(PROMPTS) * GROUP

pytestmark = pytest.mark.filterwarnings(
    "ignore:`(is_)?gradient_checkpointing` is deprecated:FutureWarning",  # names that TRL and peft still use
    "ignore:When using `importance_sampling_level='sequence'`:UserWarning",
)


@pytest.fixture(scope="module")
def peers():
    sys.path.insert(0, str(EXPERIMENTS))  # where the scripts find each other
    yield __import__("grpo_peers")
    sys.path.remove(str(EXPERIMENTS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return save_tiny_llama(folder, (" yes", " no"), num_layers=2)


def make_completions(agent, rng):
    """Completions of unlike lengths, the longest cut off, with the log-probabilities of a model that was another."""
    lengths = rng.integers(1, LIMIT + 4, size=ROWS).clip(max=LIMIT)
    ids = [tuple(rng.integers(2, len(agent.tokenizer), size=length).tolist()) for length in lengths]
    truncated = (lengths == LIMIT).reshape(len(PROMPTS), GROUP)
    prompt_ids = tuple(tuple(agent.encode(prompt)) for prompt in PROMPTS)
    log_probs = tuple(tuple((rng.normal(-5.5, 0.4, size=length)).tolist()) for length in lengths)
    return Completions(prompt_ids, tuple(ids), ("",) * ROWS, truncated, log_probs=log_probs)


def padded(rows, *, left=False, dtype=torch.long):
    width = max(map(len, rows))
    values, mask = torch.zeros(len(rows), width, dtype=dtype), torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        part = slice(width - len(row), width) if left else slice(0, len(row))
        values[i, part], mask[i, part] = torch.tensor(row, dtype=dtype), 1
    return values, mask


def perturb(model):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)


def their_gradient(peers, folder, tmp_path, completions, advantages, left_out, beta, **options):
    """The loss and the gradient of TRL's own loss function, in one micro-batch."""
    trainer = peers.make_trainer(
        str(folder), PROMPTS, peers.hashed_rewards, tmp_path, num_generations=GROUP, max_completion_length=LIMIT,
        micro_batch=ROWS, steps=1, beta=beta, **options,
    )  # fmt: skip
    prompts, prompt_mask = padded([ids for ids in completions.prompt_ids for _ in range(GROUP)], left=True)
    ids, mask = padded(completions.token_ids)
    old, _ = padded(completions.log_probs, dtype=torch.float32)
    mask[torch.from_numpy(left_out.ravel())] = 0
    inputs = {
        "prompt_ids": prompts,
        "prompt_mask": prompt_mask,
        "completion_ids": ids,
        "completion_mask": mask,
        "advantages": torch.tensor(advantages.ravel(), dtype=torch.float32),
        "old_per_token_logps": old,
        "num_items_in_batch": mask.sum(),
    }
    if beta:
        together = torch.cat([prompts, ids], 1), torch.cat([prompt_mask, mask], 1)
        with torch.no_grad():
            inputs["ref_per_token_logps"], *_ = trainer._get_per_token_logps_and_entropies(
                trainer.ref_model, *together, ids.shape[1]
            )
    trainer.current_gradient_accumulation_steps = 1
    perturb(trainer.model)
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()
    return loss.item(), {name: parameter.grad for name, parameter in trainer.model.named_parameters()}


def our_gradient(folder, completions, rewards, **options):
    """Those of an update at a learning rate of 0, whose two passes are therefore alike."""
    config = GRPOConfig(
        model=str(folder),
        max_completion_length=LIMIT,
        learning_rate=0.0,
        num_iterations=2,
        max_grad_norm=1e9,
        **options,
    )
    agent = GRPOAgent(config)
    perturb(agent.base)
    metrics = agent.learn(RewardedCompletions(completions, rewards)).metrics
    return metrics["loss"], {name: master.grad for name, master in agent.optimizer.masters.items()}


CASES = {
    "grpo": ({"loss_type": "grpo"}, {"loss_type": "grpo"}),
    "bnpo": ({"loss_type": "bnpo"}, {"loss_type": "bnpo"}),
    "dapo": ({"loss_type": "dapo"}, {"loss_type": "dapo"}),
    "dr_grpo": ({"loss_type": "dr_grpo"}, {"loss_type": "dr_grpo"}),
    "gspo": ({"loss_type": "gspo"}, {"loss_type": "grpo", "importance_sampling_level": "sequence"}),
    # Its bound is 1 + epsilon_high here, epsilon_high there.
    "cispo": ({"loss_type": "cispo"}, {"loss_type": "cispo", "epsilon_high": 1.3}),
    "dapo, divergence": ({"loss_type": "dapo", "beta": 0.1}, {"loss_type": "dapo", "beta": 0.1}),
    "dapo, truncated left out": ({"loss_type": "dapo", "mask_truncated_completions": True}, {"loss_type": "dapo"}),
    "cispo, divergence": (
        {"loss_type": "cispo", "beta": 0.1},
        {"loss_type": "cispo", "epsilon_high": 1.3, "beta": 0.1},
    ),
    "dapo, entropy": ({"loss_type": "dapo", "entropy_coef": 0.05}, {"loss_type": "dapo", "entropy_coef": 0.05}),
    "dapo, temperature": ({"loss_type": "dapo", "temperature": 0.7}, {"loss_type": "dapo", "temperature": 0.7}),
}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_are_trls(peers, folder, tmp_path, case):
    ours, theirs = CASES[case]
    agent = GRPOAgent(GRPOConfig(model=str(folder), max_completion_length=LIMIT))
    rng = np.random.default_rng(3)
    completions = make_completions(agent, rng)
    assert completions.truncated.any()
    rewards = rng.choice([-1.0, -0.5, 3.0], size=(len(PROMPTS), GROUP))
    left_out = completions.truncated & ours.get("mask_truncated_completions", False)
    options = {"epsilon": 0.1, "epsilon_high": 0.3, "beta": 0.0, "scale_rewards": "none"}
    loss, gradient = our_gradient(folder, completions, rewards, **{**options, **ours})
    advantages = group_advantages(rewards, "none")
    expected, expected_gradient = their_gradient(
        peers, folder, tmp_path, completions, advantages, left_out, **{**options, **theirs}
    )
    assert loss == pytest.approx(expected, rel=1e-4)
    assert gradient.keys() == expected_gradient.keys()
    for name, values in gradient.items():
        torch.testing.assert_close(values, expected_gradient[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("scale_rewards", ["group", "batch", "none"])
def test_advantages_are_trls_but_for_its_larger_epsilon(peers, folder, tmp_path, scale_rewards):
    rewards = np.random.default_rng(1).choice([-1.0, -0.5, 3.0], size=(len(PROMPTS), GROUP))
    rewards[1] = 3.0
    trainer = peers.make_trainer(
        str(folder), PROMPTS, lambda prompts, completions: rewards.ravel().tolist(), tmp_path, num_generations=GROUP,
        max_completion_length=4, micro_batch=ROWS, steps=1, scale_rewards=scale_rewards,
    )  # fmt: skip
    trainer.train()
    theirs = np.reshape(list(trainer._logs["advantages"]), rewards.shape)
    np.testing.assert_allclose(group_advantages(rewards, scale_rewards), theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("flags", [[], ["--memory"]])
def test_the_benchmark_measures_both(peers, tmp_path, capsys, flags):
    bench = runpy.run_path(str(EXPERIMENTS / "grpo.py"))
    output = tmp_path / "bench.json"
    bench["main"](bench["Options"](small=True, memory=bool(flags), output=output))
    found = json.loads(output.read_text())
    printed = capsys.readouterr().out
    if flags:
        assert found["plain"] > 20  # three times the logits, which alone are 20 MiB
        assert found["ours"] < found["plain"]
        return
    assert [row["setting"] for row in found["rows"]] == ["natural lengths", "natural lengths, verifier", "to the limit"]
    for row in found["rows"]:
        assert printed.count(f"| {row['setting']} |") == 3
        for phase in ("generation", "update", "step"):
            assert row[phase]["ratio"] == pytest.approx(
                row[phase]["trl_per_1000_tokens"] / row[phase]["ours_per_1000_tokens"]
            )
    assert found["rows"][-1]["tokens"] == {"ours": [32], "trl": [32]}
