"""A learner together with its arms, as a student: problems are drawn, completed, judged and learned from."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.arms import Arm, arms_that_count, limits_of
from dumpgym.contracts.errors import NonFiniteError
from dumpgym.contracts.learner import Learned, Learner, RewardedCompletions, check_arms, takes_keys
from dumpgym.contracts.puzzle_env import Problem
from dumpgym.contracts.state import Stateful
from dumpgym.contracts.student import GroupResults
from dumpgym.contracts.success import measuring_seed
from dumpgym.training.batch import BrokenBatchError, TrainingBatch
from dumpgym.training.evaluation import Evaluation, evaluate


class PuzzleStudent(Stateful):
    """A ``Student`` made of a learner and its arms.

    Problem i of an arm is the one at the address (seed, "train", i), whatever else is drawn, so runs under different
    policies meet the same problems. No prompt appears twice in a batch: if the next problem of an arm is already in it,
    because a finite set starts over or two arms share a distribution, the arm gives the one after it. Only an arm with
    fewer problems than the batch has slots repeats itself.

    Completions of a problem are sampled with random numbers that depend on its address, the arm's name and the
    completion's number. Runs with the same seed thus share their luck under every policy, in whatever step and batch
    they meet a problem.

    Args:
        learner: completes the prompts and learns from the rewards.
        arms: puzzle distributions, easiest first.
        seed: seed of the problems.
        evaluation_problems: held-out problems per arm for ``success``.

    Raises:
        InvalidValueError: if the learner cannot complete the problems of an arm.

    Attributes:
        drawn: number of problems of every arm drawn so far, including those left out as repeats, (num_arms,).
        practised: number of problems of every arm that were in a batch so far, (num_arms,).
    """

    state_fields: ClassVar[tuple[str, ...]] = ("drawn", "practised")

    def __init__(self, learner: Learner, arms: Sequence[Arm], *, seed: int = 0, evaluation_problems: int = 32) -> None:
        check_arms(learner, arms)
        self.learner = learner
        self.arms = arms
        self.seed = seed
        self.evaluation_problems = evaluation_problems
        self.arm_names = [arm.name for arm in arms]
        self._keyed = takes_keys(learner)
        self.counts = np.array([not arm.is_nuisance for arm in arms], dtype=np.bool_)
        self.drawn: NDArray[np.int64] = np.zeros(len(arms), dtype=np.int64)
        self.practised: NDArray[np.int64] = np.zeros(len(arms), dtype=np.int64)

    def practise(self, arms: NDArray[np.int64], num_generations: int) -> GroupResults:
        """Completes one problem of each of the arms and learns; see ``Student``."""
        return self.practise_batch(arms, num_generations).results

    def success(self) -> NDArray[np.float64]:
        """Greedy success on the first held-out problems of every arm, (num_arms,)."""
        found = evaluate(self.learner, self.arms, self.evaluation_problems, seed=self.seed, greedy=True)
        return np.array([np.mean(found.successes[name]) for name in self.arm_names])

    def measure(self, num_problems: int, number: int) -> Evaluation:
        """Samples a completion of new training problems of every arm that counts, which the run does not train on.

        Args:
            num_problems: problems per arm.
            number: number of the measurement, from 0; each of them has other problems.
        """
        seed, first = measuring_seed(self.seed), number * num_problems
        arms = arms_that_count(self.arms)
        return evaluate(self.learner, arms, num_problems, seed=seed, greedy=False, split="train", first=first)

    def practise_batch(
        self,
        arms: NDArray[np.int64],
        num_generations: int,
        *,
        redraw: Callable[[int], NDArray[np.int64]] | None = None,
        max_redraws: int = 0,
    ) -> TrainingBatch:
        """Does what ``practise`` does, and returns the batch in full.

        Args:
            arms: shape (groups,).
            num_generations: completions per group.
            redraw: draws a given number of arms. If ``max_redraws`` is above 0, groups whose rewards are equal are left
                out of the batch and replaced by new draws (the dynamic sampling of DAPO, arXiv 2503.14476).
            max_redraws: most times that groups are replaced in a step. Groups that are still missing after that are not
                replaced; if no group is left, the batch consists of the first ones.

        Raises:
            BrokenBatchError: if a reward, or a number that the learner computed, is not finite.
        """
        batch = self._attempt(arms, num_generations)
        for _ in range(max_redraws if redraw is not None else 0):
            lacking = len(arms) - int((~batch.without_variance).sum())
            if lacking <= 0 or redraw is None:
                break
            batch = batch.joined(self._attempt(redraw(lacking), num_generations, batch.problems))
        if max_redraws and not batch.without_variance.all():
            batch = replace(batch, kept=~batch.without_variance)
        elif max_redraws:
            batch = replace(batch, kept=np.arange(len(batch.kept)) < len(arms))
        return self._learn(batch)

    def _attempt(self, arms: NDArray[np.int64], num_generations: int, others: Sequence[Problem] = ()) -> TrainingBatch:
        """Completes and judges problems that differ from the others."""
        started = perf_counter()
        problems, keys = self._next_problems(arms, others)
        keyed: dict[str, Any] = {"keys": keys} if self._keyed else {}
        completions = self.learner.generate(
            [problem.learner_prompt for problem in problems],
            num_generations,
            max_completion_lengths=limits_of(self.arms[arm] for arm in arms),
            **keyed,
        )
        generated = perf_counter()
        verdicts = [
            [
                self.arms[arm].env.verify(problem, text)
                for text in completions.texts[i * num_generations : (i + 1) * num_generations]
            ]
            for i, (arm, problem) in enumerate(zip(arms, problems, strict=True))
        ]
        rewards = np.array([[verdict.reward for verdict in group] for group in verdicts])
        solved = np.array([[verdict.success for verdict in group] for group in verdicts])
        verified = perf_counter()
        results = GroupResults(
            arm=arms,
            successes=solved.sum(axis=1),
            num_generations=num_generations,
            tokens=completions.num_tokens.sum(axis=1),
            truncated=completions.truncated.sum(axis=1),
            rewards=rewards,
            solved=solved,
            seconds=generated - started if completions.seconds is None else completions.seconds,
        )
        seconds = {"generate": generated - started, "verify": verified - generated}
        kept = np.ones(len(arms), dtype=np.bool_)
        return TrainingBatch(problems, completions, verdicts, rewards, results, kept, Learned({}), seconds)

    def _learn(self, batch: TrainingBatch) -> TrainingBatch:
        started = perf_counter()
        kept = np.flatnonzero(batch.kept)
        try:
            rewarded = RewardedCompletions(batch.completions.take(kept.tolist()), batch.rewards[kept])
            learned = self.learner.learn(rewarded)
        except NonFiniteError as error:
            of_all = NonFiniteError(error.quantity, kept[list(error.groups)].tolist())
            raise BrokenBatchError(of_all, batch, self.arm_names) from error
        by_group = {name: np.full(len(batch.kept), np.nan) for name in learned.by_group}
        for name, values in learned.by_group.items():
            by_group[name][kept] = values
        seconds = {**batch.seconds, "learn": perf_counter() - started}
        return replace(batch, learned=Learned(learned.metrics, by_group), seconds=seconds)

    def _next_problems(self, arms: NDArray[np.int64], others: Sequence[Problem]) -> tuple[list[Problem], list[int]]:
        """The next problem of each of the arms, and the keys of their completions."""
        problems: list[Problem] = []
        keys: list[int] = []
        prompts = {problem.prompt for problem in others}
        for arm in arms:
            # The batch holds fewer prompts than this, so an arm that does not repeat itself finds a new one in time.
            for _ in range(len(arms) + len(others)):
                index = int(self.drawn[arm])
                problem = self.arms[arm].env.sample_problem(self.seed, "train", index)
                self.drawn[arm] += 1
                if problem.prompt not in prompts:
                    break
            self.practised[arm] += 1
            prompts.add(problem.prompt)
            problems.append(problem)
            # The index is ours and not that of the problem's address: in a finite set that starts over, it still grows,
            # so a problem that returns is completed with other random numbers.
            keys.append(self.arms[arm].key(self.seed, "train", index))
        return problems, keys
