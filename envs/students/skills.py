"""A simulated student with many skills: transfer between arms, prerequisites and forgetting, learning as GRPO does."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binom, laplace

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError, require_number, require_numbers
from dumpgym.contracts.state import Stateful
from dumpgym.contracts.student import GroupResults
from dumpgym.contracts.student_registry import register_student
from dumpgym.envs.students.addresses import address_of_runs, check_batch, problem_indices, uniform_at
from dumpgym.signals.of_a_group import binary_mean_absolute_advantage

NUISANCES = ("too-hard", "mastered", "noisy", "spurious", "duplicate", "wrong-format")
_FIXED_SUCCESS = {"too-hard": 0.0, "mastered": 1.0, "noisy": 0.5, "wrong-format": 0.0}
_TRICK_DIFFICULTY, _TRICK_RATE = 2.0, 8.0
_NODES = 9
_DIFFICULTY, _LUCK = 0, 1  # streams of random numbers


@lru_cache(maxsize=8)
def _expected_signal(num_generations: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chances of a completion to be right, and the mean of ``binary_mean_absolute_advantage`` at each of them."""
    chance, k = np.linspace(0, 1, 2001), np.arange(num_generations + 1)
    return chance, binom.pmf(k, num_generations, chance[:, None]) @ binary_mean_absolute_advantage(k, num_generations)


@dataclass(frozen=True, slots=True)
class _Model:
    """What does not change while a student learns; A arms, M skills, Q difficulties of an arm's problems.

    Attributes:
        loads: how much of every skill an arm takes, rows of length 1, (A, M).
        difficulty: of every arm's problems, (A, Q), each as frequent as the others.
        easier: the arm whose success is the prerequisite of each arm, -1 for none, (A,).
        fixed: success that no skill changes, NaN where skills decide, (A,).
        rate: factor of the learning rate, 0 where nothing is learned, (A,).
    """

    loads: NDArray[np.float64]
    difficulty: NDArray[np.float64]
    easier: NDArray[np.int64]
    fixed: NDArray[np.float64]
    rate: NDArray[np.float64]


