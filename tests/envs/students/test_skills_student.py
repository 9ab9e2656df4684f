"""The simulated student: paired by seed, calibrated to what was published, and no fool of a single arm."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.envs.students.addresses import address_of_runs, uniform_at
from dumpgym.envs.students.skills import NUISANCES, SkillsStudent

FOLDER = Path(__file__).parents[3] / "experiments" / "student_calibration"
CALIBRATION = runpy.run_path(str(FOLDER / "run.py"))
STEPS, GROUP = CALIBRATION["STEPS"], CALIBRATION["GROUP"]
uniform_path, velocity = CALIBRATION["uniform_path"], CALIBRATION["velocity"]


def random_batches(rng, num_arms, steps=6, groups=5):
    return [rng.integers(num_arms, size=groups) for _ in range(steps)]


def test_random_numbers_by_address_are_uniform_and_know_their_address():
    u = uniform_at(np.arange(200)[:, None], 3, np.arange(500))
    assert kstest(u.ravel(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(u[:-1].ravel(), u[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(u[:, :-1].ravel(), u[:, 1:].ravel())[0, 1]) < 0.02
    assert u[7, 11] == uniform_at(7, 3, 11)
    assert len({float(uniform_at(*address)) for address in ((1, 2), (2, 1), (0, 1, 2), (1, 2, 0))}) == 4


def test_one_seed_is_one_run_and_several_have_an_axis_of_their_own():
    assert address_of_runs(7).shape == ()
    assert address_of_runs(range(3)).tolist() == [[0], [1], [2]]
    assert SkillsStudent(2, seeds=7).success().shape == (2,)
    assert SkillsStudent(2, seeds=[7]).success().shape == (1, 2)


def test_learning_velocity_is_the_published_one():
    found = velocity(uniform_path({}), CALIBRATION["PASS_RATES"])
    assert found.argmax() in (4, 5)  # the peak is near .45
    assert found[4] > 0.98
    assert 0.28 < found[0] < 0.40  # a third of the peak at .05
    assert 0.60 < found[2] < 0.72  # two thirds at .25
    assert (np.diff(found[:5]) > 0).all()
    assert (np.diff(found[5:]) < 0).all()


def test_a_one_skill_logistic_student_is_slow_where_language_models_are_not():
    """Without spread, transfer, prerequisites and forgetting the velocity at .05 is .04 to .10 of the peak's."""
    path = uniform_path(CALIBRATION["ONE_SKILL"], steps=400)
    slow, fast = velocity(path, np.array([0.05, 0.5]), 0.02)
    assert 0.04 < slow < 0.10
    assert fast == 1


def test_uniform_practice_ends_where_the_published_run_did():
    final, published = uniform_path({})[-1], CALIBRATION["UNIFORM"]
    assert np.sqrt(((final - published) ** 2).mean()) < 0.06
    assert final.mean() == pytest.approx(published.mean(), abs=0.02)


def test_practising_any_arm_alone_loses_against_uniform():
    assert CALIBRATION["alone"]({}).max() < uniform_path({})[-1].mean() - 0.05


def test_the_published_results_of_the_calibration_are_those_of_the_defaults():
    kept = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
    found, _ = CALIBRATION["check"]({}, seeds=2)
    np.testing.assert_allclose(list(kept["velocity"].values()), list(found["velocity"].values()), atol=0.002)
    assert kept["one_arm_alone"] == pytest.approx(found["one_arm_alone"], abs=0.002)
    for policy in ("uniform", "dump"):
        assert kept["mean_final"][policy] == pytest.approx(found["mean_final"][policy], abs=0.02)


def test_large_batches_follow_the_expected_path():
    student, shares = SkillsStudent(5, seeds=range(4)), np.array([0.1, 0.2, 0.3, 0.4, 0.0])
    arms = np.repeat(np.arange(5), (2000 * shares).astype(int))
    for _ in range(20):
        student.practise(np.tile(arms, (4, 1)), GROUP)
    expected = student.expected_path(np.tile(shares, (20, 1)), GROUP)[-1]
    np.testing.assert_allclose(student.success(), np.tile(expected, (4, 1)), atol=0.01)


