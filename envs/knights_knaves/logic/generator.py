"""The generator: random puzzles with exactly one solution, in blocks that are addressed by (seed, split, number).

Puzzles are drawn by rejection sampling: draw statement sets from the grammar, and keep those that have exactly one
solution and belong to the split. The result is the published distribution, conditioned on the split. Drawing a solution
first and then statements that agree with it would waste fewer candidates, but it would change the distribution: the
fewer statement sets agree with a solution, the more often each of them would be drawn. Rejection is affordable: about
one statement set in three has exactly one solution (one in five at 50 people). Candidates are drawn and solved in
batches, by truth tables for few people and by search (see ``solver``) for many.

A puzzle belongs to the train or the test split by its structure (see ``equivalence``), so no test puzzle has an
equivalent train puzzle, whatever the seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.puzzle_env import SPLITS, check_split
from dumpgym.envs.knights_knaves.logic import equivalence, solver
from dumpgym.envs.knights_knaves.logic.equivalence import LEAVES, Statement
from dumpgym.envs.knights_knaves.logic.puzzle import MAX_PEOPLE, MIN_PEOPLE, OPERATORS, Puzzle, sample_statement
from dumpgym.envs.knights_knaves.logic.search import has_at_most
from dumpgym.envs.knights_knaves.logic.statement_sets import (
    CodedStatements,
    NestedStatements,
    StatementSets,
    coded_candidates,
    with_one_solution,
)

CHANGES = ("none", "statement", "leaf")
MAX_LOOKAHEAD = 3
_MAX_LEAVES = 9  # in one statement
_BLOCK_SIZE, _SMALL_BLOCK_SIZE, _LEAST_BLOCK_SIZE = 256, 32, 8
_BATCH_SIZE = 2048
# Share of random statement sets with exactly one solution, by number of people; only used to choose batch sizes.
_SHARE_WITH_ONE_SOLUTION = ((2, 3, 5, 8, 14, 20, 30, 50, 100), (0.41, 0.38, 0.35, 0.32, 0.28, 0.25, 0.22, 0.19, 0.13))
_BUDGET = 1_000_000  # effort without a single hit after which sampling a block fails: a few seconds
_CHANGE_ROUNDS, _CHANGES_A_ROUND = 16, 4


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution of puzzles.

    Attributes:
        num_people: number of people.
        depth: maximum levels of nesting in a statement; a leaf has depth 1.
        width: maximum number of parts of an "and" or "or".
        lookahead: levels of case split that a puzzle must need (see ``solver.lookahead_levels``); None for any.
        max_conflicts: largest number of conflicts that the depth-first search meets (see ``search``); None for any.
        change: "statement" or "leaf" for puzzles in which one statement or one leaf was redrawn, which changed the
            solution; "none" for puzzles without a change.

    Raises:
        InvalidValueError: for a value out of range, a depth and a width that allow statements with too many leaves, or
            a number of conflicts together with a depth that the search cannot handle.
    """

    num_people: int
    depth: int = 2
    width: int = 2
    lookahead: int | None = None
    max_conflicts: int | None = None
    change: str = "none"

    def __post_init__(self) -> None:
        require_number("num_people", self.num_people, low=MIN_PEOPLE, high=MAX_PEOPLE, whole=True)
        # Statements that are all leaves are linear equations modulo 2 between two people. Flipping all roles maps
        # solutions to solutions, so there is never exactly one.
        require_number("depth", self.depth, low=2, high=4, whole=True)
        # The parts of an "and" of leaves differ, and each speaker has only 2 n - 1 leaves to choose from.
        require_number("width", self.width, low=2, high=2 * self.num_people - 1, whole=True)
        if self.width ** (self.depth - 1) > _MAX_LEAVES:
            widest = int(_MAX_LEAVES ** (1 / (self.depth - 1)) + 1e-9)
            raise InvalidValueError("width", self.width, f"a whole number at most {widest} at depth {self.depth}")
        if self.lookahead is not None:
            require_number("lookahead", self.lookahead, low=0, high=MAX_LOOKAHEAD, whole=True)
        if self.max_conflicts is not None:
            require_number("max_conflicts", self.max_conflicts, low=0, whole=True)
            if self.depth > 2:
                raise InvalidValueError("depth", self.depth, "2 with max_conflicts, as the search reads no deeper ones")
        if self.change not in CHANGES:
            raise InvalidValueError("change", self.change, f"one of {', '.join(CHANGES)}")

    @property
    def is_plain(self) -> bool:
        """Whether puzzles are of the published form, and no property selects among them."""
        return self.is_published and (self.lookahead, self.max_conflicts, self.change) == (None, None, "none")

    @property
    def is_published(self) -> bool:
        """Whether statements have the published form."""
        return (self.depth, self.width) == (2, 2)

    @property
    def effort(self) -> int:
        """Approximate cost of one statement set, in units of the cost of one person's statement."""
        return self.num_people * (1 if self.is_published else 4) * (1 if self.change == "none" else 64)

    @property
    def block_size(self) -> int:
        """Number of puzzles in a block; smaller for puzzles that take long to find."""
        if self.num_people > 20:
            return _SMALL_BLOCK_SIZE if self.is_plain else _LEAST_BLOCK_SIZE
        return _BLOCK_SIZE if self.is_plain else _SMALL_BLOCK_SIZE


