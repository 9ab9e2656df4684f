"""Do the registered policies have the regret and the reward that are published for them?

    python experiments/bandit_scenarios/run.py [--scenario abrupt|cosine|testbed|all] [--runs N] [--json FILE]
                                               [--policies LABEL ...] [--processes 2] [--seed 0]

A step has one group, so it is one pull in the textbooks' sense; all runs of a policy advance in lockstep.
``published.json`` has the policies of every scenario by label, with their published figures; README.md has the results.

- abrupt: Garivier and Moulines (2011). 3 Bernoulli arms, 10,000 steps, means .5, .3 and .4, where the third is .9 for
  3000 <= t < 5000. ``mean`` is the dynamic pseudo-regret: the sum over steps of the best mean minus that of the arm.
- cosine: the same for 2 Bernoulli arms with means .5 and .5 + .4 cos, over two periods in 10,000 steps.
- testbed: Sutton and Barto's. 10 arms with means from N(0, 1), drawn for every run, rewards N(mean, 1), 1,000 steps;
  ``mean`` is the reward and ``optimal_share`` the share of pulls of the best arm, both over the last 100 steps.
  ``optimum`` is the mean of the best means, which is the reward of always pulling the best arm.

Rewards are paired: every policy meets the same means and the same noise.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumpgym import Feedback, make_policy
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.specs import read_spec

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))
STEPS = {"abrupt": 10_000, "cosine": 10_000, "testbed": 1000}
RUNS = {"abrupt": 1000, "cosine": 1000, "testbed": 2000}
TESTBED_ARMS, TESTBED_LAST = 10, 100


def means_of_arms(scenario: str) -> NDArray[np.float64]:
    """The means of the Bernoulli arms at every step, shape (steps, num_arms)."""
    t = np.arange(STEPS[scenario])
    if scenario == "cosine":
        return np.stack([np.full(t.size, 0.5), 0.5 + 0.4 * np.cos(2 * np.pi * 2 * t / t.size)], axis=1)
    means = np.tile([0.5, 0.3, 0.4], (t.size, 1))
    means[3000:5000, 2] = 0.9
    return means


def tell(
    policy: BanditPolicy,
    step: int,
    arms: NDArray[np.int64],
    signal: NDArray[np.float64],
    successes: NDArray[np.int64] | None = None,
) -> None:
    """Updates the policy with one group of one completion in every run, shapes (runs, 1)."""
    ones, zeros = np.ones_like(arms), np.zeros_like(arms)
    policy.update(Feedback(step, arms, signal, zeros if successes is None else successes, ones, ones, zeros))


def bernoulli_regret(policy: BanditPolicy, means: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The dynamic pseudo-regret of every run, shape (runs,).

    Args:
        policy: a policy with runs in lockstep.
        means: means of the arms at every step, shape (steps, num_arms).
        rng: generator of the rewards; the same numbers are drawn whatever the policy does.
    """
    regret = np.zeros((policy.shape[0], 1))
    for step, mean_of_arm in enumerate(means):
        arms = policy.select_arms(1)
        mean = mean_of_arm[arms]
        reward = rng.random(mean.shape) < mean
        tell(policy, step, arms, reward.astype(np.float64), reward.astype(np.int64))
        regret += mean_of_arm.max() - mean
    return regret[:, 0]


def gaussian_scores(policy: BanditPolicy, rng: np.random.Generator, steps: int) -> NDArray[np.float64]:
    """Mean reward and share of the best arm over the last steps, and the best mean, shape (3, runs).

    Args:
        policy: a policy with runs in lockstep.
        rng: generator of the means and rewards; the same numbers are drawn whatever the policy does.
        steps: number of steps to play.
    """
    means = rng.standard_normal(policy.shape)
    best = means.argmax(axis=1, keepdims=True)
    reward, optimal = np.zeros(best.shape), np.zeros(best.shape)
    for step in range(steps):
        arms = policy.select_arms(1)
        signal = np.take_along_axis(means, arms, axis=1) + rng.standard_normal(arms.shape)
        tell(policy, step, arms, signal)
        if step >= steps - TESTBED_LAST:
            reward += signal / TESTBED_LAST
            optimal += (arms == best) / TESTBED_LAST
    return np.stack([reward[:, 0], optimal[:, 0], means.max(axis=1)])


