"""Can an agent of another library be the teacher: does PPO learn where a student's practice is wasted?

    python experiments/curriculum_teacher/run.py       # 8 teachers of each kind, about 5 minutes on one core

The student has six arms that count and three on which practice is wasted: one is never solved, one always, and one by
the toss of a coin. Stable-Baselines3's PPO acts in dumpgym/Curriculum-v0. Its reward is the progress on the arms that
count, and it never sees its student's held-out success. Each teacher is trained on students with random seeds. On 30
seeds that are set aside, it is compared with uniform sampling, bandits, the best allocation planned beforehand, and
uniform sampling of the six arms that count, which needs to know which arms these are.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from dumpgym.envs.curriculum import ACTIONS
from dumpgym.envs.students.skills import SkillsStudent
from dumpgym.simulating.lockstep import SimulationPlan, run_seeds
from dumpgym.statistics.intervals import interval_over_runs

FOLDER = Path(__file__).parent
NUISANCE = ("too-hard", "mastered", "noisy")
PARALLEL = 8  # students at a time


@dataclass(frozen=True)
class Task:
    """A student and how long it is taught; it learns fast, so an episode can be short."""

    num_arms: int = 6
    steps: int = 60
    learning_rate: float = 1.0
    prompts_per_step: int = 16
    num_generations: int = 8

    @property
    def spec(self) -> str:
        return f"skills?num_arms={self.num_arms}&nuisance={','.join(NUISANCE)}&learning_rate={self.learning_rate}"

    def student(self, seed: int) -> SkillsStudent:
        return SkillsStudent(self.num_arms, seeds=seed, nuisance=NUISANCE, learning_rate=self.learning_rate)

    def env(self, actions: str) -> gym.Env[NDArray[np.float32], Any]:
        return gym.make(
            "dumpgym/Curriculum-v0",
            student=self.student,
            actions=actions,
            steps=self.steps,
            prompts_per_step=self.prompts_per_step,
            num_generations=self.num_generations,
        )

    @property
    def controls(self) -> dict[str, str]:
        """Specifications of the policies to compare with, by their names in the results."""
        known = [1 / self.num_arms] * self.num_arms + [0.0] * len(NUISANCE)
        arms_that_count = f"fixed?weights={','.join(map(str, known))}"
        names = {name: name for name in ("uniform", "dump", "easy-to-hard", "best-allocation")}
        return names | {"uniform on the arms that count": arms_that_count}


def train_teacher(task: Task, actions: str, total_steps: int, seed: int) -> PPO:
    """PPO at its defaults, except for an undiscounted return, rollouts of one episode, and a higher learning rate."""
    envs = make_vec_env(lambda: task.env(actions), n_envs=PARALLEL, seed=1_000 * (seed + 1))
    normalised = VecNormalize(envs, norm_obs=False, gamma=1.0)  # the progress in a step is a few thousandths
    teacher = PPO(
        "MlpPolicy",
        normalised,
        n_steps=task.steps,
        batch_size=2 * task.steps,
        gamma=1.0,
        learning_rate=1e-3,
        seed=seed,
        device="cpu",
    )
    return teacher.learn(total_steps)


def final_success(
    task: Task, actions: str, teacher: PPO, seeds: Sequence[int], *, greedy: bool = False
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The success that a teacher achieves with drawn actions, as in its training, or with the likeliest ones.

    Returns:
        The mean success at the end for every seed, (seeds,), and the share of practice of every arm, (arms,).
    """
    env = task.env(actions)
    teacher.set_random_seed(0)
    finals, slots = [], np.zeros(task.num_arms + len(NUISANCE))
    for seed in seeds:
        observation, information = env.reset(seed=seed)
        over = False
        while not over:
            action, _ = teacher.predict(observation, deterministic=greedy)
            observation, _, over, _, information = env.step(action)
            slots += np.bincount(information["arms"], minlength=len(slots))
        finals.append(information["mean_success"])
    return np.array(finals), slots / slots.sum()


def control_success(task: Task, policy: str, seeds: Sequence[int]) -> NDArray[Any]:
    """The mean success at the end under a policy for every seed, (seeds,)."""
    plan = SimulationPlan(task.steps, task.prompts_per_step, task.num_generations)
    return run_seeds(policy, task.spec, seeds, plan).mean_success[:, -1]


def score(finals: Mapping[str, NDArray[Any]], name: str) -> float:
    """How much of the waste is saved: 0 is uniform, 1 is uniform on the arms that count."""
    means = {key: value.mean() for key, value in finals.items()}
    uniform, known = means["uniform"], means["uniform on the arms that count"]
    return float((means[name] - uniform) / (known - uniform))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=int, default=8, help="training seeds of each kind of teacher")
    parser.add_argument("--total-steps", type=int, default=24_000, help="steps that a teacher is trained for")
    parser.add_argument("--seeds", type=int, default=30, help="number of students that are set aside")
    parser.add_argument("--output", type=Path, default=FOLDER / "results.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    task, seeds = Task(), range(arguments.seeds)
    finals = {name: control_success(task, policy, seeds) for name, policy in task.controls.items()}
    shares: dict[str, list[list[float]]] = {}
    for actions in ACTIONS:
        by_teacher: dict[str, list[NDArray[Any]]] = {}
        for seed in range(arguments.teachers):
            teacher = train_teacher(task, actions, arguments.total_steps, seed)
            for way in ("drawn", "greedy"):
                final, share = final_success(task, actions, teacher, seeds, greedy=way == "greedy")
                by_teacher.setdefault(f"PPO, {actions}, {way}", []).append(final)
                shares.setdefault(f"PPO, {actions}, {way}", []).append(share.round(3).tolist())
                print(f"PPO, {actions}, {way}, teacher {seed}: {final.mean():.4f} {share.round(2)}", flush=True)
        finals |= {name: np.array(values) for name, values in by_teacher.items()}  # (teachers, seeds)
    rows = {}
    for name, final in finals.items():
        gains = np.atleast_2d(final - finals["uniform"])  # paired by the student's seed
        units = gains.mean(axis=1) if len(gains) > 1 else gains[0]  # for PPO, teachers are the unit
        gain, low, high = interval_over_runs(units)
        rows[name] = {
            "final": round(float(final.mean()), 4),
            "gain": [round(value, 4) for value in (gain, low, high)],
            "score": round(score(finals, name), 3),
            "worst_teacher": round(float(gains.mean(axis=1).min()), 4),
            "seeds_gained": round(float((gains > 0).mean()), 3),
        }
        print(f"{name:32}", rows[name])
    settings = {name: value for name, value in vars(arguments).items() if name != "output"}
    record = {"settings": settings, "results": rows, "shares": shares}
    arguments.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
