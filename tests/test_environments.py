"""What a user of the Gymnasium side touches: ids, spaces, addresses, splits, vectors."""

import warnings

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import dumpgym
from dumpgym.arms import make_arms
from dumpgym.envs.knights_knaves import KnightsKnavesEnv
from dumpgym.errors import InvalidValueError

IDS = ["dumpgym/KnightsKnaves-v0", *(f"dumpgym/KnightsKnaves{n}-v0" for n in range(2, 15))]


@pytest.mark.parametrize("env_id", IDS)
def test_every_id_passes_gymnasiums_checker(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(env_id).unwrapped)


@pytest.mark.parametrize("env_id", IDS)
def test_the_reference_completion_earns_the_top_reward_and_a_flipped_role_does_not(env_id):
    env = gym.make(env_id)
    for index in range(5):
        env.reset(seed=3, options={"split": "test", "index": index})
        problem = env.unwrapped.problem
        _, reward, terminated, truncated, info = env.step(problem.reference_completion)
        assert (reward, terminated, truncated, info["is_success"]) == (3.0, True, False, True)
        for name, role in problem.answer.items():
            other = "knave" if role == "knight" else "knight"
            wrong = problem.reference_completion.replace(f"{name} is a {role}", f"{name} is a {other}")
            assert wrong != problem.reference_completion
            env.reset(seed=3, options={"split": "test", "index": index})
            _, reward, _, _, info = env.step(wrong)
            assert (reward, info["outcome"], info["is_success"]) == (-0.5, "wrong", False)


def test_the_stream_goes_on_where_no_seed_is_given_and_starts_anew_where_one_is():
    env = gym.make("dumpgym/KnightsKnaves4-v0")
    first = [env.reset(seed=5)[0], env.reset()[0], env.reset()[0]]
    assert len(set(first)) == 3
    assert [env.reset(seed=5)[0], env.reset()[0], env.reset()[0]] == first
    assert env.reset(seed=5, options={"index": 2})[0] == first[2]
    assert env.reset(seed=6)[0] != first[0]


def test_an_address_names_one_problem():
    env = KnightsKnavesEnv(num_people=5)
    assert env.sample_problem(1, "test", 9) == env.sample_problem(1, "test", 9)
    neighbours = [(1, "train", 9), (1, "test", 8), (2, "test", 9)]
    assert all(env.sample_problem(*a).prompt != env.sample_problem(1, "test", 9).prompt for a in neighbours)


def test_a_problem_is_the_same_on_every_machine():
    problem = KnightsKnavesEnv(num_people=3).sample_problem(0, "train", 0)
    assert problem.prompt == (
        "A very special island is inhabited only by knights and knaves. Knights always tell the truth, and knaves "
        "always lie. You meet 3 inhabitants: Charlotte, Noah, and Evelyn. "
        '"Evelyn is a knave if and only if Evelyn is a knight" - Charlotte. Noah said that Charlotte is a knight if '
        'and only if Charlotte is a knave. "Noah is a knight," Evelyn declared. '
        "So who is a knight and who is a knave?\n"
        "Reason between <think> and </think>. Then, between <answer> and </answer>, state the role of every "
        'inhabitant, as in "NAME is a knight".\n'
    )
    assert problem.answer == {"Charlotte": "knave", "Noah": "knave", "Evelyn": "knave"}


def test_environments_run_as_a_vector():
    envs = gym.make_vec(
        "dumpgym/KnightsKnaves2-v0", num_envs=3, vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}
    )
    prompts, _ = envs.reset(seed=0)
    assert len(set(prompts)) == 3
    completions = tuple(env.unwrapped.problem.reference_completion for env in envs.envs)
    next_prompts, rewards, terminated, truncated, _ = envs.step(completions)
    assert rewards.tolist() == [3.0, 3.0, 3.0]
    assert terminated.all()
    assert not truncated.any()
    assert not set(next_prompts) & set(prompts)
    envs.close()


def test_ansi_rendering_shows_the_prompt():
    env = gym.make("dumpgym/KnightsKnaves3-v0", render_mode="ansi")
    prompt, _ = env.reset(seed=0)
    assert env.render() == prompt


def test_step_needs_reset():
    with pytest.raises(gym.error.ResetNeeded):
        KnightsKnavesEnv().step("")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KnightsKnavesEnv(num_people=1), "num_people is 1; accepted: a whole number at least 2 and at most 16"),
        (lambda: KnightsKnavesEnv(num_people=17), "num_people is 17"),
        (lambda: KnightsKnavesEnv(num_people="3"), "num_people is '3'"),
        (lambda: KnightsKnavesEnv(split="validation"), "split is 'validation'; accepted: one of train, test"),
        (lambda: KnightsKnavesEnv(render_mode="human"), "render_mode is 'human'"),
        (
            lambda: KnightsKnavesEnv().reset(options={"indx": 1}),
            r"options is \['indx'\]; accepted: 'split' and 'index'",
        ),
        (lambda: KnightsKnavesEnv().reset(options={"index": -1}), "index is -1"),
        (lambda: KnightsKnavesEnv().sample_problem(-1, "train", 0), "seed is -1"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(InvalidValueError, match=message):
        make()


class Doubling(dumpgym.PuzzleEnv):
    """A user's own distribution."""

    def sample_problem(self, seed, split, index):
        return dumpgym.Problem(f"Double {index}.\n", {"number": 2 * index}, str(2 * index), (seed, split, index))

    def verify(self, problem, completion):
        right = completion == str(problem.answer["number"])
        return dumpgym.Verdict("correct" if right else "wrong", {"answer": float(right)}, right)


def test_a_users_own_environment_needs_two_methods_and_gymnasiums_registry(monkeypatch):
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    gym.register("mine/Doubling-v0", entry_point=Doubling)
    check_env(gym.make("mine/Doubling-v0").unwrapped)
    (arm,) = make_arms(["mine/Doubling-v0"])
    assert arm.name == "Doubling"
    arm.env.reset(options={"index": 21})
    assert arm.env.step("42")[1] == 1.0
    assert arm.env.step("41")[1] == 0.0


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["dumpgym/KnightsKnave3-v0"], "environment is 'dumpgym/KnightsKnave3-v0'; accepted: .* did you mean"),
        (["no_such_module:mine/Puzzle-v0"], "environment is 'no_such_module:mine/Puzzle-v0'"),
        (["CartPole-v1"], "environment is 'CartPole-v1'; accepted: an environment that is a dumpgym.PuzzleEnv"),
        (["dumpgym/KnightsKnaves3-v0"] * 2, "accepted: arms with different names"),
    ],
)
def test_arms_that_cannot_be_made_are_named(ids, message):
    with pytest.raises(InvalidValueError, match=message):
        make_arms(ids)
