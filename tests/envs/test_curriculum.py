"""The curriculum as an environment: Gymnasium's contract, what it shows and pays, and a teacher of another library."""

import runpy
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import dumpgym  # noqa: F401  (registers the environment)
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.student import GroupResults
from dumpgym.envs.curriculum import STATISTICS, CurriculumEnv
from dumpgym.envs.students.skills import SkillsStudent
from dumpgym.envs.students.softmax import SoftmaxStudent
from dumpgym.signals.signal import make_signal

KINDS = ("discrete", "simplex")


class Counter:
    """A student of three arms that solves 1 of 4 on the first, 2 on the second, and gains .01 a problem there."""

    arm_names = ("one", "two", "coin")
    counts = np.array([True, True, False])

    def __init__(self, seed=0):
        self.seed = seed
        self.practised = np.zeros(3, dtype=int)

    def practise(self, arms, num_generations):
        self.practised += np.bincount(arms, minlength=3)
        successes = np.array([1, 2, 4])[arms] * num_generations // 4
        return GroupResults(arms, successes, num_generations, 10 * (arms + 1), np.zeros_like(arms))

    def success(self):
        return np.minimum(0.01 * self.practised * self.counts, 1)


def make(**options):
    return CurriculumEnv(**{"student": Counter, "steps": 4, "prompts_per_step": 8, "num_generations": 4} | options)


def rows(observation):
    return dict(zip(STATISTICS, observation[:-1].reshape(len(STATISTICS), -1).tolist(), strict=True))


def play(env, seed, actions):
    """The observations, rewards and arms of an episode."""
    observation, _ = env.reset(seed=seed)
    record = [observation.tolist()]
    for action in actions:
        observation, reward, _, _, information = env.step(action)
        record += [observation.tolist(), reward, information["arms"].tolist()]
    return record


@pytest.mark.parametrize("actions", KINDS)
@pytest.mark.parametrize("student", [None, Counter, SoftmaxStudent((2, 3))], ids=["default", "factory", "object"])
def test_gymnasium_finds_nothing_to_complain_about(actions, student):
    check_env(gym.make("dumpgym/Curriculum-v0", student=student, actions=actions, steps=5).unwrapped)


@pytest.mark.parametrize("actions", KINDS)
def test_an_episode_ends_after_its_last_step_and_is_never_truncated(actions):
    env = make(actions=actions)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(env.action_space.sample())
    for _ in range(2):
        observation, _ = env.reset()
        assert not observation.any()
        for step in range(1, 5):
            observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
            assert (terminated, truncated) == (step == 4, False)
            assert observation[-1] == step / 4
        with pytest.raises(gym.error.ResetNeeded):
            env.step(env.action_space.sample())


@given(st.integers(0, 100), st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=4, max_size=4))
@settings(max_examples=30)
def test_observations_stay_in_their_space_and_rewards_add_up_to_the_progress(seed, actions):
    env = make(
        student=lambda seed: SkillsStudent(2, seeds=seed, nuisance="noisy", learning_rate=5.0),
        actions="simplex",
        signal=lambda results: 3.0 * results.successes - 5,
    )
    observation, start = env.reset(seed=seed)
    assert env.observation_space.contains(observation)
    total = 0.0
    for action in actions:
        observation, reward, _, _, information = env.step(np.array(action))
        assert env.observation_space.contains(observation)
        assert sum(rows(observation)["batch_share"]) == pytest.approx(1)
        assert sum(rows(observation)["total_share"]) == pytest.approx(1)
        total += reward
    assert total == pytest.approx(information["mean_success"] - start["mean_success"])
    assert information["mean_success"] == pytest.approx(information["success"][:2].mean())


