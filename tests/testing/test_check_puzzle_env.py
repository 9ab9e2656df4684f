"""``check_puzzle_env`` passes on the built-in environments and names the broken invariant of others."""

import itertools
import math
from dataclasses import replace
from functools import partial

import gymnasium as gym
import pytest

import dumpgym
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.testing import FakePuzzleEnv, check_puzzle_env
from dumpgym.testing.another_process import problems_elsewhere, written


@pytest.mark.parametrize(
    ("spec", "num_problems"),
    [
        ("dumpgym/KnightsKnaves2-v0", 100),
        ("dumpgym/KnightsKnaves3-v0", 1000),
        ("dumpgym/KnightsKnaves5-v0", 100),
        ("dumpgym/KnightsKnaves8-v0", 100),
        ("dumpgym/KnightsKnaves14-v0", 50),
        ("dumpgym/KnightsKnaves-v0?num_people=3&puzzles=dump", 120),  # the test split has only 100 problems
        ("dumpgym/KnightsKnaves-v0?role_words=saint/sinner&names=uncommon&prompt=dump&reward=logic-rl", 100),
        ("dumpgym/KnightsKnaves-v0?num_people=4&role_words=knave/knight&reorder=True&change=leaf", 5),
        ("dumpgym.testing.fakes:fakes/Doubling-v0", 1000),
        ("dumpgym.testing.fakes:fakes/Doubling-v0?num_problems=7&chat=True", 1000),
    ],
)
def test_the_built_in_environments_keep_the_contract(spec, num_problems):
    check_puzzle_env(spec, num_problems=num_problems)


@pytest.mark.parametrize(
    "make",
    [FakePuzzleEnv, partial(FakePuzzleEnv, chat=True), lambda: FakePuzzleEnv()],
    ids=["class", "partial", "lambda"],
)
def test_check_puzzle_env_accepts_a_callable(make):
    check_puzzle_env(make, num_problems=20)


def changed(**changes):
    """Returns an environment whose problems differ from the fake's; each change is a function of the problem."""

    class Changed(FakePuzzleEnv):
        def sample_problem(self, seed, split, index):
            problem = super().sample_problem(seed, split, index)
            return replace(problem, **{name: change(problem) for name, change in changes.items()})

    return Changed


def judging(verify):
    """Returns an environment whose verifier is a function of it, the problem, the completion and the right verdict."""

    class Judging(FakePuzzleEnv):
        seen = frozenset()

        def verify(self, problem, completion):
            return verify(self, problem, completion, super().verify(problem, completion))

    return Judging


class OtherMessages(FakePuzzleEnv):
    def sample_problem(self, seed, split, index):
        problem = super().sample_problem(seed, split, index)
        object.__setattr__(problem, "messages", ({"role": "user", "content": "Hello"},))
        return problem


class LeaksSplits(FakePuzzleEnv):
    def sample_problem(self, seed, split, index):
        problem = super().sample_problem(seed, "train", index)
        prompt = problem.prompt if split == "train" else problem.prompt.replace(" ", "\n ")
        return replace(problem, prompt=prompt, address=(seed, split, index))


class LeaksSeeds(FakePuzzleEnv):
    """The test split of one seed is the train split of the other."""

    def sample_problem(self, seed, split, index):
        other = "test" if (seed + (split == "test")) % 2 else "train"
        return replace(super().sample_problem(seed, other, index), address=(seed, split, index))


class DifferentEachCall(FakePuzzleEnv):
    numbers = itertools.count()

    def sample_problem(self, seed, split, index):
        problem = super().sample_problem(seed, split, index)
        return replace(problem, prompt=f"{problem.prompt} ({next(self.numbers)})")


class DependsOnHistory(FakePuzzleEnv):
    largest = 0

    def sample_problem(self, seed, split, index):
        self.largest = max(self.largest, index)
        problem = super().sample_problem(seed, split, index)
        return replace(problem, reference_completion=f"{problem.reference_completion}{' ' * self.largest}")


class DependsOnHashSeed(FakePuzzleEnv):
    """Its prompts contain the hash of a string, which differs between processes."""

    def sample_problem(self, seed, split, index):
        problem = super().sample_problem(seed, split, index)
        return replace(problem, prompt=f"{problem.prompt} ({hash(problem.prompt)})")