@dataclass(frozen=True, slots=True, eq=False)
class PuzzleBlock:
    """Puzzles that were drawn together.

    Attributes:
        sets: the statement sets.
        solutions: who tells the truth, (puzzles, people).
        originals: the puzzles before the change; None if the distribution has no change.
    """

    sets: StatementSets
    solutions: NDArray[np.bool_]
    originals: "PuzzleBlock | None" = None

    def puzzle(self, row: int) -> Puzzle:
        """Returns one of the puzzles."""
        return Puzzle(self.sets.statements(row), tuple(self.solutions[row].tolist()))

    def lookahead_levels(self) -> NDArray[np.int64]:
        """Returns how many levels of case split each puzzle needs, (puzzles,)."""
        return solver.lookahead_levels(self.sets.gates())


def block_rng(distribution: Distribution, seed: int, split: str, number: int, purpose: int) -> np.random.Generator:
    """Returns the random stream of a block for one purpose.

    Words have a separate stream, so an address gives the same puzzle whatever its words. The stream depends on the
    number of the block, so any block can be drawn without those before it.

    Args:
        distribution: the distribution of the puzzles; only its number of people affects the stream.
        seed: seed of the stream of puzzles.
        split: "train" or "test".
        number: number of the block.
        purpose: 0 for statements, 1 for words, 2 for changes.

    Raises:
        InvalidValueError: if the split is unknown, or the seed or the number is negative or not a whole number.
    """
    require_number("seed", seed, low=0, whole=True)
    require_number("index", number, low=0, whole=True)
    return np.random.default_rng([seed, SPLITS.index(check_split(split)), distribution.num_people, number, purpose])


