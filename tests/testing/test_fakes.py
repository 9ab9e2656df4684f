"""The public fakes: their verdicts and completions, the calls they record, and a training run with them."""

import gymnasium as gym
import numpy as np
import pytest

from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.learner import RewardedCompletions
from dumpgym.runs.config import TrainConfig
from dumpgym.testing import FakeLearner, FakePuzzleEnv, reference_completions
from dumpgym.training.loop import Trainer

DOUBLING = "dumpgym.testing.fakes:fakes/Doubling-v0"


@pytest.mark.parametrize(
    ("completion", "outcome", "reward"),
    [("84", "correct", 1), (" 84\n", "correct", 1), ("42", "wrong", 0), ("eighty-four", "unparseable", -1)],
)
def test_the_fake_environment_asks_for_the_double(completion, outcome, reward):
    env = gym.make(DOUBLING)
    assert env.reset(options={"index": 21})[0] == "What is the double of 42?"
    _, found, _, _, info = env.step(completion)
    assert (info["outcome"], found) == (outcome, reward)


def test_the_fake_environment_can_be_finite_and_have_a_system_message():
    env = FakePuzzleEnv(num_problems=3, chat=True)
    assert [message["role"] for message in env.sample_problem(0, "test", 2).messages] == ["system", "user"]
    with pytest.raises(InvalidValueError, match="index is 3; accepted: a whole number at least 0 and at most 2"):
        env.sample_problem(0, "test", 3)
    assert list(reference_completions(env, num_problems=9).values()) == ["0", "4", "8", "2", "6", "10"]


def test_the_success_rate_is_the_skill_and_grows_with_every_batch():
    """With 4000 completions, the success rate deviates by 0.05 with a probability below 1e-8 (Hoeffding)."""
    learner = FakeLearner({"2 + 2?": "4"}, skill=0.3, gain=0.4, best=0.6)
    for chance in (0.3, 0.6, 0.6):
        made = learner.generate(["2 + 2?"], 4000)
        assert np.mean([text == "4" for text in made.texts]) == pytest.approx(chance, abs=0.05)
        learner.learn(RewardedCompletions(made, np.zeros((1, 4000))))
    assert len(learner.lessons) == 3


def test_a_completion_with_a_key_has_the_luck_of_the_key_and_of_its_number():
    learner = FakeLearner({"a": "1", "b": "2"}, skill=0.5)
    made = learner.generate(["a", "b"], 40, keys=[3, 4])
    again = learner.generate(["b", "a", "b"], 30, keys=[3, 3, 4])
    right = [np.array(texts) != learner.wrong for texts in (made.texts[:40], made.texts[40:])]
    found = np.array(again.texts).reshape(3, 30) != learner.wrong
    assert found.tolist() == [right[0][:30].tolist(), right[0][:30].tolist(), right[1][:30].tolist()]
    assert right[0].tolist() != right[1].tolist()
    assert learner.calls[0].keys == [3, 4]


def test_a_completion_is_truncated_at_the_limit_and_ends_with_a_token():
    learner = FakeLearner({"a": "12345", "b": "12345"}, skill=1, best=1, token_length=2)
    made = learner.generate(["a", "b"], 1, max_completion_lengths=[3, 2])
    assert made.texts == ("12345", "1234")
    assert made.num_tokens.tolist() == [[3], [2]]
    assert made.truncated.tolist() == [[False], [True]]
    assert made.token_ids[0][:2] == made.token_ids[1]


def test_the_learner_records_its_calls():
    learner = FakeLearner({"a": "1", "Say\nb": "2"})
    chat = ({"role": "system", "content": "Say"}, {"role": "user", "content": "b"})
    learner.generate(["a", chat], 3, max_completion_lengths=[9, 8])
    learner.generate(["a"], 1, seed=5)
    learner.generate(["a"], 1, greedy=True)
    assert [call.trains for call in learner.calls] == [True, False, False]
    assert learner.calls[0].prompts == ["a", chat]
    assert learner.calls[0].max_completion_lengths == [9, 8]
    assert learner.calls[1].seed == 5
    with pytest.raises(InvalidValueError, match="prompt is 'c'; accepted: one of the 2 prompts in answers"):
        FakeLearner(learner.answers, skill=1).generate(["c"], 1)


def test_the_state_of_another_class_is_rejected(tmp_path):
    class Other(FakeLearner):
        pass

    FakeLearner().save(tmp_path)
    with pytest.raises(InvalidValueError, match="type of the state is 'FakeLearner'; accepted: 'Other'"):
        Other().load(tmp_path)


def test_the_fakes_suffice_for_a_training_run(tmp_path):
    few = {"steps": 8, "prompts_per_step": 4, "evaluation_problems": 4, "final_evaluation_problems": 30}
    config = TrainConfig(output=tmp_path / "run", arms=(DOUBLING, f"{DOUBLING}?chat=True"), **few)
    learner = FakeLearner(reference_completions(*(arm.env for arm in make_arms(config.arms))), gain=0.1)
    summary = Trainer(config, learner=learner).run()
    assert summary["success_after"] > summary["success_before"]
    assert summary["generated_tokens"] == sum(
        int(call.completions.num_tokens.sum()) for call in learner.calls if call.trains
    )