def test_successes_are_binomial_over_the_problems_of_an_arm():
    student = SkillsStudent(1, seeds=range(200), spread=0, offset=0.4, learning_rate=1e-9)
    p = student.success()[0, 0]
    found = student.practise(np.zeros((200, 50), dtype=np.int64), 8).successes.ravel()
    assert p == pytest.approx(1 / (1 + np.exp(0.4)))
    expected = binom.pmf(np.arange(9), 8, p)
    np.testing.assert_allclose(np.bincount(found, minlength=9) / found.size, expected, atol=0.025)  # 5 standard errors


@settings(max_examples=20)
@given(seeds=st.lists(st.integers(0, 50), min_size=1, max_size=4, unique=True), noise=st.integers(0, 9))
def test_a_run_in_lockstep_is_the_run_alone(seeds, noise):
    together = SkillsStudent(seeds=seeds, nuisance=NUISANCES)
    alone = [SkillsStudent(seeds=seed, nuisance=NUISANCES) for seed in seeds]
    for arms in random_batches(np.random.default_rng(noise), 18):
        results = together.practise(np.tile(arms, (len(seeds), 1)), 8)
        for i, student in enumerate(alone):
            np.testing.assert_array_equal(student.practise(arms, 8).successes, results.successes[i])
            np.testing.assert_array_equal(student.skills, together.skills[i])  # to the last bit


def test_an_arms_problems_are_the_same_whatever_is_practised_between_them():
    """With no learning to speak of, arm 1's i-th problem has the same outcome in any order of the arms."""
    first, second = (SkillsStudent(3, seeds=5, learning_rate=1e-12) for _ in range(2))
    a = first.practise(np.array([1, 1, 1, 1]), 16).successes
    b = second.practise(np.array([0, 1, 2, 1]), 16).successes[[1, 3]]
    c = second.practise(np.array([1, 2, 1]), 16).successes[[0, 2]]
    assert a.tolist() == [*b, *c]


@given(easier=st.floats(0, 3), seed=st.integers(0, 99))
def test_more_skill_never_has_fewer_successes(easier, seed):
    arms = np.arange(3).repeat(5)
    hard = SkillsStudent(3, seeds=seed, offset=1.0).practise(arms, 8).successes
    easy = SkillsStudent(3, seeds=seed, offset=1.0 - easier).practise(arms, 8).successes
    assert (easy >= hard).all()


def test_harder_arms_take_more_tokens():
    student = SkillsStudent(3, tokens="100,500", nuisance="noisy")
    assert student.practise(np.arange(4), 2).tokens.tolist() == [200, 600, 1000, 600]


def test_a_restored_student_resumes_bit_for_bit():
    student = SkillsStudent(4, seeds=[1, 2], nuisance="noisy")
    rng = np.random.default_rng(0)
    for arms in random_batches(rng, 5):
        student.practise(np.tile(arms, (2, 1)), 8)
    restored = SkillsStudent(4, seeds=[1, 2], nuisance="noisy")
    restored.load_state_dict(json.loads(json.dumps(student.state_dict())))
    for arms in random_batches(rng, 5):
        both = [s.practise(np.tile(arms, (2, 1)), 8).successes for s in (student, restored)]
        np.testing.assert_array_equal(*both)
    assert restored.state_dict() == student.state_dict()


def practised(nuisance, steps=60):
    """A student who practises the nuisance arm alone, and its success on it."""
    student = SkillsStudent(4, nuisance=nuisance, seeds=3)
    before, found = student.success(), []
    for _ in range(steps):
        found.append(student.practise(np.full(16, 4), 8).successes.mean() / 8)
    return student, before, np.array(found)


def test_nuisance_arms_do_what_their_names_say():
    for name, level in (("too-hard", 0), ("wrong-format", 0), ("mastered", 1), ("noisy", 0.5)):
        student, before, found = practised(name)
        np.testing.assert_array_equal(student.success(), before)  # nothing is learned
        assert found.mean() == pytest.approx(level, abs=0.06 if name == "noisy" else 0)
        assert student.arm_names == ("level1", "level2", "level3", "level4", name)
        assert student.counts.tolist() == [True] * 4 + [False]
    student, before, found = practised("spurious")
    assert before[4] < 0.2
    assert found[10:].mean() > 0.9
    np.testing.assert_array_equal(student.success()[:4], before[:4])
    student, before, _ = practised("duplicate")
    assert student.success()[4] == student.success()[2] > before[2]


