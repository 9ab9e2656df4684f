"""What puzzles.py measures: our generator and verifier, those of the peers, and the completions to judge.

The peers are loaded by path from checkouts of their repositories. Only the files in ``PEER_FILES`` and the modules that
they import are needed, and nothing has to be installed.
"""

import contextlib
import importlib
import importlib.util
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from time import process_time
from types import ModuleType
from typing import Any

import numpy as np

from dumpgym.contracts.errors import DumpgymError, UnknownNameError
from dumpgym.envs.knights_knaves import verifier as our_verifier
from dumpgym.envs.knights_knaves.env import KnightsKnavesEnv
from dumpgym.envs.knights_knaves.records import json_lines

CHARACTERS_PER_TOKEN = 4.3  # English with Qwen's tokenizer
GROUP = 8  # completions of one problem

# The files of each peer to load. DUMP's generator is mem-kk-logic's, so it is measured only without the latter.
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
class Subject:
    """Something to measure: ``run(count, seed)`` does ``count`` units of work and returns their CPU-seconds."""

    name: str
    run: Callable[[int, int], float]


@dataclass(frozen=True)
class Case:
    completion: str
    roles: dict[str, str]
    solution: str  # the roles in the published format


@dataclass(frozen=True)
class Verifier:
    """A verifier: ``score(prefix + completion, truth(case))``, a test for full marks, and how to clear its cache."""

    name: str
    score: Callable[[str, Any], Any]
    truth: Callable[[Case], Any]
    is_right: Callable[[Any], bool]
    prefix: str = ""
    forget: Callable[[], None] = lambda: None


class Silence:
    """The cheapest possible standard output, for verifiers that print."""

    def write(self, text: str) -> None:
        pass


# Loading


def load_peers(arguments: Sequence[str]) -> dict[str, ModuleType]:
    """Loads the modules of every NAME=DIR, by "NAME/FILE".

    Raises:
        DumpgymError: if a name is unknown, or a folder does not have the files.
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
    """Loads a module of reasoning-gym without its packages, which import all other tasks and their dependencies."""
    for name in ("reasoning_gym", "reasoning_gym.logic"):
        package = ModuleType(name)  # an empty one in place of the real one
        package.__path__ = [str(root / name.replace(".", "/"))]
        sys.modules.setdefault(name, package)
    importlib.import_module("reasoning_gym.coaching")  # first, or its circular import fails
    return importlib.import_module(file.removesuffix(".py").replace("/", "."))


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


# Completions


def make_cases(num_people: int, tokens: int, count: int) -> list[Case]:
    """Right completions of different puzzles, filled up with reasoning to the given length."""
    env = KnightsKnavesEnv(num_people=num_people)
    rng = np.random.default_rng([num_people, tokens])
    cases = []
    for index in range(count):
        roles = dict(env.sample_problem(0, "test", index).solution)
        solution = answer_text(roles)
        cases.append(Case(reasoned(rng, list(roles), tokens, solution), roles, solution))
    return cases


def make_group(case: Case, tokens: int) -> list[str]:
    """Completions of one problem with different reasoning, right and wrong in turn."""
    names = list(case.roles)
    rng = np.random.default_rng([len(names), tokens, *case.solution.encode()])
    answers = zip([case.solution] * (GROUP // 2), wrong_answers(rng, case.roles, GROUP // 2), strict=True)
    return [reasoned(rng, names, tokens, answer) for pair in answers for answer in pair]


def wrong_answers(rng: np.random.Generator, roles: dict[str, str], count: int) -> list[str]:
    """Answers with random wrong roles, all different as long as there are enough."""
    answers: dict[str, None] = {}
    while len(answers) < min(count, 2 ** len(roles) - 1):
        guessed = {
            name: ("knight", "knave")[i] for name, i in zip(roles, rng.integers(2, size=len(roles)), strict=True)
        }
        if guessed != roles:
            answers[answer_text(guessed)] = None
    return list(islice(cycle(answers), count))


def reasoned(rng: np.random.Generator, names: Sequence[str], tokens: int, answer: str) -> str:
    length = round(tokens * CHARACTERS_PER_TOKEN) - len(framed("", answer))
    return framed(reasoning(rng, names, length), answer)


def reasoning(rng: np.random.Generator, names: Sequence[str], length: int) -> str:
    """Sentences about these people, without angle brackets, cut at a number of characters."""
    count = max(0, length) // min(map(len, THOUGHTS)) + 1
    sentences, people = rng.integers(len(THOUGHTS), size=count), rng.integers(len(names), size=(2, count))
    drawn = zip(sentences, *people, strict=True)
    return "".join(THOUGHTS[i].format(a=names[a], b=names[b]) for i, a, b in drawn)[: max(0, length)]


def answer_text(roles: dict[str, str]) -> str:
    return "\n".join(f"({i}) {name} is a {role}" for i, (name, role) in enumerate(roles.items(), start=1))


def framed(thought: str, answer: str) -> str:
    return f"<think>{thought}</think>\n<answer>{answer}</answer>"


# Verification


def verifiers(peers: dict[str, ModuleType]) -> Iterator[Verifier]:
    yield Verifier(
        "dumpgym",
        our_verifier.verify,
        lambda case: case.roles,
        lambda verdict: verdict.success,
        forget=our_verifier._PUZZLES.clear,  # its keys are identities of roles, which later roles may have again
    )
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
    """A verifier on these cases; raises DumpgymError if it does not give full marks to all of their right answers."""
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


def group_subject(verifier: Verifier, cases: Sequence[Case], tokens: int) -> Subject:
    """Groups of completions; units are completions.

    The truth of each group is a new object, made outside the timed part, so no verifier has seen it before.
    """
    groups = [(case, [verifier.prefix + text for text in make_group(case, tokens)]) for case in cases]
    score = verifier.score

    def run(count: int, seed: int) -> float:
        taken = islice(cycle(groups), -(-count // GROUP))
        judged = [(texts, verifier.truth(replace(case, roles=dict(case.roles)))) for case, texts in taken]
        verifier.forget()
        with contextlib.redirect_stdout(Silence()):
            start = process_time()
            for texts, truth in judged:
                for text in texts:
                    score(text, truth)
            return (process_time() - start) * count / (len(judged) * GROUP)

    return Subject(verifier.name, run)


def seconds_of_one(verifier: Verifier, case: Case, completion: str) -> float:
    """CPU-seconds of one verdict on this completion, after a verdict on the case's own completion."""
    truth = verifier.truth(case)
    with contextlib.redirect_stdout(Silence()):
        verifier.score(verifier.prefix + case.completion, truth)
        start = process_time()
        verifier.score(verifier.prefix + completion, truth)
        return process_time() - start
