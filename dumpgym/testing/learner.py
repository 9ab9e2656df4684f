"""The contract check of learners.

The training loop relies on three properties that no metric shows: an evaluation does not change later training, a saved
learner resumes bit for bit, and a non-finite number is detected before the weights change.
"""

import inspect
import json
import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import NonFiniteError
from dumpgym.contracts.learner import Completions, Learned, Learner, RewardedCompletions
from dumpgym.contracts.puzzle_env import Prompt
from dumpgym.testing.expectation import expect, shown

MakeLearner = Callable[[int], Learner]

PROMPTS: tuple[Prompt, ...] = (
    "What is the double of 4?",
    ({"role": "system", "content": "Answer with a number."}, {"role": "user", "content": "What is the double of 6?"}),
    "Zoey says: Oliver is a knave. Oliver says: Zoey and I are knights. Who is a knight and who is a knave?",
)
"""Default prompts: plain text and chat messages."""

METHODS = ("generate", "learn", "save", "load", "describe")
SEED = 7
EVALUATION_SEED = 11
FIRST_KEY = 2**64 - 1  # keys may be as large as this


def check_learner(
    make: MakeLearner,
    *,
    prompts: Sequence[Prompt] = PROMPTS,
    num_generations: int = 4,
    max_completion_length: int = 6,
) -> None:
    """Checks that a learner follows the contract of ``Learner``.

    - Shapes: for P prompts with G completions each, ``generate`` returns P ``prompt_ids``, P * G ``token_ids`` and
      ``texts``, ordered by group, and ``truncated`` of shape (P, G). Log-probabilities are optional; there is one per
      token, at most 0. No completion exceeds the limit of its prompt, and truncated completions reach it exactly.
    - Random streams: two learners with the same seed generate the same completions. An evaluation (a call with
      ``seed=`` or ``greedy=True``) generates the same completions when it is repeated, and does not change later
      training. All greedy completions of a group are equal.
    - Keys: if ``generate`` takes ``keys``, the completions of a prompt depend on its key, and neither on earlier calls
      nor on the other prompts. A call with keys does not change later training.
    - Learning: ``learn`` accepts different and equal rewards and returns finite metrics. For very large or non-finite
      rewards, it either raises ``NonFiniteError`` and leaves the learner unchanged, or returns finite metrics.
    - State: a learner with another seed and its own training history resumes bit for bit from the files of ``save``.
      ``describe()`` is JSON.

    The check does not compare times. It does not compare the metrics of two learners either, as they may contain times.

    Args:
        make: called as ``make(seed)``, returns a new learner; it is called three times. Use a small model.
        prompts: prompts to complete, at least 2; each is plain text or chat messages.
        num_generations: G, at least 2.
        max_completion_length: limit of the first prompt, in tokens, at least 2; the other prompts have smaller limits.
            One call passes no limits and uses the learner's default.

    Raises:
        AssertionError: if an invariant does not hold; the message names it.
    """
    learner, twin, other = make(SEED), make(SEED), make(SEED + 1)
    limits = [max_completion_length - i % max_completion_length for i in range(len(prompts))]
    for name in METHODS:
        expect(callable(getattr(learner, name, None)), f"the learner has no {name}() method")
    _check_description(learner)
    call, twin_call, other_call = (_Caller(one, prompts, num_generations, limits) for one in (learner, twin, other))
    expect(_same(call.train(), twin_call.train()), "two learners with the same seed generated different completions")
    _check_evaluations(call)
    completions = call.train()
    message = "an evaluation changed the training completions after it"
    expect(_same(completions, twin_call.train()), message)
    if "keys" in inspect.signature(learner.generate).parameters:
        _check_keys(call)
        expect(_same(call.train(), twin_call.train()), "a call with keys changed the training completions after it")
    _check_learning(learner, completions)
    _check_saved_state(call, other_call)
    call.check(learner.generate(prompts, num_generations, seed=EVALUATION_SEED), [None] * len(prompts))
    _check_invalid_rewards(call, other_call)