def test_the_statistics_are_those_of_the_batches():
    env = make(steps=3, step_size=0.5, signal=lambda results: results.arm - 0.5)
    env.reset(seed=0)
    first, *_ = env.step(2)
    assert rows(first) == {
        "batch_share": [0, 0, 1],
        "batch_success": [0, 0, 1],
        "batch_signal": [0, 0, 1],  # 1.5, clipped
        "mean_success": [0, 0, 1],
        "mean_signal": [0, 0, 1],
        "success_trend": [0, 0, 0],
        "total_share": [0, 0, 1],
    }
    env.student.practise = lambda arms, size: GroupResults(arms, 0 * arms, size, arms, 0 * arms)
    second, *_ = env.step(2)
    assert rows(second)["mean_success"] == [0, 0, 0.5]
    assert rows(second)["success_trend"] == [0, 0, 0.5 - 0.875]  # step sizes 1/2 and 1/8
    third, *_ = env.step(0)
    assert rows(third)["batch_share"] == [1, 0, 0]
    assert rows(third)["batch_signal"] == [-0.5, 0, 0]
    assert rows(third)["mean_success"] == [0, 0, 0.5]  # what was not practised stays
    assert rows(third)["total_share"] == pytest.approx([1 / 3, 0, 2 / 3])


def test_progress_is_paid_for_the_arms_that_count():
    env = make()
    env.reset(seed=0)
    assert [env.step(arm)[1] for arm in (0, 2, 1)] == pytest.approx([0.04, 0, 0.04])  # 8 problems of .01, two arms


@pytest.mark.parametrize("name", ["mean_absolute_advantage", "success_variance"])
def test_the_signal_is_paid_as_the_bandits_have_it(name):
    signal = None if name == "mean_absolute_advantage" else make_signal(name, (3,))
    env = make(reward="signal", signal=signal)
    env.reset(seed=0)
    p = np.array([1 / 4, 1 / 2, 1])
    expected = 2 * np.sqrt(p * (1 - p) * 3 / 4) if signal is None else p * (1 - p)
    assert [env.step(arm)[1] for arm in (0, 1, 2)] == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_signal_with_a_memory_starts_anew_in_every_episode():
    class Counting:
        calls = 0

        def __call__(self, results):
            self.calls += 1
            return np.full(len(results.arm), float(self.calls))

    env = make(reward="signal", signal=Counting())
    for _ in range(2):
        env.reset()
        assert [env.step(0)[1] for _ in range(3)] == [1, 2, 3]


def test_a_discrete_action_is_the_arm_of_the_whole_batch():
    env = make()
    env.reset(seed=0)
    *_, information = env.step(np.int64(1))
    assert information["arms"].tolist() == [1] * 8
    assert information["tokens"] == 8 * 20


def test_weights_become_quotas_that_are_settled_over_batches():
    env = make(actions="simplex", steps=6)
    env.reset(seed=0)
    total = np.zeros(3, dtype=int)
    for _ in range(6):
        *_, information = env.step(np.array([0.1, 0.1, 0.1], dtype=np.float32))
        counts = np.bincount(information["arms"], minlength=3)
        assert counts.min() >= 2
        total += counts
    assert total.tolist() == [16, 16, 16]
    env.reset(seed=0)
    *_, information = env.step(np.zeros(3))  # no weights are equal weights
    assert sorted(np.bincount(information["arms"], minlength=3)) == [2, 3, 3]
    *_, information = env.step(np.array([0, 1, 0]))
    assert np.bincount(information["arms"], minlength=3)[1] >= 7  # the batch before owes nobody a whole slot


def test_independent_slots_are_drawn_by_the_weights():
    """Of 8,000 slots a share is off by 0.05 with a chance below 1e-16 (Hoeffding)."""
    env = make(actions="simplex", draw="independent", prompts_per_step=8000)
    env.reset(seed=0)
    *_, information = env.step(np.array([0.1, 0.3, 0]))
    shares = np.bincount(information["arms"], minlength=3) / 8000
    assert shares == pytest.approx([0.25, 0.75, 0], abs=0.05)
    assert len(set(information["arms"][:20].tolist())) == 2


def test_the_seed_of_an_episode_decides_what_is_drawn():
    env = make(actions="simplex", draw="independent")
    drawn = [play(env, seed, [np.ones(3)] * 4)[3::3] for seed in (5, 6, 5)]
    assert drawn[0] != drawn[1]
    assert drawn[0] == drawn[2]
    assert drawn[0][0] != drawn[0][1]