class SkillsStudent(Stateful):
    """A student that stands for a language model: one success curve an arm, which practice anywhere may raise.

    Arm d = 0, 1, ... is harder than those before it. There is a shared and an own skill for every arm, all 0 at the
    start; arm d takes the shared skill m with a load that falls as exp(-abs(d - m) / transfer_length), and its own with
    the share ``own_share`` of its squared load. With the skills theta, a problem whose difficulty z is one of nine
    equally likely quantiles of a Laplace distribution of variance 1 is solved with the chance::

        p = sigmoid(loads_d . theta - (offset + slope d) - spread z)

    A step of practice moves the skills by the finite-group signal g(k), the mean absolute advantage of a group of G
    completions with k successes, as a step of GRPO is in proportion to the advantages, and lets them fade::

        theta <- theta + learning_rate * mean over groups of (g(k) gate_d loads_d) - forgetting * theta
        gate_d = gate_floor + (1 - gate_floor) * (success of arm d - 1), 1 for the first arm

    So nothing is learned from a group that is all right or all wrong; a hard arm learns from easier ones through shared
    skills, and from itself once the arm before it is known; and an arm left alone is forgotten.

    The defaults are fitted to two published findings (``experiments/student_calibration``): the velocity of learning
    against the pass rate (marin #8765), for which the spread of difficulties within an arm is what counts, and the
    final successes of uniform sampling on Knights and Knaves of 3 to 14 people (arXiv 2504.09710), after 150 steps of
    128 groups of 16 completions. What DUMP achieves there is not fitted.

    Nuisance arms stand behind the others and do not count in the curriculum's success: "too-hard" is never solved,
    "mastered" always, "noisy" by the toss of a coin, "wrong-format" never, as its answers are not read; none of them
    teaches anything. "spurious" is learned by a trick, eight times as fast as a first arm, and the trick helps nowhere
    else. "duplicate" is a second arm with the skills of the middle one, and problems of its own.

    Run r depends on its seed alone, whoever is simulated beside it, to the last bit. Arm d's i-th problem, its
    difficulty and the luck of its completions, is the same under every policy that is given the seed.

    Args:
        num_arms: number of arms that count, at least 1.
        seeds: one a run, which then go in lockstep with a leading axis in all arrays; a single number for one run.
        nuisance: nuisance arms, names or one text with commas.
        offset: difficulty of the first arm.
        slope: how much harder every arm is than the one before it.
        spread: standard deviation of the distribution of difficulty within an arm, at least 0.
        transfer_length: arms over which transfer falls by a factor of e, above 0.
        own_share: share of the squared load that an arm's own skill has, from 0 to 1.
        learning_rate: above 0.
        gate_floor: how much is learned without the prerequisite, from 0 to 1.
        forgetting: share of every skill that is lost in a step, from 0 to 1.
        tokens: generated by a completion of the first arm and of the last one; those between lie on a line, and
            nuisance arms have as many as the middle one.

    Raises:
        UnknownNameError: if there is no such nuisance arm.
        InvalidValueError: if another argument is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("seeds", "skills", "drawn")

    def __init__(
        self,
        num_arms: int = 12,
        *,
        seeds: int | Sequence[int] = 0,
        nuisance: str | Sequence[str] = (),
        offset: float = -0.262,
        slope: float = 0.431,
        spread: float = 2.13,
        transfer_length: float = 11.8,
        own_share: float = 0.671,
        learning_rate: float = 0.333,
        gate_floor: float = 0.046,
        forgetting: float = 0.0175,
        tokens: Sequence[int] | str = (400, 1500),
    ) -> None:
        require_number("num_arms", num_arms, low=1, whole=True)
        require_number("offset", offset)
        require_number("slope", slope)
        require_number("spread", spread, low=0)
        require_number("transfer_length", transfer_length, above=0)
        require_number("own_share", own_share, low=0, high=1)
        self.learning_rate = require_number("learning_rate", learning_rate, above=0)
        self.gate_floor = require_number("gate_floor", gate_floor, low=0, high=1)
        self.forgetting = require_number("forgetting", forgetting, low=0, high=1)
        names = _nuisance_names(nuisance)
        width = len(str(num_arms))
        self.arm_names = (*(f"level{d + 1:0{width}}" for d in range(num_arms)), *names)
        self.counts: NDArray[np.bool_] = np.arange(len(self.arm_names)) < num_arms
        level = offset + slope * np.arange(num_arms, dtype=np.float64)
        self._model = _with_nuisance(_real_arms(level, spread, transfer_length, own_share), names)
        first, last = require_numbers("tokens", tokens, 2, low=1)
        lengths = np.linspace(first, last, num_arms).round().astype(np.int64)
        self._lengths = np.concatenate([lengths, np.full(len(names), lengths[num_arms // 2])])
        self.seeds = address_of_runs(seeds)
        runs = self.seeds.shape[:-1]
        self.skills: NDArray[np.float64] = np.zeros((*runs, self._model.loads.shape[1]))
        self.drawn: NDArray[np.int64] = np.zeros((*runs, len(self.arm_names)), dtype=np.int64)  # problems of every arm

    def practise(self, arms: NDArray[np.int64], num_generations: int) -> GroupResults:
        """Completes one problem of each of the arms ``num_generations`` times, and learns; see ``Student``.

        Raises:
            InvalidValueError: if there are not as many runs as seeds, or no such arm.
        """
        check_batch(arms, num_generations, self.drawn)
        index, self.drawn = problem_indices(arms, self.drawn)
        node = (_NODES * uniform_at(self.seeds, arms, index, _DIFFICULTY)).astype(np.int64)
        chances = self._chances(self.skills)
        chance = np.take_along_axis(chances.reshape(*arms.shape[:-1], -1), arms * _NODES + node, axis=-1)
        # The inverse of the distribution function, at a number that no skill changes: with more skill never fewer
        # successes. At the number 0 it is -1.
        luck = uniform_at(self.seeds, arms, index, _LUCK)
        successes = np.maximum(binom.ppf(luck, num_generations, chance), 0).astype(np.int64)

        signal = binary_mean_absolute_advantage(successes, num_generations)
        taught = np.where(arms[..., None] == np.arange(len(self.arm_names)), signal[..., None], 0).mean(axis=-2)
        self.skills = self._learned(self.skills, chances.mean(axis=-1), taught)
        tokens = self._lengths[arms] * num_generations
        return GroupResults(arms, successes, num_generations, tokens, np.zeros_like(successes))

    def success(self) -> NDArray[np.float64]:
        """The chance to solve a problem of every arm, shape (..., num_arms)."""
        success: NDArray[np.float64] = self._chances(self.skills).mean(axis=-1)
        return success

    def expected_path(self, shares: NDArray[np.float64], num_generations: int) -> NDArray[np.float64]:
        """Success in the limit of large batches, where every group gives its expected signal; the student stays as is.

        Args:
            shares: of every arm in every step, (..., steps, num_arms).
            num_generations: completions in a group.

        Returns:
            Success before every step and after the last, (..., steps + 1, num_arms), from no skill at all.

        Raises:
            InvalidValueError: if the shares are of other arms, or a group has fewer than two completions.
        """
        require_number("num_generations", num_generations, low=2, whole=True)
        if shares.ndim < 2 or shares.shape[-1] != len(self.arm_names):
            raise InvalidValueError("shape of shares", shares.shape, f"(..., steps, {len(self.arm_names)})")
        skills = np.zeros((*shares.shape[:-2], self.skills.shape[-1]))
        chances = self._chances(skills)
        path = [chances.mean(axis=-1)]
        for step in range(shares.shape[-2]):
            expected = np.interp(chances, *_expected_signal(num_generations)).mean(axis=-1)
            skills = self._learned(skills, path[-1], shares[..., step, :] * expected)
            chances = self._chances(skills)
            path.append(chances.mean(axis=-1))
        return np.stack(path, axis=-2)

    def _chances(self, skills: NDArray[np.float64]) -> NDArray[np.float64]:
        """Success at every difficulty of every arm, (..., A, Q)."""
        # Not by matrix multiplication, whose last bit depends on the number of runs.
        ability = np.einsum("...m,am->...a", skills, self._model.loads)
        chances: NDArray[np.float64] = expit(ability[..., None] - self._model.difficulty)
        fixed = self._model.fixed[:, None]
        return np.where(np.isnan(fixed), chances, fixed)

    def _learned(
        self, skills: NDArray[np.float64], success: NDArray[np.float64], taught: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The skills after a step in which every arm gave the signal ``taught``, (..., A), in the mean over groups."""
        easier = self._model.easier
        gate = self.gate_floor + (1 - self.gate_floor) * np.where(easier < 0, 1, success[..., easier])
        gain = np.einsum("...a,am->...m", taught * gate * self._model.rate, self._model.loads)
        learned: NDArray[np.float64] = (1 - self.forgetting) * skills + self.learning_rate * gain
        return learned


