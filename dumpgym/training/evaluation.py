"""Evaluation of a learner on held-out problems."""

from collections.abc import Sequence
from dataclasses import dataclass

from dumpgym.contracts.arms import Arm, limits_of
from dumpgym.contracts.learner import Learner
from dumpgym.contracts.puzzle_env import Problem, Verdict

_EVALUATION_BATCH = 128  # prompts completed together


@dataclass(frozen=True, slots=True)
class JudgedCompletion:
    """A completion of a problem with its verdict."""

    problem: Problem
    completion: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of a learner on held-out problems.

    Attributes:
        completions: by arm name, one judged completion per problem.
        tokens: by arm name, the tokens generated.
    """

    completions: dict[str, list[JudgedCompletion]]
    tokens: dict[str, int]

    @property
    def successes(self) -> dict[str, list[bool]]:
        """By arm name, whether each problem was solved."""
        return {name: [one.verdict.success for one in completions] for name, completions in self.completions.items()}


def evaluate(
    learner: Learner, arms: Sequence[Arm], num_problems: int, *, seed: int = 0, greedy: bool = True
) -> Evaluation:
    """Lets the learner complete the first ``num_problems`` test problems of each arm, once each.

    Evaluation samples from its own stream, which depends only on the seed, so training continues as if it had not
    happened.

    Args:
        learner: completes the prompts.
        arms: the arms to evaluate on.
        num_problems: held-out problems per arm.
        seed: seed of the problems and of the sampling.
        greedy: take the most probable tokens instead of sampling at the learner's temperature.
    """
    cases = [(arm, arm.env.sample_problem(seed, "test", i)) for arm in arms for i in range(num_problems)]
    judged: dict[str, list[JudgedCompletion]] = {arm.name: [] for arm in arms}
    tokens = dict.fromkeys(judged, 0)
    for start in range(0, len(cases), _EVALUATION_BATCH):
        batch = cases[start : start + _EVALUATION_BATCH]
        completions = learner.generate(
            [problem.learner_prompt for _, problem in batch],
            1,
            greedy=greedy,
            seed=seed * len(cases) + start,
            max_completion_lengths=limits_of(arm for arm, _ in batch),
        )
        for (arm, problem), text, ids in zip(batch, completions.texts, completions.token_ids, strict=True):
            tokens[arm.name] += len(ids)
            judged[arm.name].append(JudgedCompletion(problem, text, arm.env.verify(problem, text)))
    return Evaluation(judged, tokens)
