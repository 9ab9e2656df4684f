"""A learner with its puzzles is a student; no puzzle appears twice in its batch."""

import itertools
import math

import numpy as np
import pytest

import dumpgym
from dumpgym.contracts.arms import Arm
from dumpgym.contracts.errors import NonFiniteError
from dumpgym.contracts.learner import Learned
from dumpgym.testing.fakes import FakeLearner
from dumpgym.training.batch import BrokenBatchError
from dumpgym.training.puzzle_student import PuzzleStudent


class Numbers(dumpgym.PuzzleEnv):
    """Names one of ``size`` numbers; starts over after them."""

    def __init__(self, size, first=0, unlucky=None):
        super().__init__()
        self.size, self.first, self.unlucky = size, first, unlucky

    def sample_problem(self, seed, split, index):
        number = self.first + index % self.size
        return dumpgym.Problem(f"{split} {number}", {"number": number}, str(number), (seed, split, index))

    def verify(self, problem, completion):
        if not completion.isdigit():
            return dumpgym.Verdict("unparseable", {"answer": -1.0}, False)
        if problem.solution["number"] == self.unlucky:
            return dumpgym.Verdict("wrong", {"answer": 1.0, "length": math.nan}, False)
        right = int(completion) == problem.solution["number"]
        return dumpgym.Verdict("correct" if right else "wrong", {"answer": 2.0 * right}, right)


class Parrot(FakeLearner):
    """Says the number of the prompt in the first of its completions, and "?" or 999 in the others."""

    def __init__(self, other="999", seconds=None, error=None):
        super().__init__(wrong=other, seconds=seconds)
        self.error = error

    def answer(self, prompt):
        return prompt.split()[1]

    def chance(self, prompt, k):
        return k == 0

    def learn(self, rewarded):
        if self.error is not None:
            raise self.error
        super().learn(rewarded)
        return Learned({"loss": 0.5})

    @property
    def prompts(self):
        return [call.prompts for call in self.calls if call.trains]

    @property
    def rewards(self):
        return [rewarded.rewards for rewarded in self.lessons]


def make_student(*sizes, **options):
    arms = [Arm(f"a{i}", Numbers(size, first)) for i, (size, first) in enumerate(sizes)]
    return PuzzleStudent(Parrot(**options), arms, evaluation_problems=2)


def test_a_lesson_is_drawn_completed_judged_and_learned():
    student = make_student((100, 0), (100, 500))
    batch = student.practise_batch(np.array([0, 1, 1]), 4)
    assert student.learner.prompts == [["train 0", "train 500", "train 501"]]
    assert batch.results.successes.tolist() == [1, 1, 1]
    assert batch.results.rewards.tolist() == student.learner.rewards[0].tolist() == [[2, 0, 0, 0]] * 3
    assert batch.results.solved.tolist() == [[True, False, False, False]] * 3
    assert batch.results.tokens.tolist() == [2 + 3 * 4, 4 + 3 * 4, 4 + 3 * 4]  # digits and an end
    assert batch.results.seconds > 0
    assert batch.unreadable.tolist() == [0, 0, 0]
    assert batch.learned.metrics == {"loss": 0.5}
    assert student.practise(np.array([0]), 2).arm.tolist() == [0]
    assert student.learner.prompts[-1] == ["train 1"]
    assert student.drawn.tolist() == [2, 2]
    assert student.success().tolist() == [1, 1]
    assert make_student((9, 0), other="?").practise_batch(np.array([0]), 4).unreadable.tolist() == [3]


def test_no_puzzle_stands_twice_in_a_batch_at_the_end_of_an_epoch():
    student = make_student((5, 0))
    for _ in range(6):
        student.practise(np.zeros(4, dtype=np.int64), 2)
    batches = student.learner.prompts
    assert all(len(set(batch)) == 4 for batch in batches)
    seen = [prompt for batch in batches for prompt in batch]
    assert set(seen) == {f"train {number}" for number in range(5)}


