"""Evaluation of a learner on held-out problems."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dumpgym.contracts.arms import Arm, limits_of
from dumpgym.contracts.learner import Learner, takes_keys
from dumpgym.contracts.puzzle_env import Problem, Verdict

EVALUATION_BATCH = 128
"""Completions generated together."""


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
        completions: by arm name, the judged completions: ``num_generations`` of the first problem, then of the next.
        tokens: by arm name, the tokens generated.
        truncated: by arm name, the number of completions that were cut off at the length limit.
        num_generations: completions per problem.
    """

    completions: dict[str, list[JudgedCompletion]]
    tokens: dict[str, int]
    truncated: dict[str, int] = field(default_factory=dict)
    num_generations: int = 1

    @property
    def successes(self) -> dict[str, list[bool]]:
        """By arm name, whether each completion solves its problem."""
        return {name: [one.verdict.success for one in completions] for name, completions in self.completions.items()}


def evaluate(
    learner: Learner,
    arms: Sequence[Arm],
    num_problems: int,
    *,
    seed: int = 0,
    greedy: bool = True,
    split: str = "test",
    first: int = 0,
    num_generations: int = 1,
    batch_size: int = EVALUATION_BATCH,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Evaluation:
    """Lets the learner complete ``num_problems`` problems of each arm, by default its first test problems.

    Sampled completions are drawn with random numbers that depend on the seed, the arm's name and the problem. Training
    therefore continues as if the evaluation had not happened, and evaluations before and after training, or under two
    policies, share their luck.

    Args:
        learner: completes the prompts.
        arms: the arms to evaluate on.
        num_problems: problems per arm.
        seed: seed of the problems and of the sampling.
        greedy: take the most probable tokens instead of sampling at the learner's temperature.
        split: "test", or "train" for the problems that training starts with.
        first: index of the first problem of every arm.
        num_generations: completions per problem.
        batch_size: completions generated together; results depend on it only by rounding.
        on_progress: called after every batch with the share of the problems that is done, up to 1.
    """
    indices = range(first, first + num_problems)
    cases = [(arm, i, arm.env.sample_problem(seed, split, i)) for arm in arms for i in indices]
    is_keyed = takes_keys(learner)
    judged: dict[str, list[JudgedCompletion]] = {arm.name: [] for arm in arms}
    tokens, truncated = dict.fromkeys(judged, 0), dict.fromkeys(judged, 0)
    size = max(1, batch_size // num_generations)
    for start in range(0, len(cases), size):
        batch = cases[start : start + size]
        keyed: dict[str, Any] = {"keys": [arm.key(seed, split, i) for arm, i, _ in batch]} if is_keyed else {}
        completions = learner.generate(
            [problem.learner_prompt for _, _, problem in batch],
            num_generations,
            greedy=greedy,
            seed=seed * len(cases) + first * len(arms) + start,
            max_completion_lengths=limits_of(arm for arm, _, _ in batch),
            **keyed,
        )
        lengths, cut, texts = completions.num_tokens, completions.truncated, iter(completions.texts)
        for group, (arm, _, problem) in enumerate(batch):
            tokens[arm.name] += int(lengths[group].sum())
            truncated[arm.name] += int(cut[group].sum())
            for _ in range(num_generations):
                text = next(texts)
                judged[arm.name].append(JudgedCompletion(problem, text, arm.env.verify(problem, text)))
        on_progress(min(1.0, (start + len(batch)) / len(cases)))
    return Evaluation(judged, tokens, truncated, num_generations)
