"""The contract test of puzzle environments passes on all of ours, and names what is broken in others."""

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
        ("dumpgym/KnightsKnaves-v0?num_people=3&puzzles=dump", 120),  # of which the test split has 100
        ("dumpgym/KnightsKnaves-v0?role_words=saint/sinner&names=uncommon&prompt=dump&reward=logic-rl", 100),
        ("dumpgym/KnightsKnaves-v0?num_people=4&role_words=knave/knight&reorder=True&change=leaf", 5),
        ("dumpgym.testing.fakes:fakes/Doubling-v0", 1000),
        ("dumpgym.testing.fakes:fakes/Doubling-v0?num_problems=7&chat=True", 1000),
    ],
)
def test_all_of_ours_keep_the_contract(spec, num_problems):
    check_puzzle_env(spec, num_problems=num_problems)


@pytest.mark.parametrize("make", [FakePuzzleEnv, partial(FakePuzzleEnv, chat=True), lambda: FakePuzzleEnv()], ids=["class", "partial", "lambda"])
def test_an_environment_can_be_given_as_what_makes_it(make):
    check_puzzle_env(make, num_problems=20)


def changed(**changes):
    """Returns an environment whose problems differ from the fake's; each change is a function of the problem."""

    class Changed(FakePuzzleEnv):
        def sample_problem(self, seed, split, index):
            problem = super().sample_problem(seed, split, index)
            return replace(problem, **{name: change(problem) for name, change in changes.items()})

    return Changed


def judging(verify):
    """Returns an environment that judges by a function of itself, the problem, the completion and the right verdict."""

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
    """What is the test split of one seed is the train split of the other."""

    def sample_problem(self, seed, split, index):
        other = "test" if (seed + (split == "test")) % 2 else "train"
        return replace(super().sample_problem(seed, other, index), address=(seed, split, index))


class NeverTwice(FakePuzzleEnv):
    numbers = itertools.count()

    def sample_problem(self, seed, split, index):
        problem = super().sample_problem(seed, split, index)
        return replace(problem, prompt=f"{problem.prompt} ({next(self.numbers)})")


class Remembers(FakePuzzleEnv):
    asked = 0

    def sample_problem(self, seed, split, index):
        self.asked = max(self.asked, index)
        problem = super().sample_problem(seed, split, index)
        return replace(problem, reference_completion=f"{problem.reference_completion}{' ' * self.asked}")


class Hashes(FakePuzzleEnv):
    """Python's hashes of text differ from process to process."""

    def sample_problem(self, seed, split, index):
        problem = super().sample_problem(seed, split, index)
        return replace(problem, prompt=f"{problem.prompt} ({hash(problem.prompt)})")


class NoProblem(FakePuzzleEnv):
    def sample_problem(self, seed, split, index):
        return super().sample_problem(seed, split, index).prompt


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (NoProblem, r"sample_problem\(0, 'train', 0\) returns str, not a Problem"),
        (lambda: FakePuzzleEnv(num_problems=0), r"there is no problem at \(0, 'train', 0\): index is 0"),
        (changed(address=lambda p: (p.address[0], "train", 0)), r"at \(0, 'train', 1\) says that its address is"),
        (OtherMessages, "the messages of problem .* are not its prompt"),
        (changed(prompt=lambda p: p.prompt + "\u2192"), "prompt .* not in the observation space: .* lacks .*\u2192"),
        (changed(prompt=lambda p: p.prompt * 1000), "prompt .* not in the observation space: it has .* takes 1 to"),
        (changed(reference_completion=lambda p: 7), "reference completion .* is not in the action space: 7"),
        (LeaksSplits, r"problems \(1, 'train', 0\) and \(0, 'test', 0\) have the same prompt"),
        (LeaksSeeds, r"problems \(1, 'train', 0\) and \(0, 'test', 0\) have the same prompt"),
        (NeverTwice, "is another one when it is asked for twice: its prompt is"),
        (Remembers, "depends on what was asked for before: its reference_completion is"),
    ],
)
def test_broken_problems_are_named(make, message):
    with pytest.raises(AssertionError, match=message):
        check_puzzle_env(lambda: make(), num_problems=20)


def test_a_problem_that_depends_on_the_process_is_named():
    check_puzzle_env(lambda: Hashes(), num_problems=5)  # which no other process can make
    with pytest.raises(AssertionError, match=r"problem .* is another one in another process: its prompt is"):
        check_puzzle_env(Hashes, num_problems=5)


def punish_repetition(env, problem, completion, verdict):
    """The second time, the same answer earns less."""
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
    """How much a wrong answer costs is drawn once an environment."""
    cost = env.__dict__.setdefault("cost", next(NeverTwice.numbers))
    return verdict if verdict.success else replace(verdict, reward_terms={"answer": -1.0 - cost})


def change_solution(env, problem, completion, verdict):
    problem.solution.setdefault("tried", True)
    return verdict


def change_completion(env, problem, completion, verdict):
    if isinstance(completion, list):
        completion.append("")
    return verdict


def read_number(env, problem, completion, verdict):
    """A digit that is no decimal one makes int() raise an error."""
    if isinstance(completion, str) and completion.isdigit() and len(completion) < 100:
        int(completion)
    return verdict


