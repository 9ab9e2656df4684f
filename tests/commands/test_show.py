"""A run in the terminal: finished, running, just begun."""

import io
import json
import shutil

import pytest
from rich.console import Console

import dumpgym
from dumpgym.commands.charts import curve, sparkline
from dumpgym.commands.main import main
from dumpgym.commands.show import alarms_that_rang, read_run, show_run
from tests.fakes import improver
from tests.training.test_training import ARMS as TRAINING_ARMS
from tests.training.test_training import make_config

ARMS = ("dumpgym/KnightsKnaves2-v0", "dumpgym/KnightsKnaves-v0?num_people=3")
NAMES = ["KnightsKnaves2", "KnightsKnaves?num_people=3"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a finished run."""
    config = dumpgym.TrainConfig(
        output=tmp_path_factory.mktemp("runs") / "mine", arms=ARMS, seed=4, steps=6, evaluate_every=2,
        evaluation_problems=10, final_evaluation_problems=10, prompts_per_step=4, num_generations=4,
    )  # fmt: skip
    improver.run(config)
    return config.output


@pytest.fixture
def unfinished(run, tmp_path):
    """The same run after 3 steps; the next line is being written."""
    path = tmp_path / "mine"
    shutil.copytree(run, path)
    (path / "summary.json").unlink()
    for log, lines in (("metrics.jsonl", 3), ("evaluations.jsonl", 2), ("transcripts.jsonl", 5)):
        text = (path / log).read_text().splitlines()
        (path / log).write_text("\n".join([*text[:lines], text[lines][:40]]))
    return path


def shown(path, *arguments, capsys):
    assert main(["show", str(path), *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_a_finished_run_shows_its_curve_its_arms_and_a_transcript(run, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    text = shown(run, capsys=capsys)
    assert f"{run}: dump, seed 4, signal mean_absolute_advantage, model embedded" in text
    logged = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    first, last = logged[0], logged[-1]
    assert f"success {first['eval/success']:.3f} -> {last['eval/success']:.3f}, one seed" in text
    assert f"{last['num_tokens']:,}" in text.split("1.0 ")[1].split("arm")[0]
    for name in NAMES:
        assert name in text
        assert f"{first[f'eval/{name}/success']:.2f} -> {last[f'eval/{name}/success']:.2f}" in text
    assert text.count("--- completion") == 1
    assert "\x1b" not in text
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_running_run_shows_how_far_it_is(unfinished, capsys):
    text = shown(unfinished, "--transcripts", "0", capsys=capsys)
    assert "not finished: step 3 of 6, 50%, " in text
    assert "; last record " in text
    assert "--- completion" not in text


def test_a_run_without_a_record_and_one_without_a_step_are_shown(unfinished, capsys):
    (unfinished / "metrics.jsonl").unlink()
    assert "not finished: step 2 of 6, 0%" in shown(unfinished, capsys=capsys)
    for log in ("evaluations.jsonl", "transcripts.jsonl"):
        (unfinished / log).unlink()
    text = shown(unfinished, capsys=capsys)
    assert "begun; nothing is logged yet" in text
    assert all(name in text for name in NAMES)
    assert main(["show", str(unfinished), "--figure"]) == 2
    assert "has its first step" in capsys.readouterr().err


def test_the_figure_is_drawn_again_where_it_is_asked_for(unfinished, capsys):
    (unfinished / "figure.png").unlink(missing_ok=True)
    text = shown(unfinished, "--figure", capsys=capsys)
    assert f"figure: {unfinished / 'figure.png'}" in text
    assert (unfinished / "figure.png").stat().st_size > 10_000


def test_nuisance_arms_share_a_row_and_shares_are_those_of_the_batch(tmp_path, capsys):
    config = make_config(tmp_path / "run", nuisance_arms=TRAINING_ARMS[1:])
    improver.run(config)
    text = shown(config.output, "--figure", capsys=capsys)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.count("│") == 7]
    last = json.loads((config.output / "metrics.jsonl").read_text().splitlines()[-1])
    counts = [last[f"arms/{arm}/count"] for arm in ("KnightsKnaves2", "KnightsKnaves3", "KnightsKnaves4")]
    tokens = [last[f"arms/{arm}/num_tokens"] for arm in ("KnightsKnaves2", "KnightsKnaves3", "KnightsKnaves4")]
    assert min(counts) > 0
    share = counts[0] / sum(counts)
    assert [row[:3] for row in rows] == [
        ["KnightsKnaves2", str(counts[0]), f"{share:.2f}"],
        ["nuisance arms", str(sum(counts[1:])), f"{1 - share:.2f}"],
    ]
    assert [row[5] for row in rows] == [f"{tokens[0]:,}", f"{sum(tokens[1:]):,}"]
    assert (config.output / "figure.png").stat().st_size > 10_000


def test_transcripts_are_the_newest_of_every_arm_and_outcome(run):
    found = read_run(run)
    logged = [(record["step"], record["arm"], record["outcome"]) for record in found.logged]
    kinds = {key[1:] for key in logged}
    chosen = found.transcripts(len(kinds), None, None)
    assert {(record["arm"], record["outcome"]) for record in chosen} == kinds
    newest = {kind: max(step for step, *key in logged if tuple(key) == kind) for kind in kinds}
    assert all(record["step"] == newest[record["arm"], record["outcome"]] for record in chosen)
    mine = found.transcripts(100, NAMES[1], "correct")
    assert mine
    assert {(record["arm"], record["outcome"]) for record in mine} == {(NAMES[1], "correct")}
    assert len(found.transcripts(100, None, None)) == len(logged)


def test_an_alarm_is_one_line_however_long_it_rang(run, unfinished):
    log = unfinished / "metrics.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()[:3]]
    for record, alarms in zip(records, (["a: dead, 1"], ["a: dead, 2", "b: starved, 3"], ["a: dead, 4"]), strict=True):
        record["alarms"] = alarms
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert alarms_that_rang(read_run(unfinished))[-2:] == [
        "a: dead, 4 (3 times, steps 1 to 3)",
        "b: starved, 3 (step 2)",
    ]


def test_where_the_encoding_has_no_blocks_the_run_is_plain_ascii(run):
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    show_run(read_run(run), [], Console(file=file, width=100))
    file.seek(0)
    text = file.read()
    assert "#" in text.split("1.0 ")[1].split("arm")[0]
    assert all(name in text for name in NAMES)


def test_heights_of_a_curve_are_its_values():
    assert sparkline([0, 0.5, 0.99, 1], plain=False) == "▁▅██"
    assert sparkline([0, 0.5, 1], plain=True) == "_=#"
    lines = curve([0, 10], [0, 1], width=14, height=4, plain=False)
    assert lines == [
        " 1.0 ┤      ▃█",
        " 0.5 ┤    ▂▇██",
        "     ┤  ▁▆████",
        " 0.0 ┤ ▅██████",
        "     └────────",
        "      0     10",
    ]
    flat = curve([0, 5, 10], [0.5, 0.5, 0.5], width=10, height=4, plain=True)
    assert [line[6:].strip() for line in flat[:4]] == ["", "", "####", "####"]
    assert curve([0], [1.0], width=8, height=3, plain=True)[:3] == [" 1.0 |##", " 0.5 |##", " 0.0 |##"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "run is 'nowhere'; accepted: the directory of one run"),
        (["mine", "--transcripts", "-1"], "transcripts is -1; accepted: a whole number at least 0"),
        (["mine", "--arm", "KnightsKnaves3"], "unknown arm of 'mine' 'KnightsKnaves3'; did you mean 'KnightsKnaves2'?"),
        (["mine", "--outcome", "corect"], "did you mean 'correct'?"),
        (["."], "run is '.'; accepted: the directory of one run"),
    ],
)
def test_what_cannot_be_shown_is_one_line(run, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(run.parent)
    assert main(["show", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_comparison_names_one_of_its_runs(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "comparison" / "dump" / "seed4")
    assert main(["show", str(tmp_path / "comparison")]) == 2
    assert f"such as {tmp_path / 'comparison' / 'dump' / 'seed4'}" in capsys.readouterr().err
