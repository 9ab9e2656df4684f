"""``check_learner`` passes on the built-in learners and names the broken invariant of others."""

import dataclasses

import numpy as np
import pytest

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.contracts.errors import NonFiniteError
from dumpgym.contracts.learner import Learned
from dumpgym.testing import FakeLearner, FakePuzzleEnv, check_learner, reference_completions
from tests.fakes.improver import Improver

ENV = FakePuzzleEnv(chat=True)
PROBLEMS = [ENV.sample_problem(0, "train", index) for index in range(3)]
PROMPTS = [problem.prompt if index == 0 else problem.learner_prompt for index, problem in enumerate(PROBLEMS)]
ANSWERS = reference_completions(ENV)


def check(learner, **options):
    """Runs ``check_learner`` on a class of fake learners."""
    check_learner(lambda seed: learner(ANSWERS, seed=seed, wrong="I do not know", **options), prompts=PROMPTS)


@pytest.mark.parametrize("options", [{}, {"lora_rank": 2, "beta": 0.1, "learning_rate": 1e-3}])
def test_the_grpo_agent_keeps_the_contract(options):
    config = GRPOConfig(device="cpu", max_completion_length=8, **options)
    check_learner(lambda seed: GRPOAgent(config, seed=seed))


@pytest.mark.parametrize("options", [{}, {"token_length": 3}, {"seconds": 2.5}])
def test_the_fake_learner_keeps_the_contract(options):
    check(FakeLearner, **options)


def test_a_learner_may_leave_out_keys():
    check(WithoutKeys)


def test_the_improver_keeps_the_contract():
    arms = ["dumpgym/KnightsKnaves2-v0", "dumpgym/KnightsKnaves3-v0"]
    prompts = list(Improver(arms, 0, 3).answers)
    check_learner(lambda seed: Improver(arms, 0, 3), prompts=prompts)


def with_completions(**changes):
    """Returns a learner whose completions differ from the fake's; each change is a function of the completions."""

    class Changed(FakeLearner):
        def generate(self, *arguments, **options):
            made = super().generate(*arguments, **options)
            return dataclasses.replace(made, **{name: change(made) for name, change in changes.items()})

    return Changed


def log_probs(value):
    return with_completions(log_probs=lambda made: tuple((value,) * len(ids) for ids in made.token_ids))


def interleaved(values, groups):
    """Reorders the completions: the first of every group, then the second of every group, and so on."""
    size = len(values) // groups
    return tuple(values[group * size + k] for k in range(size) for group in range(groups))


class WithoutLoad(FakeLearner):
    load = None


class NoCompletions(FakeLearner):
    def generate(self, *arguments, **options):
        return None


class IgnoresLimits(FakeLearner):
    def generate(self, *arguments, max_completion_lengths=None, **options):
        return super().generate(*arguments, **options)


class CutsEarly(FakeLearner):
    def _cut(self, text, limit):
        return super()._cut(text, limit and limit - 1)


class Unseeded(FakeLearner):
    def __init__(self, answers, *, seed, **options):
        super().__init__(answers, seed=None, **options)


class EvaluatesOnTrainingStream(FakeLearner):
    def evaluation_stream(self, seed):
        return self.rng


class EvaluationMovesTraining(FakeLearner):
    def evaluation_stream(self, seed):
        self.rng.random()
        return super().evaluation_stream(seed)


class IgnoresKeys(FakeLearner):
    def generate(self, *arguments, keys=None, **options):
        return super().generate(*arguments, **options)


class OneKeyForAll(FakeLearner):
    """Completion 0 of the call has the luck of the first key, whichever prompt it completes."""

    def generate(self, *arguments, keys=None, **options):
        keys = keys and [keys[0] ^ place for place in range(len(keys))]
        return super().generate(*arguments, keys=keys, **options)


class KeysMoveTraining(FakeLearner):
    def generate(self, *arguments, keys=None, **options):
        self.rng.random(8 * (keys is not None))
        return super().generate(*arguments, keys=keys, **options)


class WithoutKeys(FakeLearner):
    def generate(self, prompts, num_generations, *, greedy=False, seed=None, max_completion_lengths=None):
        options = {"greedy": greedy, "seed": seed, "max_completion_lengths": max_completion_lengths}
        return super().generate(prompts, num_generations, **options)


class IgnoresGreedy(FakeLearner):
    def generate(self, *arguments, greedy=False, seed=None, **options):
        return super().generate(*arguments, seed=0 if greedy and seed is None else seed, **options)


class NotLearned(FakeLearner):
    def learn(self, rewarded):
        return {"loss": 0.0}


