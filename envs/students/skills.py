"""A simulated student with many skills, which learns as GRPO does: transfer, prerequisites and forgetting."""

import itertools
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
_TRICK_DIFFICULTY, _TRICK_RATE = 2.0, 8.0  # of the spurious arm
_NODES = 9  # number of difficulties of an arm's problems
_DIFFICULTY, _LUCK = 0, 1  # last part of the address of a problem's random numbers


@lru_cache(maxsize=8)
def _expected_signal(num_generations: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns chances that a completion is right, and the mean ``binary_mean_absolute_advantage`` at each of them."""
    # ``expected_path`` interpolates in this table of 2,001 chances. The search for the best allocation needs the signal
    # at thousands of chances in every step, where interpolation is much cheaper than a binomial sum.
    chance, k = np.linspace(0, 1, 2001), np.arange(num_generations + 1)
    return chance, binom.pmf(k, num_generations, chance[:, None]) @ binary_mean_absolute_advantage(k, num_generations)


@dataclass(frozen=True, slots=True)
class _Model:
    """The constants of a student with A arms, M skills, and Q difficulties of each arm's problems.

    Attributes:
        loads: load of every skill on every arm, rows of Euclidean length 1, shape (A, M).
        difficulty: difficulties of every arm's problems, equally frequent, shape (A, Q).
        easier: index of the arm whose success is the prerequisite of each arm, -1 for none, shape (A,).
        fixed: success on arms that no skill changes, NaN for other arms, shape (A,).
        rate: factor of the learning rate, 0 for arms that teach nothing, shape (A,).
    """

    loads: NDArray[np.float64]
    difficulty: NDArray[np.float64]
    easier: NDArray[np.int64]
    fixed: NDArray[np.float64]
    rate: NDArray[np.float64]


class SkillsStudent(Stateful):
    """A model of a language model in training: practice of one arm raises the success on other arms too.

    Arms d = 0, 1, ... are increasingly hard. Every arm has a shared skill and an own skill, all 0 at the start. The
    load of shared skill m on arm d is proportional to exp(-abs(d - m) / transfer_length), and ``own_share`` is the
    share of the arm's own skill in its squared loads. With skills theta, a problem is solved with probability::

        p = sigmoid(loads_d . theta - (offset + slope d) - spread z)

    where z, the difficulty of the problem, is one of nine equally likely quantiles of a Laplace distribution with
    variance 1. A step of practice changes the skills in proportion to the mean absolute advantage g(k) of groups of G
    completions with k successes, as a step of GRPO is proportional to the advantages, and all skills decay::

        theta <- theta + learning_rate * mean over groups of (g(k) gate_d loads_d) - forgetting * theta
        gate_d = gate_floor + (1 - gate_floor) * (success of arm d - 1), 1 for the first arm

    So a group whose completions are all right or all wrong teaches nothing. A hard arm learns from easier arms through
    shared skills, and from its own practice once the arm before it is mastered. An arm that is not practised is
    forgotten.

    The defaults are fitted to two published findings (``experiments/student_calibration``). The first is the velocity
    of learning as a function of the pass rate (marin #8765), which depends most on the spread of difficulties within an
    arm. The second is the final success of uniform sampling on Knights and Knaves of 3 to 14 people (arXiv 2504.09710),
    after 150 steps of 128 groups of 16 completions. The results of DUMP in that paper are not fitted.

    Nuisance arms come after the other arms and do not count in the curriculum's success:

    * "too-hard" is never solved, "mastered" always, "noisy" with probability 1/2 and "wrong-format" never, because its
      answers cannot be read. None of them teaches anything.
    * "spurious" is learned by a trick, eight times as fast as the first arm, and the trick helps on no other arm.
    * "duplicate" has the skills of the middle arm and other problems.

    A run depends only on its seed, to the last bit, with or without other runs beside it. Problem i of an arm, its
    difficulty and the luck of its completions, is the same under every policy with the same seed.

    Args:
        num_arms: number of arms that count, at least 1.
        seeds: one seed per run for runs in lockstep, with a leading axis in all arrays; a single number for one run.
        nuisance: names of nuisance arms, as a list or as text with commas; ``too-hard*28`` stands for 28 of them.
        offset: difficulty of the first arm.
        slope: increase in difficulty from one arm to the next.
        spread: standard deviation of the difficulty within an arm, at least 0.
        transfer_length: number of arms over which transfer falls by a factor of e, above 0.
        own_share: share of the arm's own skill in its squared loads, from 0 to 1.
        learning_rate: learning rate of the skills, above 0.
        gate_floor: share of the learning rate that is left without the prerequisite, from 0 to 1.
        forgetting: share of every skill that is lost in a step, from 0 to 1.
        tokens: number of tokens in a completion of the first and of the last arm. The numbers between lie on a line;
            nuisance arms have as many as the middle arm.

    Attributes:
        skills: theta, shape (..., skills).
        drawn: number of problems of every arm that were practised, shape (..., num_arms).

    Raises:
        UnknownNameError: if a nuisance arm is unknown.
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
        kinds = _nuisance_kinds(nuisance)
        own_names = [[kind] if number == 1 else _numbered(kind, number) for kind, number in kinds.items()]
        self.arm_names = tuple(itertools.chain(_numbered("level", num_arms), *own_names))
        self.counts: NDArray[np.bool_] = np.arange(len(self.arm_names)) < num_arms
        level = offset + slope * np.arange(num_arms, dtype=np.float64)
        of_nuisance = [kind for kind, number in kinds.items() for _ in range(number)]
        self._model = _with_nuisance(_real_arms(level, spread, transfer_length, own_share), of_nuisance)
        first, last = require_numbers("tokens", tokens, 2, low=1)
        lengths = np.linspace(first, last, num_arms).round().astype(np.int64)
        self._lengths = np.concatenate([lengths, np.full(len(of_nuisance), lengths[num_arms // 2])])
        self.seeds = address_of_runs(seeds)
        runs = self.seeds.shape[:-1]
        self.skills: NDArray[np.float64] = np.zeros((*runs, self._model.loads.shape[1]))
        self.drawn: NDArray[np.int64] = np.zeros((*runs, len(self.arm_names)), dtype=np.int64)

    def practise(self, arms: NDArray[np.int64], num_generations: int) -> GroupResults:
        """Completes one problem of each of the arms ``num_generations`` times, and learns; see ``Student``.

        Raises:
            InvalidValueError: if the number of runs is not that of the seeds, an arm does not exist, or a group has
                fewer than two completions.
        """
        check_batch(arms, num_generations, self.drawn)
        index, self.drawn = problem_indices(arms, self.drawn)
        node = (_NODES * uniform_at(self.seeds, arms, index, _DIFFICULTY)).astype(np.int64)  # (..., groups)
        chances = self._chances(self.skills)  # (..., A, Q)
        chance = np.take_along_axis(chances.reshape(*arms.shape[:-1], -1), arms * _NODES + node, axis=-1)
        # One number per problem, inverted through the binomial distribution, gives the number of successes. The number
        # is the same under every policy, so on the same problem a student with more skill never has fewer successes.
        # SciPy returns -1 at the number 0, hence the maximum.
        luck = uniform_at(self.seeds, arms, index, _LUCK)
        successes = np.maximum(binom.ppf(luck, num_generations, chance), 0).astype(np.int64)

        signal = binary_mean_absolute_advantage(successes, num_generations)
        # Sum over the groups of each arm divided by the number of all groups, (..., num_arms).
        taught = np.where(arms[..., None] == np.arange(len(self.arm_names)), signal[..., None], 0).mean(axis=-2)
        self.skills = self._learned(self.skills, chances.mean(axis=-1), taught)
        tokens = self._lengths[arms] * num_generations
        return GroupResults(arms, successes, num_generations, tokens, np.zeros_like(successes))

    def success(self) -> NDArray[np.float64]:
        """Returns the chance to solve a problem of every arm, shape (..., num_arms)."""
        success: NDArray[np.float64] = self._chances(self.skills).mean(axis=-1)
        return success

    def expected_path(self, shares: NDArray[np.float64], num_generations: int) -> NDArray[np.float64]:
        """Computes success in the limit of large batches, where an arm's mean signal is its expectation.

        The path starts from an untrained student; the student itself does not change.

        Args:
            shares: share of every arm in every step, shape (..., steps, num_arms).
            num_generations: number of completions in a group.

        Returns:
            Success before every step and after the last, shape (..., steps + 1, num_arms).

        Raises:
            InvalidValueError: if the shares have the wrong shape, or a group has fewer than two completions.
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
        """Returns the success at every difficulty of every arm, shape (..., A, Q)."""
        # einsum and not @: the last bit of a matrix product depends on the number of rows, and a run would then depend
        # on the runs beside it.
        ability = np.einsum("...m,am->...a", skills, self._model.loads)
        chances: NDArray[np.float64] = expit(ability[..., None] - self._model.difficulty)
        fixed = self._model.fixed[:, None]
        return np.where(np.isnan(fixed), chances, fixed)

    def _learned(
        self, skills: NDArray[np.float64], success: NDArray[np.float64], taught: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Returns the skills after a step.

        Args:
            skills: skills before the step, shape (..., M).
            success: success on every arm before the step, shape (..., A).
            taught: sum of the signals of every arm's groups divided by the number of all groups, shape (..., A).
        """
        easier = self._model.easier
        gate = self.gate_floor + (1 - self.gate_floor) * np.where(easier < 0, 1, success[..., easier])
        gain = np.einsum("...a,am->...m", taught * gate * self._model.rate, self._model.loads)
        learned: NDArray[np.float64] = (1 - self.forgetting) * skills + self.learning_rate * gain
        return learned


def _nuisance_kinds(nuisance: str | Sequence[str]) -> dict[str, int]:
    """Returns the number of nuisance arms of every kind."""
    entries = nuisance.split(",") if isinstance(nuisance, str) and nuisance else list(nuisance)
    kinds: dict[str, int] = {}
    for entry in entries:
        kind, star, number = entry.partition("*")
        if kind not in NUISANCES:
            raise UnknownNameError("nuisance arm", kind, NUISANCES)
        if kind in kinds:
            raise InvalidValueError("nuisance", entries, "every name once")
        if star and not number.isdecimal():
            raise InvalidValueError("nuisance", entry, f"a name, or a name and a number such as '{kind}*28'")
        kinds[kind] = require_number("number of nuisance arms", int(number or 1), low=1, high=100_000, whole=True)
    return kinds


def _numbered(kind: str, number: int) -> list[str]:
    width = len(str(number))
    return [f"{kind}{i + 1:0{width}}" for i in range(number)]


def _real_arms(level: NDArray[np.float64], spread: float, transfer_length: float, own_share: float) -> _Model:
    """Makes the arms that count from their mean difficulties.

    The last skill is the trick of the spurious arm, which has no load on these arms.
    """
    num_arms = len(level)
    d = np.arange(num_arms)
    shared = np.exp(-np.abs(d[:, None] - d) / transfer_length)
    shared /= np.linalg.norm(shared, axis=1, keepdims=True)
    parts = [np.sqrt(1 - own_share) * shared, np.sqrt(own_share) * np.eye(num_arms), np.zeros((num_arms, 1))]
    quantiles = laplace.ppf((np.arange(_NODES) + 0.5) / _NODES) / np.sqrt(2)
    difficulty = level[:, None] + spread * quantiles
    return _Model(np.hstack(parts), difficulty, d - 1, np.full(num_arms, np.nan), np.ones(num_arms))


def _with_nuisance(real: _Model, kinds: Sequence[str]) -> _Model:
    """Adds nuisance arms after the real ones, each a copy of the middle arm with the changes that its name implies."""
    num_arms = len(real.rate)
    rows = np.append(np.arange(num_arms), np.full(len(kinds), num_arms // 2))
    model = _Model(real.loads[rows], real.difficulty[rows], real.easier[rows], real.fixed[rows], real.rate[rows])
    for i, kind in enumerate(kinds, start=num_arms):
        if kind in _FIXED_SUCCESS:
            model.fixed[i], model.rate[i] = _FIXED_SUCCESS[kind], 0
        elif kind == "spurious":
            model.loads[i] = np.eye(model.loads.shape[1])[-1]
            model.difficulty[i], model.easier[i], model.rate[i] = _TRICK_DIFFICULTY, -1, _TRICK_RATE
    return model


register_student("skills", SkillsStudent)
