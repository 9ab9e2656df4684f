"""A learner that is no model, and gets better at what it practises: runs with curves in a second."""

import json
import re

import numpy as np

from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.learner import Completions, Learned
from dumpgym.training.loop import Trainer

WRONG = "<think></think><answer>?</answer>"


class Improver:
    """Solves a puzzle of n people with a chance that grows with the groups of that size which had variance."""

    def __init__(self, arms, seed, num_problems):
        self.rng = np.random.default_rng(seed)
        self.skill = dict.fromkeys(range(2, 8), 0.0)
        self.answers = {}
        for arm in make_arms(arms):
            for split in ("train", "test"):
                for index in range(num_problems):
                    problem = arm.env.sample_problem(seed, split, index)
                    self.answers[problem.prompt] = problem.reference_completion

    def chance(self, prompt):
        people = int(re.search(r"You meet (\d+)", prompt)[1])
        return 1 / (1 + np.exp(people - 2.5 - self.skill[people]))

    def generate(self, prompts, num_generations, *, greedy=False, seed=None, max_completion_lengths=None):
        rng = self.rng if seed is None else np.random.default_rng([seed, int(1000 * sum(self.skill.values()))])
        texts = [
            self.answers[prompt] if rng.random() < self.chance(prompt) else WRONG
            for prompt in prompts
            for _ in range(num_generations)
        ]
        ids = tuple(tuple(range(1, 2 + len(text) // 10)) for text in texts)
        truncated = np.zeros((len(prompts), num_generations), dtype=bool)
        self.prompts = prompts
        return Completions(tuple((1,) for _ in prompts), ids, tuple(texts), truncated)

    def learn(self, rewarded):
        for rewards, ids in zip(
            rewarded.rewards, rewarded.completions.texts[:: rewarded.rewards.shape[1]], strict=True
        ):
            if np.ptp(rewards) > 0:
                people = max(2, ids.count(" is a ")) if ids != WRONG else None
                for size in [people] if people else self.skill:
                    self.skill[size] += 0.1 if people else 0.02
        return Learned({"loss": 0.0})

    def save(self, directory):
        state = {"skill": self.skill, "rng": self.rng.bit_generator.state}
        (directory / "learner.json").write_text(json.dumps(state))

    def load(self, directory):
        state = json.loads((directory / "learner.json").read_text())
        self.skill = {int(size): skill for size, skill in state["skill"].items()}
        self.rng.bit_generator.state = state["rng"]

    def describe(self):
        return {"model_type": "improver"}


def run(config):
    """Trains it, and returns the summary."""
    return Trainer(config, learner=Improver(config.arms, config.seed, 500)).run()