@pytest.mark.parametrize(("actions", "batch"), [("discrete", 0), ("simplex", np.array([0.3, 0.3, 0.4]))])
def test_a_seed_reproduces_the_episode_and_those_that_follow(actions, batch):
    def student(seed):
        return SkillsStudent(3, seeds=seed)

    first, second = make(student=student, actions=actions), make(student=student, actions=actions)
    assert play(first, 5, [batch] * 4) == play(second, 5, [batch] * 4)
    assert play(first, None, [batch] * 4) == play(second, None, [batch] * 4)
    assert play(first, 5, [batch] * 4) != play(first, 6, [batch] * 4)
    assert play(first, 5, [batch] * 4) == play(second, 5, [batch] * 4)


def test_a_factory_is_called_with_the_seed():
    env = make()
    env.reset(seed=7)
    assert env.student.seed == 7
    env.reset()
    assert env.student.seed not in (0, 7)


def test_an_object_that_can_be_restored_starts_every_episode_as_it_was_given():
    student = SkillsStudent(3, seeds=1)
    student.practise(np.array([0, 1, 2]), 8)
    given = student.success()
    env = make(student=student)
    for _ in range(2):
        _, information = env.reset()
        assert information["success"].tolist() == given.tolist()
        for _ in range(4):
            *_, information = env.step(0)
        assert information["success"].tolist() != given.tolist()


def test_an_object_that_cannot_be_restored_has_one_episode():
    env = make(student=Counter())
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(InvalidValueError, match=r"^student is .*; accepted: for a second episode, a Stateful student"):
        env.reset()


@pytest.mark.parametrize(
    "options",
    [
        {"actions": "box"},
        {"reward": "success"},
        {"steps": 0},
        {"prompts_per_step": 0},
        {"num_generations": 1},
        {"draw": "even"},
        {"step_size": 0},
        {"render_mode": "human"},
        {"student": 3},
        {"student": SkillsStudent(3, seeds=[0, 1])},
    ],
)
def test_arguments_out_of_range_are_refused(options):
    (name,) = options
    with pytest.raises(InvalidValueError, match=f"^{name} is .*; accepted: "):
        make(**options)


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        ("discrete", 3),
        ("discrete", -1),
        ("discrete", 0.5),
        ("simplex", [0.5, 0.5]),
        ("simplex", [-0.1, 0.5, 0.5]),
        ("simplex", [2, 0, 0]),
        ("simplex", [np.nan, 0.5, 0.5]),
    ],
)
def test_an_action_outside_its_space_is_refused_and_nothing_is_practised(actions, action):
    env = make(actions=actions)
    env.reset(seed=0)
    with pytest.raises(InvalidValueError, match=r"^action is .*; accepted: "):
        env.step(action)
    assert not env.student.practised.any()


def test_a_signal_that_is_not_one_number_a_group_is_refused():
    for signal in (lambda results: np.zeros(2), lambda results: np.full(len(results.arm), np.nan)):
        env = make(signal=signal)
        env.reset(seed=0)
        with pytest.raises(InvalidValueError, match=r"^signal is .* accepted: 8 finite numbers"):
            env.step(0)


def test_options_of_a_reset_are_refused():
    with pytest.raises(InvalidValueError, match=r"^options is .*; accepted: none"):
        make().reset(options={"index": 1})


@pytest.fixture
def one_thread():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_a_teacher_of_stable_baselines3_learns_to_beat_uniform():
    """On 20 seeds set aside; a final success of .86 under uniform, and .95 where no practice is wasted."""
    pytest.importorskip("stable_baselines3")
    experiment = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "curriculum_teacher" / "run.py"))
    task, seeds = experiment["Task"](num_arms=3, steps=40), range(20)
    teacher = experiment["train_teacher"](task, "simplex", 9_600, seed=0)
    taught, shares = experiment["final_success"](task, "simplex", teacher, seeds, greedy=True)
    uniform = experiment["control_success"](task, "uniform", seeds)
    assert taught.mean() > uniform.mean() + 0.04
    assert (taught > uniform).all()
    assert shares[:3].sum() > 0.85