def test_two_arms_of_one_distribution_do_not_share_a_puzzle_in_a_batch():
    student = make_student((50, 0), (50, 0), (50, 20))
    student.practise(np.array([0, 1, 0, 1, 2, 2]), 2)
    (batch,) = student.learner.prompts
    assert len(set(batch)) == 6
    assert student.practised.tolist() == [2, 2, 2]
    assert student.drawn[1] > 2  # what the first arm had given was left out


def test_an_arm_with_fewer_puzzles_than_slots_repeats_itself():
    student = make_student((2, 0))
    student.practise(np.zeros(5, dtype=np.int64), 2)
    (batch,) = student.learner.prompts
    assert len(batch) == 5
    assert set(batch) == {"train 0", "train 1"}


def test_a_restored_student_resumes_with_the_next_problems():
    student, restored = make_student((100, 0)), make_student((100, 0))
    student.practise(np.zeros(3, dtype=np.int64), 2)
    restored.load_state_dict(student.state_dict())
    restored.practise(np.zeros(1, dtype=np.int64), 2)
    assert restored.learner.prompts == [["train 3"]]
    with pytest.raises(dumpgym.contracts.errors.InvalidValueError, match="shape of drawn"):
        make_student((9, 0), (9, 0)).load_state_dict(student.state_dict())


def test_each_prompt_has_the_limit_of_its_arm():
    learner = Parrot()
    arms = [Arm("a", Numbers(100), 7), Arm("b", Numbers(100, 500), 90)]
    student = PuzzleStudent(learner, arms, evaluation_problems=2)
    student.practise(np.array([1, 0, 1]), 2)
    student.success()
    assert [call.max_completion_lengths for call in learner.calls] == [[90, 7, 90], [7, 7, 90, 90]]
    student = make_student((100, 0))
    student.practise(np.array([0]), 2)
    assert student.learner.calls[0].max_completion_lengths is None
    mixed = PuzzleStudent(learner, [Arm("a", Numbers(100), 7), Arm("b", Numbers(100, 500))])
    with pytest.raises(
        dumpgym.contracts.errors.InvalidValueError, match="max_completion_length is None; accepted: a number where"
    ):
        mixed.practise(np.array([0, 1]), 2)


def test_the_learner_may_tell_how_long_generating_took():
    """So that a policy that looks at the time decides alike in all processes."""
    assert make_student((9, 0), seconds=12.5).practise(np.array([0]), 2).seconds == 12.5


def test_a_reward_that_is_not_finite_is_not_learned_from():
    arms = [Arm("even", Numbers(100)), Arm("odd", Numbers(100, 500, unlucky=501))]
    student = PuzzleStudent(Parrot(), arms)
    expected = "^reward is not finite, arm odd, prompt 'train 501'$"
    with pytest.raises(BrokenBatchError, match=expected) as told:
        student.practise(np.array([0, 1, 1]), 4)
    assert told.value.groups == (2,)
    assert np.isnan(told.value.batch.rewards[2]).all()
    assert student.learner.rewards == []


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ((1,), "loss is not finite, arm a1, prompt 'train 500'"),
        ((0, 2), "loss is not finite, arm a0, a1, first of 2 prompts 'train 0'"),
        ((), "loss is not finite, arm a0, a1, first of 3 prompts 'train 0'"),
    ],
)
def test_what_the_learner_finds_not_finite_is_named_with_its_arms(groups, expected):
    student = make_student((100, 0), (100, 500), error=NonFiniteError("loss", groups))
    with pytest.raises(BrokenBatchError, match=f"^{expected}$") as told:
        student.practise(np.array([0, 1, 1]), 4)
    assert told.value.groups == (groups or (0, 1, 2))
    assert told.value.batch.results.successes.tolist() == [1, 1, 1]


def test_a_long_prompt_is_shortened_to_one_line():
    class Verbose(Numbers):
        def sample_problem(self, seed, split, index):
            return dumpgym.Problem("Say\n1 " + "please " * 50, {"number": index}, "", (seed, split, index))

    student = PuzzleStudent(Parrot(error=NonFiniteError("gradient")), [Arm("a", Verbose(9))])
    with pytest.raises(BrokenBatchError, match=r"prompt 'Say 1 please .*\.\.\.'$") as told:
        student.practise(np.array([0]), 2)
    assert len(str(told.value)) < 140
    assert "\n" not in str(told.value)


