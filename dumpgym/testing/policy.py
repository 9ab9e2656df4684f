"""The contract check of bandit policies, and a factory of feedback for tests."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.policy import BanditPolicy
from dumpgym.contracts.success import NeedsSuccess
from dumpgym.testing.expectation import expect

MakePolicy = Callable[..., BanditPolicy]

NUM_ARMS = 4
STEPS = (0, 1, 2, 5, 3, 4, 4, 7)  # late and out of order, as in asynchronous training


def make_feedback(
    arm: ArrayLike,
    signal: ArrayLike,
    *,
    step: int = 0,
    num_generations: ArrayLike = 8,
    successes: ArrayLike | None = None,
) -> Feedback:
    """Returns feedback with the given arms, signals and successes, and placeholders in the other fields.

    Args:
        arm: arm of each group, shape (..., groups).
        signal: signal of each group, shape (..., groups).
        step: training step of the feedback.
        num_generations: completions in each group; one number for all groups, or an array of shape (..., groups).
        successes: successful completions in each group, shape (..., groups); None for half of them.

    Returns:
        Feedback whose arrays are copies of the arguments.
    """
    arms = np.array(arm, dtype=np.int64)
    sizes = np.broadcast_to(np.array(num_generations, dtype=np.int64), arms.shape).copy()
    signals = np.array(signal, dtype=np.float64)
    solved = sizes // 2 if successes is None else np.array(successes, dtype=np.int64)
    return Feedback(step, arms, signals, solved, sizes, 100 * sizes, np.zeros_like(arms))


def tell_success(policy: BanditPolicy, success: ArrayLike) -> None:
    """Tells a policy the success on every arm, shape (..., num_arms), if it needs it; see ``NeedsSuccess``."""
    if isinstance(policy, NeedsSuccess):
        policy.tell_success(np.array(success, dtype=np.float64))


def check_policy(make: MakePolicy, *, symmetric: bool | None = None, vectorised: bool = False) -> None:
    """Checks that a policy follows the contract of ``BanditPolicy``.

    - Probabilities: they are finite, sum to 1 and respect floor and cap. ``select_arms`` draws arms with these
      probabilities, and the same seed draws the same arms.
    - State: ``state_dict()`` is JSON, and a policy that is restored from it resumes bit for bit.
    - Invalid input: ``update`` rejects unknown arms and non-finite signals, ``load_state_dict`` rejects the state of a
      different policy; both raise ``InvalidValueError`` and leave the policy unchanged.
    - Aliasing: the policy shares no arrays with its caller.
    - Success: a policy that needs the success on every arm is told it before every batch, see ``NeedsSuccess``.
    - Symmetry and lockstep: see ``symmetric`` and ``vectorised``.

    Args:
        make: called as ``make(num_arms, seed)``, returns a new policy; it is called with 1, 4 and 5 arms.
        symmetric: whether the policy must treat its arms alike, so that permuting them permutes the probabilities;
            None to read it from
            the attributes ``symmetric`` and ``draws_in_update`` of the policy.
        vectorised: whether the policy must also serve many runs in lockstep; ``make`` is called as
            ``make(num_arms, seed, num_runs=R)`` then.

    Raises:
        AssertionError: if an invariant does not hold; the message names it.
    """
    for num_arms in (1, NUM_ARMS):
        _check_draws(make, num_arms)
    _check_seed(make)
    _check_saved_state(make)
    _check_rejected_feedback(make)
    _check_rejected_state(make)
    _check_aliasing(make)
    if symmetric is None:
        symmetric = make(NUM_ARMS, 0).symmetric and not make(NUM_ARMS, 0).draws_in_update
    if symmetric:
        _check_symmetry(make)
    if vectorised:
        _check_lockstep(make)


def _state(policy: BanditPolicy) -> str:
    try:
        return json.dumps(policy.state_dict(), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"state_dict() is not JSON: {error}") from error


def _random_feedback(
    rng: np.random.Generator, num_arms: int, step: int, num_generations: int | None = None
) -> Feedback:
    arm = rng.integers(num_arms, size=16)
    size = int(rng.integers(1, 33)) if num_generations is None else num_generations
    successes = rng.binomial(size, (arm + 1) / (num_arms + 1))
    return make_feedback(
        arm, rng.random(16) * (arm + 1) / num_arms, step=step, num_generations=size, successes=successes
    )


def _play(policy: BanditPolicy, rng: np.random.Generator, steps: Iterable[int] = STEPS) -> list[NDArray[Any]]:
    """Runs one batch per step and returns the probabilities and arms of each, to compare runs."""
    record: list[NDArray[Any]] = []
    successes = np.random.default_rng(11)
    for step in steps:
        tell_success(policy, successes.random(policy.num_arms))
        record += [policy.probabilities(), policy.select_arms(16)]
        policy.update(_random_feedback(rng, policy.num_arms, step))
    return record


def _same(first: list[NDArray[Any]], second: list[NDArray[Any]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def _check_probabilities(policy: BanditPolicy) -> None:
    p = policy.probabilities()
    expect(p.shape == (policy.num_arms,), f"probabilities() has shape {p.shape}, expected ({policy.num_arms},)")
    expect(bool(np.isfinite(p).all()), f"probabilities() are not all finite: {p}")
    expect(abs(p.sum() - 1) < 1e-9, f"probabilities() sum to {p.sum()}, not 1: {p}")
    expect(
        bool((p >= np.maximum(policy.floor - 1e-12, 0)).all()),
        f"probabilities() {p} fall below the floor {policy.floor}",
    )
    expect(bool((p <= policy.cap + 1e-12).all()), f"probabilities() {p} exceed the cap {policy.cap}")


def _check_draws(make: MakePolicy, num_arms: int) -> None:
    """With 20,000 draws, an arm's share deviates by 0.03 with a probability below 1e-15 (Hoeffding)."""
    policy, rng = make(num_arms, 0), np.random.default_rng(0)
    for steps in ([], [0], STEPS[1:]):
        _play(policy, rng, steps)
        _check_probabilities(policy)
        p = policy.probabilities()
        for size in (1, 20_000):
            arms = policy.select_arms(size)
            expect(arms.shape == (size,), f"select_arms({size}) has shape {arms.shape}, expected ({size},)")
            expect(arms.dtype == np.int64, f"select_arms() has dtype {arms.dtype}, expected int64")
            expect(
                bool(((arms >= 0) & (arms < num_arms)).all()),
                f"select_arms({size}) drew an arm outside [0, {num_arms})",
            )
        share = np.bincount(arms, minlength=num_arms) / arms.size
        expect(float(np.abs(share - p).max()) < 0.03, f"select_arms() drew shares {share}, but probabilities() are {p}")


