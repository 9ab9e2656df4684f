"""How many puzzles, verdicts and vector steps does a CPU-second give, compared with the peers in the same run?

    python experiments/benchmarks/puzzles.py
    python experiments/benchmarks/puzzles.py --peer mem-kk-logic=DIR reasoning-gym=DIR dump=DIR logic-rl=DIR

Each DIR is a checkout of AlphaPav/mem-kk-logic, open-thought/reasoning-gym, DUMP or Unakar/Logic-RL. None of them
needs to be installed, because the files are loaded by path. Without peers, only our own numbers are printed. Ours and
the peers take turns in every round, so other load on the computer hits them equally, and a ratio is the median of the
rounds' ratios. Everything runs in one thread and is measured in CPU time (`time.process_time`), after a warm-up that
also finds how much work fills the time. Every round has its own seed, because our environments keep the puzzles that
they have made. With all peers it takes about six minutes, and at most eight, because no row begins after ``--fence``.
The output is Markdown for LOG.md.
"""

import gc
import hashlib
import math
import platform
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import harmonic_mean, median
from time import monotonic, process_time
from types import ModuleType

import gymnasium as gym
import numpy as np
import puzzle_peers
import tyro
from gymnasium.vector import AutoresetMode
from puzzle_peers import Subject, answer_text, framed

import dumpgym
from dumpgym.contracts.errors import DumpgymError, require_number

START = monotonic()
SEED_STRIDE = 1_000_000  # reasoning-gym adds the index to the seed, Gymnasium the number of the environment
FLOOD = 20_000


@dataclass(frozen=True)
class Options:
    peer: tuple[str, ...] = ()  # NAME=DIR for each peer
    rounds: int = 5
    seconds: float = 0.3  # approximate CPU-seconds of one measurement
    least_puzzles: int = 5  # puzzles that a generator makes in each round, however long it takes
    people: tuple[int, ...] = (3, 5, 8, 10, 12, 14, 20, 30, 50)
    peer_people: int = 14  # largest size for the peers' generators
    verified_people: tuple[int, ...] = (3, 5, 14)
    tokens: tuple[int, ...] = (200, 2_000, 20_000)
    group_tokens: tuple[int, ...] = (200, 2_000)
    completions: int = 64  # different completions, which take turns
    env_id: str = "dumpgym/KnightsKnaves5-v0"
    num_envs: int = 256
    fence: float = 420  # seconds of wall time after which no row of a table begins


# Measuring


def warmed_up_count(subject: Subject, options: Options, least: int) -> int:
    """The number of units that fill the time, to two digits, from runs of growing size."""
    count, seed = least, SEED_STRIDE * options.rounds
    subject.run(1, seed - 1)  # the very first run builds caches, which would make the subject look slow
    while (seconds := subject.run(count, seed)) < options.seconds / 2:
        count, seed = math.ceil(count * min(8, options.seconds / max(seconds, 1e-9))), seed + SEED_STRIDE
    return max(least, int(float(f"{count * options.seconds / seconds:.1e}")))


def compare(
    subjects: Sequence[Subject], options: Options, least: int = 1, middle: Callable[[list[float]], float] = median
) -> list[str]:
    """The cells of one row: rates, ratios of the first subject's rate to those of the others, and units per round."""
    if monotonic() - START > options.fence:
        return ["late"] * (2 * len(subjects))
    counts = [warmed_up_count(subject, options, least) for subject in subjects]
    rates: list[list[float]] = [[] for _ in subjects]
    for round_index in range(options.rounds):
        for subject, count, measured in zip(subjects, counts, rates, strict=True):
            gc.collect()
            measured.append(count / subject.run(count, SEED_STRIDE * round_index))
    ratios = [[own / other for own, other in zip(rates[0], others, strict=True)] for others in rates[1:]]
    cells = [spread(measured, middle(measured)) for measured in rates]
    cells += [spread(ratio, median(ratio)) for ratio in ratios]
    return [*cells, " / ".join(f"{count:,}" for count in counts)]


def spread(values: Sequence[float], middle: float) -> str:
    return f"{digits(middle)} ({digits(min(values))}..{digits(max(values))})"


