"""Experiments: what their file may say, which runs it has, and that these resume after whatever stopped them."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from dumpgym.agents.embedded.names import EMBEDDED_MODELS
from dumpgym.commands.main import main
from dumpgym.comparing.experiment import cells_of, from_record, load_experiment, to_record
from dumpgym.comparing.planned_runs import runs_of
from dumpgym.comparing.warm_starts import check_warm_starts
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.runs.directory import LOGS, RunDirectory
from tests.fakes.tiny_models import save_tiny_llama
from tests.training.test_resume import without_times

ROOT = Path(__file__).parents[2]
LETTERS = "tests.fakes.letters:tests/Letters-v0"
SMALL = """
name = "small"
policies = [{policies}]
seeds = 2

[train]
steps = {steps}
arms = [{arms}]
prompts_per_step = 3
num_generations = 3
evaluate_every = 2
evaluation_problems = 1
final_evaluation_problems = 2
checkpoint_every = 1

[train.agent]
model = "{model}"
device = "cpu"
max_completion_length = 8
learning_rate = 0.01
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return save_tiny_llama(folder)


def write(folder, text):
    path = folder / "experiment.toml"
    path.write_text(text)
    return path


def small(folder, model, *, steps=4, arms=(LETTERS, f"{LETTERS}?modulus=31"), policies=("uniform", "thompson")):
    quoted = {"arms": arms, "policies": policies}
    lists = {key: ", ".join(f'"{value}"' for value in values) for key, values in quoted.items()}
    return write(folder, SMALL.format(steps=steps, model=model, **lists))


def labels(folder, text):
    return [cell.label for cell in cells_of(load_experiment(write(folder, text)))]


def test_a_cell_is_a_policy_with_a_value_of_every_axis(tmp_path):
    text = """
name = "axes"
policies = ["uniform", "dump?window=75&temperature=cosine:1:0.1:40"]
[axes]
max_redraws = [0, 2]
"agent.learning_rate" = [1e-4, "cosine:4e-5:0:150"]
[train]
steps = 7
[train.agent]
temperature = 0.5
"""
    experiment = load_experiment(write(tmp_path, text))
    cells = {cell.label: cell.config for cell in cells_of(experiment)}
    assert len(cells) == 8
    config = cells["dump-window=75-temperature=cosine-1-0.1-40+max_redraws=2+learning_rate=0.0001"]
    assert config.policy_options == {"window": 75, "temperature": "cosine:1:0.1:40"}
    assert (config.max_redraws, config.steps, config.agent.learning_rate, config.agent.temperature) == (2, 7, 1e-4, 0.5)
    assert cells["uniform+max_redraws=0+learning_rate=0.0001"].policy_options == {}
    assert from_record(json.loads(json.dumps(to_record(experiment)))) == experiment


def test_a_file_takes_what_it_leaves_out_from_the_one_that_it_extends(tmp_path):
    (tmp_path / "base.toml").write_text("""
name = "base"
seeds = 3
policies = ["uniform", "dump"]
[train]
steps = 7
[train.agent]
temperature = 0.5
beta = 0.1
""")
    (tmp_path / "middle.toml").write_text('extends = "base.toml"\nseeds = 4\n')
    text = """
extends = "middle.toml"
name = "mine"
policies = ["uniform"]
[train]
max_redraws = 2
[train.agent]
beta = 0.2
"""
    experiment = load_experiment(write(tmp_path, text))
    (cell,) = cells_of(experiment)
    assert (experiment.name, experiment.seeds, cell.label) == ("mine", 4, "uniform")
    config = cell.config
    assert (config.steps, config.max_redraws, config.agent.temperature, config.agent.beta) == (7, 2, 0.5, 0.2)


