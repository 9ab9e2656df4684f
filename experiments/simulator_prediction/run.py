"""Does the simulator predict the order of policies on a language model, from the same arms?

    tar -xf experiments/embedded_policies/runs.tar.xz
    python experiments/simulator_prediction/run.py    # --runs, --output for others; a minute

Every cell of a finished comparison, except those that redraw groups, is simulated with the same batch size for as many
generated tokens, and the two rankings are compared by Spearman's rank correlation. The students know more or less about
the language model: "shipped" is the simulated student at its defaults and knows only the lengths of completions;
"fitted" takes its level, slope, learning rate and forgetting from the runs under uniform sampling; "one skill" does the
same, but what is learned on one arm is learned on all; "replay" replays each of those runs. With ``--practice``, the
comparison of runs that each practised one arm alone, there is also "measured transfer", whose eight constants are
fitted to those. Nuisance arms are simulated as well; then there is no replay, as logs leave out what they did. The
script writes results.json and figure.png; README.md has the findings. With ``--constants``, a results.json of other
runs, its fitted constants are taken instead of new ones, so that the runs at hand are predicted and not explained.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize
from scipy.special import expit

from dumpgym.agents.curricula.controls import Uniform
from dumpgym.comparing.comparison import Comparison, FinishedCell
from dumpgym.comparing.loading import load_comparison
from dumpgym.contracts.arms import expand_arms
from dumpgym.contracts.policy_registry import policy_for_run
from dumpgym.envs.students.skills import SkillsStudent
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.finished import FinishedRun
from dumpgym.simulating.lockstep import SimulationPlan, Trajectories, run, run_seeds
from dumpgym.statistics.curves import area_under_curve

Array = NDArray[np.float64]
RESAMPLES = 2000
GIVEN: dict[str, dict[str, float]] = {  # arguments that are not fitted to the runs, by student
    "fitted": {},
    "one skill": {"own_share": 0.0, "transfer_length": 1e6, "gate_floor": 1.0},
}
MOST_FORGETTING = 0.02
"""Largest share of a skill lost in a step. Without it, the fit explains short runs by skills that last one step."""
STARTS = [(-12.0, 2.3, 0.3, 0.5, 0.0, 0.0, -3.0, 0.0), (-15.0, 3.1, 0.2, 0.8, -0.5, -1.0, -5.0, -2.0)]
"""Where the search for the constants of "measured transfer" begins: a first arm that is solved from the start."""


KINDS = {"RandomAnswer": "too-hard", "Coin": "noisy", "Copy": "mastered"}
"""What an environment is to a simulated student where it is a nuisance arm."""


@dataclass(frozen=True)
class Options:
    runs: Path = Path("runs/embedded_policies")
    output: Path = Path(__file__).parent
    practice: Path | None = None
    constants: Path | None = None
    seeds: int = 200


def spec_of(config: TrainConfig) -> str:
    """The specification of a run's policy with its options, for a simulation."""
    options = "&".join(f"{name}={value}" for name, value in config.policy_options.items())
    return config.policy + (f"?{options}" if options else "")


def lengths(runs: Sequence[FinishedRun]) -> tuple[float, float]:
    """Mean tokens of a completion on the first arm and on the last arm, averaged over runs."""
    found = []
    for one in runs:
        groups = one.arms_of_records("count")[-1] * one.config.num_generations
        tokens = np.array([one.ledger["arms"][arm]["num_tokens"] for arm in one.arms])
        found.append(tokens / groups)
    mean = np.mean(found, axis=0)
    return float(mean[0]), float(mean[-1])