def _check_seed(make: MakePolicy) -> None:
    first, second = (_play(make(NUM_ARMS, 7), np.random.default_rng(1)) for _ in range(2))
    expect(_same(first, second), "two policies with the same seed draw different arms")


def _check_saved_state(make: MakePolicy) -> None:
    policy = make(NUM_ARMS, 3)
    _play(policy, np.random.default_rng(2))
    state, saved = policy.state_dict(), _state(policy)
    expected = _play(policy, np.random.default_rng(3))
    expect(json.dumps(state) == saved, "the dictionary from state_dict() changes when the policy is updated")
    restored = make(NUM_ARMS, 4)
    restored.load_state_dict(json.loads(saved))
    expect(_same(_play(restored, np.random.default_rng(3)), expected), "restored policy does not resume bit for bit")
    expect(_state(restored) == _state(policy), "restored policy does not reach the same state as the original")


def _check_rejected_feedback(make: MakePolicy) -> None:
    policy = make(NUM_ARMS, 0)
    _play(policy, np.random.default_rng(5))
    before = _state(policy)
    bad = [([0, arm], [0.5, signal]) for arm, signal in ((NUM_ARMS, 0.5), (-1, 0.5), (0, np.nan), (0, np.inf))]
    for arms, signals in ([], []), *bad:
        what = f"feedback with arms {arms} of {NUM_ARMS} and signals {signals}"
        try:
            policy.update(make_feedback(arms, signals))
        except InvalidValueError:
            expect(_state(policy) == before, f"update() rejected {what} but changed the policy")
        else:
            raise AssertionError(f"update() accepted {what}")


