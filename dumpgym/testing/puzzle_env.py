"""The contract check of puzzle environments.

Training with a broken environment usually raises no error. It trains on test problems, rewards wrong completions or is
not reproducible, and the metrics still look plausible. Therefore the check covers many problems, and tests the verifier
on adversarial completions (``odd_completions``).
"""

import copy
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env

from dumpgym.contracts.arms import make_env
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.puzzle_env import UNREADABLE, Problem, PuzzleEnv, Verdict, plain_text
from dumpgym.testing.another_process import Address, MakeEnv, problem_as_text, problems_elsewhere, puzzle_env
from dumpgym.testing.expectation import expect, shortened, shown
from dumpgym.testing.odd_completions import objects, texts

SEEDS = (0, 1)
NUM_RESAMPLED = 10  # problems per seed and split that are sampled again, also in another process
NUM_JUDGED = 2  # problems per seed and split on which adversarial completions are judged

Problems = Mapping[Address, Problem]


def check_puzzle_env(make: MakeEnv, *, num_problems: int = 1000) -> None:
    """Checks that an environment follows the contract of ``PuzzleEnv``.

    - Problems: each problem has the requested address, messages that match its prompt, a prompt in the observation
      space and a reference completion in the action space. The train and test splits have no prompt in common, even
      across seeds. Prompts that differ only in whitespace count as equal, whatever their solutions.
    - Reproducibility: the same address gives the same problem in any order, in a new environment, and in another
      process with a different hash seed.
    - Verdicts: the reference completion succeeds with a readable outcome, and no adversarial completion has a higher
      reward. ``verify`` accepts any object without an error; objects that are not text never succeed. ``verify`` is
      pure: the verdict of a completion does not depend on the order, on earlier problems or on the environment object,
      and ``verify`` modifies neither the problem nor the completion nor earlier verdicts.
    - Episodes: ``reset`` starts the requested problem, ``step`` agrees with ``verify`` and terminates the episode, and
      ``gymnasium.utils.env_checker.check_env`` passes without a warning. It checks the render modes only if the
      environment is made by id.

    An environment with finitely many problems raises ``InvalidValueError`` for an index beyond the last one. The check
    then covers the problems that exist.

    Args:
        make: a specification for ``dumpgym.make_env``, e.g. "my_module:mine/Doubling-v0", or a callable that returns a
            new environment. The other process imports the module in the specification. Callables are checked in
            another process only if they can be pickled, e.g. a class of an importable module. Lambdas and objects
            defined in the running script are checked only in this process.
        num_problems: problems to check in each split, at least 1.

    Raises:
        AssertionError: if an invariant does not hold; the message names it.
        InvalidValueError: if ``make`` does not make a puzzle environment.
    """
    new = _maker(make)
    problems: dict[Address, Problem] = {}
    for seed, split in ((SEEDS[0], "train"), (SEEDS[0], "test"), (SEEDS[1], "train")):
        problems |= _first_problems(new(), seed, split, num_problems)
    env = new()
    for address, problem in problems.items():
        _check_problem(env, address, problem)
    _check_splits(problems)
    _check_addresses(make, new, problems)
    _check_verify(new, problems)
    for address in _spread(problems, NUM_RESAMPLED):
        _check_episode(new(), problems[address])
    _check_gymnasium(new())


def _maker(make: MakeEnv) -> Callable[[], PuzzleEnv]:
    if isinstance(make, str):
        return lambda: make_env(make)
    if isinstance(make, gym.Env) or not callable(make):
        accepted = "a specification such as 'my_module:mine/Doubling-v0', or a callable that returns a new environment"
        raise InvalidValueError("make", make, accepted)
    expect(make() is not make(), "make() returned the same environment twice; it must return a new one")
    return lambda: puzzle_env(make())


def _first_problems(env: PuzzleEnv, seed: int, split: str, num_problems: int) -> dict[Address, Problem]:
    problems: dict[Address, Problem] = {}
    for index in range(num_problems):
        try:
            problems[seed, split, index] = env.sample_problem(seed, split, index)
        except InvalidValueError as error:  # the end of a finite split
            expect(index > 0, f"the {split} split of seed {seed} has no problems: {error}")
            break
    return problems


def _spread(problems: Problems, count: int) -> list[Address]:
    """Returns ``count`` evenly spaced addresses per seed and split, including the first and the last."""
    streams: dict[tuple[int, str], list[Address]] = {}
    for address in problems:
        streams.setdefault(address[:2], []).append(address)
    positions = {key: np.linspace(0, len(stream) - 1, count).round() for key, stream in streams.items()}
    return [streams[key][int(position)] for key, chosen in positions.items() for position in np.unique(chosen)]