def fit(
    runs: Sequence[FinishedRun],
    plan: SimulationPlan,
    tokens: tuple[float, float],
    given: Mapping[str, float],
    nuisance: str,
    seeds: int,
) -> dict[str, float]:
    """Fits level, slope, learning rate and forgetting to the success of runs under uniform sampling.

    Args:
        runs: runs under uniform sampling.
        plan: the size of their batches.
        tokens: see ``lengths``.
        given: arguments of the student that are not fitted.
        nuisance: see ``nuisance_of``.
        seeds: number of simulated runs.

    Returns:
        All arguments that differ from the defaults, and the root mean square error of success by arm and evaluation.
    """
    steps = runs[0].of_evaluations("step").astype(int)
    steps = steps[steps <= min(one.evaluations[-1]["step"] for one in runs)]
    seen = np.mean([one.success_by_arm[: len(steps)] for one in runs], axis=0)

    def arguments(x: Array) -> dict[str, float]:
        offset, slope, rate, forgetting = x
        rates = {"learning_rate": float(np.exp(rate)), "forgetting": float(np.exp(forgetting))}
        return {**given, "offset": float(offset), "slope": float(slope), **rates}

    def misfit(x: Array) -> float:
        student = SkillsStudent(seen.shape[1], seeds=range(seeds), tokens=tokens, nuisance=nuisance, **arguments(x))
        uniform = Uniform(len(student.arm_names), seed=0, num_runs=seeds)
        found = run(uniform, student, SimulationPlan(int(steps[-1]), plan.prompts_per_step, plan.num_generations))
        return float(np.mean((found.success.mean(axis=0)[steps][:, student.counts] - seen) ** 2))

    best = minimize(misfit, [-1.4, 0.6, -1.0, -4.0], method="Nelder-Mead", options={"maxfev": 300})
    return {**arguments(best.x), "root_mean_square_error": float(np.sqrt(best.fun))}


def fit_to_practice(practice: Comparison, tokens: tuple[float, float]) -> dict[str, float]:
    """Fits a student's eight constants to the success on all arms while one arm, or all of them, are practised.

    The simulated paths are those of large batches, see ``SkillsStudent.expected_path``.

    Args:
        practice: runs under uniform sampling and under fixed weights, all with the same arms and evaluations.
        tokens: see ``lengths``.

    Returns:
        All constants, and the root mean square error of success by cell, arm and evaluation.
    """
    cells, num_generations = list(practice.cells.values()), practice.cells["uniform"].config.num_generations
    ends = [min(int(run.evaluations[-1]["step"]) for run in cell.runs.values()) for cell in cells]
    shares = np.zeros((len(cells), max(ends), len(practice.arms)))
    evaluated, seen = [], []
    for number, (cell, end) in enumerate(zip(cells, ends, strict=True)):
        config, runs = cell.config, list(cell.runs.values())
        policy = policy_for_run(config.policy, config.policy_options, num_arms=len(practice.arms), steps=end, seed=0)
        shares[number] = policy.probabilities()
        # Runs of one cell end at different steps; before that, they are evaluated at the same ones.
        of_runs = [run.of_evaluations("step").astype(int) for run in runs]
        steps = np.intersect1d(of_runs[0][of_runs[0] <= end], of_runs[-1])
        evaluated.append(steps[np.all([np.isin(steps, of_run) for of_run in of_runs], axis=0)])
        seen.append(np.mean([run.success_by_arm[: len(evaluated[-1])] for run in runs], axis=0))

    def arguments(x: Array) -> dict[str, float]:
        offset, slope, spread, length, own, rate, gate, forgetting = x.tolist()
        return {
            "offset": offset,
            "slope": slope,
            "spread": float(np.exp(spread)),
            "transfer_length": float(np.exp(length)),
            "own_share": float(expit(own)),
            "learning_rate": float(np.exp(rate)),
            "gate_floor": float(expit(gate)),
            "forgetting": MOST_FORGETTING * float(expit(forgetting)),
        }

    def misfit(x: Array) -> float:
        student = SkillsStudent(len(practice.arms), tokens=tokens, **arguments(x))
        paths = student.expected_path(shares, num_generations)
        errors = [path[steps] - those for path, steps, those in zip(paths, evaluated, seen, strict=True)]
        return float(np.mean(np.concatenate(errors) ** 2))

    searches = [
        minimize(misfit, start, method="Nelder-Mead", options={"maxfev": 1500, "adaptive": True}) for start in STARTS
    ]
    best = min(searches, key=lambda search: search.fun)
    return {**arguments(best.x), "root_mean_square_error": float(np.sqrt(best.fun))}


