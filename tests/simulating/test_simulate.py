"""Simulations: paired, the same in lockstep as one by one, and open to your own policies and students."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dumpgym.commands.main import main
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.contracts.policy_registry import make_policy, policy_for_run
from dumpgym.contracts.student_registry import make_students
from dumpgym.simulating.lockstep import SeparatePolicies, SimulationPlan, Trajectories, run, run_seeds
from dumpgym.simulating.results import PolicyResult, markdown_table, policy_rows
from dumpgym.simulating.runner import SimulateConfig, simulate

SMALL = SimulationPlan(steps=12, prompts_per_step=8, num_generations=4)
STUDENT = "skills?num_arms=4"
FLAGS = ["--seeds", "4", "--steps", "6", "--prompts-per-step", "8", "--num-generations", "4"]


def trajectories(mean_success, shares=((1.0, 0.0),), counts=(True, False)):
    success = np.stack([np.array(mean_success, dtype=float), np.zeros_like(mean_success)], axis=-1)
    steps = success.shape[1] - 1
    repeated = np.broadcast_to(np.array(shares, dtype=float), (len(success), steps, 2))
    return Trajectories(success, repeated, np.full((len(success), steps), 100), np.array(counts))


def test_a_run_is_measured_by_the_arms_that_count():
    found = trajectories([[0.0, 0.5, 1.0], [0.0, 0.0, 0.6]])
    measures = found.measures(0.5)
    np.testing.assert_allclose(measures["area"], [0.5, 0.15])
    np.testing.assert_allclose(measures["final"], [1.0, 0.6])
    np.testing.assert_array_equal(measures["steps_to_threshold"], [1, np.nan])  # once is not held
    np.testing.assert_allclose(measures["effective_arms"], [1, 1])
    np.testing.assert_array_equal(measures["tokens"], [200, 200])
    np.testing.assert_allclose(trajectories([[0, 1, 1]], shares=[[0.5, 0.5]]).measures(0.5)["effective_arms"], [2])


def test_the_table_has_paired_differences_and_puts_the_best_first():
    def result(offset, spread):
        level = 0.3 + 0.1 * np.arange(4) + offset
        return PolicyResult.of_trajectories(trajectories(np.stack([level, level], axis=1) + spread), 0.6)

    rows = policy_rows({"uniform": result(0, 0), "better": result(0.05, 0), "best-allocation": result(0.1, 0)}, steps=1)
    assert [row["policy"] for row in rows] == ["best-allocation", "better", "uniform"]
    assert rows[1]["area_minus_uniform"] == pytest.approx((0.05, 0.05, 0.05))  # equal in every pair: no spread
    assert rows[1]["regret"] == pytest.approx((0.05, 0.05, 0.05))
    low, high = rows[2]["area"][1:]
    assert low < 0.45 < high
    assert rows[2]["runs_that_reached"] == 1
    assert rows[2]["steps_to_threshold"][0] == 2  # of the median run, which never reached it


@pytest.mark.parametrize("policy", ["easy-to-hard", "uniform"])
def test_separate_policies_and_lockstep_meet_the_same_student(policy):
    """A schedule draws the same arms either way, so all runs must be equal; uniform's draws differ, its student not."""
    seeds = [3, 4, 5]
    together = run_seeds(policy, STUDENT, seeds, SMALL)
    ((student, _),) = make_students(STUDENT, seeds)
    alone = SeparatePolicies([policy_for_run(policy, {}, num_arms=4, seed=s, steps=SMALL.steps) for s in seeds])
    separate = run(alone, student, SMALL)
    assert separate.success.shape == (3, SMALL.steps + 1, 4)
    np.testing.assert_array_equal(separate.success[:, 0], together.success[:, 0])
    if policy == "easy-to-hard":
        np.testing.assert_array_equal(separate.success, together.success)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("refresh", [1, 4])
