"""What a user of the Gymnasium side touches: ids, spaces, addresses, splits, vectors."""

import warnings
from functools import partial

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import dumpgym
from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.knights_knaves.env import KnightsKnavesEnv
from dumpgym.testing import check_puzzle_env

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
        for name, role in problem.solution.items():
            other = "knave" if role == "knight" else "knight"
            wrong = problem.reference_completion.replace(f"{name} is a {role}", f"{name} is a {other}")
            assert wrong != problem.reference_completion
            env.reset(seed=3, options={"split": "test", "index": index})
            _, reward, _, _, info = env.step(wrong)
            assert (reward, info["outcome"], info["is_success"]) == (-0.5, "wrong", False)


def test_the_stream_resumes_where_no_seed_is_given_and_starts_anew_where_one_is():
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
        "always lie. You meet 3 inhabitants: Aurora, Henry, and Chloe. "
        '"Chloe is a knight or Henry is a knight," Aurora declared. Henry told you that Aurora is a knave and Aurora '
        'is a knight. Chloe was heard saying, "If Aurora is a knight then Chloe is a knight". '
        "So who is a knight and who is a knave?\n"
        "Reason between <think> and </think>. Then, between <answer> and </answer>, state the role of every "
        'inhabitant, as in "NAME is a knight".\n'
    )
    assert problem.solution == {"Aurora": "knight", "Henry": "knave", "Chloe": "knight"}


def test_a_vector_shows_one_stream_and_resets_within_the_step():
    envs = gym.make_vec("dumpgym/KnightsKnaves2-v0", num_envs=3, role_words="saint/sinner")
    assert envs.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    single = KnightsKnavesEnv(num_people=2, role_words="saint/sinner")
    expected = [single.sample_problem(0, "train", index) for index in range(300)]
    prompts, infos = envs.reset(seed=0)
    assert infos["address"].tolist() == [(0, "train", 0), (0, "train", 1), (0, "train", 2)]
    for step in range(99):  # the stream's first block ends on the way
        assert prompts == tuple(problem.prompt for problem in expected[3 * step : 3 * step + 3])
        answered = prompts
        right = expected[3 * step].reference_completion
        wrong = right.replace("saint", "x").replace("sinner", "saint").replace("x", "sinner")
        prompts, rewards, terminated, truncated, infos = envs.step((right, wrong, ""))
        assert rewards[0] == 3.0
        assert rewards[2] == -3.0
        assert terminated.all()
        assert not truncated.any()
        assert infos["final_obs"].tolist() == list(answered)
        assert infos["final_info"]["outcome"][[0, 2]].tolist() == ["correct", "bad_format"]
        assert infos["final_info"]["is_success"].tolist() == (rewards == 3.0).tolist()
        assert infos["final_info"]["reward_terms"]["format"].tolist()[::2] == [1.0, -1.0]
    assert envs.reset(seed=0)[0] == tuple(problem.prompt for problem in expected[:3])
    assert envs.reset()[0] == tuple(problem.prompt for problem in expected[3:6])
    tests, infos = envs.reset(options={"split": "test", "index": 7})
    assert infos["address"][0] == (0, "test", 7)
    assert envs.observation_space.contains(tests)
    envs.close()


def test_a_vector_steps_as_gymnasiums_own_does():
    """The same fields of the same kinds; the streams differ, as Gymnasium gives each environment a seed of its own."""
    same_step = {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}}
    ours, theirs = (gym.make_vec("dumpgym/KnightsKnaves3-v0", num_envs=2, **kwargs) for kwargs in ({}, same_step))
    stepped = []
    for envs in (ours, theirs):
        envs.reset(seed=4)
        stepped.append(envs.step(("", "<think></think><answer></answer>")))
    for mine, other in zip(*(step[1:4] for step in stepped), strict=True):
        assert mine.dtype == other.dtype
        assert mine.tolist() == other.tolist()
    mine, other = (step[4] for step in stepped)
    assert set(mine) == set(other)
    assert as_lists(mine["final_info"]) == as_lists(other["final_info"])


@pytest.mark.parametrize("arguments", [{}, {"puzzles": "dump"}, {"change": "leaf"}])
def test_reset_gives_the_same_information_in_every_form(arguments):
    """One environment, Gymnasium's vector of environments, and our own vector environment."""
    env = gym.make("dumpgym/KnightsKnaves3-v0", **arguments)
    _, info = env.reset(seed=4)
    ours, theirs = (
        gym.make_vec("dumpgym/KnightsKnaves3-v0", num_envs=2, **arguments, **kwargs).reset(seed=4)[1]
        for kwargs in ({}, {"vectorization_mode": "sync"})
    )
    assert set(ours) == set(theirs) == set(info) | {f"_{name}" for name in info}
    for name, value in info.items():
        assert ours[name].dtype == theirs[name].dtype
        assert ours[name][0] == theirs[name][0] == value