def nuisance_of(config: TrainConfig) -> str:
    """The nuisance arms of runs on strings as the text of a student's argument, empty if there are none."""
    names = [arm.partition("-v0")[0].removeprefix("dumpgym/") for arm in expand_arms(config.nuisance_arms)]
    return ",".join(f"{kind}*{names.count(name)}" for name, kind in KINDS.items() if name in names)


def areas(trajectories: Trajectories, budget: float) -> Array:
    """The area under success over tokens up to a budget, (runs,)."""
    tokens = np.concatenate([np.zeros((len(trajectories.tokens), 1)), np.cumsum(trajectories.tokens, axis=1)], axis=1)
    return np.array([area_under_curve(x, y, budget) for x, y in zip(tokens, trajectories.mean_success, strict=True)])


def correlation(real: Array, simulated: Array, seed: int = 0) -> dict[str, Any]:
    """Spearman's correlation of the policies' means over seeds, and its uncertainty.

    Args:
        real: the primary metric of the runs, (policies, seeds).
        simulated: the same for simulated runs, whose seeds are others.

    Returns:
        The correlation; its 95 % interval when seeds are resampled, together for all policies; the interval when
        policies are resampled as well; and the exact two-sided p-value of no association.
    """
    rng = np.random.default_rng(seed)
    found = float(stats.spearmanr(real.mean(axis=1), simulated.mean(axis=1)).statistic)
    by_seeds, by_both = [], []
    for _ in range(RESAMPLES):
        a = real[:, rng.integers(real.shape[1], size=real.shape[1])].mean(axis=1)
        b = simulated[:, rng.integers(simulated.shape[1], size=simulated.shape[1])].mean(axis=1)
        by_seeds.append((a, b))
        drawn = rng.integers(len(a), size=len(a))
        if len(set(drawn.tolist())) > 2:
            by_both.append((a[drawn], b[drawn]))
    over_seeds, over_both = _rank_correlations(by_seeds), _rank_correlations(by_both)
    ranks = stats.rankdata(simulated.mean(axis=1))

    def statistic(x: Array, axis: int = -1) -> Any:
        return (stats.rankdata(x, axis=axis) * ranks).sum(axis=axis)

    test = stats.permutation_test(
        (real.mean(axis=1),), statistic, permutation_type="pairings", n_resamples=50_000, rng=np.random.default_rng(0)
    )
    return {
        "spearman": found,
        "interval_over_seeds": np.quantile(over_seeds, [0.025, 0.975]).tolist(),
        "interval_over_seeds_and_policies": np.quantile(over_both, [0.025, 0.975]).tolist(),
        "p": float(test.pvalue),
    }


def _rank_correlations(pairs: Sequence[tuple[Array, Array]]) -> Array:
    """Spearman's correlation of every pair of arrays, at once."""
    ranks = stats.rankdata(np.array(pairs), axis=-1)  # (pairs, 2, policies)
    centred = ranks - ranks.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).sum(axis=-1)).prod(axis=-1)
    found: Array = (centred.prod(axis=1).sum(axis=-1) / spread).round(12)  # 1 and not 1 - 1e-16
    return found


