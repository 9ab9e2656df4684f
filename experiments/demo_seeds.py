"""The main job for several seeds and policies, and a table of what came out.

    python experiments/demo_seeds.py --output runs/demo_seeds --seeds 0 1 2 --policies dump uniform

Runs that are finished are not run again; one that was interrupted goes on. Runs go one after another, each in a process
of its own. Fewer than 8 seeds are an anecdote, and the table says so.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Options:
    output: Path = Path("runs/demo_seeds")
    seeds: tuple[int, ...] = (0, 1, 2)
    policies: tuple[str, ...] = ("dump", "uniform")


def run(directory: Path, policy: str, seed: int) -> dict:
    """Runs or resumes one job and returns its summary."""
    if not (directory / "summary.json").exists():
        command = [sys.executable, "-m", "dumpgym", "train", "--output", str(directory)]
        command += ["--resume"] if directory.exists() else ["--policy", policy, "--seed", str(seed)]
        subprocess.run(command, check=True)
    return json.loads((directory / "summary.json").read_text())


def row(policy: str, seed: int, summary: dict, directory: Path) -> str:
    evaluations = [json.loads(line) for line in (directory / "evaluations.jsonl").read_text().splitlines()]
    after_a_minute = next(e for e in evaluations if e["time/seconds"] - evaluations[0]["time/seconds"] >= 60)
    cells = [policy, str(seed)]
    for result in (summary, summary["sampled"]):
        low, high = result["success_difference_interval"]
        cells.append(f"{result['success_before']:.3f} → {result['success_after']:.3f}")
        cells.append(f"{result['success_difference']:+.3f} [{low:+.3f}, {high:+.3f}]")
    cells += [f"{after_a_minute['eval/success']:.3f}", f"{summary['generated_tokens']:,}", f"{summary['seconds']:.0f}"]
    return "| " + " | ".join(cells) + " |"


def main(options: Options) -> None:
    rows = []
    for seed in options.seeds:
        for policy in options.policies:
            directory = options.output / policy / f"seed{seed}"
            rows.append(row(policy, seed, run(directory, policy, seed), directory))
    print(
        "| policy | seed | greedy | difference [95 %] | sampled | difference [95 %] | greedy at the first evaluation "
        "after a minute (fewer puzzles) | tokens | seconds |\n|" + "---|" * 9
    )
    print("\n".join(rows))
    if len(options.seeds) < 8:
        print(f"\n{len(options.seeds)} seeds: an anecdote, no claim about the policies.")


if __name__ == "__main__":
    main(tyro.cli(Options))