def play(scenario: str, label: str, runs: int, seed: int = 0) -> dict[str, float]:
    """The results of one policy: ``mean``, its ``standard_error``, and ``runs``.

    The testbed adds ``optimal_share`` with its standard error, and ``optimum``, the mean of the best means.

    Args:
        scenario: "abrupt", "cosine" or "testbed".
        label: label of the policy in ``published.json``.
        runs: number of runs in lockstep, at least 2.
        seed: seed of the rewards and of the policy.
    """
    policy_id, options = read_spec("policy", PUBLISHED[scenario][label]["policy"])
    rng = np.random.default_rng([seed, 1])  # with the policy's own seed, rewards would be correlated with its draws
    result: dict[str, float] = {}
    if scenario == "testbed":
        policy = make_policy(policy_id, num_arms=TESTBED_ARMS, seed=seed, num_runs=runs, **options)
        values, optimal, best = gaussian_scores(policy, rng, STEPS["testbed"])
        result |= {"optimal_share": optimal.mean(), "optimal_share_standard_error": standard_error(optimal)}
        result["optimum"] = best.mean()
    else:
        means = means_of_arms(scenario)
        policy = make_policy(policy_id, num_arms=means.shape[1], seed=seed, num_runs=runs, **options)
        values = bernoulli_regret(policy, means, rng)
    result |= {"mean": values.mean(), "standard_error": standard_error(values)}
    return {"runs": runs} | {name: round(float(value), 4) for name, value in result.items()}


def standard_error(values: NDArray[np.float64]) -> float:
    """Standard error of the mean over runs."""
    return float(values.std(ddof=1) / np.sqrt(values.size))


def play_all(
    scenarios: Sequence[str], *, runs: int | None, labels: Sequence[str], processes: int, seed: int
) -> dict[str, dict[str, dict[str, float]]]:
    """The results by scenario and label.

    Args:
        scenarios: scenarios to play.
        runs: runs of every policy; None for the published number.
        labels: labels of the policies to play; empty for all.
        processes: number of processes that share the policies.
        seed: see ``play``.
    """
    wanted = [(s, label) for s in scenarios for label in PUBLISHED[s] if not labels or label in labels]
    results: dict[str, dict[str, dict[str, float]]] = {s: {} for s, _ in wanted}
    with ProcessPoolExecutor(processes) as pool:
        futures = {(s, label): pool.submit(play, s, label, runs or RUNS[s], seed) for s, label in wanted}
        for (scenario, label), future in futures.items():
            results[scenario][label] = future.result()
    return results


def table(scenario: str, results: Mapping[str, Mapping[str, float]]) -> str:
    """Our figures, with twice their standard errors, beside the published ones, as Markdown."""
    testbed = scenario == "testbed"
    head = ["policy", "specification", "reward" if testbed else "regret", "published"]
    rows = [head + ["share optimal", "published"] * testbed]
    for label, result in results.items():
        entry: Mapping[str, Any] = PUBLISHED[scenario][label]
        mean, error = result["mean"], 2 * result["standard_error"]
        row = [label, f"`{entry['policy']}`", f"{mean:.3f} ± {error:.3f}" if testbed else f"{mean:.1f} ± {error:.1f}"]
        row.append(f"{entry['mean']:.2f}" if testbed else f"{entry['mean']}")
        if testbed:
            share, error = result["optimal_share"], 2 * result["optimal_share_standard_error"]
            row += [f"{share:.1%} ± {error:.1%}", f"{entry['optimal_share']:.0%}"]
        rows.append(row)
    rows.insert(1, ["---"] * 2 + ["---:"] * (len(rows[0]) - 2))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=[*PUBLISHED, "all"], default="all")
    parser.add_argument("--runs", type=int, help=f"runs of every policy (problems in the testbed); by default {RUNS}")
    parser.add_argument("--json", type=Path, help="file for {scenario: {label: results}}")
    parser.add_argument("--policies", nargs="+", default=[], metavar="LABEL", help="labels of policies; all by default")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    scenarios = list(PUBLISHED) if arguments.scenario == "all" else [arguments.scenario]
    if unknown := set(arguments.policies) - {label for s in scenarios for label in PUBLISHED[s]}:
        parser.error(f"no such policy: {', '.join(sorted(unknown))}")
    results = play_all(
        scenarios,
        runs=arguments.runs,
        labels=arguments.policies,
        processes=arguments.processes,
        seed=arguments.seed,
    )
    for scenario, found in results.items():
        print(f"{scenario}\n\n{table(scenario, found)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
