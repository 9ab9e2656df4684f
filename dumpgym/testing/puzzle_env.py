"""The contract test of puzzle environments: run it on an environment of your own as we run it on ours.

Where an environment breaks its contract, a run does not stop: it trains on what it is evaluated on, rewards what it
should not, or cannot be repeated, and its figures look well. So the invariants are checked on many problems, and the
verifier on completions that a model writes when it has found a gap (``odd_completions``).
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
from dumpgym.contracts.puzzle_env import Problem, PuzzleEnv, Verdict, plain_text
from dumpgym.testing.another_process import Address, MakeEnv, problem_as_text, problems_elsewhere, puzzle_env
from dumpgym.testing.expectation import expect, shown
from dumpgym.testing.odd_completions import objects, texts

SEEDS = (0, 1)
ASKED_AGAIN = 10  # problems of a split that are asked for in another order, and in another process
JUDGED = 2  # problems of a split whose odd completions are judged
UNREADABLE = ("bad_format", "unparseable")  # outcomes that a run counts as completions of a wrong format

Problems = Mapping[Address, Problem]


def check_puzzle_env(make: MakeEnv, *, num_problems: int = 1000) -> None:
    """Checks that an environment keeps the contract of ``PuzzleEnv``.

    - Problems: every one has the address that it was asked for by, messages that say what its prompt says, a prompt in
      the observation space and a reference completion in the action space. Train and test share no prompt, even across
      seeds; the order of the white space in it does not count, nor does the solution.
    - Addresses: in another order and in a new environment the same addresses give the same problems, and also in
      another process, where Python's hashes have another seed.
    - Verdicts: the reference completion succeeds, its outcome is a readable one, and no other completion that is tried
      earns more. ``verify`` judges any object without an error; an object that is no text solves nothing. It is pure:
      the same completion has the same verdict in another order, after other problems, and in a new environment, and
      neither problem, completion nor earlier verdicts change.
    - Episodes: ``reset`` shows the problem that it is asked for, ``step`` judges as ``verify`` does and ends the
      episode, and ``gymnasium.utils.env_checker.check_env`` passes without a warning. It tries the render modes only
      of environments that are made by an id.

    A finite set of problems raises ``InvalidValueError`` for an index beyond its end; it has fewer problems then.

    Args:
        make: a specification, as ``dumpgym.make_env`` takes it, e.g. "my_module:mine/Doubling-v0", or a callable that
            returns a new environment. The other process imports the module that a specification names. It can make the
            environment of a callable only if that can be pickled, e.g. a class of an importable module; a lambda and
            what is defined in the running script are tried in a new environment of this process alone.
        num_problems: problems of each split that are looked at, at least 1.

    Raises:
        AssertionError: if an invariant fails, with the invariant as its message.
        InvalidValueError: if ``make`` makes no puzzle environment.
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
    for address in _spread(problems, ASKED_AGAIN):
        _check_episode(new(), problems[address])
    _check_gymnasium(new())


def _maker(make: MakeEnv) -> Callable[[], PuzzleEnv]:
    if isinstance(make, str):
        return lambda: make_env(make)
    if isinstance(make, gym.Env) or not callable(make):
        accepted = "a specification such as 'my_module:mine/Doubling-v0', or a callable that returns a new environment"
        raise InvalidValueError("make", make, accepted)
    expect(make() is not make(), "make() returns the same environment twice; it must return a new one")
    return lambda: puzzle_env(make())


def _first_problems(env: PuzzleEnv, seed: int, split: str, num_problems: int) -> dict[Address, Problem]:
    problems: dict[Address, Problem] = {}
    for index in range(num_problems):
        try:
            problems[seed, split, index] = env.sample_problem(seed, split, index)
        except InvalidValueError as error:  # the end of a finite set
            expect(index > 0, f"there is no problem at {(seed, split, 0)}: {error}")
            break
    return problems


def _spread(problems: Problems, count: int) -> list[Address]:
    """Of each stream, ``count`` addresses at equal distances, the first and the last among them."""
    streams: dict[tuple[int, str], list[Address]] = {}
    for address in problems:
        streams.setdefault(address[:2], []).append(address)
    places = {stream: np.linspace(0, len(all_of_it) - 1, count).round() for stream, all_of_it in streams.items()}
    return [streams[stream][int(place)] for stream, chosen in places.items() for place in np.unique(chosen)]