class DividesByDeviation(FakeLearner):
    """Divides by the spread of the rewards, which is 0 if they are equal."""

    def learn(self, rewarded):
        rewards = rewarded.rewards[0] - rewarded.rewards[0][0]
        with np.errstate(invalid="ignore"):
            return Learned({"advantage": float((rewards / np.ptp(rewards)).mean())})


class WrongGroups(FakeLearner):
    def learn(self, rewarded):
        return Learned({}, {"kl": rewarded.rewards.mean(axis=1)[1:]})


class ReportsNonFiniteReward(FakeLearner):
    def learn(self, rewarded):
        super().learn(rewarded)
        return Learned({"reward": float(rewarded.rewards[0].mean())})


class Overflows(FakeLearner):
    def learn(self, rewarded):
        super().learn(rewarded)
        return Learned({"power": float(np.square(np.nan_to_num(rewarded.rewards)).mean())})


class ChangesBeforeRaising(FakeLearner):
    def learn(self, rewarded):
        learned = super().learn(rewarded)
        if not np.isfinite(rewarded.rewards).all():
            self.rng.random(8)
            raise NonFiniteError("loss")
        return learned


class ForgetsStream(FakeLearner):
    state_fields = ("skill",)


class ForgetsSkill(FakeLearner):
    state_fields = ("rng",)


class NotJson(FakeLearner):
    def describe(self):
        return {"scale": np.float32(1)}


class NotANumber(FakeLearner):
    def describe(self):
        return {"scale": float("nan")}


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (WithoutLoad, r"the learner has no load\(\) method"),
        (NotJson, r"describe\(\) is not JSON: Object of type float32"),
        (NotANumber, r"describe\(\) is not JSON: Out of range"),
        (NoCompletions, r"generate\(\) returned NoneType, expected Completions"),
        (with_completions(prompt_ids=lambda made: made.prompt_ids[1:]), "got 2 prompt_ids for 3 prompts"),
        (
            with_completions(texts=lambda made: made.texts[::4]),
            "got 3 texts for 3 prompts with 4 completions each",
        ),
        (with_completions(token_ids=lambda made: made.token_ids[1:]), "got 11 token_ids for 3 prompts"),
        (
            with_completions(truncated=lambda made: made.truncated.ravel()),
            r"truncated must be a boolean array of shape \(3, 4\)",
        ),
        (
            with_completions(truncated=lambda made: made.truncated * 1),
            r"truncated must be a boolean array of shape \(3, 4\)",
        ),
        (with_completions(token_ids=lambda made: ((),) * 12), r"token_ids\[0\] must be a non-empty sequence"),
        (with_completions(texts=lambda made: tuple(map(str.encode, made.texts))), r"texts\[0\] must be a str"),
        (
            with_completions(token_ids=lambda made: interleaved(made.token_ids, len(made.prompt_ids))),
            "completion 1 is truncated at 2 tokens, but the limit of its prompt is 6",
        ),
        (with_completions(log_probs=lambda made: ((-1.0,),) * 12), "completion 0 has 1 log_probs for [2-6] tokens"),
        (with_completions(log_probs=lambda made: ()), "got 0 log_probs"),
        (log_probs(0.5), r"log_probs\[0\] must be finite and at most 0"),
        (log_probs(-np.inf), r"log_probs\[0\] must be finite and at most 0"),
        (IgnoresLimits, "has .* tokens, but the limit of its prompt is 6"),
        (CutsEarly, "is truncated at 5 tokens, but the limit of its prompt is 6"),
        (Unseeded, "two learners with the same seed generated different completions"),
        (EvaluatesOnTrainingStream, "repeating an evaluation with {'seed': 11} generated different completions"),
        (EvaluationMovesTraining, "an evaluation changed the training completions after it"),
        (IgnoresKeys, "repeating a call with the same keys generated different completions"),
        (OneKeyForAll, "completions with the same keys depend on the order of the prompts"),
        (KeysMoveTraining, "a call with keys changed the training completions after it"),
        (IgnoresGreedy, "greedy completions of the same prompt differ"),
        (NotLearned, r"learn\(\) returned dict, expected Learned"),
        (DividesByDeviation, "a non-finite metric for equal rewards: 'advantage' is nan"),
        (WrongGroups, r"by_group\['kl'\] of shape \(2,\) for different rewards, expected \(3,\)"),
        (ReportsNonFiniteReward, "a non-finite metric for non-finite rewards: 'reward' is nan"),
        (Overflows, "a non-finite metric for very large rewards: 'power' is inf"),
        (ChangesBeforeRaising, "raised NonFiniteError for non-finite rewards but changed the learner"),
        (ForgetsStream, "restored learner does not resume bit for bit"),
        (ForgetsSkill, "restored learner does not resume bit for bit"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_check_learner_names_the_broken_invariant(learner, message):
    with pytest.raises(AssertionError, match=message):
        check(learner, skill=0.4)