# Problems


def _check_problem(env: PuzzleEnv, address: Address, problem: Problem) -> None:
    expect(
        isinstance(problem, Problem), f"sample_problem{address} returned {type(problem).__name__}, expected a Problem"
    )
    expect(problem.address == address, f"sample_problem{address} returned a problem with the address {problem.address}")
    text = plain_text(problem.learner_prompt)
    message = f"messages of problem {address} do not match its prompt: {shown(text)} != {shown(problem.prompt)}"
    expect(text == problem.prompt, message)
    for what, text, space in (
        ("prompt", problem.prompt, env.observation_space),
        ("reference completion", problem.reference_completion, env.action_space),
    ):
        name = "observation space" if what == "prompt" else "action space"
        expect(text in space, f"{what} of problem {address} is outside the {name}: {_why_outside(text, space)}")


def _why_outside(text: object, space: gym.Space[str]) -> str:
    if not isinstance(text, str) or not isinstance(space, gym.spaces.Text):
        return shown(text)
    if not space.min_length <= len(text) <= space.max_length:
        return f"it has {len(text)} characters, but the space accepts {space.min_length} to {space.max_length}"
    return f"the space lacks the characters {shown(''.join(sorted({*text} - space.character_set)))}"


def _check_splits(problems: Problems) -> None:
    words_of = {address: " ".join(problem.prompt.split()) for address, problem in problems.items()}
    train = {words: address for address, words in words_of.items() if address[1] == "train"}
    for address, words in words_of.items():
        if address[1] == "test" and words in train:
            raise AssertionError(
                f"train problem {train[words]} and test problem {address} have the same prompt: {shown(words)}"
            )


def _check_addresses(make: MakeEnv, new: Callable[[], PuzzleEnv], problems: Problems) -> None:
    addresses = sorted(_spread(problems, NUM_RESAMPLED), key=lambda address: address[::-1], reverse=True)
    expected = {address: problem_as_text(problems[address]) for address in addresses}
    env = new()
    for address in addresses:
        first, second = (problem_as_text(env.sample_problem(*address)) for _ in range(2))
        _expect_same(first, second, f"sample_problem{address} returned a different problem when called again")
        _expect_same(
            first, expected[address], f"sample_problem{address} returned a different problem after other addresses"
        )
    elsewhere = problems_elsewhere(make, addresses)
    for address, there in zip(addresses, elsewhere or [], strict=elsewhere is not None):
        _expect_same(
            there, expected[address], f"sample_problem{address} returned a different problem in another process"
        )


def _expect_same(first: Mapping[str, str], second: Mapping[str, str], message: str) -> None:
    for field, text in first.items():
        expect(text == second[field], f"{message}: {field} {shortened(text)} != {shortened(second[field])}")


# Verdicts


def _check_reference(env: PuzzleEnv, problem: Problem) -> None:
    verdict = _judge(env, problem, "the reference completion", problem.reference_completion)
    reference = f"reference completion of problem {problem.address}"
    message = f"{reference} does not succeed: outcome {verdict.outcome!r}, reason {verdict.reason!r}"
    expect(bool(verdict.success), message)
    message = f"{reference} has the outcome {verdict.outcome!r}, which is reserved for completions without an answer"
    expect(verdict.outcome not in UNREADABLE, message)


def _judge(env: PuzzleEnv, problem: Problem, name: str, completion: object) -> Verdict:
    """Judges a completion, checks that the verdict is valid and that the completion is unchanged."""
    case = f"{name} (problem {problem.address})"
    mutable = isinstance(completion, bytearray | dict | list | set)
    before = copy.deepcopy(completion) if mutable else None
    try:
        verdict = env.verify(problem, completion)
    except Exception as error:
        raise AssertionError(f"verify() raised {type(error).__name__} for {case}: {shown(str(error))}") from error
    expect(isinstance(verdict, Verdict), f"verify() returned {type(verdict).__name__} for {case}, expected a Verdict")
    expect(not mutable or completion == before, f"verify() modified its argument: {case}")
    is_valid = isinstance(verdict.outcome, str) and verdict.outcome.isprintable() and verdict.outcome.strip() != ""
    message = (
        f"verify() returned the outcome {shown(verdict.outcome)} for {case}, expected a non-empty printable string"
    )
    expect(is_valid, message)
    finite = all(map(math.isfinite, verdict.reward_terms.values())) and math.isfinite(verdict.reward)
    expect(finite, f"verify() returned a non-finite reward for {case}: {dict(verdict.reward_terms)}")
    return verdict