# Problems


def _check_problem(env: PuzzleEnv, address: Address, problem: Problem) -> None:
    expect(isinstance(problem, Problem), f"sample_problem{address} returns {type(problem).__name__}, not a Problem")
    expect(problem.address == address, f"the problem at {address} says that its address is {problem.address}")
    of_it = f"of problem {address}"
    same_words = plain_text(problem.learner_prompt) == problem.prompt
    expect(same_words, f"the messages {of_it} are not its prompt")
    for what, text, space in (
        ("prompt", problem.prompt, env.observation_space),
        ("reference completion", problem.reference_completion, env.action_space),
    ):
        name = "observation space" if what == "prompt" else "action space"
        expect(text in space, f"the {what} {of_it} is not in the {name}: {_why_outside(text, space)}")


def _why_outside(text: object, space: gym.Space[str]) -> str:
    if not isinstance(text, str) or not isinstance(space, gym.spaces.Text):
        return shown(text)
    if not space.min_length <= len(text) <= space.max_length:
        return f"it has {len(text)} characters, the space takes {space.min_length} to {space.max_length}"
    return f"the space lacks the characters {shown(''.join(sorted({*text} - space.character_set)))}"


def _check_splits(problems: Problems) -> None:
    words_of = {address: " ".join(problem.prompt.split()) for address, problem in problems.items()}
    train = {words: address for address, words in words_of.items() if address[1] == "train"}
    for address, words in words_of.items():
        if address[1] == "test" and words in train:
            raise AssertionError(f"problems {train[words]} and {address} have the same prompt, {shown(words)}")


def _check_addresses(make: MakeEnv, new: Callable[[], PuzzleEnv], problems: Problems) -> None:
    addresses = sorted(_spread(problems, ASKED_AGAIN), key=lambda address: address[::-1], reverse=True)
    expected = {address: problem_as_text(problems[address]) for address in addresses}
    env = new()
    for address in addresses:
        first, second = (problem_as_text(env.sample_problem(*address)) for _ in range(2))
        _expect_same(first, second, f"problem {address} is another one when it is asked for twice")
        _expect_same(first, expected[address], f"problem {address} depends on what was asked for before")
    elsewhere = problems_elsewhere(make, addresses)
    for address, there in zip(addresses, elsewhere or [], strict=elsewhere is not None):
        _expect_same(there, expected[address], f"problem {address} is another one in another process")


def _expect_same(first: Mapping[str, str], second: Mapping[str, str], message: str) -> None:
    for part, text in first.items():
        expect(text == second[part], f"{message}: its {part} is {shown(text)} and {shown(second[part])}")


# Verdicts


def _check_reference(env: PuzzleEnv, problem: Problem) -> None:
    verdict = _judge(env, problem, "the reference completion", problem.reference_completion)
    of_it = f"the reference completion of problem {problem.address}"
    expect(bool(verdict.success), f"{of_it} does not succeed: {verdict.outcome}, {verdict.reason}")
    expect(verdict.outcome not in UNREADABLE, f"{of_it} has the outcome {verdict.outcome!r}, which is one of no answer")


def _judge(env: PuzzleEnv, problem: Problem, name: str, completion: object) -> Verdict:
    """The verdict, which must be one: an outcome in words, finite terms, and no change of the completion."""
    of_it = f"of {name} to problem {problem.address}"
    mutable = isinstance(completion, bytearray | dict | list | set)
    before = copy.deepcopy(completion) if mutable else None
    try:
        verdict = env.verify(problem, completion)
    except Exception as error:
        raise AssertionError(f"verify() {of_it} raises {type(error).__name__}: {shown(str(error))}") from error
    expect(isinstance(verdict, Verdict), f"verify() {of_it} returns {type(verdict).__name__}, not a Verdict")
    expect(not mutable or completion == before, f"verify() {of_it} changes the completion")
    is_word = isinstance(verdict.outcome, str) and verdict.outcome.isprintable() and verdict.outcome.strip() != ""
    expect(is_word, f"the outcome {of_it} is no word: {shown(verdict.outcome)}")
    finite = all(map(math.isfinite, verdict.reward_terms.values())) and math.isfinite(verdict.reward)
    expect(finite, f"the reward {of_it} is not finite: {dict(verdict.reward_terms)}")
    return verdict


