"""The curriculum as a Gymnasium environment: the action is what a student practises next."""

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
    """The signal of DUMP for every group, by its number of successes, (groups,); from 0 to 1."""
    return binary_mean_absolute_advantage(results.successes, results.num_generations)


def _default_student(seed: int) -> Student:
    return SkillsStudent(seeds=seed)


class CurriculumEnv(gym.Env[NDArray[np.float32], Any]):
    """Which distributions should a student practise next?

    ## Description
    A student practises K arms, each a distribution of problems, in batches of ``prompts_per_step`` problems with
    ``num_generations`` completions to each. In every step the teacher, who is the agent here, says where the batch
    comes from; the student completes it and learns from it. So any Gymnasium agent of any library can be the teacher,
    and whatever is a ``dumpgym.contracts.learner.Student`` the student: a simulated one, or a language model with its puzzles.

    ## Action space
    With ``actions="discrete"``: ``Discrete(K)``, the arm that the whole batch comes from. With ``actions="simplex"``:
    ``Box(0, 1, (K,), float32)``, weights that are divided by their sum; all of them 0 are equal weights. ``draw`` says
    how weights become slots of the batch.

    ## Observation space
    ``Box`` of shape (7 K + 1,), float32. ``observation[:-1].reshape(7, K)`` has a row a statistic, all of training
    alone, 0 as long as the arm has not been practised:

    | row | name            | of every arm                                                           | from | to |
    |-----|-----------------|------------------------------------------------------------------------|------|----|
    | 0   | `batch_share`   | share of the last batch                                                | 0    | 1  |
    | 1   | `batch_success` | share of right completions in the last batch, 0 without any            | 0    | 1  |
    | 2   | `batch_signal`  | mean signal of its groups in the last batch, 0 without any             | -1   | 1  |
    | 3   | `mean_success`  | recency-weighted mean of its batches' success, with step size          | 0    | 1  |
    |     |                 | ``step_size``, which begins at the first value                         |      |    |
    | 4   | `mean_signal`   | the same of their signal                                               | -1   | 1  |
    | 5   | `success_trend` | `mean_success` minus the same mean with a quarter of the step size     | -1   | 1  |
    | 6   | `total_share`   | share of all problems practised in the episode                         | 0    | 1  |

    The last number is the part of the episode that is over, from 0 to 1. Signals are clipped to their range.

    ## Starting state
    A student at the start of its training, and an observation of zeros. With a factory, ``reset(seed=s)`` makes the
    student with seed s, and ``reset()`` one with a seed of the environment's own generator, so a seed given once makes
    all episodes that follow reproducible. A student that is given as an object starts every episode in the state in
    which it was given, if it is a ``dumpgym.contracts.state.Stateful``; any other has one episode, and a second ``reset`` raises.

    ## Rewards
    * ``reward="progress"``: by how much the step changed the mean success over the arms that count. The return of an
      episode is final minus initial mean success.
    * ``reward="signal"``: the mean of the signal over the batch's groups, which is what a bandit maximises.

    ## Episode end
    After ``steps`` steps, with ``terminated``; ``truncated`` is never True. The number of steps is part of the task,
    not a limit on how long it is watched: what the student could still learn afterwards is worth nothing, so an agent
    must not bootstrap from the last state, and the observation tells how much time is left, which keeps the task a
    Markov one (see the references).

    ## Information
    ``reset`` and ``step`` return ``success`` (held out, of every arm, (K,)), ``mean_success`` (over the arms that
    count), ``tokens`` (generated in the step) and ``arms`` (of the batch's groups).

    ## Arguments
    * ``student=None``: a ``Student`` of one run, or a factory, called with a seed, that makes one; by default
      ``SkillsStudent(seeds=seed)``. All students of a factory have the same arms.
    * ``actions="discrete"``: or "simplex".
    * ``steps=150``: in an episode, at least 1.
    * ``prompts_per_step=16``: groups in a batch, at least 1.
    * ``num_generations=8``: completions in a group, at least 2.
    * ``reward="progress"``: or "signal".
    * ``signal=None``: a function of ``GroupResults`` that gives one number a group, such as the signals that
      ``dumpgym.signals.signal.make_signal`` makes; by default the mean absolute GRPO advantage of a group with this
      many successes. Every episode begins with a copy of it, should it keep something in mind.
    * ``draw="quota"``: every arm gets its share of the batch's slots, rounded up or down (largest remainder), and what
      rounding took or gave is settled in later batches; or "independent": every slot is drawn by the weights.
    * ``step_size=0.25``: of the recency-weighted means, above 0 and at most 1.
    * ``render_mode=None``: there is no other.

    ## References
    * Teacher-Student Curriculum Learning: Matiisen et al., 2017, arXiv 1707.00183: the teacher's task as a POMDP.
    * DUMP: Wang et al., 2025, arXiv 2504.09710: the signal.
    * Time Limits in Reinforcement Learning: Pardo et al., 2018, arXiv 1712.00378: termination with the time left in the
      observation.

    ## Version history
    * v0: the first version.
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
        self._step: int | None = None  # steps done in the episode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts an episode with a student at the start of its training.

        Args:
            seed: of the student, where a factory makes it, and of the environment's own generator; None for the next.
            options: there are none.

        Raises:
            InvalidValueError: if there are options, or the student cannot start anew.
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
            action: an arm, or weights of all arms, by the action space.

        Raises:
            InvalidValueError: if it is not in the action space, or the signal is not one finite number a group.
        """
        if self._step is None or self._step == self.steps:
            raise gym.error.ResetNeeded("call reset() before step(), and after an episode's last step")
        arms = self._batch(action)
        before = self._mean_success
        results = self.student.practise(arms, self.num_generations)
        signal = self._signal(results)
        if np.shape(signal) != arms.shape or not np.isfinite(signal).all():
            raise InvalidValueError("signal", signal, f"{len(arms)} finite numbers, one a group")
        self._remember(results, signal)
        self._step += 1
        information = self._information(arms, int(results.tokens.sum()))
        reward = self._mean_success - before if self.reward == "progress" else float(signal.mean())
        return self._observation(), reward, self._step == self.steps, False, information

    def _restart(self, seed: int) -> None:
        """Puts a student at the start of its training."""
        if self._factory is not None:
            self.student = self._factory(seed)
        elif self._initial is not None and isinstance(self.student, Stateful):
            self.student.load_state_dict(self._initial)
        elif self._step is not None:
            accepted = "for a second episode, a Stateful student, or a function of a seed that makes one"
            raise InvalidValueError("student", self.student, accepted)

    def _batch(self, action: Any) -> NDArray[np.int64]:
        """The arms of the batch, (prompts_per_step,)."""
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
        """Brings the statistics up to date with a batch."""
        groups = np.bincount(results.arm, minlength=self.num_arms)
        present, first = groups > 0, self._practised == 0

        def batch_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
            total = np.bincount(results.arm, values, minlength=self.num_arms)
            mean: NDArray[np.float64] = total / np.maximum(groups, 1)
            return mean

        def moved(mean: NDArray[np.float64], value: NDArray[np.float64], step_size: float) -> NDArray[np.float64]:
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