def _check_verify(new: Callable[[], PuzzleEnv], problems: Problems) -> None:
    chosen = {address: problems[address] for address in _spread(problems, NUM_JUDGED)}
    before = {address: problem_as_text(problem) for address, problem in chosen.items()}
    env = new()
    for problem in problems.values():
        _check_reference(env, problem)
    # A new environment, because the one above may remember the references that it judged.
    env, verdicts, expected = new(), {}, {}
    for key, verdict in _verdicts(env, chosen.values()):
        verdicts[key], expected[key] = verdict, _summary(verdict)
    _check_rewards(expected)
    _expect_verdicts(verdicts.items(), expected, "after judging other completions")
    backwards = _verdicts(env, reversed(chosen.values()), backwards=True)
    _expect_verdicts(backwards, expected, "in reverse order")
    for verdict in verdicts.values():  # callers may modify the verdicts that they receive
        if isinstance(verdict.reward_terms, MutableMapping):
            verdict.reward_terms.clear()
    _expect_verdicts(_verdicts(env, chosen.values()), expected, "after the caller modified earlier reward_terms")
    other = new()
    resampled = [other.sample_problem(*address) for address in chosen]
    _expect_verdicts(_verdicts(other, resampled), expected, "in a new environment")
    for address, problem in chosen.items():
        _expect_same(problem_as_text(problem), before[address], f"verify() modified problem {address}")


Key = tuple[Address, str]
Summary = tuple[str, bool, dict[str, float]]


def _verdicts(env: PuzzleEnv, problems: Iterable[Problem], *, backwards: bool = False) -> Iterator[tuple[Key, Verdict]]:
    """Yields the verdicts of the reference and all adversarial completions, by address and name of the completion."""
    for problem in problems:
        reference = problem.reference_completion
        completions = {"the reference completion": reference, **texts(reference), **objects()}
        for name, completion in reversed(completions.items()) if backwards else completions.items():
            yield (problem.address, name), _judge(env, problem, name, completion)


def _summary(verdict: Verdict) -> Summary:
    return verdict.outcome, bool(verdict.success), dict(verdict.reward_terms)


def _expect_verdicts(found: Iterable[tuple[Key, Verdict]], expected: Mapping[Key, Summary], when: str) -> None:
    for (address, name), verdict in found:
        actual, first = _summary(verdict), expected[address, name]
        case = f"{name} (problem {address})"
        expect(actual == first, f"verify() returned a different verdict for {case} {when}: {actual} != {first}")


def _check_rewards(expected: Mapping[Key, Summary]) -> None:
    non_texts = objects().keys()
    rewards = {key: sum(terms.values()) for key, (_, _, terms) in expected.items()}
    for (address, name), (_, success, _) in expected.items():
        case = f"{name} (problem {address})"
        expect(name not in non_texts or not success, f"verify() accepted {case}, which is not text")
        reward, top = rewards[address, name], rewards[address, "the reference completion"]
        expect(
            reward <= top, f"verify() rewarded {case} with {reward:g}, more than the reference completion with {top:g}"
        )


# Episodes


def _check_episode(env: PuzzleEnv, problem: Problem) -> None:
    seed, split, index = problem.address
    prompt, info = env.reset(seed=seed, options={"split": split, "index": index})
    message = f"reset() and sample_problem() disagree on the prompt of problem {problem.address}"
    expect(prompt == problem.prompt, f"{message}: {shown(prompt)} != {shown(problem.prompt)}")
    address = info.get("address")
    expect(address == problem.address, f"reset() to problem {problem.address} returned info['address'] = {address}")
    verdict = env.verify(problem, problem.reference_completion)
    _, reward, terminated, truncated, info = env.step(problem.reference_completion)
    expect(terminated and not truncated, f"step() did not terminate the episode of problem {problem.address}")
    actual = reward, info.get("outcome"), info.get("is_success")
    expected = verdict.reward, verdict.outcome, verdict.success
    expect(actual == expected, f"step() and verify() disagree on problem {problem.address}: {actual} != {expected}")


def _check_gymnasium(env: PuzzleEnv) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            check_env(env, skip_render_check=env.spec is None)
        except Exception as error:
            text = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())
            raise AssertionError(f"Gymnasium's check_env raised {type(error).__name__}: {text}") from error
