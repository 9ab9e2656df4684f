"""A simulated student of real Knights and Knaves puzzles: a softmax over all assignments, trained by GRPO."""

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import binom

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.state import Stateful
from dumpgym.contracts.student import GroupResults
from dumpgym.contracts.student_registry import register_student
from dumpgym.envs.knights_knaves.logic.generator import Distribution, sample_block
from dumpgym.envs.knights_knaves.logic.puzzle import OPERATORS
from dumpgym.envs.knights_knaves.logic.statement_sets import CodedStatements
from dumpgym.envs.students.addresses import check_batch, problem_indices, uniform_at
from dumpgym.signals.of_a_group import advantages

_NUM_KINDS = len(OPERATORS)
_MOST_PEOPLE = 12  # 4,096 assignments a puzzle
_STD_OFFSET = 1e-6  # added to the standard deviation by which GRPO divides


class Violations(NamedTuple):
    """Numbers of statements that every assignment of roles violates, for several puzzles.

    An assignment violates the statement of a knight if it is false, and the statement of a knave if it is true. Person
    i is a knight in assignment a if bit i of a is 1.

    Attributes:
        counts: number of violated statements of each kind, in the order of ``OPERATORS``, shape (puzzles, kinds,
            assignments).
        solution: the assignment that violates no statement, shape (puzzles,).
    """

    counts: NDArray[np.float32]
    solution: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> "Violations":
        """Returns the violations of some of the puzzles."""
        return Violations(self.counts[rows], self.solution[rows])


@lru_cache(maxsize=32)
def violations_of_block(num_people: int, seed: int, split: str, number: int) -> Violations:
    """Computes the violations of a block of puzzles that ``generator.sample_block`` draws.

    Puzzles are drawn in blocks, whose results are cached, because a policy usually asks for successive problems.
    """
    block = sample_block(Distribution(num_people), seed, split, number)
    # All statements of the published form are coded. (The cast is for the type checker.)
    operators = cast(CodedStatements, block.sets).operators
    gates = block.sets.gates()
    roles = (np.arange(2**num_people) >> np.arange(num_people)[:, None] & 1).astype(np.int8)  # (people, assignments)
    # Bit 2 x + y of a statement's function is its truth value when the two people's roles are x and y.
    function = gates.kinds >> 6 & 15  # (puzzles, people)
    inputs = 2 * roles[gates.first] + roles[gates.second]
    violated = (function[..., None] >> inputs & 1) != roles  # (puzzles, people, assignments)
    of_kind = operators[:, None, :] == np.arange(_NUM_KINDS)[:, None]  # (puzzles, kinds, people)
    counts = of_kind.astype(np.float32) @ violated.astype(np.float32)
    return Violations(counts, (block.solutions << np.arange(num_people)).sum(axis=1))


