"""Does the simulated student learn as language models do?

    python experiments/student_calibration/run.py            # checks the defaults, writes results.json and figure.png
    python experiments/student_calibration/run.py --fit      # fits them first, in a quarter of a minute

The student is fitted to two published findings, the velocity of learning against the pass rate (marin #8765) and the
final success of uniform sampling on Knights and Knaves of 3 to 14 people (arXiv 2504.09710), under the condition that
practising a single arm must not do as well as uniform. DUMP's curve in the same paper is not part of the fit: it is
predicted.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import expit

from dumpgym.envs.students.skills import SkillsStudent
from dumpgym.simulating.lockstep import SimulationPlan, run_seeds

FOLDER = Path(__file__).parent
NUM_ARMS, STEPS, GROUP = 12, 150, 16


def success_of(reward: list[float]) -> NDArray[np.float64]:
    """Share of right answers that gives a mean answer reward, with 2 for right and -1.5 for well formed and wrong."""
    return (np.array(reward) + 1.5) / 3.5


UNIFORM = success_of([1.47, 1.34, 1.27, 1.02, 0.67, 0.14, 0.03, 0.00, -0.79, -0.51, -0.76, -0.93])
DUMP = success_of([1.75, 1.44, 1.22, 1.21, 1.06, 0.70, 0.52, 0.20, -0.11, 0.12, 0.15, -0.36])
GAPS = {30: 0.08 / 3.5, 50: 0.24 / 3.5, 100: 0.26 / 3.5, 150: 0.41 / 3.5}  # DUMP minus uniform, mean over arms
VELOCITY = {0.05: 1 / 3, 0.25: 2 / 3, 0.45: 1.0}  # relative to the peak, which is at .45; 0 at both ends
PASS_RATES = np.array([0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85])
ONE_SKILL = {"spread": 0.0, "own_share": 1.0, "gate_floor": 1.0, "forgetting": 0.0, "offset": 0.0, "slope": 0.5}
ONE_SKILL |= {"learning_rate": 2.0, "transfer_length": 1.0}


def uniform_path(options: Mapping[str, float], steps: int = STEPS) -> NDArray[np.float64]:
    """Success by step under uniform sampling, in the limit of large batches, (steps + 1, num_arms)."""
    return SkillsStudent(NUM_ARMS, **options).expected_path(np.full((steps, NUM_ARMS), 1 / NUM_ARMS), GROUP)


def alone(options: Mapping[str, float]) -> NDArray[np.float64]:
    """Final mean success when only one arm is practised, by arm, (num_arms,)."""
    shares = np.broadcast_to(np.eye(NUM_ARMS)[:, None], (NUM_ARMS, STEPS, NUM_ARMS))
    return SkillsStudent(NUM_ARMS, **options).expected_path(shares, GROUP)[:, -1].mean(axis=-1)


def velocity(path: NDArray[np.float64], at: NDArray[np.float64], width: float = 0.04) -> NDArray[np.float64]:
    """Mean change of success in a step, where success is within ``width`` of ``at``, relative to the largest mean.

    It is NaN where no arm ever has such a success.
    """
    success, change = path[:-1].ravel(), np.diff(path, axis=0).ravel()
    near = np.abs(success[:, None] - at) < width
    count = near.sum(axis=0)
    mean = np.where(count, (change[:, None] * near).sum(axis=0) / np.maximum(count, 1), np.nan)
    return mean / np.nanmax(mean)


def fit() -> dict[str, float]:
    """Fits the student's parameters by least squares; the number of arms bounds the reach of transfer."""

    def options_of(x: NDArray[np.float64]) -> dict[str, float]:
        offset, rest, own, gate = x[0], np.exp(x[1:6]), expit(x[6]), expit(x[7])
        names = ("slope", "spread", "transfer_length", "learning_rate", "forgetting")
        found = {"offset": offset, **dict(zip(names, rest, strict=True)), "own_share": own, "gate_floor": gate}
        return {name: float(value) for name, value in found.items()}

    def residuals(x: NDArray[np.float64]) -> NDArray[np.float64]:
        options = options_of(x)
        path = uniform_path(options)
        at = np.array(list(VELOCITY))
        peak = np.nan_to_num(velocity(path, PASS_RATES))
        speed = np.nan_to_num(velocity(path, np.concatenate([at, PASS_RATES])))[: len(at)] - list(VELOCITY.values())
        falling = np.maximum(peak[5:] - peak[4], 0)  # no second peak above .45
        too_good = np.maximum(alone(options) - (path[-1].mean() - 0.06), 0)
        return np.concatenate([path[-1] - UNIFORM, 1.5 * speed, falling, 3 * too_good])

    starts = ([0.1, -1, 0.8, 2, -1.3, -4.4, 0.5, -3], [0.4, -1, 0.7, 1, -1, -4.5, 0.0, -1])
    low, high = [-2, -4, -3, -2, -7, -10, -4, -6], [8, 1, 1.5, np.log(NUM_ARMS), 3, -2.5, 4, 4]
    found = [least_squares(residuals, x, x_scale=0.5, max_nfev=60, bounds=(low, high)) for x in starts]
    return options_of(min(found, key=lambda result: float(result.cost)).x)