@lru_cache(maxsize=64)
def sample_block(distribution: Distribution, seed: int, split: str, number: int) -> PuzzleBlock:
    """Draws the block of a stream that begins with puzzle ``number * block_size``.

    Args:
        distribution: the distribution of the puzzles.
        seed: seed of the stream.
        split: "train" or "test".
        number: number of the block.

    Raises:
        InvalidValueError: if a few seconds' worth of candidates contains no puzzle of the distribution.
    """
    rng = block_rng(distribution, seed, split, number, purpose=0)
    change_rng = block_rng(distribution, seed, split, number, purpose=2)
    blocks: list[PuzzleBlock] = []
    missing, in_vain = distribution.block_size, 0
    # Candidates are independent, and each is accepted or rejected by its own properties: the number of solutions, the
    # split, the conflicts and lookahead. The accepted ones therefore have the candidates' distribution, conditioned on
    # these properties, and dropping the surplus of the last batch does not bias it. The most expensive properties come
    # last, so they are computed only for candidates that pass the other filters.
    while missing:
        size = _batch_size(distribution, split, missing)
        candidates = _candidates(rng, distribution, size)  # size sets; ``roles`` is (sets with one solution, people)
        sets, roles = with_one_solution(candidates)
        rows = np.flatnonzero(equivalence.is_test(sets.structure_hashes()) == (split == "test"))
        block = PuzzleBlock(sets.take(rows), roles[rows])
        # The change comes before the filters below, because the changed puzzle is the one that is shown.
        if distribution.change != "none":
            block = _changed(block, distribution, split, change_rng)
        if (most := distribution.max_conflicts) is not None:
            kept = [row for row in range(len(block.sets)) if has_at_most(most, block.sets.statements(row))]
            block = _take(block, np.array(kept, np.int64))
        if distribution.lookahead is not None and len(block.sets):
            rows = np.flatnonzero(block.lookahead_levels() == distribution.lookahead)
            block = _take(block, rows)
        block = _take(block, np.arange(min(missing, len(block.sets))))
        missing -= len(block.sets)
        in_vain = 0 if len(block.sets) else in_vain + len(candidates)
        # Some settings are met by few puzzles or none, such as lookahead 3 for two people. The budget counts effort and
        # not seconds, so that the same address either exists or fails on every machine.
        if in_vain * distribution.effort > _BUDGET:
            accepted = f"settings that some puzzle meets; none of {in_vain} statement sets did"
            raise InvalidValueError("distribution", distribution, accepted)
        blocks.append(block)
    return _joined(blocks)


def _batch_size(distribution: Distribution, split: str, missing: int) -> int:
    """Returns the number of statement sets to draw, which usually contain all missing puzzles.

    Candidates are drawn as arrays, so another batch size gives other puzzles. The size must only depend on the
    distribution, the split and the number of missing puzzles; otherwise an address would not identify a puzzle.
    """
    share = np.interp(distribution.num_people, *_SHARE_WITH_ONE_SOLUTION)
    share *= equivalence.TEST_SHARE if split == "test" else 1 - equivalence.TEST_SHARE
    if distribution.max_conflicts is not None:  # a fit to the share of puzzles of 2 to 14 people that pass the filter
        share *= min(1.0, 0.42 * (distribution.max_conflicts + 1) * 0.8 ** (distribution.num_people - 2))
    return min(_BATCH_SIZE, 24 + int(1.1 * missing / share))


def _take(block: PuzzleBlock, rows: NDArray[np.int64]) -> PuzzleBlock:
    originals = block.originals and _take(block.originals, rows)
    return PuzzleBlock(block.sets.take(rows), block.solutions[rows], originals)


def _joined(blocks: Sequence[PuzzleBlock]) -> PuzzleBlock:
    sets = [block.sets for block in blocks]
    joined: StatementSets
    if isinstance(sets[0], CodedStatements):
        joined = CodedStatements(*(np.concatenate(arrays) for arrays in zip(*sets, strict=True)))
    else:
        joined = NestedStatements(statements for part in sets for statements in part)  # type: ignore[misc]
    originals = [block.originals for block in blocks if block.originals]
    return PuzzleBlock(
        joined, np.concatenate([block.solutions for block in blocks]), _joined(originals) if originals else None
    )


def _candidates(rng: np.random.Generator, distribution: Distribution, size: int) -> StatementSets:
    n, depth, width = distribution.num_people, distribution.depth, distribution.width
    if distribution.is_published:
        return coded_candidates(rng, n, size)
    return NestedStatements(
        tuple(sample_statement(lambda k: int(rng.integers(k)), p, n, depth, width) for p in range(n))
        for _ in range(size)
    )