def _check_verify(new: Callable[[], PuzzleEnv], problems: Problems) -> None:
    chosen = {address: problems[address] for address in _spread(problems, JUDGED)}
    before = {address: problem_as_text(problem) for address, problem in chosen.items()}
    env = new()
    for problem in problems.values():
        _check_reference(env, problem)
    # A new environment: the one above has judged the references, and may remember them.
    env, verdicts, expected = new(), {}, {}
    for key, verdict in _verdicts(env, chosen.values()):
        verdicts[key], expected[key] = verdict, _said(verdict)
    _check_rewards(expected)
    _expect_verdicts(verdicts.items(), expected, "once others were judged")
    backwards = _verdicts(env, reversed(chosen.values()), backwards=True)
    _expect_verdicts(backwards, expected, "in another order")
    for verdict in verdicts.values():  # a caller may do with its verdicts what it likes
        if isinstance(verdict.reward_terms, MutableMapping):
            verdict.reward_terms.clear()
    _expect_verdicts(_verdicts(env, chosen.values()), expected, "after the caller changed earlier reward_terms")
    other = new()
    resampled = [other.sample_problem(*address) for address in chosen]
    _expect_verdicts(_verdicts(other, resampled), expected, "in a new environment")
    for address, problem in chosen.items():
        _expect_same(problem_as_text(problem), before[address], f"verify() changes problem {address}")


Key = tuple[Address, str]
Said = tuple[str, bool, dict[str, float]]


def _verdicts(env: PuzzleEnv, problems: Iterable[Problem], *, backwards: bool = False) -> Iterator[tuple[Key, Verdict]]:
    """The verdicts of everything that is tried, by problem and name of the completion."""
    for problem in problems:
        reference = problem.reference_completion
        tried = {"the reference completion": reference, **texts(reference), **objects()}
        for name, completion in reversed(tried.items()) if backwards else tried.items():
            yield (problem.address, name), _judge(env, problem, name, completion)


def _said(verdict: Verdict) -> Said:
    return verdict.outcome, bool(verdict.success), dict(verdict.reward_terms)


def _expect_verdicts(found: Iterable[tuple[Key, Verdict]], expected: Mapping[Key, Said], when: str) -> None:
    for key, verdict in found:
        said = _said(verdict)
        message = f"the verdict of {key[1]} to problem {key[0]} is another one {when}: {said} and {expected[key]}"
        expect(said == expected[key], message)


def _check_rewards(expected: Mapping[Key, Said]) -> None:
    no_texts = objects().keys()
    rewards = {key: sum(terms.values()) for key, (_, _, terms) in expected.items()}
    for (address, name), (_, success, _) in expected.items():
        expect(name not in no_texts or not success, f"{name} succeeds at problem {address}, and is no text")
        reward, top = rewards[address, name], rewards[address, "the reference completion"]
        expect(reward <= top, f"{name} earns {reward:g} at problem {address}, the reference completion {top:g}")


# Episodes


def _check_episode(env: PuzzleEnv, problem: Problem) -> None:
    seed, split, index = problem.address
    prompt, info = env.reset(seed=seed, options={"split": split, "index": index})
    expect(prompt == problem.prompt, f"reset() at {problem.address} shows another prompt than sample_problem()")
    told = info.get("address")
    expect(told == problem.address, f"reset() at {problem.address} tells the address {told}")
    verdict = env.verify(problem, problem.reference_completion)
    _, reward, terminated, truncated, info = env.step(problem.reference_completion)
    expect(terminated and not truncated, f"step() at {problem.address} does not end the episode")
    of_step = reward, info.get("outcome"), info.get("is_success")
    said = verdict.reward, verdict.outcome, verdict.success
    expect(of_step == said, f"step() at {problem.address} says {of_step}, verify() says {said}")


def _check_gymnasium(env: PuzzleEnv) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            check_env(env, skip_render_check=env.spec is None)
        except Exception as error:
            text = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())
            raise AssertionError(f"gymnasium's check_env: {type(error).__name__}: {text}") from error