def check(options: Mapping[str, float], seeds: int) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Compares a student with the published findings; returns numbers to keep and curves to draw."""
    spec = "skills" + "".join(f"{'&' if i else '?'}{name}={value!r}" for i, (name, value) in enumerate(options.items()))
    plan = SimulationPlan(steps=STEPS, prompts_per_step=128, num_generations=GROUP)
    runs = {name: run_seeds(name, spec, range(seeds), plan) for name in ("uniform", "dump")}
    final = {name: paths.success[:, -1].mean(axis=0) for name, paths in runs.items()}
    mean = {name: paths.mean_success.mean(axis=0) for name, paths in runs.items()}
    path = uniform_path(options)
    numbers = {
        "seeds": seeds,
        "velocity": dict(zip(PASS_RATES.tolist(), velocity(path, PASS_RATES).round(3).tolist(), strict=True)),
        "rmse_uniform": float(np.sqrt(((final["uniform"] - UNIFORM) ** 2).mean())),
        "rmse_dump_predicted": float(np.sqrt(((final["dump"] - DUMP) ** 2).mean())),
        "gap_by_step": {step: float(mean["dump"][step] - mean["uniform"][step]) for step in GAPS},
        "published_gap_by_step": GAPS,
        "mean_final": {name: float(values.mean()) for name, values in final.items()},
        "one_arm_alone": alone(options).round(3).tolist(),
    }
    one_skill = uniform_path(ONE_SKILL, steps=400)
    curves = {**final, "path": path, "one_skill": one_skill}
    fine = np.array([0.05, 0.25, 0.5])
    numbers["velocity_one_skill"] = dict(zip(fine.tolist(), velocity(one_skill, fine, 0.02).tolist(), strict=True))
    return numbers, curves


def figure(curves: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Velocity against the pass rate, and final success of the twelve arms, each with the published values."""
    drawing = Figure(figsize=(10, 4), layout="constrained")
    left, right = drawing.subplots(1, 2)
    grid = np.linspace(0.03, 0.93, 61)
    left.plot(grid, velocity(curves["one_skill"], grid, 0.03), "--", color="#777777", label="one skill, logistic")
    left.plot(grid, velocity(curves["path"], grid, 0.06), color="#0072B2", linewidth=2.5, label="simulated student")
    band = "published: 1/3 to 2/3 from .05 to .25"
    left.fill_between([0.05, 0.25], 1 / 3, 2 / 3, color="#E69F00", alpha=0.35, linewidth=0, label=band)
    left.plot([0, 0.45, 1], [0, 1, 0], "o", color="#D55E00", label="published: peak and ends", clip_on=False, zorder=3)
    left.set(xlabel="pass rate of an arm", ylabel="learning velocity, relative to its peak")
    left.set(xlim=(0, 1), ylim=(0, 1.08), title="What is learned in a step under uniform sampling")
    people = np.arange(3, 15)
    for name, label, published, colour, marker in (
        ("uniform", "uniform", UNIFORM, "black", "s"),
        ("dump", "DUMP", DUMP, "#D55E00", "o"),
    ):
        fitted = "fitted" if name == "uniform" else "predicted"
        right.plot(people, published, marker, color=colour, label=f"{label}, published (one seed)")
        right.plot(people, curves[name], color=colour, label=f"{label}, simulated ({fitted})")
    right.set(xlabel="people in the puzzle", ylabel="success after 150 steps", ylim=(0, 1), xticks=people)
    right.set_title("Final success of the twelve arms")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize("medium")
    left.legend(frameon=False, fontsize="small", loc="lower center")
    right.legend(frameon=False, fontsize="small")
    return drawing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="fit the parameters instead of taking the defaults")
    parser.add_argument("--seeds", type=int, default=50, help="paired runs of uniform and of DUMP")
    arguments = parser.parse_args()
    options = fit() if arguments.fit else {}
    numbers, curves = check(options, arguments.seeds)
    print(json.dumps({"parameters": options or "the defaults", **numbers}, indent=1))
    if not arguments.fit:
        (FOLDER / "results.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
        figure(curves).savefig(FOLDER / "figure.png", dpi=150)


if __name__ == "__main__":
    main()