@cache
def num_different(distribution: Distribution, split: str) -> tuple[float, bool]:
    """Returns an upper bound on the number of puzzles with different statements, and whether the bound is exact.

    For two and three people of the published form, the puzzles are enumerated, and the bound is exact unless lookahead,
    a change or the number of conflicts restricts them further. For all others there are more puzzles than anyone needs;
    the bound is infinite.

    Args:
        distribution: the distribution of the puzzles.
        split: "train" or "test".
    """
    num_people = distribution.num_people
    if num_people > 3 or not distribution.is_published:
        return np.inf, False
    num_leaves = 2 * num_people
    forms = [(o, a, b) for o in range(len(OPERATORS)) for a in range(num_leaves) for b in range(num_leaves)]
    said = [[f for f in forms if _is_allowed(f, 2 * speaker + 1)] for speaker in range(num_people)]
    chosen = np.stack(np.meshgrid(*(np.arange(len(s)) for s in said), indexing="ij"), -1).reshape(-1, num_people)
    codes = np.stack([np.array(s)[chosen[:, speaker]] for speaker, s in enumerate(said)], 1)
    sets, _ = with_one_solution(CodedStatements(codes[..., 0], codes[..., 1:]))
    is_test = equivalence.is_test(sets.structure_hashes())
    return float(np.count_nonzero(is_test == (split == "test"))), distribution.is_plain


def _is_allowed(form: tuple[int, int, int], self_lie: int) -> bool:
    """Whether a speaker can make this statement; if the operator ignores the second leaf, only leaf 0 counts."""
    operator, first, second = form
    if operator <= 1:
        return first != self_lie and second == 0
    return self_lie not in (first, second) and first != second


def _changed(block: PuzzleBlock, distribution: Distribution, split: str, rng: np.random.Generator) -> PuzzleBlock:
    """Returns the puzzles after one change each, with the unchanged puzzles as ``originals``.

    A change must keep the split and the uniqueness of the solution, but change the solution. Several changes per puzzle
    are tried at a time; puzzles for which no change is found are left out.
    """
    originals = [block.puzzle(row) for row in range(len(block.sets))]
    results: dict[int, Puzzle] = {}
    for _ in range(_CHANGE_ROUNDS):
        rows = [row for row in range(len(originals)) if row not in results for _ in range(_CHANGES_A_ROUND)]
        if not rows:
            break
        tried = NestedStatements(_change_one(originals[row].statements, distribution, rng) for row in rows)
        puzzles, roles = solver.find_solutions(tried.gates(), limit=2)
        num_solutions = np.bincount(puzzles, minlength=len(tried))
        is_test = equivalence.is_test(tried.structure_hashes())
        for k, solution in zip(puzzles.tolist(), map(tuple, roles.tolist()), strict=True):
            fits = num_solutions[k] == 1 and is_test[k] == (split == "test")
            if fits and solution != originals[rows[k]].solution:
                results.setdefault(rows[k], Puzzle(tried[k], solution))
    kept = sorted(results)
    changed = NestedStatements(results[row].statements for row in kept)
    roles = np.array([results[row].solution for row in kept], bool).reshape(len(kept), distribution.num_people)
    return PuzzleBlock(changed, roles, _take(block, np.array(kept, np.int64)))


def _change_one(
    statements: tuple[Statement, ...], distribution: Distribution, rng: np.random.Generator
) -> tuple[Statement, ...]:
    """Redraws one person's statement, or one leaf of it, until it differs."""
    speaker = int(rng.integers(len(statements)))
    depth = distribution.depth if distribution.change == "statement" else 1

    def fresh(old: Statement) -> Statement:
        while True:
            new = sample_statement(lambda k: int(rng.integers(k)), speaker, len(statements), depth, distribution.width)
            if new != old:
                return new

    def with_new_leaf(statement: Statement) -> Statement:
        if statement[0] in LEAVES:
            return fresh(statement)
        place = int(rng.integers(1, len(statement)))
        return (*statement[:place], with_new_leaf(statement[place]), *statement[place + 1 :])

    old = statements[speaker]
    new = fresh(old) if distribution.change == "statement" else with_new_leaf(old)
    while _has_equal_parts(new):
        new = with_new_leaf(old)
    return (*statements[:speaker], new, *statements[speaker + 1 :])


def _has_equal_parts(statement: Statement) -> bool:
    """Whether some connective has two equal parts, which no drawn statement has."""
    if statement[0] in LEAVES:
        return False
    parts = statement[1:]
    return len(set(parts)) < len(parts) or any(map(_has_equal_parts, parts))
