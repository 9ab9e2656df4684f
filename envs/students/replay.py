"""A simulated student that replays a recorded run: what if another policy had chosen the arms?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.state import Stateful
from dumpgym.contracts.student import GroupResults
from dumpgym.contracts.student_registry import register_student
from dumpgym.envs.students.addresses import address_of_runs, check_batch, problem_indices, uniform_at

_RUN = "the directory of a finished or interrupted dumpgym train run"


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A value by the number of problems practised: linear between its points, and held at its ends.

    Attributes:
        practised: where the points are, ascending, (points,).
        value: what they are, (points,).
    """

    practised: NDArray[np.float64]
    value: NDArray[np.float64]

    @classmethod
    def of_points(cls, practised: ArrayLike, value: ArrayLike, weight: ArrayLike, *, monotone: bool) -> Self:
        """A curve through measurements.

        Args:
            practised: problems practised before each measurement, (points,), in any order.
            value: what was measured, (points,).
            weight: of each measurement, such as its number of problems, (points,).
            monotone: take the non-decreasing values that are nearest in weighted least squares (isotonic regression),
                instead of the measurements; those at the same place are one measurement, their weighted mean.
        """
        places, group = np.unique(np.asarray(practised, dtype=np.float64), return_inverse=True)
        weights = np.bincount(group, weight)
        means = np.bincount(group, np.multiply(value, weight)) / weights
        if monotone:
            means = isotonic_regression(means, weights=weights).x
        return cls(places, means)

    def at(self, practised: NDArray[np.int64]) -> NDArray[np.float64]:
        """The value after so many problems, of the same shape."""
        values: NDArray[np.float64] = np.interp(practised, self.practised, self.value)
        return values


@dataclass(frozen=True, slots=True, eq=False)
class ArmCurves:
    """What is known of one arm, by the number of its problems practised.

    Attributes:
        name: of the arm.
        training: the chance that a completion sampled for a training problem is right.
        held_out: success on held-out problems.
        tokens: generated for a completion.
    """

    name: str
    training: Curve
    held_out: Curve
    tokens: Curve


class ReplayStudent(Stateful):
    """A student who learns every arm as a recorded learner did, whatever the policy.

    The recording gives, for every arm, its success as a function of the number of its problems practised so far. A
    policy that practises an arm sooner moves sooner along this curve; beyond the recording's end the curve is flat.

    **The assumption** is that an arm's success depends on its own practice alone: not on that of other arms, nor on
    time, nor on the size of the batch. So transfer between arms, which a learner has, is credited to the arm whose
    success rose, and policies that live on transfer are misjudged; forgetting is left out. A recording under uniform
    sampling reaches furthest on all arms, and curves are the better known the more problems they rest on. All problems
    of an arm are equally hard here, which makes mixed groups more frequent than they were.

    Args:
        curves: of every arm, easiest first.
        seeds: one a run, which then go in lockstep with a leading axis in all arrays; a single number for one run. Run
            r depends on its seed alone, and an arm's i-th problem has the same luck under every policy.

    Attributes:
        drawn: problems of every arm that were practised, (..., num_arms).

    Raises:
        InvalidValueError: if there are no arms, two share a name, or a seed is negative or no whole number.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("arm_names", "seeds", "drawn")
    identity_fields: ClassVar[tuple[str, ...]] = ("arm_names",)

    def __init__(self, curves: Sequence[ArmCurves], *, seeds: int | Sequence[int] = 0) -> None:
        self.curves = tuple(curves)
        self.arm_names: Sequence[str] = [arm.name for arm in curves]
        if not curves or len(set(self.arm_names)) < len(curves):
            raise InvalidValueError("names of the arms", self.arm_names, "at least one arm, with different names")
        self.seeds = address_of_runs(seeds)
        self.counts = np.ones(len(self.curves), dtype=bool)
        self.drawn: NDArray[np.int64] = np.zeros((*self.seeds.shape[:-1], len(self.curves)), dtype=np.int64)

    @classmethod
    def from_run(cls, path: str | Path, *, seeds: int | Sequence[int] = 0) -> Self:
        """Replays the run in a directory that ``dumpgym train`` wrote.

        Training success comes from metrics.jsonl, where each batch's mean was measured on as many problems as the arm
        had given before the batch; held-out success comes from the greedy evaluations in evaluations.jsonl. Both are
        smoothed by isotonic regression, with the number of problems as weights: the non-decreasing curve nearest to the
        measurements, which pools what noise has reversed. Tokens are as logged. An arm that was never drawn has its
        held-out curve for both, and no tokens.

        Args:
            path: of the run.
            seeds: see the class.

        Raises:
            InvalidValueError: if there is no run with an evaluation and a step of training, or a line is broken.
        """
        return cls(read_curves(Path(str(path))), seeds=seeds)

    def practise(self, arms: NDArray[np.int64], num_generations: int) -> GroupResults:
        """Draws the successes of a group for each of the arms, and moves along their curves; see ``Student``."""
        check_batch(arms, num_generations, self.drawn)
        index, drawn = problem_indices(arms, self.drawn)
        chance, tokens = (np.take_along_axis(self._at(name), arms, axis=-1) for name in ("training", "tokens"))
        seeds = self.seeds[..., None]
        luck = uniform_at(seeds, arms[..., None], index[..., None], np.arange(num_generations))
        solved = luck < chance[..., None]
        self.drawn = drawn
        successes = solved.sum(axis=-1)
        generated = np.rint(num_generations * tokens).astype(np.int64)
        return GroupResults(arms, successes, num_generations, generated, np.zeros_like(successes), solved=solved)

    def success(self) -> NDArray[np.float64]:
        """Success on held-out problems of every arm, (..., num_arms)."""
        return self._at("held_out")

    def _at(self, curve: str) -> NDArray[np.float64]:
        """The present values of all arms' curves of one kind, (..., num_arms)."""
        return np.stack([getattr(arm, curve).at(self.drawn[..., d]) for d, arm in enumerate(self.curves)], axis=-1)