class Uneven(Parrot):
    """Says what is right to odd numbers in half of the completions, and to even ones always."""

    def chance(self, prompt, k):
        return k == 0 or int(self.answer(prompt)) % 2 == 0

    def learn(self, rewarded):
        return Learned(super().learn(rewarded).metrics, {"kl": np.arange(len(rewarded.rewards), dtype=float)})


def filtered(size, max_redraws, arms=(0, 0, 0, 0), **options):
    student = PuzzleStudent(Uneven(**options), [Arm("a", Numbers(size)), Arm("b", Numbers(100, 500))])
    asked = []

    def redraw(size):
        asked.append(size)
        return np.ones(size, dtype=np.int64)

    batch = student.practise_batch(np.array(arms), 2, redraw=redraw, max_redraws=max_redraws)
    return student, batch, asked


def test_groups_without_variance_are_left_out_and_others_drawn_in_their_place():
    """Of 0 1 2 3 two are mastered; of 500 and 501 one; 502 is, so a third redraw brings 503."""
    student, batch, asked = filtered(100, 5)
    assert asked == [2, 1, 1]
    assert batch.kept.tolist() == [False, True, False, True, False, True, False, True]
    assert batch.results.arm.tolist() == [0] * 4 + [1] * 4
    assert student.learner.lessons[0].completions.texts == ("1", "999", "3", "999", "501", "999", "503", "999")
    assert student.learner.rewards[0].tolist() == [[2, 0]] * 4
    assert [list(batch) for batch in student.learner.prompts[1:]] == [
        ["train 500", "train 501"],
        ["train 502"],
        ["train 503"],
    ]
    assert batch.results.tokens.tolist() == batch.completions.num_tokens.sum(axis=1).tolist()
    assert batch.learned.by_group["kl"].tolist() == pytest.approx(
        [np.nan, 0, np.nan, 1, np.nan, 2, np.nan, 3], nan_ok=True
    )
    assert student.practised.tolist() == [4, 4]


def test_redraws_cost_the_time_that_they_take(monkeypatch):
    monkeypatch.setattr("dumpgym.training.puzzle_student.perf_counter", itertools.count().__next__)
    _, batch, asked = filtered(100, 5)
    assert len(asked) == 3
    assert batch.seconds == {"generate": 4, "verify": 4, "learn": 1}
    assert batch.results.seconds == 4
    assert filtered(100, 5, seconds=2.5)[1].results.seconds == 10


def test_after_the_last_redraw_what_lacks_stays_out():
    _, batch, asked = filtered(100, 1)
    assert asked == [2]
    assert batch.kept.tolist() == [False, True, False, True, False, True]


def test_without_the_filter_all_groups_are_learned_from():
    _, batch, asked = filtered(100, 0)
    assert asked == []
    assert batch.kept.all()
    assert len(batch.kept) == 4


def test_where_no_group_has_variance_the_first_ones_stay():
    student, batch, asked = filtered(1, 2, arms=(0,))  # 0 alone, then 500 and 501
    assert asked == [1, 1]
    assert batch.kept.tolist() == [False, False, True]
    student, batch, _ = filtered(1, 1, arms=(0,))
    assert batch.kept.tolist() == [True, False]
    assert student.learner.rewards[0].tolist() == [[2, 2]]


def test_what_is_not_finite_is_named_by_its_place_among_all_groups():
    student = PuzzleStudent(Uneven(), [Arm("a", Numbers(100)), Arm("b", Numbers(100, 500))])

    def learn(rewarded):
        raise NonFiniteError("loss", [3])

    student.learner.learn = learn
    with pytest.raises(BrokenBatchError, match="arm b, prompt 'train 503'") as told:
        student.practise_batch(
            np.zeros(4, dtype=np.int64), 2, redraw=lambda size: np.ones(size, dtype=np.int64), max_redraws=9
        )
    assert told.value.groups == (7,)
