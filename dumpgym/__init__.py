"""Curricula for reinforcement learning of language models: puzzle distributions as arms of a bandit."""

import gymnasium as gym

import dumpgym.agents.adversarial_policies
import dumpgym.agents.change_detection
import dumpgym.agents.controls
import dumpgym.agents.difficulty_policies
import dumpgym.agents.gradient_policies
import dumpgym.agents.graves
import dumpgym.agents.greedy_policies
import dumpgym.agents.learnability
import dumpgym.agents.posterior_policies
import dumpgym.agents.progress_policies
import dumpgym.agents.progress_signals
import dumpgym.agents.schedule_policies
import dumpgym.agents.softmax_policies
import dumpgym.agents.success_policies
import dumpgym.agents.ucb_policies  # noqa: F401
from dumpgym.policy import BanditPolicy, Feedback
from dumpgym.puzzle_env import Problem, PuzzleEnv, Verdict
from dumpgym.registration import make_policy, policy_registry, register_policy

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

_KNIGHTS_KNAVES, _VECTOR = "dumpgym.envs.knights_knaves:KnightsKnavesEnv", "dumpgym.envs.vector:KnightsKnavesVectorEnv"
for _id, _arguments in (("", {}), *((n, {"num_people": n}) for n in range(2, 15))):
    gym.register(
        f"dumpgym/KnightsKnaves{_id}-v0", entry_point=_KNIGHTS_KNAVES, vector_entry_point=_VECTOR, kwargs=_arguments
    )
gym.register("dumpgym/Curriculum-v0", entry_point="dumpgym.envs.curriculum:CurriculumEnv")