def halves(real: Array) -> float:
    """The mean correlation of the ranking by one half of the seeds with that by the other, over all halvings."""
    seeds = range(real.shape[1])
    found = []
    for half in itertools.combinations(seeds, len(seeds) // 2):
        rest = [s for s in seeds if s not in half]
        found.append(stats.spearmanr(real[:, half].mean(axis=1), real[:, rest].mean(axis=1)).statistic)
    return float(np.mean(found))


def figure_of(gains: Mapping[str, Mapping[str, float]], found: Mapping[str, Any]) -> Figure:
    """Every policy's gain over uniform, ranked by the language model, in panels for it and for every student."""
    real = next(iter(gains.values()))
    order = sorted(real, key=real.__getitem__)
    figure = Figure(figsize=(13, 1.4 + 0.3 * len(order)), layout="constrained")
    for axes, (student, values) in zip(figure.subplots(1, len(gains), sharey=True), gains.items(), strict=True):
        is_real = student not in found
        axes.axvline(0, color="grey", linewidth=0.6)
        axes.hlines(range(len(order)), 0, [values[label] for label in order], color="#CCCCCC", zorder=0)
        axes.plot([values[label] for label in order], range(len(order)), "o", color="black" if is_real else "#0072B2")
        title = student
        if not is_real:
            low, high = found[student]["interval_over_seeds"]
            title += f"\n{found[student]['spearman']:.2f} [{low:.2f}, {high:.2f}]"
        axes.set_title(title, fontsize="medium")
        axes.set_yticks(range(len(order)), order, fontsize="small")
        axes.locator_params(axis="x", nbins=4)
        axes.margins(x=0.1)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("area minus uniform's", fontsize="medium")
    figure.suptitle("Rank correlation of policies with the language model, with the interval over seeds")
    return figure


def simulate(
    cells: Mapping[str, FinishedCell], budget: float, students: Sequence[str], plan: SimulationPlan, seeds: int
) -> dict[str, Array]:
    """The area up to a budget of every cell, for the seeds of all students together, (seeds,)."""
    found = {}
    for label, cell in cells.items():
        same = replace(plan, signal=cell.config.signal)
        parts = [run_seeds(spec_of(cell.config), student, range(seeds), same) for student in students]
        found[label] = np.concatenate([areas(trajectories, budget) for trajectories in parts])
    return found


def main(options: Options) -> None:
    comparison = load_comparison([options.runs])
    uniform = list(comparison.cells["uniform"].runs.values())
    config, num_arms = uniform[0].config, len(comparison.arms)
    tokens = lengths(uniform)
    shortest = config.prompts_per_step * config.num_generations * tokens[0]
    steps = int(comparison.budget / shortest) + 2
    plan = SimulationPlan(steps, config.prompts_per_step, config.num_generations, config.signal)
    nuisance = nuisance_of(config)
    plain = f"skills?num_arms={num_arms}&tokens={tokens[0]:.0f},{tokens[1]:.0f}"
    plain += f"&nuisance={nuisance}" if nuisance else ""
    if options.constants is not None:
        fitted = json.loads(options.constants.read_text())["fitted"]
    else:
        fitted = {name: fit(uniform, plan, tokens, given, nuisance, seeds=32) for name, given in GIVEN.items()}
    if options.practice is not None:
        fitted["measured transfer"] = fit_to_practice(load_comparison([options.practice]), tokens)
    students = {"shipped": [plain]}
    for name, constants in fitted.items():
        arguments = {key: value for key, value in constants.items() if key != "root_mean_square_error"}
        students[name] = [plain + "".join(f"&{key}={value:.5g}" for key, value in arguments.items())]
    if not nuisance:
        students["replay"] = [f"replay?path={one.path}" for one in uniform]

    # Simulated students do not redraw groups.
    cells = {label: cell for label, cell in comparison.cells.items() if not cell.config.max_redraws}
    real = np.stack([comparison.values(label) for label in cells])
    found: dict[str, Any] = {}
    gains = {"language model": dict(zip(cells, (real - real[0]).mean(axis=1).tolist(), strict=True))}
    for name, specs in students.items():
        values = simulate(cells, comparison.budget, specs, plan, options.seeds // len(specs))
        found[name] = correlation(real, np.stack(list(values.values())))
        gains[name] = {label: float((value - values["uniform"]).mean()) for label, value in values.items()}
        print(name, found[name])
    results = {
        "policies": len(real),
        "seeds": real.shape[1],
        "half_against_half": halves(real),
        "fitted": fitted,
        "correlation": found,
        "gain": gains,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    figure_of(gains, found).savefig(options.output / "figure.png", dpi=110)


if __name__ == "__main__":
    main(tyro.cli(Options))
