"""Environments by specification, the names of arms, and what an arm's learner is given."""

import gymnasium as gym
import pytest

import dumpgym
from dumpgym.contracts.arms import expand_arms, make_arms, make_env
from dumpgym.contracts.errors import DumpgymError, InvalidValueError, UnknownNameError
from dumpgym.contracts.puzzle_env import plain_text
from dumpgym.reporting.figures.one_run import training_figure
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import RunDirectory
from dumpgym.testing.fakes import FakeLearner
from dumpgym.training.evaluation import evaluate
from dumpgym.training.loop import Trainer


class Adding(dumpgym.PuzzleEnv):
    """Sums, asked for in chat messages; ``words`` appears in the prompt."""

    def __init__(self, *, words="one/two", size=1, split="train", render_mode=None):
        super().__init__(split=split, render_mode=render_mode)
        if size == "broken":
            raise TypeError("a bug inside")
        if size == 0:
            raise InvalidValueError("size", size, "at least 1")
        self.words, self.size = words, size

    def sample_problem(self, seed, split, index):
        number = 2 * index + (split == "test")
        messages = ({"role": "system", "content": self.words}, {"role": "user", "content": f"{number} + {self.size}?"})
        answer = {"number": number + self.size}
        return dumpgym.Problem(plain_text(messages), answer, str(answer["number"]), (seed, split, index), messages)

    def verify(self, problem, completion):
        right = completion == str(problem.solution["number"])
        return dumpgym.Verdict("correct" if right else "wrong", {"answer": float(right)}, right)


class Calculator(FakeLearner):
    """Adds what the user's message says, rightly in half of its completions."""

    def answer(self, prompt):
        return str(sum(map(int, prompt.splitlines()[-1].rstrip("?").split(" + "))))

    def chance(self, prompt, k):
        return k % 2 == 0


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    gym.register("mine/Adding-v0", entry_point=Adding)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"words": "one/two", "size": 1}),
        ("?size=3", {"words": "one/two", "size": 3}),
        ("?words=saint/sinner&size=3", {"words": "saint/sinner", "size": 3}),
        ("?words=a%26b=c", {"words": "a&b=c"}),
        ("?words='3'", {"words": "3"}),
        ("?words=", {"words": ""}),
        ("?words=(1, 'x')&size=-2.5", {"words": (1, "x"), "size": -2.5}),
        ("?words=None&size=True", {"words": None, "size": True}),
        ("?words={[]: 1}", {"words": "{[]: 1}"}),
    ],
)
def test_a_specification_is_an_id_with_arguments(query, expected):
    env = make_env(f"mine/Adding-v0{query}")
    assert {name: getattr(env, name) for name in expected} == expected


def test_the_module_that_registers_an_environment_can_stand_in_front(tmp_path, monkeypatch):
    (tmp_path / "adding_for_a_test.py").write_text(
        "import gymnasium, dumpgym\n"
        "class Puzzle(dumpgym.PuzzleEnv):\n"
        "    def __init__(self, *, size=1, **options):\n"
        "        super().__init__(**options)\n"
        "        self.size = size\n"
        "gymnasium.register('theirs/Puzzle-v0', entry_point='adding_for_a_test:Puzzle')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (arm,) = make_arms(["adding_for_a_test:theirs/Puzzle-v0?size=7"])
    assert (arm.name, arm.env.size) == ("Puzzle?size=7", 7)
    with pytest.raises(UnknownNameError, match=r"'sise'; did you mean 'size'\? accepted: size$"):
        make_env("theirs/Puzzle-v0?sise=7")


ID = "the id of a registered puzzle environment"
FORM = r"an id, then \?name=value&name=value, each name once"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mine/Ading-v0", f"environment is 'mine/Ading-v0'; accepted: {ID} .*did you mean 'mine/Adding-v0'"),
        ("dumpgym/KnightKnaves3-v0?size=3", f"{ID} .*did you mean 'dumpgym/KnightsKnaves3-v0'"),
        ("KnightsKnaves3-v0", "did you mean 'dumpgym/KnightsKnaves3-v0'"),
        ("dumpgym/KnightsKnaves3", "did you mean 'dumpgym/KnightsKnaves"),
        ("", f"environment is ''; accepted: {ID}"),
        ("?size=3", f"environment is ''; accepted: {ID}"),
        ("no_such_module:mine/Adding-v0", "No module named 'no_such_module'"),
        ("./adding.py:mine/Adding-v0", "'./adding.py' is no name of a module"),
        (":mine/Adding-v0", "'' is no name of a module"),
        ("CartPole-v1", "accepted: an environment that is a dumpgym.PuzzleEnv"),
        ("mine/Adding-v0?", FORM),
        ("mine/Adding-v0?size", FORM),
        ("mine/Adding-v0?=3", FORM),
        ("mine/Adding-v0?size=3&", FORM),
        ("mine/Adding-v0?size=3&size=4", FORM),
        ("mine/Adding-v0?siz=3", "unknown argument of mine/Adding-v0 'siz'; did you mean 'size'"),
        ("mine/Adding-v0?max_episode_steps=3", "accepted: words, size, render_mode"),
        (
            "mine/Adding-v0?split=test",
            "split cannot be chosen in 'mine/Adding-v0.split=test': training draws from train",
        ),
        ("mine/Adding-v0?size=0", "size is 0; accepted: at least 1"),
    ],
)
def test_what_is_no_environment_is_named_in_one_line(spec, message):
    with pytest.raises(DumpgymError, match=message) as caught:
        make_env(spec)
    assert "\n" not in str(caught.value)


