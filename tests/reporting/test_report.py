"""Finished runs side by side: which are compared, what is said of them, and the page that says it."""

import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from dumpgym.commands.main import main
from dumpgym.comparing.comparison import option_of
from dumpgym.comparing.experiment import Experiment, Grid, to_record
from dumpgym.comparing.loading import load_comparison
from dumpgym.contracts.errors import DumpgymError
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.page import comparison_record, page, report
from dumpgym.reporting.tables import (
    differences_table,
    format_interval,
    markdown_tables,
    power_lines,
    results_table,
    skew_lines,
    spending_table,
    warm_starts_table,
)
from dumpgym.statistics.curves import area_under_curve, tokens_at_crossing
from dumpgym.statistics.intervals import interval_over_runs
from dumpgym.statistics.significance import holm, pairs_needed, verdict
from tests.fakes.finished_runs import BUDGET, SEEDS, make_run

LABELS = ["uniform", "dump", "dump?window=75", "uniform; max_redraws 2"]
DEFAULTS = "no experiment.json with the runs: primary metric, threshold, margin and control are defaults"


@pytest.fixture
def copy(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs")
    return tmp_path / "runs"


def evaluations(directory):
    return [json.loads(line) for line in (directory / "evaluations.jsonl").read_text().splitlines()]


def test_cells_are_told_apart_by_what_their_runs_differ_in(comparison):
    assert sorted(comparison.cells) == sorted(LABELS)
    assert comparison.control == next(iter(comparison.cells)) == "uniform"
    assert all(list(cell.runs) == [0, 1, 2] for cell in comparison.cells.values())
    assert comparison.arms == ["KnightsKnaves2", "KnightsKnaves3", "KnightsKnaves4"]
    assert comparison.notes == [DEFAULTS]
    assert comparison.budget == BUDGET


WARM_STARTS = ("runs/a/model", "runs/b/model")


@pytest.fixture
def crossed(copy):
    """The same runs as if they had started from two models in turn."""
    experiment = Experiment(name="x", warm_starts=WARM_STARTS, grids=(Grid(policies=("uniform",)),))
    (copy / "experiment.json").write_text(json.dumps(to_record(experiment)))
    for path in copy.glob("*/seed*/config.json"):
        config = json.loads(path.read_text())
        config["agent"]["model"] = WARM_STARTS[config["seed"] % 2]
        path.write_text(json.dumps(config))
    return copy


def test_warm_starts_that_are_crossed_with_seeds_make_no_cells_and_are_told_apart(crossed):
    comparison = load_comparison([crossed])
    assert next(iter(comparison.cells)) == "uniform"
    assert sorted(comparison.cells) == sorted(LABELS)
    assert comparison.notes == []
    assert comparison.settings_of["dump"] == ""
    row = next(row for row in comparison.table if row["label"] == "dump")
    differences = comparison.differences("dump")
    first, second = differences[[0, 2]], differences[[1]]
    assert row["pairs_by_warm_start"] == {"runs/a/model": 2, "runs/b/model": 1}
    assert row["by_warm_start"]["runs/a/model"] == pytest.approx(interval_over_runs(first))
    assert row["by_warm_start"]["runs/b/model"][0] == pytest.approx(second[0])
    over = interval_over_runs(np.array([first.mean(), second.mean()]))
    assert row["difference_over_warm_starts"] == pytest.approx(over)
    table = warm_starts_table(comparison)
    assert table[0] == ["policy", "all pairs", "over warm starts", *WARM_STARTS]
    shown = next(line for line in table if line[0] == "dump")
    assert shown[1:3] == [format_interval(row["difference"], sign="+"), format_interval(over, sign="+")]
    assert shown[4] == f"{second[0]:+.3f} (1)"


def test_the_page_says_which_seeds_share_the_weights_of_a_warm_start(crossed):
    comparison = load_comparison([crossed])
    text = page(comparison, {})
    assert (
        "2, crossed with seeds. Seeds of one warm start share its weights. runs/a/model: seeds 0, 2; runs/b/m" in text
    )
    assert "Each cell minus the control, for each warm start" in text
    assert "3 pairs of seeds from 2 warm starts" in text
    assert comparison_record(comparison)["warm_starts"] == list(WARM_STARTS)
    assert json.dumps(comparison_record(comparison), allow_nan=False)
    assert "| policy | all pairs | over warm starts | runs/a/model | runs/b/model |" in markdown_tables(comparison)


def test_without_warm_starts_there_is_no_such_table(comparison):
    assert len(warm_starts_table(comparison)) == 1
    assert "warm start" not in page(comparison, {})
    assert "warm start" not in markdown_tables(comparison)


def test_a_run_that_has_not_the_warm_start_of_its_seed_is_refused(crossed):
    path = crossed / "dump" / "seed1" / "config.json"
    path.write_text(path.read_text().replace("runs/b/model", "runs/a/model"))
    expected = "dump/seed1, with seed 1, started from 'runs/a/model'; accepted: 'runs/b/model', the warm start of this"
    with pytest.raises(DumpgymError, match=expected):
        load_comparison([crossed])


def test_a_warm_start_that_was_replaced_between_two_runs_is_noted(crossed):
    path = crossed / "dump" / "seed1" / "evaluations.jsonl"
    first, rest = path.read_text().split("\n", 1)
    record = json.loads(first)
    record["eval/solved"] = {name: [1 - one for one in solved] for name, solved in record["eval/solved"].items()}
    path.write_text("\n".join([json.dumps(record), rest]))
    (note,) = load_comparison([crossed]).notes
    assert note.startswith("dump solves other puzzles before training than other cells with seed 1: they name the same")


def test_a_report_says_which_policies_cheat(copy):
    path = copy / "dump" / "seed1" / "metrics.jsonl"
    first, rest = path.read_text().split("\n", 1)
    path.write_text("\n".join([json.dumps(json.loads(first) | {"arms/KnightsKnaves2/told_success": 0.5}), rest]))
    (note,) = (note for note in load_comparison([copy]).notes if note != DEFAULTS)
    assert note.startswith("dump cheats: it is told the success on every arm")
    assert note in page(load_comparison([copy]), {})


def test_the_primary_metric_is_the_area_under_the_mean_success_up_to_the_budget(comparison, runs):
    records = evaluations(runs / "dump75" / "seed1")
    tokens, success = (np.array([r[key] for r in records], float) for key in ("num_tokens", "eval/success"))
    assert tokens[-1] >= BUDGET
    assert comparison.values("dump?window=75")[1] == area_under_curve(tokens, success, BUDGET)
    by_arm = comparison.values_by_arm("dump?window=75")
    assert by_arm.shape == (SEEDS, 3)
    assert by_arm.mean(axis=1) == pytest.approx(comparison.values("dump?window=75"))


def test_the_table_says_what_the_runs_say(comparison):
    rows = {row["label"]: row for row in comparison.table}
    assert comparison.table[0]["label"] == "uniform"
    others = [row["primary"][0] for row in comparison.table[1:]]
    assert others == sorted(others, reverse=True)
    for label, row in rows.items():
        assert row["seeds"] == SEEDS
        assert row["is_anecdote"]
        assert row["primary"] == interval_over_runs(comparison.values(label))
    differences = comparison.values("dump") - comparison.values("uniform")
    assert rows["dump"]["difference"] == pytest.approx(interval_over_runs(differences))
    ends = [
        run.evaluations[-1]["step"] for label in ("uniform", "dump") for run in comparison.cells[label].runs.values()
    ]
    assert min(ends) < max(ends)
    areas = [
        [area_under_curve(run.of_evaluations("step"), run.success, min(ends)) for run in cell.runs.values()]
        for cell in (comparison.cells["dump"], comparison.cells["uniform"])
    ]
    over_steps = interval_over_runs(np.subtract(*areas))
    assert rows["dump"]["difference_over_steps"] == pytest.approx(over_steps)
    for key in ("p", "equivalence_p"):
        adjusted = holm([row[key] for row in comparison.table[1:]])
        assert [row[f"{key}_holm"] for row in comparison.table[1:]] == pytest.approx(adjusted)
    assert all(row["verdict"] == verdict(row["p_holm"], row["equivalence_p_holm"]) for row in comparison.table[1:])
    mine, its = comparison.paired_values("dump")
    assert rows["dump"]["variance_removed"] == pytest.approx(1 - np.var(mine - its) / (np.var(mine) + np.var(its)))
    assert rows["dump"]["pairs_needed"] == pairs_needed(differences, comparison.margin)
    assert "difference" not in rows["uniform"]
    assert rows["uniform"]["rollouts_per_arm"][0] == pytest.approx(6 * 4 / 3)
    assert rows["dump"]["rollouts_per_arm"][0] > 6 * 4 / 3
    assert rows["uniform"]["effective_arms"][0] == pytest.approx(3)
    assert rows["uniform"]["kl_from_uniform"][0] == pytest.approx(0, abs=1e-9)
    assert rows["dump"]["kl_from_uniform"][0] > 0


def test_a_speed_up_is_a_ratio_of_tokens_within_seeds(comparison):
    """Its interval is Student's for the logarithms; a run that does not reach the threshold leaves no estimate."""
    runs = [run for label in ("dump", "uniform") for run in comparison.cells[label].runs.values()]
    level = (max(run.success[0] for run in runs) + min(run.success[-2:].min() for run in runs)) / 2
    reachable = replace(comparison, threshold=float(level))
    ratios = [
        tokens_at_crossing(its.tokens, its.success, level) / tokens_at_crossing(mine.tokens, mine.success, level)
        for mine, its in zip(*(comparison.cells[label].runs.values() for label in ("dump", "uniform")), strict=True)
    ]
    assert reachable.speedups("dump").tolist() == ratios
    row = next(row for row in reachable.table if row["label"] == "dump")
    assert row["speedup"] == pytest.approx(np.exp(interval_over_runs(np.log(ratios))))
    never = replace(comparison, threshold=1.0)
    assert all(math.isnan(row["speedup"][0]) for row in never.table[1:])
    assert differences_table(never)[1][6] == "-"


def test_a_margin_is_also_a_speed_up_of_the_control(comparison):
    runs = comparison.cells["uniform"].runs.values()
    speed = comparison.margin_as_speedup
    faster = [
        area_under_curve(np.append(run.tokens / speed, 2 * BUDGET), np.append(run.success, run.success[-1]), BUDGET)
        for run in runs
    ]
    assert np.mean(faster) - comparison.values("uniform").mean() == pytest.approx(comparison.margin)
    assert f"by being {speed:.2f} times as fast" in page(comparison, {})
    tokens = replace(comparison, metric="tokens_to_threshold", margin=0.1)
    mean = tokens.values("uniform").mean()
    assert tokens.margin_as_speedup == pytest.approx(mean / (mean - 0.1 * BUDGET))
    assert math.isnan(replace(comparison, metric="final").margin_as_speedup)
    assert math.isnan(replace(comparison, control=None).margin_as_speedup)


def test_equal_runs_have_a_value_and_no_interval(comparison):
    cells = {"uniform": comparison.cells["uniform"], "copy": comparison.cells["uniform"]}
    same = replace(comparison, cells=cells)
    assert differences_table(same)[1][2] == "+0.000"
    assert "[+0.000, +0.000]" not in markdown_tables(same)
    assert format_interval((0.0, -0.0000123, 0.0000456), sign="+") == "+0.00000 [-0.00001, +0.00005]"
    assert format_interval((0.5, math.nan, math.nan)) == "0.500"


def test_skewed_differences_have_a_second_interval(comparison):
    assert skew_lines(comparison) == []
    row = {"label": "dump", "skewness": 2.5, "difference_studentised": (0.1, 0.05, 0.4)}
    shown = replace(comparison)
    shown.__dict__["table"] = [row]
    assert skew_lines(shown) == [
        "dump: the differences are skewed (+2.5, more than two standard errors). The studentised bootstrap gives "
        "+0.100 [+0.050, +0.400]."
    ]


def test_the_page_says_at_what_scale_the_runs_were(comparison):
    text = page(comparison, {})
    assert "Scale: 24 rollouts a step on 3 arms, 8.0 an arm under uniform sampling." in text
    assert "two steps there, and 38 here." in text
    assert [row[-1] for row in results_table(comparison)[:2]] == ["rollouts an arm and step", "8.0"]


def test_tuning_is_none_only_where_the_experiment_says_so(comparison):
    assert "Tuning beforehand: not stated." in page(comparison, {})
    assert "Tuning beforehand: none, as the experiment says." in page(replace(comparison, settings_tried=0), {})
    assert "Tuning beforehand: 3 settings of every policy" in page(replace(comparison, settings_tried=3), {})


def test_seconds_are_medians_that_a_stalled_run_does_not_move(copy):
    """In the first run of DUMP a step lasts a thousand seconds longer; all others last a second."""
    for log in copy.glob("*/seed*/*.jsonl"):  # the seconds of the tests are those of a busy machine
        records = [json.loads(line) for line in log.read_text().splitlines()]
        for record in records:
            record |= {key: record["step"] for key in record if key.startswith("time/")}
        log.write_text("".join(json.dumps(record) + "\n" for record in records))
    for name, last in (("metrics.jsonl", 3), ("evaluations.jsonl", 1)):
        log = copy / "dump" / "seed0" / name
        records = [json.loads(line) for line in log.read_text().splitlines()]
        for record in records[-last:]:
            record |= {key: record[key] + 1000 for key in ("time/learn", "time/seconds")}
        log.write_text("".join(json.dumps(record) + "\n" for record in records))
    comparison = load_comparison([copy])
    rows = {row[0]: row for row in spending_table(comparison)}
    seconds = [run.ledger["seconds"]["learn"] for run in comparison.cells["dump"].runs.values()]
    place = rows["policy"].index("learn, s")
    assert rows["dump"][place] == f"{np.median(seconds):,.1f}"
    assert np.mean(seconds) > 300 > np.median(seconds)
    assert (rows["dump"][-1], rows["uniform"][-1]) == ("0", "-")
    assert "does not say if the machine did other work" in page(comparison, {})
    assert "does not say" not in page(replace(comparison, machine_shared=False), {})


def test_seconds_of_a_shared_machine_are_not_shown(comparison):
    shared = replace(comparison, machine_shared=True)
    assert spending_table(shared)[0] == ["policy", "seeds", "generated", "redrawn", "trained on", "in evaluation"]
    assert "Seconds are not shown: the machine did other work" in page(shared, {})
    for name, seen in (("success", {"generated tokens", "optimiser steps"}), ("ledger", {"tokens, mean over seeds"})):
        assert {axes.get_xlabel() for axes in FIGURES[name](shared).axes} == seen
        assert len(FIGURES[name](comparison).axes) == len(seen) + 1


def test_an_option_that_a_run_does_not_name_has_its_default(comparison):
    windows = {label: option_of(comparison.cells[label].config, "window") for label in LABELS}
    assert windows == {"uniform": None, "dump": 300, "dump?window=75": 75, "uniform; max_redraws 2": None}


@pytest.mark.parametrize("name", sorted(set(FIGURES) - {"heat_map"}))
def test_each_figure_can_be_had_alone(comparison, name):
    assert FIGURES[name].applies(comparison)
    figure = FIGURES[name](comparison)
    figure.draw_without_rendering()
    assert "3 seeds (an anecdote)" in figure.get_suptitle()
    assert all(axes.get_children() for axes in figure.axes)


def test_many_cells_take_no_height_from_the_curves(comparison):
    uniform = comparison.cells["uniform"]
    many = {f"{'a long name ' * 3}{i}": uniform for i in range(16)}

    def height(cells):
        figure = FIGURES["success"](replace(comparison, cells=cells, control=None))
        figure.draw_without_rendering()
        return figure.axes[0].get_window_extent().height

    assert height(many) == pytest.approx(height({"uniform": uniform}), rel=0.05)


def test_the_ablation_shows_the_window_in_order_beside_the_control(comparison):
    (axes,) = FIGURES["ablation"](comparison).axes
    assert axes.get_title() == "dump: window"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["75", "300"]
    means = {row["label"]: row["primary"][0] for row in comparison.table}
    line = next(line for line in axes.lines if len(line.get_ydata()) == 2 and line.get_marker() == "o")
    assert line.get_ydata().tolist() == [means["dump?window=75"], means["dump"]]


def test_a_report_prints_its_answer_and_the_path_of_the_page(runs, tmp_path, capsys):
    assert main(["report", str(runs / "dump" / "seed0"), "--output", str(tmp_path)]) == 0
    answer, path = capsys.readouterr().out.splitlines()
    assert answer.startswith("dump takes held-out success from 0.")
    assert path == str(tmp_path / "report.html")
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["answer"] == answer
    assert list(found["values"]["dump"]) == ["0"]
    figures = {file.stem for file in (tmp_path / "figures").iterdir()}
    assert figures == {
        "success", "success_by_arm", "forgetting", "arm_shares", "dose", "steering", "ledger",
    }  # fmt: skip


def test_one_figure_is_written_where_one_is_asked_for(runs, tmp_path, capsys):
    assert main(["report", str(runs), "--output", str(tmp_path), "--figure", "profile"]) == 0
    captured = capsys.readouterr()
    assert captured.out.split() == [str(tmp_path / "figures" / f"profile.{kind}") for kind in ("png", "svg")]
    assert captured.err == "drawing figure 1 of 1, profile, 0%\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["figures", "profile.png", "profile.svg"]
    assert main(["report", str(runs), "--figure", "profle"]) == 2
    assert "did you mean 'profile'" in capsys.readouterr().err


def test_text_from_the_runs_cannot_become_markup(comparison):
    text = page(replace(comparison, name="<b>x</b>", notes=["a < b"]), {})
    assert "<b>x" not in text
    assert "a &lt; b" in text


def test_power_is_told_for_every_difference(comparison):
    lines = power_lines(comparison)
    assert len(lines) == 3
    assert all(
        re.search(
            r"margin, 0.0200, takes (\d|more than)[\d,]* seeds at a power of 0.8; to show equivalence, if there is no "
            r"difference, (\d|more than)[\d,]*\. 3 seeds show a difference of 0\.\d+\.",
            line,
        )
        for line in lines
    )


def test_tables_are_also_markdown(comparison):
    lines = markdown_tables(comparison).splitlines()
    assert lines[0].startswith("| policy | seeds | area (primary) |")
    assert sum(line.startswith("| dump?window=75 |") for line in lines) == 4


def test_a_half_written_run_is_left_out_and_told(copy):
    (copy / "dump" / "seed1" / "summary.json").unlink()
    log = copy / "dump" / "seed1" / "metrics.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]) + '{"step": 3, "rew')
    comparison = load_comparison([copy])
    assert re.search(r"dump/seed1 is left out: not finished, \d+% of it is there", comparison.notes[0])
    assert comparison.notes[2] == "dump has no finished run of seed 1: differences are of the seeds that both have"
    row = next(row for row in comparison.table if row["label"] == "dump")
    assert (row["seeds"], row["pairs"]) == (2, 2)
    expected = np.delete(comparison.values("uniform"), 1)
    assert comparison.differences("dump") == pytest.approx(comparison.values("dump") - expected)


def test_one_seed_has_no_interval_and_no_test(copy):
    comparison = load_comparison([copy / "dump" / "seed0", copy / "uniform" / "seed0"])
    row = comparison.table[1]
    assert math.isnan(row["primary"][1])
    assert row["verdict"] == "undecided"
    assert "interquartile_mean" not in row
    for name, draw in FIGURES.items():
        if draw.applies(comparison):
            assert "1 seed (an anecdote)" in draw(comparison).get_suptitle(), name


def test_without_the_control_there_are_no_differences(copy):
    for name in ("uniform", "filtered"):
        shutil.rmtree(copy / name)
    comparison = load_comparison([copy])
    assert comparison.control is None
    assert comparison.notes == [DEFAULTS, "no run of the control, uniform: there are no paired differences"]
    assert all("difference" not in row for row in comparison.table)


def test_of_two_runs_without_the_control_the_first_is_the_control(copy):
    comparison = load_comparison([copy / "dump75" / "seed0", copy / "dump" / "seed0"])
    assert comparison.control == "dump?window=75"
    assert comparison.notes == [DEFAULTS, "no run of uniform: the control is the cell given first, dump?window=75"]
    assert comparison.table[1]["difference"][0] == comparison.differences("dump")[0]
    assert load_comparison([copy / "dump", copy / "uniform"]).control == "uniform"
    assert load_comparison([copy / "dump" / "seed0", copy / "dump" / "seed1"]).control is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget_tokens": 900}, "budget_tokens is 2000 in .* and 900 in .*; accepted: runs that agree in it"),
        ({"arms": ("dumpgym/KnightsKnaves2-v0",)}, r"arms is \('dumpgym/KnightsKnaves2-v0', 'dumpgym"),
        ({"evaluation_problems": 4}, "evaluation_problems is 8 in"),
        ({}, "two runs of uniform have seed 0, .*; accepted: one of them"),
    ],
)
def test_unlike_runs_are_not_averaged(runs, tmp_path, options, message):
    make_run(tmp_path / "other", 0, policy="uniform", **options)
    with pytest.raises(DumpgymError, match=message):
        load_comparison([runs, tmp_path / "other"])


