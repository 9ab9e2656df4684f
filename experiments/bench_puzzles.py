"""How many puzzles, verdicts and vector steps does a CPU-second give, beside the peers in the same run?

    python experiments/bench_puzzles.py
    python experiments/bench_puzzles.py --peer mem-kk-logic=DIR reasoning-gym=DIR dump=DIR logic-rl=DIR

Each DIR is a checkout of AlphaPav/mem-kk-logic, open-thought/reasoning-gym, DUMP or Unakar/Logic-RL. Nothing of it
needs to be installed, as the files are loaded by path. Without peers our own numbers are printed alone. Ours and the
peers take turns in every round, so that other load on the machine hits them alike, and a ratio is the median of the
rounds' ratios. All is one thread in CPU time (`time.process_time`), after a warm-up that also finds how much work fills
the time. Every round has a seed of its own, as our environments keep the puzzles they have made. With all peers it
takes about five minutes. What is printed is Markdown for LOG.md.
"""

import contextlib
import gc
import hashlib
import importlib
import importlib.util
import math
import platform
import re
import subprocess
import sys
import textwrap
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import process_time
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from gymnasium.vector import AutoresetMode

import dumpgym
from dumpgym.envs.knights_knaves import KnightsKnavesEnv
from dumpgym.envs.records import json_lines
from dumpgym.envs.verifier import verify
from dumpgym.errors import DumpgymError, UnknownNameError, require_number

CHARACTERS_PER_TOKEN = 4.3  # English with Qwen's tokenizer
SEED_STRIDE = 1_000_000  # reasoning-gym adds the index to the seed, Gymnasium the number of the environment
FLOOD = 20_000

# What is loaded of each peer. DUMP's generator is mem-kk-logic's, and is measured only without the latter.
PEER_FILES = {
    "mem-kk-logic": ("data_prep/lib_kk.py",),
    "dump": ("verl/utils/reward_score/kk.py", "kk/data_prep/lib_kk.py"),
    "logic-rl": ("verl/utils/reward_score/kk.py",),
    "reasoning-gym": ("reasoning_gym/logic/knights_knaves.py", "reasoning_gym/utils.py"),
}
THOUGHTS = (
    "Suppose {a} is a knight. ",
    "Then what {a} says is true, so {b} is a knave. ",
    "If {b} were lying, the claim of {a} would fail, which contradicts what we have found. ",
    "So {a} cannot be a knave, and we go on with {b}. ",
    "Let me check the statement of {b} again, since {a} speaks of it too. ",
    "Wait, that does not follow: {a} and {b} could both be knights. ",
)


@dataclass(frozen=True)
class Options:
    peer: tuple[str, ...] = ()  # NAME=DIR, each
    rounds: int = 5
    seconds: float = 0.5  # CPU-seconds of one measurement, about
    least_puzzles: int = 5  # a generator makes as many in each round, however long it takes
    people: tuple[int, ...] = (3, 5, 8, 10, 12, 14, 20, 30, 50)
    peer_people: int = 14  # the peers' generators are not asked for more
    verified_people: tuple[int, ...] = (3, 5, 14)
    tokens: tuple[int, ...] = (200, 2_000, 20_000)
    completions: int = 64  # different ones, which take turns
    env_id: str = "dumpgym/KnightsKnaves5-v0"
    num_envs: int = 256


@dataclass(frozen=True)
class Subject:
    """Something to measure: ``run(count, seed)`` does ``count`` units and returns the CPU-seconds they took."""

    name: str
    run: Callable[[int, int], float]


@dataclass(frozen=True)
class Case:
    completion: str
    roles: dict[str, str]
    solution: str  # the roles in the published format


@dataclass(frozen=True)
class Verifier:
    """``score(prefix + completion, truth(case))``, and whether its result is full marks."""

    name: str
    score: Callable[[str, Any], Any]
    truth: Callable[[Case], Any]
    is_right: Callable[[Any], bool]
    prefix: str = ""


class Silence:
    """The cheapest standard output there is, for verifiers that print."""

    def write(self, text: str) -> None:
        pass


# Peers