def test_an_error_inside_an_environment_is_not_taken_for_an_unknown_argument():
    with pytest.raises(TypeError, match="a bug inside"):
        make_env("mine/Adding-v0?size=broken")


def test_arms_of_different_options_have_different_names():
    specs = ["mine/Adding-v0", "mine/Adding-v0?size=2", "mine/Adding-v0?words=saint/sinner"]
    assert [arm.name for arm in make_arms(specs)] == ["Adding", "Adding?size=2", "Adding?words=saint|sinner"]
    with pytest.raises(InvalidValueError, match="arms with different names"):
        make_arms(["mine/Adding-v0?size=2"] * 2)


def test_arms_may_have_limits_of_their_own():
    specs = ["mine/Adding-v0", "mine/Adding-v0?size=2"]
    assert [arm.max_completion_length for arm in make_arms(specs)] == [None, None]
    assert [arm.max_completion_length for arm in make_arms(specs, (5, 700))] == [5, 700]
    with pytest.raises(
        DumpgymError, match=r"^max_completion_lengths has 3 numbers and there are 2 arms; accepted: one"
    ):
        make_arms(specs, (5, 6, 7))


def test_messages_and_prompt_must_be_the_same_words():
    with pytest.raises(InvalidValueError, match="prompt is 'Who'; accepted: the contents of the messages"):
        dumpgym.Problem("Who", {}, "", (0, "train", 0), ({"role": "user", "content": "What"},))


def test_evaluation_gives_the_learner_the_messages():
    learner = Calculator()
    result = evaluate(learner, make_arms(["mine/Adding-v0?size=4"]), 3, seed=0, greedy=True)
    assert result.successes == {"Adding?size=4": [True, True, True]}
    assert [answer.completion for answer in result.completions["Adding?size=4"]] == ["5", "7", "9"]
    (call,) = learner.calls
    assert call.prompts[0] == ({"role": "system", "content": "one/two"}, {"role": "user", "content": "1 + 4?"})


def test_a_run_on_arms_with_options_reports_each_by_its_name(tmp_path):
    config = TrainConfig(
        output=tmp_path / "run", steps=2, prompts_per_step=4, num_generations=2, evaluation_problems=2,
        final_evaluation_problems=2, arms=("mine/Adding-v0?words=saint/sinner", "mine/Adding-v0?words=hero/villain"),
    )  # fmt: skip
    learner = Calculator()
    summary = Trainer(config, learner=learner).run()
    names = ["Adding?words=saint|sinner", "Adding?words=hero|villain"]
    assert list(summary["arms"]) == names
    last = RunDirectory(config.output).read("metrics.jsonl")[-1]
    assert all(f"arms/{name}/share" in last for name in names)
    legend = [text.get_text() for text in training_figure(config.output).axes[1].get_legend().get_texts()]
    assert legend == [*names, "mean over arms"]
    words = {prompt[0]["content"] for call in learner.calls for prompt in call.prompts}
    assert words == {"saint/sinner", "hero/villain"}


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        (["dumpgym/Copy-v0?length=2..4"], [f"dumpgym/Copy-v0?length={k}" for k in (2, 3, 4)]),
        (["a?x=9..9&y=1"], ["a?x=9&y=1"]),
        (["a?x=1..2&y=0..1", "b"], ["a?x=1&y=0", "a?x=1&y=1", "a?x=2&y=0", "a?x=2&y=1", "b"]),
        (["a?x=1...2", "b..3", "c?x=.1..2"], ["a?x=1...2", "b..3", "c?x=.1..2"]),
    ],
)
def test_a_range_of_an_argument_is_one_arm_for_each_number(specs, expected):
    assert list(expand_arms(specs)) == expected
    assert expand_arms(expand_arms(specs)) == expand_arms(specs)


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(InvalidValueError, match=r"arm is 'a\?x=5\.\.3'; accepted: .* 3\.\.5"):
        expand_arms(["a?x=5..3"])


@pytest.mark.parametrize("spec", ["a?x=0..1000000000000", "a?x=1..1000&y=1..1000"])
def test_ranges_of_too_many_arms_are_refused_at_once(spec):
    with pytest.raises(
        InvalidValueError, match="number of arms is 'more than 100000'; accepted: ranges with fewer num"
    ):
        expand_arms([spec])


def test_a_configuration_has_one_arm_for_each_number_of_a_range():
    config = TrainConfig(arms=("dumpgym/Copy-v0?length=2..4",), nuisance_arms=("dumpgym/Copy-v0?length=3..4",))
    assert config.arms == tuple(f"dumpgym/Copy-v0?length={k}" for k in (2, 3, 4))
    assert [arm.is_nuisance for arm in make_arms(config.arms, nuisance=config.nuisance_arms)] == [False, True, True]


@pytest.mark.parametrize(
    ("nuisance", "message"),
    [
        (
            ["dumpgym/Copy-v0?length=9"],
            r"nuisance arm is 'dumpgym/Copy-v0\?length=9'; accepted: one of the arms dumpgym/C",
        ),
        (
            ["dumpgym/Copy-v0?length=2..3"],
            "nuisance arms is .*; accepted: some of the arms, so that others can be eval",
        ),
    ],
)
def test_nuisance_arms_are_some_of_the_arms(nuisance, message):
    with pytest.raises(InvalidValueError, match=message):
        make_arms(["dumpgym/Copy-v0?length=2..3"], nuisance=nuisance)