def _nuisance_names(nuisance: str | Sequence[str]) -> list[str]:
    names = nuisance.split(",") if isinstance(nuisance, str) and nuisance else list(nuisance)
    for name in names:
        if name not in NUISANCES:
            raise UnknownNameError("nuisance arm", name, NUISANCES)
        if names.count(name) > 1:
            raise InvalidValueError("nuisance", names, "every name once")
    return names


def _real_arms(level: NDArray[np.float64], spread: float, transfer_length: float, own_share: float) -> _Model:
    """The arms that count, at their mean difficulties; the last skill, which none of them takes, is the trick."""
    num_arms = len(level)
    d = np.arange(num_arms)
    shared = np.exp(-np.abs(d[:, None] - d) / transfer_length)
    shared /= np.linalg.norm(shared, axis=1, keepdims=True)
    parts = [np.sqrt(1 - own_share) * shared, np.sqrt(own_share) * np.eye(num_arms), np.zeros((num_arms, 1))]
    quantiles = laplace.ppf((np.arange(_NODES) + 0.5) / _NODES) / np.sqrt(2)
    difficulty = level[:, None] + spread * quantiles
    return _Model(np.hstack(parts), difficulty, d - 1, np.full(num_arms, np.nan), np.ones(num_arms))


def _with_nuisance(real: _Model, names: Sequence[str]) -> _Model:
    """The model with nuisance arms behind the real ones, each a copy of the middle one but for what makes it one."""
    num_arms = len(real.rate)
    rows = np.append(np.arange(num_arms), np.full(len(names), num_arms // 2))
    model = _Model(real.loads[rows], real.difficulty[rows], real.easier[rows], real.fixed[rows], real.rate[rows])
    for i, name in enumerate(names, start=num_arms):
        if name in _FIXED_SUCCESS:
            model.fixed[i], model.rate[i] = _FIXED_SUCCESS[name], 0
        elif name == "spurious":
            model.loads[i] = np.eye(model.loads.shape[1])[-1]
            model.difficulty[i], model.easier[i], model.rate[i] = _TRICK_DIFFICULTY, -1, _TRICK_RATE
    return model


register_student("skills", SkillsStudent)
