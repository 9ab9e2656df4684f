"""The curriculum as a Gymnasium environment: the action chooses what a student practises next."""

import copy
from collections.abc import Callable
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.slots import DRAWS, draw_arms, draw_quotas
from dumpgym.contracts.state import Stateful
from dumpgym.contracts.student import GroupResults, Student
from dumpgym.envs.students.skills import SkillsStudent
from dumpgym.signals.of_a_group import binary_mean_absolute_advantage

ACTIONS = ("discrete", "simplex")
REWARDS = ("progress", "signal")
STATISTICS = (
    "batch_share",
    "batch_success",
    "batch_signal",
    "mean_success",
    "mean_signal",
    "success_trend",
    "total_share",
)
_SIGNED = ("batch_signal", "mean_signal", "success_trend")


def _default_signal(results: GroupResults) -> NDArray[np.float64]:
    """Returns DUMP's signal for every group, from its number of successes, shape (groups,), from 0 to 1."""
    return binary_mean_absolute_advantage(results.successes, results.num_generations)


def _default_student(seed: int) -> Student:
    return SkillsStudent(seeds=seed)


class CurriculumEnv(gym.Env[NDArray[np.float32], Any]):
    """Choose the distributions that a student practises next, so that it learns as much as possible.

    ## Description
    A student practises K arms, each a distribution of problems, in batches of ``prompts_per_step`` problems with
    ``num_generations`` completions to each. In every step the agent, which plays the teacher, chooses the arms of the
    next batch; the student completes the batch and learns from it. Any Gymnasium agent of any library can be the
    teacher, and any ``dumpgym.contracts.student.Student`` can be the student: a simulated one, or a language model with
    its puzzles.

    ## Action space
    The action space depends on ``actions``:

    - "discrete": ``Discrete(K)``, the arm of the whole batch.
    - "simplex": ``Box(0, 1, (K,), float32)``, weights of the arms, which are divided by their sum. If all are 0, the
      arms have equal weights. ``draw`` determines how weights become slots of the batch.

    ## Observation space
    The observation is a ``Box`` of shape (7 K + 1,) and dtype float32. ``observation[:-1].reshape(7, K)`` has one row
    per statistic and one column per arm. All statistics are measured on training problems, and are 0 until the arm is
    practised:

    | row | name            | statistic of each arm                                                  | min  | max |
    |-----|-----------------|------------------------------------------------------------------------|------|-----|
    | 0   | `batch_share`   | share of the last batch                                                | 0    | 1   |
    | 1   | `batch_success` | share of right completions in the last batch, 0 if it has no groups    | 0    | 1   |
    | 2   | `batch_signal`  | mean signal of its groups in the last batch, 0 if it has no groups     | -1   | 1   |
    | 3   | `mean_success`  | recency-weighted mean of its success per batch, with step size         | 0    | 1   |
    |     |                 | ``step_size``, starting at the first value                             |      |     |
    | 4   | `mean_signal`   | the same mean of its signal per batch                                  | -1   | 1   |
    | 5   | `success_trend` | `mean_success` minus the same mean with a quarter of the step size     | -1   | 1   |
    | 6   | `total_share`   | share of all problems practised in the episode                         | 0    | 1   |

    The last element of the observation is the elapsed part of the episode, from 0 to 1. Signals are clipped to
    [-1, 1].

    ## Starting state
    The student is at the start of its training, and the observation is all zeros. With a factory, ``reset(seed=s)``
    makes a student with seed s, and ``reset()`` makes one with a seed from the environment's own generator, so that one
    seed makes all later episodes reproducible. A student that is passed as an object starts every episode in the state
    in which it was passed, if it is a ``dumpgym.contracts.state.Stateful``. Any other student has only one episode, and
    a second ``reset`` raises an error.

    ## Rewards
    - ``reward="progress"``: the change in mean success, over the arms that count, from before the step to after it. The
      return of an episode is the final minus the initial mean success.
    - ``reward="signal"``: the mean signal over the groups of the batch, which is what a bandit maximises.

    ## Episode end
    The episode terminates after ``steps`` steps; ``truncated`` is never True. The number of steps is part of the task
    and not a time limit imposed from outside: what the student could learn after the last step has no value. So an
    agent must not bootstrap from the last state, and the observation contains the elapsed time, without which the
    task would not be Markov (Pardo et al., see the references).

    ## Information
    ``reset`` and ``step`` return a dictionary with:

    - ``success``: success on held-out problems of every arm, shape (K,).
    - ``mean_success``: mean success over the arms that count.
    - ``tokens``: number of tokens generated in the step.
    - ``arms``: arms of the batch's groups.

    ## Arguments
    - ``student=None``: a ``Student`` of one run, or a factory that takes a seed and makes one; by default
      ``SkillsStudent(seeds=seed)``. All students of a factory must have the same arms.
    - ``actions="discrete"``: "discrete" or "simplex".
    - ``steps=150``: number of steps in an episode, at least 1.
    - ``prompts_per_step=16``: number of groups in a batch, at least 1.
    - ``num_generations=8``: number of completions in a group, at least 2.
    - ``reward="progress"``: "progress" or "signal".
    - ``signal=None``: a function from ``GroupResults`` to one number per group, such as the signals that
      ``dumpgym.signals.signal.make_signal`` makes; by default the mean absolute GRPO advantage of a group with the same
      number of successes. Every episode starts with a new copy of it, as signals may have a state.
    - ``draw="quota"``: "quota" gives every arm its share of the batch's slots, rounded up or down (largest remainder),
      and later batches compensate for the rounding; "independent" draws every slot from the weights.
    - ``step_size=0.25``: step size of the recency-weighted means, above 0 and at most 1.
    - ``render_mode=None``: only None is supported.

    ## References
    - Matiisen et al., "Teacher-Student Curriculum Learning", 2017, arXiv 1707.00183: the teacher's task as a POMDP.
    - Wang et al., DUMP, 2025, arXiv 2504.09710: the signal.
    - Pardo et al., "Time Limits in Reinforcement Learning", 2018, arXiv 1712.00378: termination with the remaining time
      in the observation.

    ## Version history
    - v0: initial version.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (as Gymnasium declares it)

    def __init__(
        self,
        *,
        student: Student | Callable[[int], Student] | None = None,
        actions: str = "discrete",
        steps: int = 150,
        prompts_per_step: int = 16,
        num_generations: int = 8,
        reward: str = "progress",
        signal: Callable[[GroupResults], NDArray[np.float64]] | None = None,
        draw: str = "quota",
        step_size: float = 0.25,
        render_mode: str | None = None,
    ) -> None:
        for name, value, known in (("actions", actions, ACTIONS), ("reward", reward, REWARDS)):
            if value not in known:
                raise InvalidValueError(name, value, " or ".join(map(repr, known)))
        if render_mode is not None:
            raise InvalidValueError("render_mode", render_mode, "None")
        self.render_mode = None
        self.steps = require_number("steps", steps, low=1, whole=True)
        self.prompts_per_step = require_number("prompts_per_step", prompts_per_step, low=1, whole=True)
        self.num_generations = require_number("num_generations", num_generations, low=2, whole=True)
        self.reward = reward
        self.signal = signal or _default_signal
        self.step_size = require_number("step_size", step_size, above=0, high=1)
        self._factory = _default_student if student is None else student if callable(student) else None
        self.student = cast(Student, student) if self._factory is None else self._factory(0)
        if not hasattr(self.student, "practise") or self.student.success().ndim != 1:
            raise InvalidValueError(
                "student", self.student, "a Student of one run, or a function of a seed that makes one"
            )
        self._initial = self.student.state_dict() if isinstance(self.student, Stateful) else None
        self.num_arms = len(self.student.arm_names)
        if draw not in DRAWS:
            raise InvalidValueError("draw", draw, " or ".join(map(repr, DRAWS)))
        self.draw = draw
        self._uniform = np.full(self.num_arms, 1 / self.num_arms)
        discrete = actions == "discrete"
        self.action_space = spaces.Discrete(self.num_arms) if discrete else spaces.Box(0, 1, (self.num_arms,))
        low = np.repeat([-1.0 if name in _SIGNED else 0.0 for name in STATISTICS], self.num_arms)
        bounds = np.append(low, 0).astype(np.float32)
        self.observation_space = spaces.Box(bounds, np.ones_like(bounds), dtype=np.float32)
        self._step: int | None = None  # number of steps done in the episode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts an episode with a student at the start of its training.

        Args:
            seed: seed of the environment's own generator, and of the student if a factory makes it. None continues with
                the generator.
            options: not supported.

        Raises:
            InvalidValueError: if there are options, or the student cannot be restarted.
        """
        super().reset(seed=seed)
        if options:
            raise InvalidValueError("options", options, "none")
        self._restart(int(self.np_random.integers(2**31)) if seed is None else seed)
        self._signal = copy.deepcopy(self.signal)
        self._credit = np.zeros(self.num_arms)
        self._statistics = dict.fromkeys(STATISTICS, np.zeros(self.num_arms))
        self._practised = np.zeros(self.num_arms, dtype=np.int64)
        self._slow_success = np.zeros(self.num_arms)
        self._step = 0
        return self._observation(), self._information(np.zeros(0, dtype=np.int64), 0)

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Lets the student practise one batch.

        Args:
            action: an arm, or the weights of all arms, depending on the action space.

        Raises:
            InvalidValueError: if the action is not in the action space, or the signal is not one finite number per
                group.
            gymnasium.error.ResetNeeded: if the episode has not started or is over.
        """
        if self._step is None or self._step == self.steps:
            raise gym.error.ResetNeeded("call reset() before step(), and after an episode's last step")
        arms = self._batch(action)
        before = self._mean_success
        results = self.student.practise(arms, self.num_generations)
        signal = self._signal(results)
        if np.shape(signal) != arms.shape or not np.isfinite(signal).all():
            raise InvalidValueError("signal", signal, f"{len(arms)} finite numbers, one per group")
        self._remember(results, signal)
        self._step += 1
        information = self._information(arms, int(results.tokens.sum()))
        reward = self._mean_success - before if self.reward == "progress" else float(signal.mean())
        return self._observation(), reward, self._step == self.steps, False, information

    def _restart(self, seed: int) -> None:
        """Puts the student at the start of its training."""
        if self._factory is not None:
            self.student = self._factory(seed)
        elif self._initial is not None and isinstance(self.student, Stateful):
            self.student.load_state_dict(self._initial)
        elif self._step is not None:
            accepted = "for a second episode, a Stateful student, or a function of a seed that makes one"
            raise InvalidValueError("student", self.student, accepted)

    def _batch(self, action: Any) -> NDArray[np.int64]:
        """Draws the arms of the batch, shape (prompts_per_step,)."""
        if isinstance(self.action_space, spaces.Discrete):
            if not self.action_space.contains(action):
                raise InvalidValueError("action", action, f"a whole number from 0 to {self.num_arms - 1}")
            return np.full(self.prompts_per_step, action, dtype=np.int64)
        weights = np.asarray(action, dtype=np.float64)
        if weights.shape != (self.num_arms,) or not ((weights >= 0) & (weights <= 1)).all():
            raise InvalidValueError("action", action, f"{self.num_arms} weights from 0 to 1")
        shares = weights / weights.sum() if weights.any() else self._uniform
        if self.draw == "independent":
            return draw_arms(self.np_random, shares, self.prompts_per_step)
        arms, self._credit = draw_quotas(self.np_random, shares, self._credit, self.prompts_per_step)
        return arms

    def _remember(self, results: GroupResults, signal: NDArray[np.float64]) -> None:
        """Updates the statistics with a batch."""
        groups = np.bincount(results.arm, minlength=self.num_arms)
        present, first = groups > 0, self._practised == 0

        def batch_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
            total = np.bincount(results.arm, values, minlength=self.num_arms)
            mean: NDArray[np.float64] = total / np.maximum(groups, 1)
            return mean

        def moved(mean: NDArray[np.float64], value: NDArray[np.float64], step_size: float) -> NDArray[np.float64]:
            # An arm's first value replaces the 0 before it, which was no measurement; absent arms keep their mean.
            new: NDArray[np.float64] = mean + np.where(present, np.where(first, 1, step_size) * (value - mean), 0)
            return new

        success = batch_mean(results.successes / results.num_generations)
        batch_signal = batch_mean(np.clip(signal, -1, 1))
        self._practised = self._practised + groups
        self._slow_success = moved(self._slow_success, success, self.step_size / 4)
        mean_success = moved(self._statistics["mean_success"], success, self.step_size)
        self._statistics = {
            "batch_share": groups / len(results.arm),
            "batch_success": success,
            "batch_signal": batch_signal,
            "mean_success": mean_success,
            "mean_signal": moved(self._statistics["mean_signal"], batch_signal, self.step_size),
            "success_trend": mean_success - self._slow_success,
            "total_share": self._practised / self._practised.sum(),
        }

    def _observation(self) -> NDArray[np.float32]:
        rows = [self._statistics[name] for name in STATISTICS]
        return np.concatenate([*rows, [(self._step or 0) / self.steps]]).astype(np.float32)

    def _information(self, arms: NDArray[np.int64], tokens: int) -> dict[str, Any]:
        success = self.student.success()
        self._mean_success = float(success[self.student.counts].mean())
        return {"success": success, "mean_success": self._mean_success, "tokens": tokens, "arms": arms}