@pytest.mark.parametrize("other", ["experiment.toml", "circle.toml", "", 3])
def test_a_file_that_extends_itself_or_no_file_is_refused(tmp_path, other):
    (tmp_path / "circle.toml").write_text('extends = "experiment.toml"\n')
    with pytest.raises(InvalidValueError, match=r"extends is .*; accepted: the name of another file in the folder of"):
        load_experiment(write(tmp_path, f"extends = {other!r}"))


def test_seeds_take_turns_in_warm_starts_and_pairs_share_theirs(tmp_path, model):
    text = f'''
name = "crossed"
policies = ["uniform", "dump"]
seeds = 5
first_seed = 1
warm_starts = ["embedded", "{model}", "owner/name"]
[train.agent]
temperature = 0.5
'''
    experiment = load_experiment(write(tmp_path, text))
    runs = runs_of(experiment, cells_of(experiment), tmp_path / "runs")
    expected = {1: str(model), 2: "owner/name", 3: "embedded", 4: str(model), 5: "owner/name"}
    for label in ("uniform", "dump"):
        mine = [run.config for run in runs if run.config.policy == label]
        assert {config.seed: config.agent.model for config in mine} == expected
        assert {config.agent.temperature for config in mine} == {0.5}
    assert from_record(json.loads(json.dumps(to_record(experiment)))) == experiment


def test_grids_stand_side_by_side_and_what_they_share_is_run_once(tmp_path):
    text = """
name = "grids"
[[grids]]
policies = ["uniform", "dump"]
[[grids]]
policies = ["dump", "dump?window=75"]
[[grids]]
policies = ["dump"]
axes = { signal = ["success_variance"] }
"""
    assert labels(tmp_path, text) == ["uniform", "dump", "dump-window=75", "dump+signal=success_variance"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "a b"\npolicies = ["uniform"]', r"name is 'a b'; accepted: letters, digits"),
        ('name = "a"\npolicies = ["uniform"]\n[[grids]]\npolicies = ["dump"]', "keys of the experiment is"),
        ('name = "a"\npolicies = []', "grids.0.policies is"),
        ('policies = ["uniform"]', "name is missing; accepted: name = '...'"),
        ('name = "a"\npolicies = ["dump"]', r"policies is \['dump'\]; accepted: the control 'uniform' among them"),
        ('name = "a"\npolicies = ["uniform", "dupm"]', "unknown policy 'dupm'; did you mean 'dump'"),
        ('name = "a"\npolicies = ["uniform", "dump?widow=3"]', "unknown option of policy 'dump' 'widow'"),
        ('name = "a"\npolicies = ["uniform"]\n[axes]\nsignals = ["x"]', "unknown configuration key 'signals'"),
        ('name = "a"\npolicies = ["uniform"]\n[axes]\n"agent.lr" = [1]', "key 'agent.lr'; accepted: model"),
        ('name = "a"\npolicies = ["uniform"]\n[train]\nseed = 3', "key of .train. is 'seed'; accepted: any but output"),
        ('name = "a"\npolicies = ["uniform"]\nmetrics = "area"', "unknown configuration key 'metrics'; accepted: name"),
        ('name = "a"\npolicies = ["uniform"]\nmetric = "best"', "metric is 'best'; accepted: 'area'"),
        ('name = "a"\n[[grids]]\npolicies = ["uniform"]\nseeds = 3', "key 'grids.0.seeds'; accepted: policies"),
        ('name = "a"\npolicies = ["uniform"]\nwarm_starts = ["no/such/model"]', "model is 'no/such/model'; accepted"),
        ('name = "a"\npolicies = ["uniform"]\nwarm_starts = ["embedded", "x/y", "x/y/"]', "model is 'x/y/'; accepted"),
        ('name = "a"\npolicies = ["uniform"]\nwarm_starts = ["a/b", "a/b"]', "each of them once; 'a/b' is 'a/b'"),
        ('name = "a"\npolicies = ["uniform"]\nwarm_starts = ["a/b"]\n[train.agent]\nmodel = "c"', "no model in .tra"),
        ('name = "a"\npolicies = ["uniform"]\nwarm_starts = ["a/b"]\n[axes]\n"agent.model" = ["c"]', "there is 'c'"),
        ('name = "a"\npolicies = ["uniform", "dump?window=7", "dump-window=7"]', "unknown policy 'dump-window=7'"),
    ],
)  # fmt: skip
def test_what_a_file_cannot_say_is_named(tmp_path, text, message):
    with pytest.raises(DumpgymError, match=message):
        labels(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["compare", str(tmp_path / "none.toml")]) == 2
    assert "accepted: a file that can be read" in capsys.readouterr().err
    assert main(["compare", "--seeds", "3"]) == 2
    assert "EXPERIMENT.toml" in capsys.readouterr().err


