"""Evaluation on held-out problems."""

from collections.abc import Sequence
from dataclasses import dataclass

from dumpgym.contracts.arms import Arm, limits_of
from dumpgym.contracts.learner import Learner
from dumpgym.contracts.puzzle_env import Problem, Verdict

_EVALUATION_BATCH = 128


@dataclass(frozen=True, slots=True)
class JudgedCompletion:
    """What a learner made of one problem."""

    problem: Problem
    completion: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a learner fared on held-out problems.

    Attributes:
        completions: per arm, one a problem.
        tokens: per arm, tokens generated for it.
    """

    completions: dict[str, list[JudgedCompletion]]
    tokens: dict[str, int]

    @property
    def successes(self) -> dict[str, list[bool]]:
        """Per arm, whether each problem was solved."""
        return {name: [one.verdict.success for one in completions] for name, completions in self.completions.items()}


def evaluate(learner: Learner, arms: Sequence[Arm], num_problems: int, *, seed: int, greedy: bool) -> Evaluation:
    """Lets the learner complete the first ``num_problems`` test problems of each arm, once each.

    Sampling has a stream of its own that depends on the seed alone, so training goes on as if nothing had happened.
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