@pytest.mark.parametrize(
    ("verify", "message"),
    [
        (lambda env, problem, completion, verdict: None, "returns NoneType, not a Verdict"),
        (lambda env, problem, completion, verdict: replace(verdict, success=False), "reference .* does not succeed"),
        (
            lambda env, problem, completion, verdict: replace(verdict, outcome="unparseable"),
            "reference .* has the outcome 'unparseable', which is one of no answer",
        ),
        (lambda env, problem, completion, verdict: replace(verdict, outcome=""), "the outcome .* is no word: ''"),
        (lambda env, problem, completion, verdict: replace(verdict, outcome=None), "the outcome .* is no word: None"),
        (
            lambda env, problem, completion, verdict: replace(verdict, reward_terms={"a": math.inf, "b": -math.inf}),
            "the reward .* is not finite",
        ),
        (
            lambda env, problem, completion, verdict: replace(verdict, reward_terms={"answer": len(str(completion))}),
            r"verify\(\) of an object whose __str__ and __eq__ raise .* raises RuntimeError: 'a hostile object",
        ),
        (
            lambda env, problem, completion, verdict: (completion == "", verdict)[1],
            r"verify\(\) of an object whose __str__ and __eq__ raise .* raises RuntimeError",
        ),
        (
            lambda env, problem, completion, verdict: (completion.strip(), verdict)[1],
            r"verify\(\) of None .* raises AttributeError",
        ),
        (
            lambda env, problem, completion, verdict: (isinstance(completion, str) and completion.encode(), verdict)[1],
            r"verify\(\) of lone surrogates .* raises UnicodeEncodeError",
        ),
        (read_number, r"verify\(\) of digits that int\(\) refuses .* raises ValueError"),
        (
            lambda env, problem, completion, verdict: replace(
                verdict, reward_terms={"answer": len(completion) if isinstance(completion, str) else -1}
            ),
            r"earns \d+ at problem .*, the reference completion 1",
        ),
        (
            lambda env, problem, completion, verdict: (
                replace(verdict, success=not isinstance(completion, str)) if not verdict.success else verdict
            ),
            "None succeeds at problem .*, and is no text",
        ),
        (punish_repetition, "is another one in another order"),
        (share_terms, "is another one after the caller changed earlier reward_terms"),
        (reuse_terms, "is another one once others were judged"),
        (by_environment, "is another one in a new environment"),
        (change_solution, r"verify\(\) changes problem .*: its solution is"),
        (change_completion, r"verify\(\) of an empty list .* changes the completion"),
    ],
)
def test_a_broken_verifier_is_named(verify, message):
    make = judging(verify)
    with pytest.raises(AssertionError, match=message):
        check_puzzle_env(lambda: make(), num_problems=20)


class ShowsAnother(FakePuzzleEnv):
    def reset(self, **arguments):
        super().reset(**arguments)
        return super().reset()


class TellsAnotherAddress(FakePuzzleEnv):
    def problem_info(self, problem):
        return {"address": None}


class StepsOtherwise(FakePuzzleEnv):
    def step(self, action):
        prompt, reward, *rest = super().step(action)
        return prompt, reward / 2, *rest


class GoesOn(FakePuzzleEnv):
    def step(self, action):
        prompt, reward, _, truncated, info = super().step(action)
        return prompt, reward, False, truncated, info


class DefaultSeed(FakePuzzleEnv):
    def reset(self, *, seed=3, options=None):
        return super().reset(seed=seed, options=options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (ShowsAnother, "shows another prompt than sample_problem"),
        (TellsAnotherAddress, "tells the address None"),
        (StepsOtherwise, r"step\(\) at .* says \(0.5, 'correct', True\), verify\(\) says \(1.0, 'correct', True\)"),
        (GoesOn, "does not end the episode"),
        (DefaultSeed, "gymnasium's check_env: .*default seed"),
    ],
)
def test_a_broken_episode_is_named(make, message):
    with pytest.raises(AssertionError, match=message):
        check_puzzle_env(lambda: make(), num_problems=20)


def test_what_makes_no_new_puzzle_environment_is_named():
    env = FakePuzzleEnv()
    with pytest.raises(AssertionError, match="returns the same environment twice"):
        check_puzzle_env(lambda: env)
    with pytest.raises(InvalidValueError, match=r"accepted: a specification such as .* returns a new environment"):
        check_puzzle_env(env)
    with pytest.raises(
        InvalidValueError, match=r"what make\(\) returns is 'CartPoleEnv'; accepted: a dumpgym.PuzzleEnv"
    ):
        check_puzzle_env(lambda: gym.make("CartPole-v1"))
    with pytest.raises(InvalidValueError, match="environment is 'dumpgym/KnightsKnave3-v0'"):
        check_puzzle_env("dumpgym/KnightsKnave3-v0")


def test_an_id_that_only_this_process_knows_is_named(monkeypatch):
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    gym.register("mine/Doubling-v0", entry_point=FakePuzzleEnv)
    with pytest.raises(AssertionError, match=r"another process cannot make .*; name the module that registers it"):
        check_puzzle_env("mine/Doubling-v0", num_problems=5)


def test_the_other_process_reports_its_error():
    with pytest.raises(AssertionError, match=r"cannot make the problems: .*InvalidValueError: index is 9; accepted"):
        problems_elsewhere(partial(FakePuzzleEnv, num_problems=3), [(0, "train", 2), (0, "train", 9)])


def test_a_value_is_written_alike_in_every_process():
    class Plain:
        def __init__(self):
            self.words = {"b", "a"}

    assert written({"x": {3, 1, 2}, "a": (1, [2.5, None])}) == written({"a": [1, (2.5, None)], "x": {2, 3, 1}})
    assert written(Plain()) == written(Plain()) == "Plain{'words': {'a', 'b'}}"
    assert written(dumpgym.Verdict("correct", {}, True)).startswith("Verdict{'outcome': 'correct'")
    assert written(1) != written("1")