def test_an_asynchronous_vector_shows_prompts_without_shared_memory_and_refuses_it_otherwise():
    make = partial(gym.make_vec, "dumpgym/KnightsKnaves2-v0", num_envs=1, vectorization_mode="async")
    with pytest.raises(ValueError, match="shared_memory=False"):
        make()
    envs = make(vector_kwargs={"shared_memory": False})
    try:
        prompts, infos = envs.reset(seed=4)
    finally:
        envs.close()
    expected = gym.make("dumpgym/KnightsKnaves2-v0").reset(seed=4)
    assert (prompts[0], infos["lookahead"][0]) == (expected[0], expected[1]["lookahead"])


def as_lists(infos):
    return {key: as_lists(entry) if isinstance(entry, dict) else entry.tolist() for key, entry in infos.items()}


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda envs: envs.step(("", "")), gym.error.ResetNeeded, "reset"),
        (lambda envs: (envs.reset(), envs.step(("",))), InvalidValueError, "number of completions is 1; accepted: 2"),
        (lambda envs: envs.reset(options={"indx": 1}), InvalidValueError, "accepted: 'split' and 'index'"),
        (lambda envs: envs.reset(seed=-1), Exception, "-1"),
    ],
)
def test_a_vector_refuses_what_it_cannot_do(act, error, message):
    with pytest.raises(error, match=message):
        act(gym.make_vec("dumpgym/KnightsKnaves2-v0", num_envs=2))


VARIANTS = [
    {"num_people": 60},
    {"depth": 4},
    {"num_people": 5, "width": 9},
    {"lookahead": 1},
    {"num_people": 9, "max_conflicts": 1},
    {"change": "statement"},
    {"puzzles": "dump"},
    {"role_words": "knave/knight", "names": "uncommon", "reorder": True, "prompt": "dump", "reward": "answer-only"},
]


@pytest.mark.parametrize("arguments", VARIANTS, ids=str)
def test_every_variant_passes_gymnasiums_checker_and_its_oracle_scores_full_marks(arguments):
    env = gym.make("dumpgym/KnightsKnaves-v0", **arguments).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)
    for index in range(20):
        _, info = env.reset(seed=1, options={"index": index})
        problem = env.problem
        assert env.step(problem.reference_completion)[4]["outcome"] == "correct"
        for name, role in list(problem.solution.items())[:3]:
            other = next(word for word in env.settings.words if word != role)
            flipped = problem.reference_completion.replace(f" {name} is a", f" {name} is not a")
            assert flipped != problem.reference_completion
            assert env.step(flipped)[4]["outcome"] == "wrong"
            assert env.verify(problem, env.completion_of(f"{name} is the {other}")).outcome == "unparseable"
        assert isinstance(info["lookahead"], int)


@pytest.mark.parametrize("max_conflicts", [None, 0])
def test_the_same_address_is_the_same_puzzle_in_all_words(max_conflicts):
    make = partial(KnightsKnavesEnv, num_people=4, max_conflicts=max_conflicts)
    plain = make().sample_puzzle(0, "test", 3)
    for arguments in ({"role_words": "sage/fool"}, {"names": "uncommon"}, {"reorder": True}, {"prompt": "dump"}):
        assert make(**arguments).sample_puzzle(0, "test", 3) == plain


def test_a_changed_puzzle_tells_of_its_original():
    env = KnightsKnavesEnv(num_people=4, change="leaf")
    _, info = env.reset(seed=0)
    assert info["original_quiz"] != env.problem.prompt
    assert info["original_solution"] != [role == "knight" for role in env.problem.solution.values()]
    assert info["original_statements"].startswith("((")


def test_the_papers_prompt_is_two_messages():
    problem = KnightsKnavesEnv(prompt="dump", role_words="angel/devil").sample_problem(0, "train", 0)
    assert [message["role"] for message in problem.messages] == ["system", "user"]
    assert "<answer> (1) Zoey is an angel" in problem.messages[0]["content"]
    assert problem.prompt.endswith("So who is an angel and who is a devil?\n")


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
        (
            lambda: KnightsKnavesEnv(num_people=1),
            "num_people is 1; accepted: a whole number at least 2 and at most 100",
        ),
        (lambda: KnightsKnavesEnv(num_people=101), "num_people is 101"),
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
        number = 2 * index + (split == "test")
        return dumpgym.Problem(f"Double {number}.\n", {"number": 2 * number}, str(2 * number), (seed, split, index))

    def verify(self, problem, completion):
        right = isinstance(completion, str) and completion == str(problem.solution["number"])
        return dumpgym.Verdict("correct" if right else "wrong", {"answer": float(right)}, right)


def test_a_users_own_environment_needs_two_methods_and_gymnasiums_registry(monkeypatch):
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    gym.register("mine/Doubling-v0", entry_point=Doubling)
    check_env(gym.make("mine/Doubling-v0").unwrapped)
    check_puzzle_env(Doubling)
    (arm,) = make_arms(["mine/Doubling-v0"])
    assert arm.name == "Doubling"
    arm.env.reset(options={"index": 21})
    assert arm.env.step("84")[1] == 1.0
    assert arm.env.step("83")[1] == 0.0


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