def digits(value: float) -> str:
    """The value to three digits."""
    rounded = float(f"{value:.2e}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:.3g}"


def say(*sentences: str) -> None:
    print("\n" + textwrap.fill(" ".join(filter(None, sentences)), 120), flush=True)


def print_row(cells: Sequence[object]) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def print_top(columns: Sequence[str]) -> None:
    print()
    print_row(columns)
    print("|" + "---|" * len(columns))


def print_header(labels: Sequence[str], names: Sequence[str], unit: str) -> None:
    ratios = [f"{names[0]} / {name}" for name in names[1:]]
    print_top([*labels, *names, *ratios, f"{unit} a round" + (", each" if ratios else "")])


# Generation


def generation(options: Options, peers: dict[str, ModuleType]) -> None:
    names = ["dumpgym", *(subject.name for subject in puzzle_peers.peer_generators(peers, 3))]
    say(
        "Generation, puzzles a CPU-second, each with exactly one solution. dumpgym: split, text and a line of JSON.",
        "mem-kk-logic and DUMP share their generator: statements, no text." if "no text" in str(names) else "",
        "reasoning-gym: text, no JSON." if "reasoning-gym" in names else "",
        "A rate is that of all rounds together, as some rounds have few puzzles.",
    )
    print_header(["people"], names, "puzzles")
    for num_people in options.people:
        subjects = [puzzle_peers.our_generator(num_people)]
        if num_people <= options.peer_people:
            subjects += puzzle_peers.peer_generators(peers, num_people)
        cells = compare(subjects, options, options.least_puzzles, harmonic_mean)
        missing = ["-"] * (2 * (len(names) - len(subjects)))
        print_row([num_people, cells[0], *missing, *cells[1:]])


# Verification


def verification(options: Options, peers: dict[str, ModuleType]) -> None:
    judges = list(puzzle_peers.verifiers(peers))
    say(
        "Verification, completions a CPU-second: right answers in the published format,",
        f"{options.completions} different completions in turn.",
        "What a peer prints goes to an object whose `write` does nothing." if len(judges) > 1 else "",
        "reasoning-gym: its `extract_answer` and `score_answer`." if judges[-1].name == "reasoning-gym" else "",
    )
    print_header(["people", "tokens"], [judge.name for judge in judges], "completions")
    for num_people, tokens in product(options.verified_people, options.tokens):
        cases = puzzle_peers.make_cases(num_people, tokens, options.completions)
        subjects = [puzzle_peers.verifier_subject(judge, cases) for judge in judges]
        print_row([num_people, f"{tokens:,}", *compare(subjects, options)])


def groups(options: Options, peers: dict[str, ModuleType]) -> None:
    judges = list(puzzle_peers.verifiers(peers))
    size = puzzle_peers.GROUP
    say(
        "Verification in groups, completions a CPU-second. In the table above, dumpgym remembers the puzzles and their",
        f"answers, as it has judged both before; here every puzzle is new to it, and has a group of {size} completions",
        "in the published format, as in GRPO: half right, half with random wrong roles.",
    )
    print_header(["people", "tokens"], [judge.name for judge in judges], "completions")
    for num_people, tokens in product(options.verified_people, options.group_tokens):
        cases = puzzle_peers.make_cases(num_people, tokens, -(-options.completions // size))
        subjects = [puzzle_peers.group_subject(judge, cases, tokens) for judge in judges]
        print_row([num_people, f"{tokens:,}", *compare(subjects, options, size)])


def hostile(options: Options, peers: dict[str, ModuleType]) -> None:
    """Measures one call on a completion that makes a careless pattern take quadratic time."""
    say(f"A completion that ends in {FLOOD:,} `<answer>` tags and closes none, one call each:")
    case = puzzle_peers.make_cases(3, 200, 1)[0]
    flood = "<think></think>\n" + "<answer>" * FLOOD
    print_top(["verifier", "CPU-milliseconds", "times dumpgym's"])
    own = None
    for verifier in puzzle_peers.verifiers(peers):
        if monotonic() - START > options.fence:
            print_row([verifier.name, "late", "late"])
            continue
        seconds = puzzle_peers.seconds_of_one(verifier, case, flood)
        own = own or seconds
        print_row([verifier.name, digits(1000 * seconds), digits(seconds / own)])


# Vector environment


def make_vector_envs(options: Options) -> dict[str, gym.vector.VectorEnv]:
    """The environment's own vector form, if it has one, and Gymnasium's over the same environment."""
    same_step = {"autoreset_mode": AutoresetMode.SAME_STEP}
    envs = {}
    if gym.spec(options.env_id).vector_entry_point is not None:
        envs["dumpgym"] = gym.make_vec(options.env_id, num_envs=options.num_envs)
    envs["SyncVectorEnv"] = gym.make_vec(
        options.env_id, num_envs=options.num_envs, vectorization_mode="sync", vector_kwargs=same_step
    )
    return envs


def step_subject(name: str, envs: gym.vector.VectorEnv, thoughts: Sequence[str]) -> Subject:
    """A reset and steps, timed without writing the completions in between; units are completions."""

    def run(count: int, seed: int) -> float:
        rng = np.random.default_rng(seed)
        start = process_time()
        prompts, _ = envs.reset(seed=seed)
        seconds = process_time() - start
        for _ in range(0, count, envs.num_envs):
            actions = tuple(guess(rng, *pair) for pair in zip(prompts, thoughts, strict=True))
            start = process_time()
            prompts = envs.step(actions)[0]
            seconds += process_time() - start
        return seconds * count / len(range(0, count, envs.num_envs)) / envs.num_envs

    return Subject(name, run)


def guess(rng: np.random.Generator, prompt: str, thought: str) -> str:
    """A well-formed completion that gives everybody a random role."""
    listed = re.search(r"inhabitants: ([^.]+)\.", prompt)
    names = re.split(r", and | and |, ", listed[1]) if listed else []
    roles = ["knave" if knave else "knight" for knave in rng.integers(2, size=len(names))]
    return framed(thought, answer_text(dict(zip(names, roles, strict=True))))


def reset_subject(name: str, envs: gym.vector.VectorEnv) -> Subject:
    """A seeded reset, then resets that continue the same streams; units are puzzles."""

    def run(count: int, seed: int) -> float:
        num_resets = -(-count // envs.num_envs)
        start = process_time()
        envs.reset(seed=seed)
        for _ in range(num_resets - 1):
            envs.reset()
        return (process_time() - start) * count / (num_resets * envs.num_envs)

    return Subject(name, run)


def vector(options: Options) -> None:
    envs = make_vector_envs(options)
    say(
        f"Vector environment `{options.env_id}`, {options.num_envs} at once, autoreset in the same step: completions",
        "of 200 tokens with random roles in the published format. A round: a seeded reset, then steps or more resets.",
    )
    print_header(["units a CPU-second"], list(envs), "units")
    rng = np.random.default_rng(0)
    answer = answer_text(dict.fromkeys("Zoey Jack Lily Owen Emma".split(), "knight"))
    length = round(200 * puzzle_peers.CHARACTERS_PER_TOKEN) - len(framed("", answer))
    thoughts = [puzzle_peers.reasoning(rng, ("Zoey", "Jack", "Lily"), length) for _ in range(options.num_envs)]
    steps = [step_subject(name, env, thoughts) for name, env in envs.items()]
    resets = [reset_subject(name, env) for name, env in envs.items()]
    print_row(["completions stepped", *compare(steps, options, options.num_envs)])
    print_row(["puzzles of `reset`", *compare(resets, options, options.num_envs)])
    for env in envs.values():
        env.close()


# The report


def commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + "+changes" * bool(git("status", "--porcelain"))


def head(options: Options, peers: dict[str, ModuleType]) -> None:
    names = "|".join(puzzle_peers.PEER_FILES)
    arguments = " ".join(re.sub(rf"^({names})=.*", r"\1=DIR", argument) for argument in sys.argv[1:])
    versions = {"dumpgym": dumpgym.__version__, "gymnasium": gym.__version__, "numpy": np.__version__}
    print(f"Command: `{f'python experiments/benchmarks/puzzles.py {arguments}'.rstrip()}`, commit `{commit()}`,")
    print(f"Python {platform.python_version()}, {', '.join(f'{name} {v}' for name, v in versions.items())}.")
    print(end="\n" if peers else "")
    for name, module in peers.items():
        print(f"- `{name}`, SHA-256 {hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()[:12]}")
    say(
        f"One thread, CPU time; median (least..most) of {options.rounds} rounds in which all take turns.",
        f'"late": the row would have begun more than {options.fence:g} seconds after the start.',
    )


def main(options: Options) -> int:
    try:
        require_number("rounds", options.rounds, low=1, whole=True)
        require_number("seconds", options.seconds, above=0)
        require_number("fence", options.fence, above=0)
        peers = puzzle_peers.load_peers(options.peer)
        head(options, peers)
        generation(options, peers)
        verification(options, peers)
        groups(options, peers)
        hostile(options, peers)
        vector(options)
    except DumpgymError as error:
        print(f"puzzles: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
