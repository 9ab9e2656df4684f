"""A simulated student that replays a recorded run, to ask what another policy would have done in its place."""

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
    """A value as a function of the number of problems practised: linear between its points and constant outside.

    Attributes:
        practised: numbers of problems at the points, ascending, shape (points,).
        value: values at the points, shape (points,).
    """

    practised: NDArray[np.float64]
    value: NDArray[np.float64]

    @classmethod
    def of_points(cls, practised: ArrayLike, value: ArrayLike, weight: ArrayLike, *, monotone: bool) -> Self:
        """Makes a curve from measurements. Measurements at the same place are replaced by their weighted mean.

        Args:
            practised: number of problems practised before each measurement, in any order, shape (points,).
            value: measured values, shape (points,).
            weight: weight of each measurement, such as its number of problems, shape (points,).
            monotone: whether to replace the values by the nearest non-decreasing ones in weighted least squares
                (isotonic regression).
        """
        places, group = np.unique(np.asarray(practised, dtype=np.float64), return_inverse=True)
        weights = np.bincount(group, weight)
        means = np.bincount(group, np.multiply(value, weight)) / weights
        if monotone:
            means = isotonic_regression(means, weights=weights).x
        return cls(places, means)

    def at(self, practised: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the values after these numbers of problems, in the same shape."""
        values: NDArray[np.float64] = np.interp(practised, self.practised, self.value)
        return values


@dataclass(frozen=True, slots=True, eq=False)
class ArmCurves:
    """The recorded curves of one arm, as functions of the number of its problems practised.

    Attributes:
        name: name of the arm.
        training: probability that a sampled completion of a training problem is right.
        held_out: success on held-out problems.
        tokens: number of tokens in a completion.
    """

    name: str
    training: Curve
    held_out: Curve
    tokens: Curve


class ReplayStudent(Stateful):
    """A student that learns every arm along the curve of a recorded learner, whatever the policy.

    The recording gives the success on every arm as a function of the number of the arm's problems practised so far. A
    policy that practises an arm earlier moves along its curve earlier. Beyond the end of the recording the curve is
    constant.

    **The assumption** is that success on an arm depends only on the practice of this arm, and not on the practice of
    other arms, on time, or on the batch size. Transfer between arms, which a real learner has, is therefore credited to
    the arm whose success rose, and policies that exploit transfer are misjudged. Forgetting is not modelled. A
    recording under uniform sampling covers all arms equally far; the more problems a curve is measured on, the more
    reliable it is. All problems of an arm have the same difficulty here, which makes groups with both right and wrong
    completions more frequent than they were in the recording.

    Args:
        curves: curves of every arm, easiest first.
        seeds: one seed per run for runs in lockstep, with a leading axis in all arrays; a single number for one run.
            A run depends only on its seed, and problem i of an arm has the same luck under every policy.

    Attributes:
        drawn: number of problems of every arm that were practised, shape (..., num_arms).

    Raises:
        InvalidValueError: if there are no arms, two arms have the same name, or a seed is not a whole number of at
            least 0.
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
        """Makes a student from the directory of a run that ``dumpgym train`` wrote.

        Training success is the mean success of each batch in metrics.jsonl, placed at the number of the arm's problems
        practised before the batch. Held-out success comes from the greedy evaluations in evaluations.jsonl. Both curves
        are smoothed by isotonic regression with the numbers of problems as weights, which gives the nearest
        non-decreasing curve. Tokens are used as logged. An arm that was never drawn uses its held-out curve for both,
        and generates no tokens.

        Args:
            path: directory of the run.
            seeds: see the class.

        Raises:
            InvalidValueError: if the directory holds no run with an evaluation and a training step, or a line is not a
                JSON object.
        """
        return cls(read_curves(Path(str(path))), seeds=seeds)

    def practise(self, arms: NDArray[np.int64], num_generations: int) -> GroupResults:
        """Draws the successes of a group for each of the arms, and moves along the arms' curves; see ``Student``."""
        check_batch(arms, num_generations, self.drawn)
        index, drawn = problem_indices(arms, self.drawn)
        chance, tokens = (np.take_along_axis(self._at(name), arms, axis=-1) for name in ("training", "tokens"))
        # Each completion has a number that is the same under every policy, shape (..., groups, G), and is right if the
        # number is below the present chance. So a student that has practised more never has fewer successes at it.
        seeds = self.seeds[..., None]
        luck = uniform_at(seeds, arms[..., None], index[..., None], np.arange(num_generations))
        solved = luck < chance[..., None]
        self.drawn = drawn
        successes = solved.sum(axis=-1)
        generated = np.rint(num_generations * tokens).astype(np.int64)
        return GroupResults(arms, successes, num_generations, generated, np.zeros_like(successes), solved=solved)

    def success(self) -> NDArray[np.float64]:
        """Returns the success on held-out problems of every arm, shape (..., num_arms)."""
        return self._at("held_out")

    def _at(self, curve: str) -> NDArray[np.float64]:
        """Returns the present values of all arms' curves of one kind, shape (..., num_arms)."""
        return np.stack([getattr(arm, curve).at(self.drawn[..., d]) for d, arm in enumerate(self.curves)], axis=-1)


def read_curves(path: Path) -> list[ArmCurves]:
    """Reads the curves of every arm of a recorded run, in the run's order; see ``ReplayStudent.from_run``.

    Raises:
        InvalidValueError: if the directory holds no run with an evaluation and a training step, or a line is not a JSON
            object.
    """
    steps, evaluations = _read_lines(path / "metrics.jsonl"), _read_lines(path / "evaluations.jsonl")
    (config,) = _read_lines(path / "config.json", whole=True)
    try:
        # An interrupted run may have written an evaluation whose step was not logged; it has no place on the curve.
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
    """Makes the curves of one arm from the records of a run.

    Raises:
        KeyError: if a record lacks a field.
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
    """Reads the JSON objects of a file, one per line, or a single one if ``whole``.

    Raises:
        InvalidValueError: if the file cannot be read or is empty, or a line is not a JSON object.
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
