"""The bandit's arms: puzzle distributions by their Gymnasium ids, and how a learner fares on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium as gym

from dumpgym.errors import InvalidValueError
from dumpgym.learner import Learner
from dumpgym.puzzle_env import PuzzleEnv, Verdict

_EVALUATION_BATCH = 128


@dataclass(frozen=True, slots=True)
class Arm:
    """A puzzle distribution with the short name under which a run reports it."""

    name: str
    env: PuzzleEnv


def make_arms(env_ids: Sequence[str]) -> tuple[Arm, ...]:
    """Makes the environments of a run.

    Raises:
        InvalidValueError: if an id is not registered or not a puzzle environment, or two arms share a name.
    """
    arms: list[Arm] = []
    for env_id in env_ids:
        try:
            env = gym.make(env_id, disable_env_checker=True).unwrapped
        except (gym.error.Error, ModuleNotFoundError) as error:
            accepted = "the id of a registered puzzle environment (see dumpgym list)"
            raise InvalidValueError("arm", env_id, f"{accepted}; {' '.join(str(error).split())}") from error
        if not isinstance(env, PuzzleEnv):
            raise InvalidValueError("arm", env_id, "an environment that is a dumpgym.PuzzleEnv")
        name = env_id.rpartition("/")[2].rpartition(":")[2].removesuffix("-v0")
        if any(arm.name == name for arm in arms):
            raise InvalidValueError("arm", env_id, "arms with different names")
        arms.append(Arm(name, env))
    return tuple(arms)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a learner fared on held-out problems.

    Attributes:
        successes: per arm, whether each problem was solved.
        verdicts: per arm, one verdict a problem.
        tokens: tokens generated for it.
    """

    successes: dict[str, list[bool]]
    verdicts: dict[str, list[Verdict]]
    tokens: int


def evaluate(learner: Learner, arms: Sequence[Arm], num_problems: int, *, seed: int, greedy: bool) -> Evaluation:
    """Lets the learner complete the first ``num_problems`` test problems of each arm, once each.

    Sampling has a stream of its own that depends on the seed alone, so training goes on as if nothing had happened.
    """
    cases = [(arm, arm.env.sample_problem(seed, "test", i)) for arm in arms for i in range(num_problems)]
    successes: dict[str, list[bool]] = {arm.name: [] for arm in arms}
    verdicts: dict[str, list[Verdict]] = {arm.name: [] for arm in arms}
    tokens = 0
    for start in range(0, len(cases), _EVALUATION_BATCH):
        batch = cases[start : start + _EVALUATION_BATCH]
        stream = seed * len(cases) + start
        completions = learner.generate([problem.prompt for _, problem in batch], 1, greedy=greedy, seed=stream)
        tokens += int(completions.num_tokens.sum())
        for (arm, problem), text in zip(batch, completions.texts, strict=True):
            verdict = arm.env.verify(problem, text)
            verdicts[arm.name].append(verdict)
            successes[arm.name].append(verdict.success)
    return Evaluation(successes, verdicts, tokens)
