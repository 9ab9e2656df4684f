"""A learner without a model that improves at the puzzles it practises: a run with a learning curve takes a second."""

import re

import numpy as np

from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.learner import Learned
from dumpgym.testing.fakes import FakeLearner, reference_completions
from dumpgym.training.loop import Trainer


class Improver(FakeLearner):
    """Solves a puzzle of n people with a probability that grows with each such group whose rewards differ."""

    def __init__(self, arms, seed, num_problems):
        envs = [arm.env for arm in make_arms(arms)]
        super().__init__(reference_completions(*envs, seed=seed, num_problems=num_problems), seed=seed, token_length=10)
        self.skill = np.zeros(8)  # by number of people

    def chance(self, prompt, k):
        people = int(re.search(r"You meet (\d+)", prompt)[1])
        return 1 / (1 + np.exp(people - 2.5 - self.skill[people]))

    def evaluation_stream(self, seed):
        return np.random.default_rng([seed, int(1000 * sum(self.skill.tolist()))])

    def learn(self, rewarded):
        first_texts = rewarded.completions.texts[:: rewarded.rewards.shape[1]]
        for rewards, text in zip(rewarded.rewards, first_texts, strict=True):
            if np.ptp(rewards) == 0:
                continue
            if text == self.wrong:
                self.skill[2:] += 0.02
            else:
                self.skill[max(2, text.count(" is a "))] += 0.1
        return Learned({"loss": 0.0})


def run(config):
    """Trains an ``Improver`` and returns the summary of the run."""
    return Trainer(config, learner=Improver(config.arms, config.seed, 500)).run()