def test_the_oracle_is_told_what_the_students_know(refresh, separate):
    seeds, options = [3, 4], {"low": 0.2, "high": 0.45, "refresh": refresh}
    ((student, _),) = make_students(STUDENT, seeds)
    if separate:
        policy = SeparatePolicies([make_policy("oracle", num_arms=4, seed=seed, **options) for seed in seeds])
    else:
        policy = make_policy("oracle", num_arms=4, num_runs=2, **options)
    found = run(policy, student, SMALL)
    told = found.success[:, refresh * (np.arange(SMALL.steps) // refresh)]  # (runs, steps, arms)
    between = (told >= 0.2) & (told <= 0.45)
    assert between.any(axis=-1).all()
    assert not between.all()
    assert not found.shares[~between].any()


def test_a_run_is_the_same_whoever_else_is_simulated():
    one = run_seeds("easy-to-hard", STUDENT, [7], SMALL)
    many = run_seeds("easy-to-hard", STUDENT, [1, 7, 9], SMALL)
    np.testing.assert_array_equal(one.success[0], many.success[1])


def test_students_of_one_run_are_run_one_by_one():
    found = run_seeds("dump", "softmax", [0, 1], SimulationPlan(steps=2, prompts_per_step=4, num_generations=4))
    assert found.success.shape[:2] == (2, 3)
    assert not np.array_equal(found.success[0, -1], found.success[1, -1])


def test_the_result_does_not_depend_on_the_number_of_processes(tmp_path):
    found = []
    for processes in (1, 2):
        config = SimulateConfig(
            output=tmp_path / str(processes), policies=("dump", "ucb1"), students=(STUDENT,), seeds=3, steps=5,
            prompts_per_step=8, num_generations=4, processes=processes,
        )  # fmt: skip
        simulate(config)
        found.append(json.loads((config.output / "results.json").read_text())["students"])
    assert found[0] == found[1]
    (table,) = [student["table"] for student in found[0].values()]
    assert {row["policy"] for row in table} == {"uniform", "dump", "ucb1", "best-allocation"}
    assert "\nbest-allocation knows what a curriculum cannot know.\n" in (tmp_path / "1" / "table.md").read_text()


OWN_POLICY = '''
import numpy as np
import dumpgym

class Flip(dumpgym.BanditPolicy):
    """Puts all slots on the arm whose index is the number of batches told, modulo the number of arms."""

    def _weights(self):
        return np.eye(self.num_arms)[self.clock % self.num_arms]

class Pupil:
    arm_names = ("a", "b")
    counts = np.array([True, True])

    def __init__(self, *, seed, start=0.2):
        self.skill = np.full(2, start)

    def practise(self, arms, num_generations):
        self.skill[arms] = np.minimum(self.skill[arms] + 0.05, 1)
        from dumpgym import GroupResults
        k = (self.skill[arms] * num_generations).astype(int)
        return GroupResults(arms, k, num_generations, np.full(arms.shape, 100), np.zeros_like(k))

    def success(self):
        return self.skill.copy()

dumpgym.register_policy("flip", Flip)
'''


def test_a_policy_and_a_student_of_your_own_are_simulated_from_outside_the_repository(tmp_path):
    (tmp_path / "mine.py").write_text(OWN_POLICY)
    arguments = [*FLAGS, "--policies", "mine:flip", "--output", "out", "--students", STUDENT, "mine:Pupil?start=0.4"]
    command = [str(Path(sys.executable).with_name("dumpgym")), "simulate", *arguments]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert "mine:flip" in finished.stdout
    students = json.loads((tmp_path / "out" / "results.json").read_text())["students"]
    assert students["mine:Pupil?start=0.4"]["policies"]["mine:flip"]["curve"][0] == 0.4
    assert (tmp_path / "out" / "figure1.png").exists()


def test_the_markdown_table_has_a_line_a_policy(tmp_path):
    config = SimulateConfig(
        output=tmp_path / "out", policies=("dump?temperature=1",), students=(STUDENT,), seeds=2, steps=3,
        prompts_per_step=4, num_generations=4, processes=1, best_allocation=False,
    )  # fmt: skip
    (result,) = simulate(config).values()
    text = (tmp_path / "out" / "table.md").read_text()
    assert text == markdown_table(STUDENT, result, 3)
    assert "+0.000 [+0.000, +0.000]" not in text  # uniform minus uniform has no interval
    assert text.count("\n| `") == 2
    assert "| `dump?temperature=1` | 0." in text
    with pytest.raises(InvalidValueError, match="accepted: a directory that is new or empty"):
        simulate(config)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--policies", "dumb"], "unknown policy 'dumb'; did you mean 'dump'?"),
        (["--policies", "no_module:mine"], "policy is 'no_module:mine'; accepted: a policy that is registered; No mod"),
        (["--policies", "dump?windo=3"], "unknown option of policy 'dump' 'windo'"),
        (["--policies", "dump?window=0"], "window is 0"),
        (["--policies", "dump?"], "policy is 'dump?'; accepted: an id, then ?name=value"),
        (["--students", "skils"], "unknown student 'skils'; did you mean 'skills'?"),
        (["--students", "skills?num_arm=3"], "unknown argument of student 'skills' 'num_arm'"),
        (["--students", "dumpgym.contracts.policy:Nobody"], "student is 'dumpgym.contracts.policy:Nobody'"),
        (["--signal", "joy"], "unknown signal 'joy'"),
        (["--seeds", "1"], "seeds is 1; accepted: greater than or equal to 2"),
        (["--threshold", "2"], "threshold is 2.0; accepted: less than or equal to 1"),
    ],
)
def test_bad_input_is_named_before_anything_runs(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *flags]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_simulated_student_cannot_be_asked_for_twice_the_same_argument():
    with pytest.raises(DumpgymError, match="each name once"):
        make_students("skills?num_arms=2&num_arms=3", [0])