def test_where_there_is_no_run_it_is_said(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "accepted: directories with at least one finished run" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "none")]) == 2
    assert "accepted: a directory with runs" in capsys.readouterr().err
    assert main(["report"]) == 2
    assert "the runs are missing" in capsys.readouterr().err


EXPERIMENT = {"name": "declared", "question": "Why?", "grids": [{"policies": ["uniform"]}]}


def test_the_experiment_names_the_metric_the_margin_and_the_control(copy, tmp_path):
    experiment = {**EXPERIMENT, "metric": "final", "control": "dump", "margin": 0.5, "threshold": 0.6}
    (copy / "experiment.json").write_text(json.dumps(experiment))
    comparison, _ = report([copy], output=tmp_path / "report", figure="intervals")
    assert (comparison.name, comparison.question, comparison.control) == ("declared", "Why?", "dump")
    last = [evaluations(copy / "uniform" / f"seed{seed}")[-1]["eval/success"] for seed in range(SEEDS)]
    assert comparison.values("uniform").tolist() == last
    assert all(row["verdict"] in ("equivalent", "different, within the margin") for row in comparison.table[1:])
    part = load_comparison([copy / "dump" / "seed0"])
    assert part.name == "declared"


def test_tokens_to_a_threshold_are_a_cost(copy):
    (copy / "experiment.json").write_text(json.dumps({**EXPERIMENT, "metric": "tokens_to_threshold", "threshold": 0.6}))
    comparison = load_comparison([copy])
    others = [row["primary"][0] for row in comparison.table[1:]]
    assert others == sorted(others)
    assert max(others) <= BUDGET
    (copy / "experiment.json").write_text(json.dumps({**EXPERIMENT, "metric": "tokens_to_threshold", "threshold": 1.0}))
    never = load_comparison([copy])
    assert all(row["runs_that_reached"] == 0 and math.isnan(row["median_to_threshold"]) for row in never.table)
    assert never.values("dump").tolist() == [BUDGET] * SEEDS
    assert "&gt; 2,000" in page(never, {})


def test_runs_of_different_experiments_are_not_mixed(copy, tmp_path):
    (copy / "experiment.json").write_text(json.dumps(EXPERIMENT))
    make_run(tmp_path / "second" / "thompson" / "seed0", 0, policy="thompson")
    (tmp_path / "second" / "experiment.json").write_text(json.dumps({**EXPERIMENT, "name": "other", "metric": "final"}))
    with pytest.raises(DumpgymError, match="experiments with different name, metric; accepted: one"):
        load_comparison([copy, tmp_path / "second"])
