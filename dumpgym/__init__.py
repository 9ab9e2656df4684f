"""Curricula for reinforcement learning of language models: puzzle distributions as arms of a bandit.

The names in ``__all__`` are what users import; all other modules may move between versions. They are loaded at first
use (PEP 562), so that ``import dumpgym`` is fast and imports neither torch nor scipy nor matplotlib.
"""

import importlib
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from dumpgym.contracts.version import __version__ as __version__

if TYPE_CHECKING:
    from dumpgym.agents.bandits.history import HistoryPolicy as HistoryPolicy
    from dumpgym.agents.bandits.history import SumHistory as SumHistory
    from dumpgym.agents.bandits.recent_history import CompletionWindow as CompletionWindow
    from dumpgym.agents.bandits.recent_history import ExponentialMean as ExponentialMean
    from dumpgym.agents.bandits.selection import best_arms as best_arms
    from dumpgym.agents.bandits.selection import boltzmann as boltzmann
    from dumpgym.agents.bandits.selection import epsilon_greedy as epsilon_greedy
    from dumpgym.agents.grpo.agent import GRPOAgent as GRPOAgent
    from dumpgym.agents.grpo.config import GRPOConfig as GRPOConfig
    from dumpgym.comparing.comparison import Comparison as Comparison
    from dumpgym.comparing.loading import load_comparison as load_comparison
    from dumpgym.contracts.arms import Arm as Arm
    from dumpgym.contracts.arms import make_arms as make_arms
    from dumpgym.contracts.arms import make_env as make_env
    from dumpgym.contracts.errors import DumpgymError as DumpgymError
    from dumpgym.contracts.errors import InvalidValueError as InvalidValueError
    from dumpgym.contracts.errors import NonFiniteError as NonFiniteError
    from dumpgym.contracts.errors import UnknownNameError as UnknownNameError
    from dumpgym.contracts.feedback import Feedback as Feedback
    from dumpgym.contracts.learner import Completions as Completions
    from dumpgym.contracts.learner import Learned as Learned
    from dumpgym.contracts.learner import Learner as Learner
    from dumpgym.contracts.learner import RewardedCompletions as RewardedCompletions
    from dumpgym.contracts.policy import BanditPolicy as BanditPolicy
    from dumpgym.contracts.policy import PolicyOptions as PolicyOptions
    from dumpgym.contracts.policy_registry import make_policy as make_policy
    from dumpgym.contracts.policy_registry import policy_registry as policy_registry
    from dumpgym.contracts.policy_registry import register_policy as register_policy
    from dumpgym.contracts.puzzle_env import Problem as Problem
    from dumpgym.contracts.puzzle_env import PuzzleEnv as PuzzleEnv
    from dumpgym.contracts.puzzle_env import Verdict as Verdict
    from dumpgym.contracts.schedules import Schedule as Schedule
    from dumpgym.contracts.state import Stateful as Stateful
    from dumpgym.contracts.student import GroupResults as GroupResults
    from dumpgym.contracts.student import Student as Student
    from dumpgym.contracts.student_registry import make_students as make_students
    from dumpgym.contracts.student_registry import register_student as register_student
    from dumpgym.contracts.student_registry import student_registry as student_registry
    from dumpgym.contracts.success import NeedsSuccess as NeedsSuccess
    from dumpgym.evaluating.config import EvaluateConfig as EvaluateConfig
    from dumpgym.evaluating.runner import evaluate_model as evaluate_model
    from dumpgym.reporting import figures as figures
    from dumpgym.runs.config import TrainConfig as TrainConfig
    from dumpgym.signals.signal import Signal as Signal
    from dumpgym.signals.signal import make_signal as make_signal
    from dumpgym.signals.signal import register_signal as register_signal
    from dumpgym.signals.signal import signal_registry as signal_registry
    from dumpgym.simulating.runner import SimulateConfig as SimulateConfig
    from dumpgym.simulating.runner import simulate as simulate
    from dumpgym.testing import check_learner as check_learner
    from dumpgym.testing import check_policy as check_policy
    from dumpgym.testing import check_puzzle_env as check_puzzle_env
    from dumpgym.training.evaluation import Evaluation as Evaluation
    from dumpgym.training.evaluation import evaluate as evaluate
    from dumpgym.training.launch import train as train
    from dumpgym.training.loop import Trainer as Trainer
    from dumpgym.training.puzzle_student import PuzzleStudent as PuzzleStudent