def results(output):
    """Everything that the runs of a comparison leave, except the times in it."""
    found = {}
    for path in sorted(output.rglob("*")):
        name = str(path.relative_to(output))
        if path.name in (*LOGS, "state.json", "summary.json", "manifest.json") or name.startswith("logs"):
            continue
        found[name] = path.read_bytes() if path.is_file() and path.suffix != ".md" else None
    for run in output.glob("*/seed*"):
        name = str(run.relative_to(output))
        found |= {f"{name}/{log}": without_times(RunDirectory(run).read(log)) for log in LOGS}
        found[f"{name}/summary"] = without_times(json.loads((run / "summary.json").read_text()))
    return found


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("unbroken")
    path = small(folder, model)
    assert main(["compare", str(path), "--output", str(folder / "runs"), "--processes", "2"]) == 0
    return folder / "runs"


def test_every_cell_has_its_paired_runs(unbroken, capsys):
    runs = sorted(str(path.parent.relative_to(unbroken)) for path in unbroken.glob("*/*/summary.json"))
    assert runs == ["thompson/seed0", "thompson/seed1", "uniform/seed0", "uniform/seed1"]
    first = [RunDirectory(unbroken / run).read("evaluations.jsonl")[0]["eval/solved"] for run in runs]
    assert first[0] == first[2]  # the same model on the same problems
    assert first[1] == first[3]
    command = json.loads((unbroken / runs[0] / "versions.json").read_text())["command"]
    assert command == [Path(sys.argv[0]).name.replace("__main__.py", "dumpgym"), *sys.argv[1:]]


def test_a_killed_comparison_resumes_to_the_same_files(unbroken, tmp_path, model):
    """Its two runs have processes of their own. Those of the unbroken comparison share them with other runs."""
    path, output = small(tmp_path, model, policies=["uniform"]), tmp_path / "runs"
    command = [sys.executable, "-m", "dumpgym", "compare", str(path), "--output", str(output), "--processes", "2"]
    for moment in ("uniform/seed0/metrics.jsonl", "uniform/seed1/checkpoints/step_000003"):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (output / moment).exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "2 of 2 runs" in ended.stdout
    assert re.match(r"\d of 2 runs, \d running, \d+%", ended.stdout)  # a pipe reads where it is
    assert "\x1b" not in ended.stdout
    mine, expected = (
        {name: found for name, found in results(folder).items() if name.startswith("uniform")}
        for folder in (output, unbroken)
    )
    assert mine.keys() == expected.keys()
    different = [
        name for name in mine if mine[name] != expected[name] and not re.search("(config|versions).json", name)
    ]
    assert different == []


def test_runs_at_the_same_time_share_the_machine(unbroken):
    """An experiment says so from then on. In files of before the key, no settings tried means that nothing was said."""
    record = json.loads((unbroken / "experiment.json").read_text())
    assert record["machine_shared"] is True
    assert record["settings_tried"] is None
    old = {key: value for key, value in record.items() if key != "machine_shared"} | {"settings_tried": 0}
    assert from_record(old).settings_tried is from_record(old).machine_shared is None
    assert from_record({**record, "settings_tried": 0}).settings_tried == 0


