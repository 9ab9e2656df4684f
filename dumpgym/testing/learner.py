"""The contract test of learners: run it on a learner of your own as we run it on ours.

The loop trusts a learner in three things that no figure shows: that an evaluation does not change the training after
it, that what ``save`` wrote goes on bit for bit, and that a number that is not finite is found before a weight changes.
"""

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
"""What a learner is given unless the author of the check has other prompts: plain text and chat messages."""

METHODS = ("generate", "learn", "save", "load", "describe")
SEED = 7
OWN_SEED = 11  # of evaluations


def check_learner(
    make: MakeLearner,
    *,
    prompts: Sequence[Prompt] = PROMPTS,
    num_generations: int = 4,
    max_completion_length: int = 6,
) -> None:
    """Checks that a learner keeps the contract of ``Learner``.

    - Shapes: of P prompts and G completions to each there are P ``prompt_ids``, P * G ``token_ids`` and ``texts``,
      group after group, and ``truncated`` of shape (P, G); log-probabilities, if any, are as long as the token ids and
      at most 0. No completion is longer than its prompt's limit, and those that are cut off are as long as it.
    - Streams: two learners of one seed give the same completions. An evaluation, that is a call with ``seed=`` or with
      ``greedy=True``, gives the same when it is repeated, and training goes on as if it had not happened. The greedy
      completions of a group are all the same.
    - Learning: different and equal rewards are accepted, and the metrics are finite. Where rewards are too large or
      not finite, ``learn`` either raises ``NonFiniteError``, and nothing has changed, or returns finite metrics.
    - State: what ``save`` wrote lets another learner, of another seed and with a training of its own, go on bit for
      bit. ``describe()`` is JSON.

    Times are not compared, nor are the metrics of two learners, which may contain times.

    Args:
        make: called as ``make(seed)``, returns a new learner; it is called three times. A learner with a model should
            have a small one.
        prompts: what is completed, at least 2; each as plain text or as chat messages.
        num_generations: G, at least 2.
        max_completion_length: limit of the first prompt, in tokens, at least 2; the others have smaller ones. One call
            has no limits, so that the learner's own one holds.

    Raises:
        AssertionError: if an invariant fails, with the invariant as its message.
    """
    learner, twin, other = make(SEED), make(SEED), make(SEED + 1)
    limits = [max_completion_length - i % max_completion_length for i in range(len(prompts))]
    for name in METHODS:
        expect(callable(getattr(learner, name, None)), f"the learner has no method {name}()")
    _check_description(learner)
    call, twin_call, other_call = (_Caller(one, prompts, num_generations, limits) for one in (learner, twin, other))
    expect(_same(call.train(), twin_call.train()), "two learners of the same seed give different completions")
    _check_evaluations(call)
    completions = call.train()
    message = "an evaluation changes the training after it: without it the next completions are other ones"
    expect(_same(completions, twin_call.train()), message)
    _check_learning(learner, completions)
    _check_saved_state(call, other_call)
    call.check(learner.generate(prompts, num_generations, seed=OWN_SEED), [None] * len(prompts))
    _check_refusals(call, other_call)


