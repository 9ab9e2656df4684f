"""Steps of GRPO beside busy processes: threads that spin for long, briefly or not at all while they wait.

    python experiments/benchmarks/threads.py
    python experiments/benchmarks/threads.py --loads 0 2 4 --repeats 3

Each measurement is a process of its own that takes a few steps with the embedded model, after one that does not count.
Settings take turns, so that a change of the machine's load meets all of them. ``spinning`` is what torch's OpenMP
library does by default; ``briefly`` is what dumpgym asks it to do; ``asleep`` does not spin; ``one`` has a single
thread, which waits for nobody. A competing process is a loop that computes all the time. Ratios are of medians, to
``spinning`` under the same load.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import tyro

from dumpgym.contracts.threads import available_cpus

SETTINGS = {
    "spinning": {"GOMP_SPINCOUNT": "300000"},  # libgomp's default where OMP_WAIT_POLICY is not set
    "briefly": {"GOMP_SPINCOUNT": "3000"},
    "asleep": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one": {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"},
}
VARIABLES = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        loads: numbers of competing processes.
        repeats: measurements of every setting under every load.
        steps: steps of a measurement.
        num_prompts: prompts per step.
        num_generations: completions per prompt.
        limit: most tokens of a completion.
        output: file for the results as JSON.
        child: take the steps in this process; set by the script itself.
    """

    loads: tuple[int, ...] = (0, 2, 4)
    repeats: int = 3
    steps: int = 3
    num_prompts: int = 8
    num_generations: int = 4
    limit: int = 256
    output: Path | None = None
    child: bool = False


def take_steps(options: Options) -> dict[str, float]:
    """Wall and CPU seconds of the steps in this process, and its threads."""
    import numpy as np
    import torch

    from dumpgym.agents.grpo.agent import GRPOAgent
    from dumpgym.agents.grpo.config import GRPOConfig
    from dumpgym.contracts.arms import make_arms
    from dumpgym.contracts.learner import RewardedCompletions

    agent = GRPOAgent(GRPOConfig(device="cpu", learning_rate=0.0, max_completion_length=options.limit))
    env = make_arms(["dumpgym/KnightsKnaves4-v0"])[0].env
    prompts = [env.sample_problem(0, "train", i).prompt for i in range(options.num_prompts)]
    rewards = np.resize([1.0, 0.0, 0.0, 1.0], (options.num_prompts, options.num_generations))
    wall = cpu = 0.0
    for step in range(options.steps + 1):
        if step == 1:
            wall, cpu = perf_counter(), process_time()
        made = agent.generate(prompts, options.num_generations, keys=range(options.num_prompts))
        agent.learn(RewardedCompletions(made, rewards))
    return {"wall": perf_counter() - wall, "cpu": process_time() - cpu, "threads": torch.get_num_threads()}


@contextmanager
def competition(number: int) -> Iterator[None]:
    """Runs beside a number of processes that compute all the time."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def measure(setting: str) -> dict[str, float]:
    """The measurement of one setting in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | SETTINGS[setting]
    command = [sys.executable, *sys.argv, "--child"]
    ended = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ended.stdout.splitlines()[-1])


def main(options: Options) -> None:
    """Prints the median seconds of every setting under every load, with the least and the most, and their ratios."""
    if options.child:
        print(json.dumps(take_steps(options)))
        return
    print(
        f"{platform.machine()}, {available_cpus():g} CPUs, load {os.getloadavg()[0]:.1f} before the start", flush=True
    )
    found: dict[int, dict[str, list[dict[str, float]]]] = {}
    for load in options.loads:
        found[load] = {setting: [] for setting in SETTINGS}
        with competition(load):
            for _ in range(options.repeats):
                for setting, measured in found[load].items():
                    measured.append(measure(setting))
                    print(f"{load} busy, {setting}: {measured[-1]}", file=sys.stderr)
        for setting, measured in found[load].items():
            print(f"{load} busy, {setting}, {measured[0]['threads']:.0f} threads:", end="")
            for clock in ("wall", "cpu"):
                seconds = [one[clock] for one in measured]
                ratio = median(seconds) / median(one[clock] for one in found[load]["spinning"])
                print(f" {clock} {median(seconds):.1f} s [{min(seconds):.1f}, {max(seconds):.1f}] x{ratio:.2f}", end="")
            print(flush=True)
    if options.output is not None:
        options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Options))
