"""Does the agent do on a GPU what it does on the CPU? One command, exit status 0 if so.

    python experiments/gpu_check.py

It compares, for the embedded model: greedy completions, log-probabilities and one gradient step; then it trains a few
steps on the GPU and reports tokens a second on both.
"""

import json
import sys
from time import perf_counter

import numpy as np
import torch

from dumpgym.agents.grpo_config import GRPOConfig
from dumpgym.agents.language_model import LanguageModelAgent
from dumpgym.arms import make_arms
from dumpgym.learner import Rollouts
from dumpgym.schedules import Schedule

ARMS = tuple(f"dumpgym/KnightsKnaves{n}-v0" for n in range(2, 8))
GROUP = 8


def timed_batch(agent: LanguageModelAgent, prompts: list[str]) -> tuple[Rollouts, dict[str, float]]:
    """Samples and learns once, with random rewards, and returns the seconds for both."""
    started = perf_counter()
    completions = agent.generate(prompts, GROUP)
    generated = perf_counter()
    rewards = np.random.default_rng(0).choice([-0.5, 3.0], size=(len(prompts), GROUP))
    rollouts = Rollouts(completions, rewards)
    agent.learn(rollouts)
    learned = perf_counter()
    tokens = int(completions.num_tokens.sum())
    return rollouts, {
        "tokens": tokens,
        "generated_tokens_per_second": tokens / (generated - started),
        "learned_tokens_per_second": tokens / (learned - generated),
    }


def main() -> int:
    if not torch.cuda.is_available():
        print("no CUDA device: nothing to check", file=sys.stderr)
        return 2
    prompts = [arm.env.sample_problem(0, "test", i).prompt for arm in make_arms(ARMS) for i in range(8)]
    cpu, gpu = (LanguageModelAgent(GRPOConfig(device=device)) for device in ("cpu", "cuda"))
    greedy = [agent.generate(prompts, 1, greedy=True).texts for agent in (cpu, gpu)]
    same = float(np.mean([a == b for a, b in zip(*greedy, strict=True)]))

    for agent in (cpu, gpu):
        agent.optimizer.method = torch.optim.SGD(agent.optimizer.masters.values(), lr=1.0)
        agent.learning_rate = Schedule.constant(1.0)
    completions = cpu.generate(prompts[:16], GROUP)
    rewards = np.random.default_rng(1).choice([-0.5, 3.0], size=(16, GROUP))
    before = [p.detach().clone() for p in cpu.optimizer.parameters.values()]
    for agent in (cpu, gpu):
        agent.learn(Rollouts(completions, rewards))
    steps = [
        torch.cat(
            [
                (new.detach().cpu() - old).flatten()
                for old, new in zip(before, agent.optimizer.parameters.values(), strict=True)
            ]
        )
        for agent in (cpu, gpu)
    ]
    difference = float((steps[0] - steps[1]).norm() / steps[0].norm())

    report: dict[str, object] = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "greedy_completions_equal": same,
        "relative_difference_of_one_gradient_step": difference,
    }
    for name, agent in (("cpu", cpu), ("cuda", gpu)):
        timed_batch(agent, prompts[:8])  # warm-up
        report[name] = timed_batch(agent, prompts)[1]
    print(json.dumps(report, indent=2))
    return 0 if same >= 0.95 and difference < 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
