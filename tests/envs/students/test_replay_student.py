"""The replay of a recorded run: every arm goes along its own curve, by its own practice."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.envs.students.replay import ArmCurves, Curve, ReplayStudent
from dumpgym.runs.config import TrainConfig
from dumpgym.simulating.lockstep import SimulationPlan, run_seeds
from dumpgym.testing.fakes import FakeLearner, reference_completions
from dumpgym.training.loop import Trainer


def line(*values):
    """A curve through equally distant points, ten problems from one to the next."""
    return Curve(10.0 * np.arange(len(values)), np.array(values, dtype=float))


CURVES = [
    ArmCurves("easy", line(0.5, 1.0), line(0.4, 0.9), line(10)),
    ArmCurves("hard", line(0.0, 0.2, 0.8), line(0.0, 0.1, 0.7), line(100, 200)),
]


def write_run(folder, steps, evaluations, num_generations=4):
    """Files as a run of two arms, x and y, leaves them.

    Args:
        steps: for every step, per arm (problems in the batch, their success, tokens).
        evaluations: (step, success of x, success of y, problems).
    """
    total, lines = np.zeros((2, 2), dtype=int), []
    for step, batch in enumerate(steps, start=1):
        record = {"step": step}
        for arm, name in enumerate("xy"):
            groups, success, tokens = batch[arm]
            total[arm] += groups, tokens
            record |= {f"arms/{name}/count": int(total[arm, 0]), f"arms/{name}/num_tokens": int(total[arm, 1])}
            record |= {f"arms/{name}/success": success} if groups else {}
        lines.append(record)
    records = [
        {"step": s, "eval/x/success": x, "eval/y/success": y, "eval/solved": {"x": [1] * n, "y": [1] * n}}
        for s, x, y, n in evaluations
    ]
    (folder / "config.json").write_text(json.dumps({"num_generations": num_generations}, indent=2))
    for name, values in (("metrics", lines), ("evaluations", records)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values))
    return folder


def test_a_curve_is_linear_between_its_points_and_held_at_its_ends():
    assert line(0.2, 0.4, 0.4).at(np.array([0, 5, 10, 20, 1000])).tolist() == pytest.approx([0.2, 0.3, 0.4, 0.4, 0.4])


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1), st.integers(1, 9)), min_size=1, max_size=12))
@settings(max_examples=50)
def test_a_monotone_curve_never_falls_and_keeps_the_weighted_mean(points):
    places, values, weights = map(np.array, zip(*points, strict=True))
    curve = Curve.of_points(places, values, weights, monotone=True)
    assert (np.diff(curve.value) >= -1e-12).all()
    assert weights @ curve.at(places) == pytest.approx(weights @ values)  # a property of isotonic regression
    plain = Curve.of_points(places, values, weights, monotone=False)
    if (np.diff(plain.value) >= 0).all():
        np.testing.assert_allclose(curve.value, plain.value)


def test_a_run_is_read_by_what_was_practised_before_each_measurement(tmp_path):
    steps = [
        [(2, 0.25, 80), (0, None, 0)],  # the first problems of x meet a learner who has had none
        [(2, 0.5, 160), (4, 0.125, 320)],
        [(0, None, 0), (4, 0.5, 640)],
        [(4, 1.0, 320), (2, 0.375, 80)],  # y does worse than before
    ]
    run = write_run(tmp_path, steps, [(0, 0.2, 0.1, 10), (2, 0.5, 0.1, 10), (4, 0.8, 0.4, 30)])
    x, y = ReplayStudent.from_run(str(run)).curves
    assert (x.name, y.name) == ("x", "y")
    assert x.training.practised.tolist() == [0, 2, 4]
    assert x.training.value.tolist() == [0.25, 0.5, 1.0]
    assert x.tokens.value.tolist() == [10, 20, 20]  # a completion
    assert x.held_out.practised.tolist() == [0, 4, 8]
    assert x.held_out.value.tolist() == [0.2, 0.5, 0.8]
    assert y.training.practised.tolist() == [0, 4, 8]
    assert y.training.value.tolist() == pytest.approx([0.125, (4 * 0.5 + 2 * 0.375) / 6, (4 * 0.5 + 2 * 0.375) / 6])
    assert y.held_out.practised.tolist() == [0, 4, 10]


def test_measurements_without_practice_in_between_are_one(tmp_path):
    steps = [[(2, 0.5, 8), (0, None, 0)]] * 2
    run = write_run(tmp_path, steps, [(0, 0.5, 0.0, 10), (1, 0.5, 0.4, 30), (2, 0.5, 0.3, 20)])
    y = ReplayStudent.from_run(run).curves[1]
    assert y.held_out.practised.tolist() == [0]
    assert y.held_out.value.tolist() == pytest.approx([0.3])
    assert y.training is y.held_out  # an arm that the run never drew
    assert ReplayStudent.from_run(run).practise(np.array([1]), 4).tokens.tolist() == [0]


def test_an_evaluation_of_a_step_that_was_not_logged_is_left_out(tmp_path):
    run = write_run(tmp_path, [[(2, 0.5, 8), (1, 0.5, 8)]], [(0, 0.1, 0.1, 10), (7, 1.0, 1.0, 10)])
    assert ReplayStudent.from_run(run).curves[0].held_out.value.tolist() == [0.1]


class Steady(FakeLearner):
    """Of four completions, one more is right after every batch; all have one token."""

    def chance(self, prompt, k):
        return 4 * self.skill > k


def test_what_the_training_loop_writes_can_be_replayed(tmp_path):
    arms = ("dumpgym/KnightsKnaves3-v0", "dumpgym/KnightsKnaves4-v0")
    config = TrainConfig(
        output=tmp_path / "run",
        arms=arms,
        policy="uniform",
        steps=3,
        prompts_per_step=8,
        num_generations=4,
        evaluation_problems=2,
        final_evaluation_problems=2,
    )
    answers = reference_completions(*(arm.env for arm in make_arms(arms)), num_problems=40)
    Trainer(config, learner=Steady(answers, skill=0.25, gain=0.25, best=1.0, token_length=10**6)).run()
    student = ReplayStudent.from_run(tmp_path / "run")
    assert student.arm_names == ["KnightsKnaves3", "KnightsKnaves4"]
    for arm in student.curves:
        assert arm.training.value.tolist() == [0.25, 0.5, 0.75]
        assert arm.tokens.value.tolist() == [1, 1, 1]
    assert student.success().tolist() == [1, 1]  # the first completion is always right


def test_it_can_be_simulated_by_its_specification(tmp_path):
    run = write_run(
        tmp_path, [[(9, 0.25, 72), (9, 0.5, 72)]] * 2, [(0, 0.2, 0.1, 9), (1, 0.4, 0.5, 9), (2, 0.8, 0.7, 9)]
    )
    trajectories = run_seeds(
        "uniform", f"replay?path={run}", [0, 1], SimulationPlan(steps=20, prompts_per_step=8, num_generations=4)
    )
    assert trajectories.success[:, 0].tolist() == [[0.2, 0.1]] * 2
    assert trajectories.success[:, -1].tolist() == [[0.8, 0.7]] * 2
    assert trajectories.tokens[0].tolist() == [8 * 4 * 2] * 20  # two a completion


def test_an_arm_goes_along_its_curve_by_its_own_practice_alone():
    student = ReplayStudent(CURVES)
    assert student.success().tolist() == [0.4, 0.0]
    results = student.practise(np.array([1] * 10), 8)
    assert results.successes.tolist() == [0] * 10  # of a chance of 0
    assert student.success().tolist() == [0.4, 0.1]
    results = student.practise(np.array([0] * 10 + [1] * 10), 8)
    assert results.tokens.tolist() == [80] * 10 + [1600] * 10
    assert student.success().tolist() == pytest.approx([0.9, 0.7])
    results = student.practise(np.array([0] * 10), 8)
    assert results.successes.tolist() == [8] * 10
    assert results.solved.all()
    assert student.success().tolist() == pytest.approx([0.9, 0.7])  # beyond the recording


def test_successes_have_the_chance_of_the_training_curve():
    """Of 16,000 completions the share is off by 0.025 with a chance below 1e-8 (Hoeffding)."""
    student = ReplayStudent([ArmCurves("a", line(0.3), line(0.9), line(1))])
    results = student.practise(np.zeros(1000, dtype=np.int64), 16)
    assert results.successes.mean() / 16 == pytest.approx(0.3, abs=0.025)
    assert results.successes.var() == pytest.approx(16 * 0.3 * 0.7, rel=0.25)  # independent of each other


@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
@settings(max_examples=20)
def test_a_run_in_lockstep_is_that_of_its_seed_alone(batches):
    together = ReplayStudent(CURVES, seeds=[7, 3])
    alone = [ReplayStudent(CURVES, seeds=seed) for seed in (7, 3)]
    for batch in batches:
        rows = np.array([batch, batch[::-1]])
        expected = [student.practise(row, 8) for student, row in zip(alone, rows, strict=True)]
        found = together.practise(rows, 8)
        assert found.solved.tolist() == [results.solved.tolist() for results in expected]
        assert found.tokens.tolist() == [results.tokens.tolist() for results in expected]
        assert together.success().tolist() == [student.success().tolist() for student in alone]


def test_an_arm_s_problem_has_the_same_luck_whatever_is_practised_beside_it():
    first, second = ReplayStudent(CURVES, seeds=4), ReplayStudent(CURVES, seeds=4)
    alone = first.practise(np.zeros(20, dtype=np.int64), 8).successes
    beside = second.practise(np.array([0, 1] * 20), 8).successes[::2]
    assert alone.tolist() == beside.tolist()
    other = ReplayStudent(CURVES, seeds=5).practise(np.zeros(20, dtype=np.int64), 8).successes
    assert other.tolist() != alone.tolist()


def test_a_batch_resumes_with_the_problems_where_the_last_one_ended():
    flat = [ArmCurves("a", line(0.5), line(0.5), line(1))]
    whole, divided = ReplayStudent(flat), ReplayStudent(flat)
    arms = np.zeros(20, dtype=np.int64)
    expected = whole.practise(arms, 8).solved.tolist()
    parts = [divided.practise(part, 8).solved.tolist() for part in np.split(arms, [7])]
    assert parts[0] + parts[1] == expected
    assert expected[:10] != expected[10:]


@pytest.mark.parametrize(("seeds", "arms"), [(3, [0, 1, 1]), ([3, 5], [[0, 1, 1], [1, 1, 0]])])
def test_saved_at_any_time_it_resumes_bit_for_bit(seeds, arms):
    student = ReplayStudent(CURVES, seeds=seeds)
    restored = ReplayStudent(CURVES, seeds=0 if seeds == 3 else [0, 1])
    student.practise(np.array(arms), 8)
    restored.load_state_dict(json.loads(json.dumps(student.state_dict())))
    assert restored.success().tolist() == student.success().tolist()
    assert restored.practise(np.array(arms), 8).solved.tolist() == student.practise(np.array(arms), 8).solved.tolist()
    assert restored.state_dict() == student.state_dict()


def test_a_state_of_other_arms_is_refused():
    state = ReplayStudent(CURVES[:1]).state_dict()
    with pytest.raises(InvalidValueError, match="arm_names in the state"):
        ReplayStudent(CURVES).load_state_dict(state)


@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluations.jsonl", "config.json"])
def test_a_folder_that_holds_no_run_is_refused(tmp_path, name):
    run = write_run(tmp_path, [[(2, 0.5, 8), (1, 0.5, 8)]], [(0, 0.1, 0.1, 10)])
    (run / name).unlink()
    with pytest.raises(
        InvalidValueError, match=f"^run is .* accepted: the directory of a .* run; {name}: No such file"
    ):
        ReplayStudent.from_run(run)


@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluations.jsonl"])
def test_a_broken_line_is_named(tmp_path, name):
    run = write_run(tmp_path, [[(2, 0.5, 8), (1, 0.5, 8)]], [(0, 0.1, 0.1, 10)])
    for broken in ('{"step": 2, "num', "[]", ""):
        text = (run / name).read_text().splitlines()[0]
        (run / name).write_text(f"{text}\n{broken}\n")
        with pytest.raises(InvalidValueError, match=rf"^line 2 of .*{name} is .*; accepted: a JSON object"):
            ReplayStudent.from_run(run)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metrics.jsonl", "", "metrics.jsonl is empty"),
        ("metrics.jsonl", '{"step": 1}', "it has no evaluation of a logged step, or no arms"),
        ("metrics.jsonl", '{"step": 1, "arms/x/count": 1}', "its files lack 'arms/x/num_tokens'"),
        ("evaluations.jsonl", '{"step": 9}', "it has no evaluation of a logged step, or no arms"),
        ("config.json", "{}", "its files lack 'num_generations'"),
    ],
)
def test_a_run_without_what_is_needed_is_refused(tmp_path, name, text, message):
    run = write_run(tmp_path, [[(2, 0.5, 8), (1, 0.5, 8)]], [(0, 0.1, 0.1, 10)])
    (run / name).write_text(text)
    with pytest.raises(InvalidValueError, match=message):
        ReplayStudent.from_run(run)


def test_seeds_and_arms_out_of_range_are_refused():
    with pytest.raises(InvalidValueError, match="seed is -1"):
        ReplayStudent(CURVES, seeds=[0, -1])
    with pytest.raises(InvalidValueError, match="names of the arms is"):
        ReplayStudent([CURVES[0], CURVES[0]])
    with pytest.raises(InvalidValueError, match="shape of arms is"):
        ReplayStudent(CURVES, seeds=[0, 1]).practise(np.array([0]), 8)