def load_peers(arguments: Sequence[str]) -> dict[str, ModuleType]:
    """The modules of every NAME=DIR, under "NAME/FILE".

    Raises:
        DumpgymError: for an unknown name, or a folder without the files.
    """
    modules = {}
    for argument in arguments:
        name, _, folder = argument.partition("=")
        if name not in PEER_FILES:
            raise UnknownNameError("peer", name, [f"{known}=DIR" for known in PEER_FILES])
        for file in PEER_FILES[name]:
            if not folder or not (Path(folder) / file).is_file():
                raise DumpgymError(f"peer {name}: there is no {file} in the folder {folder!r}")
            load = load_from_package if name == "reasoning-gym" else load_file
            modules[f"{name}/{file}"] = load(Path(folder), file)
    return modules


def load_file(root: Path, file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"peer_{Path(file).stem}", root / file)
    if spec is None or spec.loader is None:
        raise DumpgymError(f"{file} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_from_package(root: Path, file: str) -> ModuleType:
    """Loads a module of reasoning-gym, whose packages import all the other tasks and what those depend on."""
    for name in ("reasoning_gym", "reasoning_gym.logic"):
        package = ModuleType(name)  # in the place of the real one, empty
        package.__path__ = [str(root / name.replace(".", "/"))]
        sys.modules.setdefault(name, package)
    importlib.import_module("reasoning_gym.coaching")  # first, or its circular import fails
    return importlib.import_module(file.removesuffix(".py").replace("/", "."))


# Measuring


def warmed_up_count(subject: Subject, options: Options, least: int) -> int:
    """How many units fill the time, with two digits, from runs of growing size."""
    count, seed = least, SEED_STRIDE * options.rounds
    while (seconds := subject.run(count, seed)) < options.seconds / 2:
        count, seed = math.ceil(count * min(8, options.seconds / max(seconds, 1e-9))), seed + SEED_STRIDE
    return max(least, int(float(f"{count * options.seconds / seconds:.1e}")))


def compare(subjects: Sequence[Subject], options: Options, least: int = 1) -> list[str]:
    """The cells of one row: rates, ratios of the first subject's rate to the others', units in a round."""
    counts = [warmed_up_count(subject, options, least) for subject in subjects]
    rates: list[list[float]] = [[] for _ in subjects]
    for round_index in range(options.rounds):
        for subject, count, measured in zip(subjects, counts, rates, strict=True):
            gc.collect()
            measured.append(count / subject.run(count, SEED_STRIDE * round_index))
    ratios = [[own / other for own, other in zip(rates[0], others, strict=True)] for others in rates[1:]]
    return [*map(spread, rates), *map(spread, ratios), " / ".join(f"{count:,}" for count in counts)]


def spread(values: Sequence[float]) -> str:
    return f"{digits(median(values))} ({digits(min(values))}..{digits(max(values))})"


def digits(value: float) -> str:
    """The value with three digits."""
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


def our_generator(num_people: int) -> Subject:
    def run(count: int, seed: int) -> float:
        env = KnightsKnavesEnv(num_people=num_people)
        start = process_time()
        deque(json_lines(env, seed=seed, split="train", num_puzzles=count), maxlen=0)
        return process_time() - start

    return Subject("dumpgym", run)


def peer_generators(peers: dict[str, ModuleType], num_people: int) -> Iterator[Subject]:
    if library := peers.get("mem-kk-logic/data_prep/lib_kk.py"):
        yield Subject("mem-kk-logic (no text)", sampler_run(library, num_people))
    elif library := peers.get("dump/kk/data_prep/lib_kk.py"):
        yield Subject("dump (no text)", sampler_run(library, num_people))
    if module := peers.get("reasoning-gym/reasoning_gym/logic/knights_knaves.py"):
        yield Subject("reasoning-gym", dataset_run(module, num_people))


def sampler_run(library: ModuleType, num_people: int) -> Callable[[int, int], float]:
    def run(count: int, seed: int) -> float:
        sampler = library.KKProblemSampler(seed, n_people=num_people)
        start = process_time()
        problems = sampler.sample_valid_problems(count)
        return (process_time() - start) * count / len(problems)  # at 2 people it returns fewer than asked for

    return run


def dataset_run(module: ModuleType, num_people: int) -> Callable[[int, int], float]:
    def run(count: int, seed: int) -> float:
        config = module.KnightsKnavesConfig(
            n_people=num_people, depth_constraint=2, width_constraint=2, size=count, seed=seed
        )
        dataset = module.KnightsKnavesDataset(config)
        start = process_time()
        for index in range(count):
            dataset[index]
        return process_time() - start

    return run


def generation(options: Options, peers: dict[str, ModuleType]) -> None:
    names = ["dumpgym", *(subject.name for subject in peer_generators(peers, 3))]
    say(
        "Generation, puzzles a CPU-second, each with exactly one solution. dumpgym: split, text and a line of JSON.",
        "mem-kk-logic and DUMP share their generator: statements, no text." if "no text" in str(names) else "",
        "reasoning-gym: text, no JSON." if "reasoning-gym" in names else "",
    )
    print_header(["people"], names, "puzzles")
    for num_people in options.people:
        subjects = [our_generator(num_people)]
        if num_people <= options.peer_people:
            subjects += peer_generators(peers, num_people)
        cells = compare(subjects, options, options.least_puzzles)
        missing = ["-"] * (2 * (len(names) - len(subjects)))
        print_row([num_people, cells[0], *missing, *cells[1:]])


# Verification


def make_cases(num_people: int, tokens: int, count: int) -> list[Case]:
    """Right completions of different puzzles, with reasoning of the length that is left."""
    env = KnightsKnavesEnv(num_people=num_people)
    rng = np.random.default_rng([num_people, tokens])
    cases = []
    for index in range(count):
        roles = dict(env.sample_problem(0, "test", index).answer)
        solution = answer_text(roles)
        length = round(tokens * CHARACTERS_PER_TOKEN) - len(framed("", solution))
        cases.append(Case(framed(reasoning(rng, list(roles), length), solution), roles, solution))
    return cases


def reasoning(rng: np.random.Generator, names: Sequence[str], length: int) -> str:
    """Sentences about these people, without angle brackets, cut at so many characters."""
    count = length // min(map(len, THOUGHTS)) + 1
    drawn = zip(
        rng.integers(len(THOUGHTS), size=count), *rng.integers(len(names), size=(2, count)), strict=True
    )  # indices of a sentence and two people
    return "".join(THOUGHTS[i].format(a=names[a], b=names[b]) for i, a, b in drawn)[: max(0, length)]


def answer_text(roles: dict[str, str]) -> str:
    return "\n".join(f"({i}) {name} is a {role}" for i, (name, role) in enumerate(roles.items(), start=1))


def framed(thought: str, answer: str) -> str:
    return f"<think>{thought}</think>\n<answer>{answer}</answer>"


def verifiers(peers: dict[str, ModuleType]) -> Iterator[Verifier]:
    yield Verifier("dumpgym", verify, lambda case: case.roles, lambda verdict: verdict.success)
    for name in ("dump", "logic-rl"):
        if module := peers.get(f"{name}/verl/utils/reward_score/kk.py"):
            yield Verifier(
                name,
                module.compute_score,
                lambda case: {"solution_text_format": case.solution},
                lambda result: (result["score"] if isinstance(result, dict) else result) == 3,
                prefix="<|im_start|>assistant",
            )
    if module := peers.get("reasoning-gym/reasoning_gym/logic/knights_knaves.py"):
        extract = peers["reasoning-gym/reasoning_gym/utils.py"].extract_answer
        dataset = module.KnightsKnavesDataset(module.KnightsKnavesConfig(n_people=3, seed=0))
        yield Verifier(
            "reasoning-gym",
            lambda completion, entry: dataset.score_answer(extract(completion), entry),
            lambda case: {"answer": ", ".join(f"{name} is a {role}" for name, role in case.roles.items()) + "."},
            lambda reward: reward == 1,
        )


def verifier_subject(verifier: Verifier, cases: Sequence[Case]) -> Subject:
    """Raises DumpgymError if the verifier does not give all of these right answers full marks."""
    pairs = [(verifier.prefix + case.completion, verifier.truth(case)) for case in cases]
    score = verifier.score
    with contextlib.redirect_stdout(Silence()):
        if not all(verifier.is_right(score(*pair)) for pair in pairs):
            raise DumpgymError(f"{verifier.name} does not give a right answer full marks")

    def run(count: int, seed: int) -> float:
        with contextlib.redirect_stdout(Silence()):
            start = process_time()
            for text, truth in islice(cycle(pairs), count):
                score(text, truth)
            return process_time() - start

    return Subject(verifier.name, run)


def verification(options: Options, peers: dict[str, ModuleType]) -> None:
    judges = list(verifiers(peers))
    say(
        "Verification, completions a CPU-second: right answers in the published format,",
        f"{options.completions} different completions in turn.",
        "What a peer prints goes to an object whose `write` does nothing." if len(judges) > 1 else "",
        "reasoning-gym: its `extract_answer` and `score_answer`." if judges[-1].name == "reasoning-gym" else "",
    )
    print_header(["people", "tokens"], [judge.name for judge in judges], "completions")
    for num_people in options.verified_people:
        for tokens in options.tokens:
            cases = make_cases(num_people, tokens, options.completions)
            subjects = [verifier_subject(judge, cases) for judge in judges]
            print_row([num_people, f"{tokens:,}", *compare(subjects, options)])


def hostile(peers: dict[str, ModuleType]) -> None:
    """One completion that makes a careless pattern take quadratic time, one call each."""
    say(f"A completion that ends in {FLOOD:,} `<answer>` tags and closes none, one call each:")
    case = make_cases(3, 200, 1)[0]
    flood = "<think></think>\n" + "<answer>" * FLOOD
    print_top(["verifier", "CPU-milliseconds", "times dumpgym's"])
    own = None
    for verifier in verifiers(peers):
        truth = verifier.truth(case)
        with contextlib.redirect_stdout(Silence()):
            verifier.score(verifier.prefix + case.completion, truth)  # warm-up
            start = process_time()
            verifier.score(verifier.prefix + flood, truth)
            seconds = process_time() - start
        own = own or seconds
        print_row([verifier.name, digits(1000 * seconds), digits(seconds / own)])


# Vector environment


def make_vector_envs(options: Options) -> dict[str, gym.vector.VectorEnv]:
    """The environment's own vector form where it has one, and Gymnasium's over the same environment."""
    same_step = {"autoreset_mode": AutoresetMode.SAME_STEP}
    envs = {}
    if gym.spec(options.env_id).vector_entry_point is not None:
        envs["dumpgym"] = gym.make_vec(options.env_id, num_envs=options.num_envs)
    envs["SyncVectorEnv"] = gym.make_vec(
        options.env_id, num_envs=options.num_envs, vectorization_mode="sync", vector_kwargs=same_step
    )
    return envs


def step_subject(name: str, envs: gym.vector.VectorEnv, thoughts: Sequence[str]) -> Subject:
    """One reset and steps, timed without the writing of the completions in between; units are completions."""

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
    """A seeded reset, then resets that go on in the same streams; units are puzzles."""

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
    length = round(200 * CHARACTERS_PER_TOKEN) - len(framed("", answer))
    thoughts = [reasoning(rng, ("Zoey", "Jack", "Lily"), length) for _ in range(options.num_envs)]
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
    names = "|".join(PEER_FILES)
    arguments = " ".join(re.sub(rf"^({names})=.*", r"\1=DIR", argument) for argument in sys.argv[1:])
    versions = {"dumpgym": dumpgym.__version__, "gymnasium": gym.__version__, "numpy": np.__version__}
    print(f"Command: `{f'python experiments/bench_puzzles.py {arguments}'.rstrip()}`, commit `{commit()}`,")
    print(f"Python {platform.python_version()}, {', '.join(f'{name} {v}' for name, v in versions.items())}.")
    print(end="\n" if peers else "")
    for name, module in peers.items():
        print(f"- `{name}`, SHA-256 {hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()[:12]}")
    say(f"One thread, CPU time; median (least..most) of {options.rounds} rounds in which all take turns.")


def main(options: Options) -> int:
    try:
        require_number("rounds", options.rounds, low=1, whole=True)
        require_number("seconds", options.seconds, above=0)
        peers = load_peers(options.peer)
        head(options, peers)
        generation(options, peers)
        verification(options, peers)
        hostile(peers)
        vector(options)
    except DumpgymError as error:
        print(f"bench_puzzles: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
