"""TSCL (arXiv 1707.00183), teacher-student curriculum learning: the arm whose success rate changes fastest."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.bandits.history import MOST_STEPS
from dumpgym.agents.bandits.selection import boltzmann, epsilon_greedy
from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.feedback import Feedback, batch_means
from dumpgym.contracts.policy import BanditPolicy, PolicyOptions
from dumpgym.contracts.policy_registry import register_policy
from dumpgym.contracts.schedules import Schedulable, Schedule
from dumpgym.signals.of_progress import slope

CHOICES = ("epsilon-greedy", "boltzmann")


class TSCLOptions(PolicyOptions, total=False):
    """Options of both algorithms; see ``TSCL``."""

    choice: str
    epsilon: Schedulable
    temperature: Schedulable


class TSCL(BanditPolicy):
    """TSCL, teacher-student curriculum learning: the arm whose score changes fastest, up or down.

    The score of an arm is the mean success of its groups in a batch. Subclasses estimate Q, the rate at which the score
    changes. Arms are chosen by abs(Q), so an arm that the student is forgetting returns to the batches::

        P(d) = epsilon / num_arms + (1 - epsilon) [abs(Q_d) is the largest]    with choice "epsilon-greedy"
        P(d) = softmax(abs(Q) / temperature)_d                                 with choice "boltzmann"

    Source: Matiisen et al., Teacher-Student Curriculum Learning, arXiv 1707.00183. The defaults are those of the
    authors' code. Its temperature is meant for scores over thousands of examples; with scores over a few groups it
    follows their noise, and has to be far larger.

    Args:
        num_arms: number of arms, at least 1.
        choice: "epsilon-greedy", in which arms that tie share slots evenly, or "boltzmann".
        epsilon: share of uniform draws, from 0 to 1; a number or a schedule.
        temperature: softmax temperature, at least 0; a number or a schedule.
        common: options of every policy, see ``BanditPolicy``.

    Attributes:
        rate: Q, the rate of change of every arm's score, shape (..., num_arms); subclasses keep it up to date.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*BanditPolicy.state_fields, "rate")
    rate: NDArray[np.float64]

    def __init__(
        self,
        num_arms: int,
        *,
        choice: str = "epsilon-greedy",
        epsilon: Schedulable = 0.1,
        temperature: Schedulable = 0.0004,
        **common: Unpack[PolicyOptions],
    ) -> None:
        super().__init__(num_arms, **common)
        if choice not in CHOICES:
            raise InvalidValueError("choice", choice, " or ".join(map(repr, CHOICES)))
        self.choice = choice
        self.epsilon = Schedule.parse("epsilon", epsilon, low=0, high=1)
        self.temperature = Schedule.parse("temperature", temperature, low=0)

    def _weights(self) -> NDArray[np.float64]:
        speed = np.abs(self.rate)
        if self.choice == "boltzmann":
            return boltzmann(speed, self.temperature.at(self.clock))
        return epsilon_greedy(speed, self.epsilon.at(self.clock))

    def _scores(self, feedback: Feedback) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Score of every arm in a batch, and a mask of the arms that have one, shape (..., num_arms) each."""
        return batch_means(feedback.arm, feedback.successes / feedback.num_generations, self.shape)


class TSCLOnline(TSCL):
    """TSCL's online algorithm: a recency-weighted mean of the differences between successive scores.

    For every arm in a batch, with x_d its score and x'_d its previous score, 0 at the start::

        Q_d <- step_size * (x_d - x'_d) + (1 - step_size) * Q_d

    Source: arXiv 1707.00183, the online algorithm. No departure: arms without a group in a batch keep Q and their last
    score, as in the paper, where the authors' code uses the difference 0. Late feedback counts when it arrives.

    Args:
        num_arms: number of arms, at least 1.
        step_size: alpha, weight of the newest difference, above 0 and at most 1.
        common: options of both algorithms and of every policy, see ``TSCL``.

    Attributes:
        score: the last score of every arm, shape (..., num_arms).

    Raises:
        InvalidValueError: if an option is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*TSCL.state_fields, "score")

    def __init__(self, num_arms: int, *, step_size: float = 0.1, **common: Unpack[TSCLOptions]) -> None:
        super().__init__(num_arms, **common)
        self.step_size = require_number("step_size", step_size, above=0, high=1)
        self.rate = np.zeros(self.shape)
        self.score: NDArray[np.float64] = np.zeros(self.shape)

    def _observe(self, feedback: Feedback) -> None:
        score, present = self._scores(feedback)
        self.rate += np.where(present, self.step_size * (score - self.score - self.rate), 0)
        self.score = np.where(present, score, self.score)


class TSCLWindow(TSCL):
    """TSCL's window algorithm: the slope of a line through an arm's last scores.

    Over the last ``window`` scores x_i of arm d, with t_i the training step of each::

        Q_d = sum (t_i - mean t) (x_i - mean x) / sum (t_i - mean t)^2

    An arm with scores from fewer than two steps has Q = 1, which no slope exceeds, so every arm is tried in two steps
    first.

    Source: arXiv 1707.00183, the window algorithm, with Q = 1 as in the authors' code. No departure. Late feedback
    takes the place of its step.

    Args:
        num_arms: number of arms, at least 1.
        window: number of scores that the line is fitted to, from 2 to 10,000.
        common: options of both algorithms and of every policy, see ``TSCL``.

    Attributes:
        recent: step and score of the last batches with the arm, shape (2, ..., num_arms, window). The newest score is
            the rightmost; an arm with fewer scores has the step -1 on the left.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = (*TSCL.state_fields, "recent")

    def __init__(self, num_arms: int, *, window: int = 10, **common: Unpack[TSCLOptions]) -> None:
        super().__init__(num_arms, **common)
        self.window = require_number("window", window, low=2, high=MOST_STEPS, whole=True)
        self.recent: NDArray[np.float64] = np.full((2, *self.shape, window), -1.0)
        self.rate = np.ones(self.shape)

    def _observe(self, feedback: Feedback) -> None:
        score, present = self._scores(feedback)
        arms = np.flatnonzero(present)  # arms without a new score keep their slope
        recent = self.recent.reshape(2, -1, self.window)
        newest = np.stack([np.full(arms.size, feedback.step), score.ravel()[arms]])
        held = np.concatenate([recent[:, arms], newest[..., None]], axis=-1)
        # Sorting by step puts a late score where it belongs; the first column, the oldest score or an empty place, is
        # dropped. A slope over the order of arrival would fit a line through points at wrong times.
        order = held[0].argsort(axis=-1, kind="stable")
        recent[:, arms] = np.take_along_axis(held, order[None], axis=-1)[..., 1:]
        steps, scores = recent[:, arms]
        known = steps >= 0
        first = np.where(known, steps, np.inf).min(axis=-1)
        self.rate.reshape(-1)[arms] = np.where(steps[:, -1] > first, slope(steps, scores, known), 1)


register_policy("tscl-online", TSCLOnline, vectorised=True)
register_policy("tscl-window", TSCLWindow, vectorised=True)