@dataclass(frozen=True, slots=True)
class _Caller:
    """A learner with the arguments of its calls; what it returns is checked."""

    learner: Learner
    prompts: Sequence[Prompt]
    num_generations: int
    limits: Sequence[int]

    def train(self) -> Completions:
        return self._generate()

    def evaluate(self, *, greedy: bool = False, seed: int | None = OWN_SEED) -> Completions:
        return self._generate(greedy=greedy, seed=seed)

    def _generate(self, **options: Any) -> Completions:
        made = self.learner.generate(
            self.prompts, self.num_generations, max_completion_lengths=list(self.limits), **options
        )
        self.check(made, self.limits)
        return made

    def check(self, made: Completions, limits: Sequence[int | None]) -> None:
        groups, size = len(self.prompts), self.num_generations
        expect(isinstance(made, Completions), f"generate() returns {type(made).__name__}, not Completions")
        expect(len(made.prompt_ids) == groups, f"there are {len(made.prompt_ids)} prompt_ids of {groups} prompts")
        rows = {"token_ids": made.token_ids, "texts": made.texts, "log_probs": made.log_probs}
        for name, values in rows.items():
            found = groups * size if values is None else len(values)
            expect(found == groups * size, f"there are {found} {name} of {groups} prompts with {size} completions each")
        mask, shape = made.truncated, (groups, size)
        is_mask = isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.shape == shape
        expect(is_mask, f"truncated is no boolean array of shape {shape}: {shown(mask)}")
        for row, (ids, text) in enumerate(zip(made.token_ids, made.texts, strict=True)):
            limit, is_cut = limits[row // size], bool(mask[row // size, row % size])
            _check_completion(row, ids, text, is_cut, limit)
            if made.log_probs is not None:
                _check_log_probs(row, made.log_probs[row], len(ids))


def _check_completion(row: int, ids: Sequence[int], text: str, is_cut: bool, limit: int | None) -> None:
    are_ids = len(ids) > 0 and all(isinstance(i, Integral) and i >= 0 for i in ids)
    expect(are_ids, f"the token ids of completion {row} are not at least one whole number: {shown(ids)}")
    expect(isinstance(text, str), f"text {row} is no str: {shown(text)}")
    if limit is not None:
        expect(len(ids) <= limit, f"completion {row} has {len(ids)} tokens, the limit of its prompt is {limit}")
        early = f"completion {row} is cut off at {len(ids)} tokens, the limit of its prompt is {limit}"
        expect(not is_cut or len(ids) == limit, early)


def _check_log_probs(row: int, log_probs: Sequence[float], num_tokens: int) -> None:
    expect(len(log_probs) == num_tokens, f"completion {row} has {len(log_probs)} log_probs of {num_tokens} tokens")
    are_some = all(math.isfinite(value) and value <= 1e-6 for value in log_probs)
    expect(are_some, f"the log_probs of completion {row} are not finite and at most 0: {shown(log_probs)}")


def _same(first: Completions, second: Completions) -> bool:
    parts = [(c.prompt_ids, c.token_ids, c.texts, c.log_probs, c.truncated.tolist()) for c in (first, second)]
    return parts[0] == parts[1]


def _check_description(learner: Learner) -> None:
    try:
        json.dumps(dict(learner.describe()), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"describe() is not JSON: {error}") from error


def _check_evaluations(call: _Caller) -> None:
    for options in ({"seed": OWN_SEED}, {"seed": OWN_SEED, "greedy": True}, {"seed": None, "greedy": True}):
        made, again = call.evaluate(**options), call.evaluate(**options)
        expect(_same(made, again), f"an evaluation with {options} gives other completions when it is repeated")
        size = call.num_generations
        groups = [made.token_ids[start : start + size] for start in range(0, len(made.token_ids), size)]
        alike = all(ids == group[0] for group in groups for ids in group)
        expect("greedy" not in options or alike, "the greedy completions of one prompt differ")
    one = call.learner.generate(call.prompts, 1, greedy=True, seed=OWN_SEED, max_completion_lengths=list(call.limits))
    _Caller(call.learner, call.prompts, 1, call.limits).check(one, call.limits)


def _rewards(completions: Completions, *values: float) -> NDArray[np.float64]:
    """The values in turn, (groups, num_generations)."""
    return np.resize(np.array(values), completions.truncated.shape).astype(np.float64)


def _check_learning(learner: Learner, completions: Completions) -> None:
    for what, values in (("different", (3.0, -0.5, -0.5)), ("equal", (0.1,))):
        learned = learner.learn(RewardedCompletions(completions, _rewards(completions, *values)))
        _check_learned(learned, len(completions.prompt_ids), f"from {what} rewards")


def _check_learned(learned: Learned, groups: int, whence: str) -> None:
    expect(isinstance(learned, Learned), f"learn() returns {type(learned).__name__}, not Learned")
    for name, value in learned.metrics.items():
        expect(math.isfinite(value), f"metric {name!r} of learning {whence} is not finite: {value}")
    for name, values in learned.by_group.items():
        shape = np.shape(values)
        expect(shape == (groups,), f"by_group[{name!r}] of learning {whence} has shape {shape}, not {(groups,)}")


def _go_on(call: _Caller) -> list[Completions]:
    """Trains for a step and evaluates; returns what was completed, to compare learners."""
    made = [call.train(), call.evaluate(greedy=True)]
    call.learner.learn(RewardedCompletions(made[0], _rewards(made[0], 2.0, -1.0, 0.5)))
    return [*made, call.train(), call.evaluate(), call.evaluate(greedy=True)]


def _go_on_alike(first: list[Completions], second: list[Completions]) -> bool:
    return all(_same(one, other) for one, other in zip(first, second, strict=True))


def _check_saved_state(call: _Caller, other: _Caller) -> None:
    _go_on(other)  # so that a state that is not restored, but was never changed, is found too
    with tempfile.TemporaryDirectory() as folder:
        call.learner.save(Path(folder))
        expected = _go_on(call)
        other.learner.load(Path(folder))
    expect(_go_on_alike(_go_on(other), expected), "a restored learner does not go on bit for bit")


def _check_refusals(call: _Caller, twin: _Caller) -> None:
    """``twin`` is in the same state, and is not given what is refused."""
    # The large ones come last: they may leave a learner that accepts them with weights that are not finite.
    for what, value in (("are not finite", math.nan), ("are too large", 1e308)):
        made, unused = call.train(), twin.train()
        expect(_same(made, unused), "two learners that were taught the same give different completions")
        rewarded = RewardedCompletions(made, _rewards(made, 1.0, -1.0))
        # Multiplied afterwards, as no RewardedCompletions can be made of numbers that are not finite.
        rewarded.rewards[...] *= value
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                learned = call.learner.learn(rewarded)
            except NonFiniteError:
                message = f"learn() raises NonFiniteError for rewards that {what}, and yet something has changed"
                expect(_go_on_alike(_go_on(call), _go_on(twin)), message)
            else:
                _check_learned(learned, len(made.prompt_ids), f"from rewards that {what}")
                twin.learner.learn(rewarded)