def test_finished_runs_are_left_alone_and_more_seeds_are_added(unbroken, tmp_path, model, capsys):
    path = small(tmp_path, model)
    before = {run: run.stat().st_mtime_ns for run in unbroken.glob("*/*/metrics.jsonl")}
    assert main(["compare", str(path), "--output", str(unbroken), "--seeds", "3", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "small: 2 cells, 3 paired seeds" in shown
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    assert [row[:4] for row in rows] == [["uniform", "2", "0", "1"], ["thompson", "2", "0", "1"]]
    assert {run: run.stat().st_mtime_ns for run in unbroken.glob("*/*/metrics.jsonl")} == before
    assert not list(unbroken.glob("*/seed2"))


def test_a_policy_takes_its_place_beside_the_finished_runs(unbroken, tmp_path, model, capsys):
    path = small(tmp_path, model)
    command = ["compare", str(path), "--output", str(unbroken), "--dry-run", "--also", "thompson?floor=0.5", "ucb"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    expected = [["uniform", "2", "0", "0"], ["thompson", "2", "0", "0"], ["ucb1", "0", "0", "2"]]
    assert [row[:4] for row in rows] == [*expected[:2], ["thompson-floor=0.5", "0", "0", "2"], expected[2]]
    assert main(["compare", str(path), "--output", str(tmp_path / "runs"), "--also", "best"]) == 2
    assert "unknown policy 'best'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("change", [{"steps": 5}, {"arms": (LETTERS, f"{LETTERS}?modulus=29")}])
def test_runs_of_other_settings_are_not_mixed(unbroken, tmp_path, model, change, capsys):
    path = small(tmp_path, model, **change)
    assert main(["compare", str(path), "--output", str(unbroken)]) == 2
    expected = "of this experiment with the same settings; uniform-seed0 has (steps = 4|arms = .*) and not"
    assert re.search(expected, capsys.readouterr().err)


def test_a_directory_of_something_else_is_refused(tmp_path, model, capsys):
    path = small(tmp_path, model)
    assert main(["compare", str(path), "--output", str(tmp_path)]) == 2
    assert "a directory that is new, empty or of this experiment" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "experiment.json").write_text(json.dumps({"name": "other"}))
    assert main(["compare", str(path), "--output", str(tmp_path / "other")]) == 2
    assert "not of 'other'" in capsys.readouterr().err


def test_two_comparisons_do_not_work_in_one_directory(tmp_path, model, capsys):
    path, output = small(tmp_path, model), tmp_path / "runs"
    (output / "logs").mkdir(parents=True)
    with FileLock(output / "logs" / "lock"):
        assert main(["compare", str(path), "--output", str(output)]) == 2
    assert "in which no other comparison is at work" in capsys.readouterr().err


def test_a_run_that_fails_is_reported_with_its_last_lines_and_the_others_continue(tmp_path, model, capsys):
    arms, output = [f"{LETTERS}?unlucky_seed=1"], tmp_path / "runs"
    path = small(tmp_path, model, steps=1, arms=arms, policies=["uniform"])
    assert main(["compare", str(path), "--output", str(output), "--processes", "2"]) == 2
    errors = capsys.readouterr().err
    assert "1 of 2 runs failed" in errors
    assert errors.count("RuntimeError: the verifier broke") == 1
    assert [str(p.parent.relative_to(output)) for p in output.glob("*/*/summary.json")] == ["uniform/seed0"]


def test_an_embedded_model_and_its_folder_are_one_warm_start():
    folder = str(EMBEDDED_MODELS["embedded-strings"])
    with pytest.raises(InvalidValueError, match=r"each of them once; '.*embedded-strings' is 'embedded-strings'"):
        check_warm_starts(["embedded-strings", folder])
    check_warm_starts(["embedded-strings", str(EMBEDDED_MODELS["embedded-strings-1"])])