def read_curves(path: Path) -> list[ArmCurves]:
    """The curves of every arm of a recorded run, in the run's order; see ``ReplayStudent.from_run``.

    Raises:
        InvalidValueError: if there is no run with an evaluation and a step of training, or a line is broken.
    """
    steps, evaluations = _read_lines(path / "metrics.jsonl"), _read_lines(path / "evaluations.jsonl")
    (config,) = _read_lines(path / "config.json", whole=True)
    try:
        done = {0, *(record["step"] for record in steps)}
        evaluations = [record for record in evaluations if record["step"] in done]
        names = [key.split("/")[1] for key in steps[0] if key.startswith("arms/") and key.endswith("/count")]
        if not evaluations or not names:
            raise InvalidValueError("run", str(path), f"{_RUN}; it has no evaluation of a logged step, or no arms")
        return [_arm_curves(name, steps, evaluations, config["num_generations"]) for name in names]
    except KeyError as error:
        raise InvalidValueError("run", str(path), f"{_RUN}; its files lack {error}") from error


def _arm_curves(
    name: str, steps: Sequence[dict[str, Any]], evaluations: Sequence[dict[str, Any]], num_generations: int
) -> ArmCurves:
    """The curves of one arm.

    Raises:
        KeyError: if the records lack something.
    """
    count, generated = (
        np.array([0, *(record[f"arms/{name}/{what}"] for record in steps)]) for what in ("count", "num_tokens")
    )
    count_after = dict(zip((0, *(record["step"] for record in steps)), count.tolist(), strict=True))
    held_out = Curve.of_points(
        [count_after[record["step"]] for record in evaluations],
        [record[f"eval/{name}/success"] for record in evaluations],
        [len(record["eval/solved"][name]) for record in evaluations],
        monotone=True,
    )
    groups = np.diff(count)
    drawn = [i for i in range(len(steps)) if groups[i]]
    if not drawn:
        return ArmCurves(name, held_out, held_out, Curve(np.zeros(1), np.zeros(1)))
    before, weight = count[drawn], groups[drawn]
    success = [steps[i][f"arms/{name}/success"] for i in drawn]
    tokens = np.diff(generated)[drawn] / weight / num_generations
    return ArmCurves(
        name,
        Curve.of_points(before, success, weight, monotone=True),
        held_out,
        Curve.of_points(before, tokens, weight, monotone=False),
    )


def _read_lines(path: Path, *, whole: bool = False) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line, or one in the whole file; at least one.

    Raises:
        InvalidValueError: if the file cannot be read, holds none, or a line is no JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidValueError("run", str(path.parent), f"{_RUN}; {path.name}: {error.strerror}") from error
    records = []
    for number, line in enumerate([text] if whole else text.splitlines(), start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            record = None
        if not isinstance(record, dict):
            raise InvalidValueError(f"line {number} of {path}", line[:80], "a JSON object")
        records.append(record)
    if not records:
        raise InvalidValueError("run", str(path.parent), f"{_RUN}; {path.name} is empty")
    return records


register_student("replay", ReplayStudent.from_run)