def assignment_probabilities(violations: Violations, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes pi(a) = softmax over a of -(weights . violated statements by kind).

    Args:
        violations: violations of the puzzles.
        weights: weights of the kinds of statements, shape (kinds,).

    Returns:
        The probabilities of the assignments, shape (puzzles, assignments).
    """
    probabilities: NDArray[np.float64] = softmax(-(weights @ violations.counts), axis=-1)
    return probabilities


def sampled_gradient(
    violations: Violations, probabilities: NDArray[np.float64], chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Computes the policy gradient of a group of completions to each puzzle with respect to the kinds' weights.

    It is the mean over the group of A_i (f(a_i) - E f). Here f(a) is minus the number of violated statements of each
    kind, so f(a) - E f is the gradient of log pi(a), and A = (r - mean) / (std + 1e-6), with std over n - 1, is GRPO's
    advantage for reward 1 for the solution and 0 otherwise.

    Args:
        violations: violations of the puzzles.
        probabilities: probabilities of their assignments, shape (puzzles, assignments).
        chosen: assignments drawn from these probabilities, shape (puzzles, G).

    Returns:
        The gradients, shape (puzzles, kinds).
    """
    rewards = (chosen == violations.solution[:, None]).astype(np.float64)
    expected = violations.counts @ probabilities[..., None]
    surplus = np.take_along_axis(violations.counts, chosen[:, None, :], axis=2) - expected  # (puzzles, kinds, G)
    gradient: NDArray[np.float64] = -(surplus * advantages(rewards)[:, None, :]).mean(axis=2)
    return gradient


def expected_gradient(
    violations: Violations, probabilities: NDArray[np.float64], num_generations: int
) -> NDArray[np.float64]:
    """Computes the exact expectation of ``sampled_gradient`` over groups of G completions.

    Let P = pi(solution), and let k of the G completions be right, p = k / G. The advantage of a right completion is
    (1 - p) / s and that of a wrong one is -p / s, with s = sqrt(p (1 - p) G / (G - 1)) + 1e-6. The solution violates
    nothing, so its f is 0. Given k, the wrong completions are independent draws from pi without the solution, whose
    mean f is E f / (1 - P). Therefore::

        E gradient = -E[p (1 - p) / s] E f / (1 - P) = E[p (1 - p) / s] / (P (1 - P)) grad P,   k ~ Binomial(G, P)

    The mean abs(A) of a group is 2 p (1 - p) / s, so GRPO learns in proportion to the signal that DUMP measures.

    Args:
        violations: violations of the puzzles.
        probabilities: probabilities of their assignments, shape (puzzles, assignments).
        num_generations: number of completions in a group, G.

    Returns:
        The expected gradients, shape (puzzles, kinds).
    """
    solved = np.take_along_axis(probabilities, violations.solution[:, None], axis=1)  # (puzzles, 1)
    p = np.arange(num_generations + 1) / num_generations
    std = np.sqrt(p * (1 - p) * num_generations / (num_generations - 1)) + _STD_OFFSET
    factor = binom.pmf(np.arange(num_generations + 1), num_generations, solved) @ (p * (1 - p) / std)
    expected = (violations.counts @ probabilities[..., None])[..., 0]
    gradient: NDArray[np.float64] = factor[:, None] * expected / np.maximum(1 - solved, np.finfo(float).tiny)
    return gradient


class SoftmaxStudent(Stateful):
    """A student that guesses assignments of roles, and learns by exact gradients which kinds of statements to heed.

    An arm is a number of people. Problem i of an arm is the training puzzle (seed, "train", i) of the environment
    ``dumpgym/KnightsKnaves-v0``. The student chooses one of the 2^n assignments of roles with probability::

        pi(a) = softmax(-sum over kinds of (w_kind + v_n) (statements of this kind that a violates))

    The kinds are leaf, not, and, or, ->, <=>. The weights w are shared by all arms, and v_n is the arm's own weight.
    All are 0 at the start, which is uniform guessing with success 2^-n. Only the solution violates no statement, so
    success approaches 1 as the weights grow. What the student learns on one arm helps on all others through w. A step
    of practice draws G assignments per puzzle and rewards the solution with 1 and any other assignment with 0. It
    follows GRPO's gradient (see ``sampled_gradient``), averaged over the groups of the batch, by plain gradient ascent,
    without clipping and without a penalty.

    Only the draws of assignments are random, and they have addresses: completion g of problem i of an arm is drawn with
    the same uniform number under every policy, so runs with the same seed are paired.

    Args:
        people: number of people of every arm, each from 2 to 12, in strictly ascending order.
        seed: seed of the puzzles and the draws.
        learning_rate: step size of the gradient ascent, above 0.
        test_problems: number of held-out puzzles of every arm on which ``success`` is measured, at least 1. They are
            the puzzles (0, "test", i) for every seed.
        tokens_per_person: number of tokens in a completion per person in the puzzle.

    Attributes:
        parameters: the six weights of the kinds, followed by the weight of every arm, shape (6 + num_arms,).
        drawn: number of problems of every arm that were practised, shape (num_arms,).

    Raises:
        InvalidValueError: if an argument is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("people", "seed", "parameters", "drawn")
    identity_fields: ClassVar[tuple[str, ...]] = ("people",)

    def __init__(
        self,
        people: Sequence[int] = (2, 3, 4, 5, 6, 7),
        *,
        seed: int = 0,
        learning_rate: float = 0.1,
        test_problems: int = 64,
        tokens_per_person: int = 20,
    ) -> None:
        given = [people] if isinstance(people, int) else people
        self.people = [require_number("people", n, low=2, high=_MOST_PEOPLE, whole=True) for n in given]
        if not self.people or self.people != sorted(set(self.people)):
            raise InvalidValueError("people", people, "different numbers in ascending order, at least one")
        self.seed = require_number("seed", seed, low=0, whole=True)
        self.learning_rate = require_number("learning_rate", learning_rate, above=0)
        self.tokens_per_person = require_number("tokens_per_person", tokens_per_person, low=1, whole=True)
        require_number("test_problems", test_problems, low=1, whole=True)
        self.arm_names: Sequence[str] = tuple(f"KnightsKnaves{n}" for n in self.people)
        self.counts = np.ones(len(self.people), dtype=bool)
        self.parameters: NDArray[np.float64] = np.zeros(_NUM_KINDS + len(self.people))
        self.drawn: NDArray[np.int64] = np.zeros(len(self.people), dtype=np.int64)
        self._held_out = [_problems(n, 0, "test", np.arange(test_problems)) for n in self.people]

    def practise(self, arms: NDArray[np.int64], num_generations: int) -> GroupResults:
        """Draws ``num_generations`` assignments for a puzzle of each of the arms, and learns; see ``Student``."""
        check_batch(arms, num_generations, self.drawn)
        index, drawn = problem_indices(arms, self.drawn)
        solved = np.zeros((*arms.shape, num_generations), dtype=bool)
        gradient = np.zeros_like(self.parameters)
        for arm, rows, puzzles, probabilities in self._batch(arms, index):
            luck = uniform_at(self.seed, self.people[arm], index[rows, None], np.arange(num_generations))
            cumulative = probabilities.cumsum(axis=-1)[:, None, :-1]  # see ``draw_arms``
            chosen = (luck[..., None] >= cumulative).sum(axis=-1)
            solved[rows] = chosen == puzzles.solution[:, None]
            gradient += self._of_parameters(arm, sampled_gradient(puzzles, probabilities, chosen))
        self.parameters = self.parameters + self.learning_rate * gradient / arms.size
        self.drawn = drawn
        tokens = num_generations * self.tokens_per_person * np.array(self.people)[arms]
        successes = solved.sum(axis=-1)
        return GroupResults(arms, successes, num_generations, tokens, np.zeros_like(successes), solved=solved)

    def expected_gradient(self, arms: NDArray[np.int64], num_generations: int) -> NDArray[np.float64]:
        """Computes the expectation, over the draws, of the gradient that ``practise`` follows with these arguments.

        Returns:
            The gradient with respect to the parameters, shape (6 + num_arms,).
        """
        check_batch(arms, num_generations, self.drawn)
        index, _ = problem_indices(arms, self.drawn)
        gradient = np.zeros_like(self.parameters)
        for arm, _, puzzles, probabilities in self._batch(arms, index):
            gradient += self._of_parameters(arm, expected_gradient(puzzles, probabilities, num_generations))
        return gradient / arms.size

    def success(self) -> NDArray[np.float64]:
        """Returns the mean probability of the solution over the held-out puzzles of every arm, shape (num_arms,)."""
        means = []
        for arm, puzzles in enumerate(self._held_out):
            probabilities = assignment_probabilities(puzzles, self._weights(arm))
            means.append(np.take_along_axis(probabilities, puzzles.solution[:, None], axis=1).mean())
        return np.array(means)

    def _weights(self, arm: int) -> NDArray[np.float64]:
        weights: NDArray[np.float64] = self.parameters[:_NUM_KINDS] + self.parameters[_NUM_KINDS + arm]
        return weights

    def _of_parameters(self, arm: int, by_puzzle: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums gradients with respect to the kinds' weights, (puzzles, kinds), into one for all parameters."""
        gradient = np.zeros_like(self.parameters)
        gradient[:_NUM_KINDS] = by_puzzle.sum(axis=0)
        gradient[_NUM_KINDS + arm] = by_puzzle.sum()  # the arm's weight is added to the weight of every kind
        return gradient

    def _batch(
        self, arms: NDArray[np.int64], index: NDArray[np.int64]
    ) -> list[tuple[int, NDArray[np.int64], Violations, NDArray[np.float64]]]:
        """Returns, for every arm in a batch, the arm, its groups, their puzzles and the assignments' probabilities."""
        batch = []
        for arm in np.unique(arms).tolist():
            rows = np.flatnonzero(arms == arm)
            puzzles = _problems(self.people[arm], self.seed, "train", index[rows])
            batch.append((arm, rows, puzzles, assignment_probabilities(puzzles, self._weights(arm))))
        return batch


def _problems(num_people: int, seed: int, split: str, index: NDArray[np.int64]) -> Violations:
    """Returns the violations of the puzzles with these indices, which must be in ascending order."""
    number, row = np.divmod(index, Distribution(num_people).block_size)
    parts = [
        violations_of_block(num_people, seed, split, block).take(row[number == block])
        for block in np.unique(number).tolist()
    ]
    return Violations(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


register_student("softmax", SoftmaxStudent)