def _check_rejected_state(make: MakePolicy) -> None:
    policy = make(NUM_ARMS, 0)
    _play(policy, np.random.default_rng(8))
    before = _state(policy)
    for what, state in (
        (f"{NUM_ARMS + 1} arms", make(NUM_ARMS + 1, 0).state_dict()),
        ("another policy", {**policy.state_dict(), "type": "another policy"}),
    ):
        try:
            policy.load_state_dict(state)
        except InvalidValueError:
            expect(_state(policy) == before, f"load_state_dict() rejected a state of {what} but changed the policy")
        else:
            raise AssertionError(f"load_state_dict() accepted a state of {what}")


def _check_aliasing(make: MakePolicy) -> None:
    policy, success = make(NUM_ARMS, 0), np.linspace(0, 1, NUM_ARMS)
    feedback = _random_feedback(np.random.default_rng(6), NUM_ARMS, 0)
    if isinstance(policy, NeedsSuccess):
        policy.tell_success(success)
    policy.update(feedback)
    before, probabilities = _state(policy), policy.probabilities()
    for values in (
        success,
        feedback.arm,
        feedback.signal,
        feedback.successes,
        feedback.num_generations,
        feedback.tokens,
    ):
        values.fill(1)
    policy.probabilities().fill(0.5)
    unchanged = _state(policy) == before and np.array_equal(policy.probabilities(), probabilities)
    expect(unchanged, "policy shares arrays with its caller")


def _check_symmetry(make: MakePolicy) -> None:
    first, second, new_index = make(NUM_ARMS, 0), make(NUM_ARMS, 0), np.array([2, 0, 3, 1])
    rng, successes = np.random.default_rng(7), np.random.default_rng(11)
    for step in STEPS:
        success = successes.random(NUM_ARMS)
        tell_success(first, success)
        tell_success(second, success[np.argsort(new_index)])
        feedback = _random_feedback(rng, NUM_ARMS, step)
        first.update(feedback)
        second.update(dataclasses.replace(feedback, arm=new_index[feedback.arm]))
        p, q = first.probabilities(), second.probabilities()[new_index]
        expect(
            bool(np.allclose(p, q, rtol=0, atol=1e-9)),
            f"permuting the arms does not permute the probabilities: {p} != {q}",
        )


def _check_lockstep(make: MakePolicy) -> None:
    """Two runs in lockstep must have the probabilities of two single policies that receive the same feedback."""
    both, single = make(NUM_ARMS, 0, num_runs=2), [make(NUM_ARMS, 0), make(NUM_ARMS, 0)]
    stochastic, rng, successes = both.draws_in_update, np.random.default_rng(9), np.random.default_rng(11)
    for step in STEPS:
        success = successes.random((2, NUM_ARMS))
        tell_success(both, success)
        for policy, row in zip(single, success, strict=True):
            tell_success(policy, row)
        feedbacks = [_random_feedback(rng, NUM_ARMS, step, num_generations=8) for _ in single]
        p = np.stack([policy.probabilities() for policy in single])
        same = stochastic or np.allclose(both.probabilities(), p, rtol=0, atol=1e-9)
        expect(same, f"runs in lockstep have the probabilities {both.probabilities()}, single runs have {p}")
        arms = both.select_arms(16)
        expect(arms.shape == (2, 16), f"select_arms(16) of 2 runs has shape {arms.shape}, expected (2, 16)")
        for policy, feedback in zip(single, feedbacks, strict=True):
            policy.update(feedback)
        rows = [[getattr(feedback, name) for feedback in feedbacks] for name in ("arm", "signal", "successes")]
        both.update(make_feedback(rows[0], rows[1], step=step, successes=rows[2]))
    restored = make(NUM_ARMS, 1, num_runs=2)
    restored.load_state_dict(json.loads(_state(both)))
    same = np.array_equal(restored.select_arms(64), both.select_arms(64))
    expect(same, "restored runs in lockstep do not resume bit for bit")