class NoProblem(FakePuzzleEnv):
    def sample_problem(self, seed, split, index):
        return super().sample_problem(seed, split, index).prompt


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (NoProblem, r"sample_problem\(0, 'train', 0\) returned str, expected a Problem"),
        (lambda: FakePuzzleEnv(num_problems=0), "the train split of seed 0 has no problems: index is 0"),
        (
            changed(address=lambda p: (p.address[0], "train", 0)),
            r"sample_problem\(0, 'train', 1\) returned a problem with the address \(0, 'train', 0\)",
        ),
        (OtherMessages, "messages of problem .* do not match its prompt: 'Hello' != 'What"),
        (
            changed(prompt=lambda p: p.prompt + "\u2192"),
            "prompt .* is outside the observation space: .* lacks .*\u2192",
        ),
        (
            changed(prompt=lambda p: p.prompt * 1000),
            "prompt .* is outside the observation space: it has .* accepts 1 to",
        ),
        (changed(reference_completion=lambda p: 7), "reference completion .* is outside the action space: 7"),
        (LeaksSplits, r"train problem \(1, 'train', 0\) and test problem \(0, 'test', 0\) have the same prompt"),
        (LeaksSeeds, r"train problem \(1, 'train', 0\) and test problem \(0, 'test', 0\) have the same prompt"),
        (DifferentEachCall, "returned a different problem when called again: prompt 'What"),
        (DependsOnHistory, "returned a different problem after other addresses: reference_completion '"),
    ],
)
def test_check_puzzle_env_names_the_broken_invariant_of_problems(make, message):
    with pytest.raises(AssertionError, match=message):
        check_puzzle_env(lambda: make(), num_problems=20)


def test_check_puzzle_env_finds_problems_that_depend_on_the_process():
    check_puzzle_env(lambda: DependsOnHashSeed(), num_problems=5)  # a lambda cannot be used in another process
    with pytest.raises(AssertionError, match="returned a different problem in another process: prompt 'What"):
        check_puzzle_env(DependsOnHashSeed, num_problems=5)


def punish_repetition(env, problem, completion, verdict):
    """Repeating a completion lowers its reward."""
    if not isinstance(completion, str):
        return verdict
    key = problem.address, completion
    repeated, env.seen = key in env.seen, env.seen | {key}
    return replace(verdict, reward_terms={"answer": verdict.reward, "repeated": -float(repeated)})


TERMS = {"answer": 0.0}


def share_terms(env, problem, completion, verdict):
    return (
        replace(verdict, reward_terms=TERMS | {"answer": 1.0})
        if verdict.success
        else replace(verdict, reward_terms=env.__dict__.setdefault("terms", {"answer": -1.0}))
    )


def reuse_terms(env, problem, completion, verdict):
    terms = env.__dict__.setdefault("terms", {})
    terms["answer"] = verdict.reward
    return replace(verdict, reward_terms=terms)


def by_environment(env, problem, completion, verdict):
    """The penalty of a wrong answer differs between environment objects."""
    penalty = env.__dict__.setdefault("penalty", next(DifferentEachCall.numbers))
    return verdict if verdict.success else replace(verdict, reward_terms={"answer": -1.0 - penalty})


def change_solution(env, problem, completion, verdict):
    problem.solution.setdefault("tried", True)
    return verdict


def change_completion(env, problem, completion, verdict):
    if isinstance(completion, list):
        completion.append("")
    return verdict


def read_number(env, problem, completion, verdict):
    """Fails on superscripts: isdigit() is true for them, but int() raises an error."""
    if isinstance(completion, str) and completion.isdigit() and len(completion) < 100:
        int(completion)
    return verdict


@pytest.mark.parametrize(
    ("verify", "message"),
    [
        (lambda env, problem, completion, verdict: None, r"verify\(\) returned NoneType for .*, expected a Verdict"),
        (lambda env, problem, completion, verdict: replace(verdict, success=False), "reference .* does not succeed"),
        (
            lambda env, problem, completion, verdict: replace(verdict, outcome="unparseable"),
            "reference .* has the outcome 'unparseable', which is reserved for completions without an answer",
        ),
        (lambda env, problem, completion, verdict: replace(verdict, outcome=""), "returned the outcome '' for"),
        (lambda env, problem, completion, verdict: replace(verdict, outcome=None), "returned the outcome None for"),
        (
            lambda env, problem, completion, verdict: replace(verdict, reward_terms={"a": math.inf, "b": -math.inf}),
            "returned a non-finite reward for",
        ),
        (
            lambda env, problem, completion, verdict: replace(verdict, reward_terms={"answer": len(str(completion))}),
            r"verify\(\) raised RuntimeError for an object whose __str__ and __eq__ raise .*: 'a hostile object",
        ),
        (
            lambda env, problem, completion, verdict: (completion == "", verdict)[1],
            r"verify\(\) raised RuntimeError for an object whose __str__ and __eq__ raise",
        ),
        (
            lambda env, problem, completion, verdict: (completion.strip(), verdict)[1],
            r"verify\(\) raised AttributeError for None \(problem",
        ),
        (
            lambda env, problem, completion, verdict: (isinstance(completion, str) and completion.encode(), verdict)[1],
            r"verify\(\) raised UnicodeEncodeError for lone surrogates",
        ),
        (read_number, r"verify\(\) raised ValueError for digits that int\(\) rejects"),
        (
            lambda env, problem, completion, verdict: replace(
                verdict, reward_terms={"answer": len(completion) if isinstance(completion, str) else -1}
            ),
            r"rewarded .* with \d+, more than the reference completion with 1",
        ),
        (
            lambda env, problem, completion, verdict: (
                replace(verdict, success=not isinstance(completion, str)) if not verdict.success else verdict
            ),
            r"verify\(\) accepted None \(problem .*\), which is not text",
        ),
        (punish_repetition, "returned a different verdict for .* in reverse order"),
        (share_terms, "returned a different verdict for .* after the caller modified earlier reward_terms"),
        (reuse_terms, "returned a different verdict for .* after judging other completions"),
        (by_environment, "returned a different verdict for .* in a new environment"),
        (change_solution, r"verify\(\) modified problem .*: solution {"),
        (change_completion, r"verify\(\) modified its argument: an empty list"),
    ],
)
def test_check_puzzle_env_names_the_broken_invariant_of_a_verifier(verify, message):
    make = judging(verify)
    with pytest.raises(AssertionError, match=message):
        check_puzzle_env(lambda: make(), num_problems=20)