@dataclass(frozen=True, slots=True)
class _Caller:
    """Calls ``generate`` of one learner with fixed arguments, and checks the completions."""

    learner: Learner
    prompts: Sequence[Prompt]
    num_generations: int
    limits: Sequence[int]

    def train(self) -> Completions:
        return self._generate()

    def evaluate(self, *, greedy: bool = False, seed: int | None = EVALUATION_SEED) -> Completions:
        return self._generate(greedy=greedy, seed=seed)

    def with_keys(self, keys: Sequence[int]) -> Completions:
        return self._generate(keys=keys)

    def _generate(self, **options: Any) -> Completions:
        made = self.learner.generate(
            self.prompts, self.num_generations, max_completion_lengths=list(self.limits), **options
        )
        self.check(made, self.limits)
        return made

    def check(self, made: Completions, limits: Sequence[int | None]) -> None:
        groups, size = len(self.prompts), self.num_generations
        expect(isinstance(made, Completions), f"generate() returned {type(made).__name__}, expected Completions")
        expect(len(made.prompt_ids) == groups, f"got {len(made.prompt_ids)} prompt_ids for {groups} prompts")
        rows = {"token_ids": made.token_ids, "texts": made.texts, "log_probs": made.log_probs}
        for name, values in rows.items():
            found = groups * size if values is None else len(values)
            expect(found == groups * size, f"got {found} {name} for {groups} prompts with {size} completions each")
        mask, shape = made.truncated, (groups, size)
        is_mask = isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.shape == shape
        expect(is_mask, f"truncated must be a boolean array of shape {shape}, got {shown(mask)}")
        for row, (ids, text) in enumerate(zip(made.token_ids, made.texts, strict=True)):
            limit, is_truncated = limits[row // size], bool(mask[row // size, row % size])
            _check_completion(row, ids, text, is_truncated, limit)
            if made.log_probs is not None:
                _check_log_probs(row, made.log_probs[row], len(ids))


def _check_completion(row: int, ids: Sequence[int], text: str, is_truncated: bool, limit: int | None) -> None:
    are_ids = len(ids) > 0 and all(isinstance(i, Integral) and i >= 0 for i in ids)
    expect(are_ids, f"token_ids[{row}] must be a non-empty sequence of non-negative integers, got {shown(ids)}")
    expect(isinstance(text, str), f"texts[{row}] must be a str, got {shown(text)}")
    if limit is not None:
        expect(len(ids) <= limit, f"completion {row} has {len(ids)} tokens, but the limit of its prompt is {limit}")
        message = f"completion {row} is truncated at {len(ids)} tokens, but the limit of its prompt is {limit}"
        expect(not is_truncated or len(ids) == limit, message)


def _check_log_probs(row: int, log_probs: Sequence[float], num_tokens: int) -> None:
    expect(len(log_probs) == num_tokens, f"completion {row} has {len(log_probs)} log_probs for {num_tokens} tokens")
    are_valid = all(math.isfinite(value) and value <= 1e-6 for value in log_probs)
    expect(are_valid, f"log_probs[{row}] must be finite and at most 0, got {shown(log_probs)}")


def _same(first: Completions, second: Completions) -> bool:
    parts = [(c.prompt_ids, c.token_ids, c.texts, c.log_probs, c.truncated.tolist()) for c in (first, second)]
    return parts[0] == parts[1]


def _check_description(learner: Learner) -> None:
    try:
        json.dumps(dict(learner.describe()), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"describe() is not JSON: {error}") from error


def _check_evaluations(call: _Caller) -> None:
    for options in (
        {"seed": EVALUATION_SEED},
        {"seed": EVALUATION_SEED, "greedy": True},
        {"seed": None, "greedy": True},
    ):
        made, again = call.evaluate(**options), call.evaluate(**options)
        expect(_same(made, again), f"repeating an evaluation with {options} generated different completions")
        size = call.num_generations
        groups = [made.token_ids[start : start + size] for start in range(0, len(made.token_ids), size)]
        are_equal = all(ids == group[0] for group in groups for ids in group)
        expect("greedy" not in options or are_equal, "greedy completions of the same prompt differ")
    _Caller(call.learner, call.prompts, 1, call.limits).evaluate(greedy=True)


def _check_keys(call: _Caller) -> None:
    keys = [FIRST_KEY - i for i in range(len(call.prompts))]
    made = call.with_keys(keys)
    call.evaluate()
    message = "repeating a call with the same keys generated different completions"
    expect(_same(made, call.with_keys(keys)), message)
    backwards = _Caller(call.learner, call.prompts[::-1], call.num_generations, call.limits[::-1])
    again = backwards.with_keys(keys[::-1]).take(range(len(keys))[::-1])
    message = "completions with the same keys depend on the order of the prompts"
    expect((made.token_ids, made.texts) == (again.token_ids, again.texts), message)


def _rewards(completions: Completions, *values: float) -> NDArray[np.float64]:
    """Returns the values, repeated cyclically, as rewards of shape (groups, num_generations)."""
    return np.resize(np.array(values), completions.truncated.shape).astype(np.float64)


def _check_learning(learner: Learner, completions: Completions) -> None:
    for kind, values in (("different rewards", (3.0, -0.5, -0.5)), ("equal rewards", (0.1,))):
        learned = learner.learn(RewardedCompletions(completions, _rewards(completions, *values)))
        _check_learned(learned, len(completions.prompt_ids), kind)


def _check_learned(learned: Learned, groups: int, kind: str) -> None:
    expect(isinstance(learned, Learned), f"learn() returned {type(learned).__name__}, expected Learned")
    for name, value in learned.metrics.items():
        expect(math.isfinite(value), f"learn() returned a non-finite metric for {kind}: {name!r} is {value}")
    for name, values in learned.by_group.items():
        shape = np.shape(values)
        message = f"learn() returned by_group[{name!r}] of shape {shape} for {kind}, expected {(groups,)}"
        expect(shape == (groups,), message)


def _resume(call: _Caller) -> list[Completions]:
    """Trains for a step, evaluates before and after, and returns all completions, to compare learners."""
    made = [call.train(), call.evaluate(greedy=True)]
    call.learner.learn(RewardedCompletions(made[0], _rewards(made[0], 2.0, -1.0, 0.5)))
    return [*made, call.train(), call.evaluate(), call.evaluate(greedy=True)]


def _all_same(first: list[Completions], second: list[Completions]) -> bool:
    return all(_same(one, other) for one, other in zip(first, second, strict=True))


def _check_saved_state(call: _Caller, other: _Caller) -> None:
    # Without its own training history, ``other`` may still hold the initial values of a field that save() forgets.
    _resume(other)
    with tempfile.TemporaryDirectory() as folder:
        call.learner.save(Path(folder))
        expected = _resume(call)
        other.learner.load(Path(folder))
    expect(_all_same(_resume(other), expected), "restored learner does not resume bit for bit")


def _check_invalid_rewards(call: _Caller, twin: _Caller) -> None:
    """Learns from invalid rewards; ``twin`` starts in the same state and does not see the rewards that raise."""
    # The large rewards come last, because a learner that accepts them may end up with non-finite weights.
    for kind, value in (("non-finite rewards", math.nan), ("very large rewards", 1e308)):
        made, unused = call.train(), twin.train()
        expect(_same(made, unused), "two learners with the same training history generated different completions")
        rewarded = RewardedCompletions(made, _rewards(made, 1.0, -1.0))
        # RewardedCompletions rejects non-finite rewards, so they are written into its array afterwards.
        rewarded.rewards[...] *= value
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                learned = call.learner.learn(rewarded)
            except NonFiniteError:
                message = f"learn() raised NonFiniteError for {kind} but changed the learner"
                expect(_all_same(_resume(call), _resume(twin)), message)
            else:
                _check_learned(learned, len(made.prompt_ids), kind)
                twin.learner.learn(rewarded)