def test_uniform_practice_learns_the_trick_of_a_spurious_arm_long_before_the_arms_that_count():
    student = SkillsStudent(nuisance="spurious,noisy")
    path = student.expected_path(np.full((50, 14), 1 / 14), GROUP)
    assert path[-1, 12] > 0.8 > path[-1, :12].max()


def test_what_is_not_practised_is_forgotten_and_what_is_practised_transfers():
    student = SkillsStudent(4, seeds=1)
    start = student.success()
    for _ in range(30):
        student.practise(np.zeros(64, dtype=np.int64), 16)
    learned = student.success()
    assert (learned > start).all()  # also the arms that were not practised
    assert learned[0] - start[0] == (learned - start).max()
    for _ in range(200):
        student.practise(np.full(64, 3), 16)
    assert student.success()[0] < learned[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_arms": 0}, "num_arms is 0; accepted: a whole number at least 1"),
        ({"nuisance": "nosy"}, "unknown nuisance arm 'nosy'; did you mean 'noisy'"),
        ({"nuisance": "noisy*0"}, "number of nuisance arms is 0; accepted: a whole number at least 1 and at most"),
        (
            {"nuisance": "noisy*two"},
            r"nuisance is 'noisy\*two'; accepted: a name, or a name and a number such as 'noisy\*28'",
        ),
        ({"nuisance": "noisy,noisy*2"}, r"nuisance is \['noisy', 'noisy\*2'\]; accepted: every name once"),
        ({"nuisance": "noisy,noisy"}, r"nuisance is \['noisy', 'noisy'\]; accepted: every name once"),
        ({"own_share": 1.5}, "own_share is 1.5"),
        ({"learning_rate": 0}, "learning_rate is 0; accepted: a finite number above 0"),
        ({"forgetting": -0.1}, "forgetting is -0.1"),
        ({"transfer_length": 0}, "transfer_length is 0"),
        ({"seeds": [1, -2]}, "seed is -2"),
        ({"seeds": []}, r"seeds is \[\]"),
        ({"tokens": (0, 5)}, "number 1 of tokens is 0"),
        ({"tokens": (5,)}, r"tokens is \(5,\); accepted: 2 numbers"),
    ],
)
def test_an_option_out_of_range_is_named(options, message):
    with pytest.raises(DumpgymError, match=message):
        SkillsStudent(**{"num_arms": 3, **options})


@pytest.mark.parametrize("shape", [(12,), (5, 11), (5, 12, 1)])
def test_shares_of_other_arms_are_refused(shape):
    with pytest.raises(InvalidValueError, match=r"shape of shares is .*; accepted: \(..., steps, 12\)"):
        SkillsStudent().expected_path(np.ones(shape), GROUP)


@pytest.mark.parametrize(
    ("arms", "num_generations", "message"),
    [
        ([0, 3], 8, "arm is 3; accepted: 0 to 2"),
        ([-1], 8, "arm is -1"),
        ([], 8, "shape of arms is"),
        ([[0]], 8, "shape of arms is"),
        ([0], 1, "num_generations is 1"),
    ],
)
def test_a_batch_that_cannot_be_practised_is_refused(arms, num_generations, message):
    student = SkillsStudent(3)
    with pytest.raises(InvalidValueError, match=message):
        student.practise(np.array(arms, dtype=np.int64), num_generations)
    assert student.drawn.sum() == 0


def test_a_nuisance_arm_may_be_there_many_times():
    student = SkillsStudent(2, nuisance="too-hard*10,noisy")
    assert student.arm_names == ("level1", "level2", *(f"too-hard{i:02}" for i in range(1, 11)), "noisy")
    assert student.counts.sum() == 2
    assert student.success()[2:].tolist() == [0.0] * 10 + [0.5]