_EXPORTS = {
    "dumpgym.agents.bandits.history": (
        "HistoryPolicy",
        "SumHistory",
    ),
    "dumpgym.agents.bandits.recent_history": (
        "CompletionWindow",
        "ExponentialMean",
    ),
    "dumpgym.agents.bandits.selection": (
        "best_arms",
        "boltzmann",
        "epsilon_greedy",
    ),
    "dumpgym.agents.grpo.agent": ("GRPOAgent",),
    "dumpgym.agents.grpo.config": ("GRPOConfig",),
    "dumpgym.comparing.comparison": ("Comparison",),
    "dumpgym.comparing.loading": ("load_comparison",),
    "dumpgym.contracts.arms": (
        "Arm",
        "make_arms",
        "make_env",
    ),
    "dumpgym.contracts.errors": (
        "DumpgymError",
        "InvalidValueError",
        "NonFiniteError",
        "UnknownNameError",
    ),
    "dumpgym.contracts.feedback": ("Feedback",),
    "dumpgym.contracts.learner": (
        "Completions",
        "Learned",
        "Learner",
        "RewardedCompletions",
    ),
    "dumpgym.contracts.policy": (
        "BanditPolicy",
        "PolicyOptions",
    ),
    "dumpgym.contracts.policy_registry": (
        "make_policy",
        "policy_registry",
        "register_policy",
    ),
    "dumpgym.contracts.puzzle_env": (
        "Problem",
        "PuzzleEnv",
        "Verdict",
    ),
    "dumpgym.contracts.schedules": ("Schedule",),
    "dumpgym.contracts.state": ("Stateful",),
    "dumpgym.contracts.student": (
        "GroupResults",
        "Student",
    ),
    "dumpgym.contracts.student_registry": (
        "make_students",
        "register_student",
        "student_registry",
    ),
    "dumpgym.contracts.success": ("NeedsSuccess",),
    "dumpgym.evaluating.config": ("EvaluateConfig",),
    "dumpgym.evaluating.runner": ("evaluate_model",),
    "dumpgym.runs.config": ("TrainConfig",),
    "dumpgym.signals.signal": (
        "Signal",
        "make_signal",
        "register_signal",
        "signal_registry",
    ),
    "dumpgym.simulating.runner": (
        "SimulateConfig",
        "simulate",
    ),
    "dumpgym.testing": (
        "check_learner",
        "check_policy",
        "check_puzzle_env",
    ),
    "dumpgym.training.evaluation": (
        "Evaluation",
        "evaluate",
    ),
    "dumpgym.training.launch": ("train",),
    "dumpgym.training.loop": ("Trainer",),
    "dumpgym.training.puzzle_student": ("PuzzleStudent",),
}
_MODULES = {"figures": "dumpgym.reporting.figures"}
_HOME = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    else:
        raise AttributeError(f"module 'dumpgym' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_KNIGHTS_KNAVES = "dumpgym.envs.knights_knaves.env:KnightsKnavesEnv"
_VECTOR = "dumpgym.envs.knights_knaves.vector_env:KnightsKnavesVectorEnv"
for _id, _arguments in (("", {}), *((n, {"num_people": n}) for n in range(2, 15))):
    gym.register(
        f"dumpgym/KnightsKnaves{_id}-v0", entry_point=_KNIGHTS_KNAVES, vector_entry_point=_VECTOR, kwargs=_arguments
    )
for _module, _tasks in (
    ("tasks", ("Copy", "Reverse", "Sort", "Addition", "Parity", "CumulativeSum")),
    ("controls", ("RandomAnswer", "Coin")),
):
    for _task in _tasks:
        gym.register(
            f"dumpgym/{_task}-v0",
            entry_point=f"dumpgym.envs.strings.{_module}:{_task}Env",
            # The default length leaves too few strings of bits for two splits.
            kwargs={"length": 8} if _task == "Parity" else {},
        )
gym.register("dumpgym/Curriculum-v0", entry_point="dumpgym.envs.curriculum:CurriculumEnv")
