"""Curricula for reinforcement learning of language models: puzzle distributions as arms of a bandit."""

import gymnasium as gym

import dumpgym.agents.bandits.boltzmann
import dumpgym.agents.bandits.cusum_ucb
import dumpgym.agents.bandits.epsilon_greedy
import dumpgym.agents.bandits.exp3
import dumpgym.agents.bandits.gradient
import dumpgym.agents.bandits.thompson
import dumpgym.agents.bandits.ucb
import dumpgym.agents.curricula.adarft
import dumpgym.agents.curricula.controls
import dumpgym.agents.curricula.dump
import dumpgym.agents.curricula.easy_to_hard
import dumpgym.agents.curricula.graves
import dumpgym.agents.curricula.mopps
import dumpgym.agents.curricula.tscl
import dumpgym.signals.of_progress
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.policy_registry import make_policy, policy_registry, register_policy
from dumpgym.contracts.puzzle_env import Problem, PuzzleEnv, Verdict

__all__ = [
    "BanditPolicy",
    "Feedback",
    "Problem",
    "PuzzleEnv",
    "Verdict",
    "make_policy",
    "policy_registry",
    "register_policy",
]

__version__ = "0.1.0"

_KNIGHTS_KNAVES, _VECTOR = (
    "dumpgym.envs.knights_knaves:KnightsKnavesEnv",
    "dumpgym.envs.knights_knaves.vector_env:KnightsKnavesVectorEnv",
)
for _id, _arguments in (("", {}), *((n, {"num_people": n}) for n in range(2, 15))):
    gym.register(
        f"dumpgym/KnightsKnaves{_id}-v0", entry_point=_KNIGHTS_KNAVES, vector_entry_point=_VECTOR, kwargs=_arguments
    )
gym.register("dumpgym/Curriculum-v0", entry_point="dumpgym.envs.curriculum:CurriculumEnv")