class ResetsToAnotherProblem(FakePuzzleEnv):
    def reset(self, **arguments):
        super().reset(**arguments)
        return super().reset()


class WrongAddress(FakePuzzleEnv):
    def problem_info(self, problem):
        return {"address": None}


class HalvesReward(FakePuzzleEnv):
    def step(self, action):
        prompt, reward, *rest = super().step(action)
        return prompt, reward / 2, *rest


class NeverTerminates(FakePuzzleEnv):
    def step(self, action):
        prompt, reward, _, truncated, info = super().step(action)
        return prompt, reward, False, truncated, info


class DefaultSeed(FakePuzzleEnv):
    def reset(self, *, seed=3, options=None):
        return super().reset(seed=seed, options=options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (ResetsToAnotherProblem, r"reset\(\) and sample_problem\(\) disagree on the prompt"),
        (WrongAddress, r"returned info\['address'\] = None"),
        (HalvesReward, r"step\(\) and verify\(\) disagree on .*: \(0.5, 'correct', True\) != \(1.0, 'correct', True\)"),
        (NeverTerminates, "did not terminate the episode"),
        (DefaultSeed, "Gymnasium's check_env raised .*default seed"),
    ],
)
def test_check_puzzle_env_names_the_broken_invariant_of_an_episode(make, message):
    with pytest.raises(AssertionError, match=message):
        check_puzzle_env(lambda: make(), num_problems=20)


def test_make_must_return_a_new_puzzle_environment():
    env = FakePuzzleEnv()
    with pytest.raises(AssertionError, match="returned the same environment twice"):
        check_puzzle_env(lambda: env)
    with pytest.raises(InvalidValueError, match=r"accepted: a specification such as .* returns a new environment"):
        check_puzzle_env(env)
    with pytest.raises(
        InvalidValueError, match=r"return value of make\(\) is 'CartPoleEnv'; accepted: a dumpgym.PuzzleEnv"
    ):
        check_puzzle_env(lambda: gym.make("CartPole-v1"))
    with pytest.raises(InvalidValueError, match="environment is 'dumpgym/KnightsKnave3-v0'"):
        check_puzzle_env("dumpgym/KnightsKnave3-v0")


def test_an_id_that_only_this_process_knows_is_an_error(monkeypatch):
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    gym.register("mine/Doubling-v0", entry_point=FakePuzzleEnv)
    with pytest.raises(
        AssertionError, match=r"cannot make .* in another process: .*; include the module that registers it"
    ):
        check_puzzle_env("mine/Doubling-v0", num_problems=5)


def test_an_error_in_the_other_process_is_reported():
    with pytest.raises(AssertionError, match=r"in another process failed: .*InvalidValueError: index is 9; accepted"):
        problems_elsewhere(partial(FakePuzzleEnv, num_problems=3), [(0, "train", 2), (0, "train", 9)])


def test_equal_values_are_written_as_equal_text():
    class Plain:
        def __init__(self):
            self.words = {"b", "a"}

    assert written({"x": {3, 1, 2}, "a": (1, [2.5, None])}) == written({"a": [1, (2.5, None)], "x": {2, 3, 1}})
    assert written(Plain()) == written(Plain()) == "Plain{'words': {'a', 'b'}}"
    assert written(dumpgym.Verdict("correct", {}, True)).startswith("Verdict{'outcome': 'correct'")
    assert written(1) != written("1")
