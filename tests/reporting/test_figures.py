"""Figures by their data: what they show, that curves can be told apart, and that none of them can stop a run."""

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from dumpgym.commands.figures import draw_run
from dumpgym.comparing.comparison import FinishedCell
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.figures.canvas import image
from dumpgym.reporting.figures.one_run import training_figure
from dumpgym.reporting.figures.style import COLOURS, MOST_CURVES, cell_looks, labels_in_colour
from tests.fakes import improver
from tests.training.test_training import ARMS, make_config

# Machado, Oliveira and Fernandes (2009): what full protanopia, deuteranopia and tritanopia make of linear RGB.
SEEN_WITH = {
    "normal vision": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def lab(colour, seen_with):
    """A colour in CIE L*a*b*, in which a distance of 2 can just be seen side by side."""
    encoded = np.array([0, 0, 0] if colour == "black" else [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.clip(np.array(SEEN_WITH[seen_with]) @ (((encoded + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = (value if value else 0 for value in to_xyz @ linear / [0.9505, 1, 1.089])
    x, y, z = (np.cbrt(value) if value > 0.0089 else 7.787 * value + 16 / 116 for value in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def with_cells(comparison, count):
    """The comparison with as many cells as asked for, all with the control's runs."""
    uniform = comparison.cells["uniform"]
    names = ["uniform", *(f"other {i}" for i in range(count - 1))]
    return replace(comparison, cells={name: FinishedCell(name, uniform.runs) for name in names})


def changed(cell, **settings):
    """The cell as if its runs had had other settings."""
    runs = {seed: replace(run, config=replace(run.config, **settings)) for seed, run in cell.runs.items()}
    return FinishedCell(f"{cell.label} {settings}", runs)


@pytest.mark.parametrize("seen_with", SEEN_WITH)
def test_the_colours_of_eight_curves_can_be_told_apart(comparison, seen_with):
    colours = [look["color"] for look in cell_looks(with_cells(comparison, MOST_CURVES)).values()]
    assert len(set(colours)) == MOST_CURVES == 8
    nearest = min(np.linalg.norm(lab(a, seen_with) - lab(b, seen_with)) for a, b in itertools.combinations(colours, 2))
    assert nearest > 14


def test_eight_curves_also_differ_without_colour_and_no_two_of_twenty_are_alike(comparison):
    looks = cell_looks(with_cells(comparison, MOST_CURVES))
    assert len({(str(look["linestyle"]), look["marker"]) for look in looks.values()}) == MOST_CURVES
    assert looks["uniform"] == {"color": "black", "linestyle": "-", "marker": ""}
    many = cell_looks(with_cells(comparison, 20)).values()
    assert len({(look["color"], str(look["linestyle"]), look["marker"]) for look in many}) == 20


@pytest.mark.parametrize("name", ["success", "success_by_arm", "steering"])
def test_one_panel_has_at_most_eight_curves_in_colour(comparison, name):
    few = FIGURES[name](with_cells(comparison, MOST_CURVES)).axes[0]
    colours = {line.get_color() for line in few.lines if not line.get_label().startswith("_")}
    assert len(colours) == MOST_CURVES
    assert not few.collections  # bands would hide each other
    many = with_cells(comparison, 18)
    labels = [line.get_label() for line in FIGURES[name](many).axes[0].lines]
    assert [label for label in labels if not label.startswith("_")] == ["the 15 others", *labels_in_colour(many)]


def test_seconds_of_a_shared_machine_are_not_drawn(comparison):
    for name, alone, shared in (("success", 3, 2), ("ledger", 2, 1)):
        assert len(FIGURES[name](comparison).axes) == alone
        figure = FIGURES[name](replace(comparison, machine_shared=True))
        assert len(figure.axes) == shared
        assert not any("seconds" in axes.get_xlabel() for axes in figure.axes)


def test_every_cell_has_a_panel_of_its_own_beside_the_control(comparison):
    figure = FIGURES["success_by_cell"](comparison)
    assert [axes.get_title() for axes in figure.axes] == [label for label in comparison.cells if label != "uniform"]
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == ["uniform", axes.get_title()]
        assert len(axes.collections) == 2  # their bands


def test_the_curve_of_differences_is_that_of_the_pairs(comparison):
    figure = FIGURES["difference_curves"](comparison)
    panel = next(axes for axes in figure.axes if axes.get_title() == "dump")
    mean = next(line for line in panel.lines if line.get_label() == "dump")
    at = mean.get_xdata()
    assert at[-1] == comparison.budget
    mine, its = (
        np.mean([np.interp(at, run.tokens, run.success) for run in comparison.cells[label].runs.values()], axis=0)
        for label in ("dump", "uniform")
    )
    assert mean.get_ydata() == pytest.approx(mine - its)
    assert len(panel.lines) == 1 + 3 + 1  # zero, the pairs, their mean


def test_a_curve_says_how_much_sooner_it_has_the_final_success_of_the_control(comparison):
    (axes,) = FIGURES["sooner"](comparison).axes
    ends = {line.get_label(): line.get_xydata()[-1] for line in axes.lines if line.get_label() in comparison.cells}
    tokens, level = ends["uniform"]
    drops = [line.get_xydata() for line in axes.lines if line.get_linestyle() == ":"]
    assert drops
    assert [text.get_text() for text in axes.texts] == [f"x{tokens / drop[0, 0]:.1f}" for drop in drops]
    for drop in drops:
        assert drop[1, 1] == pytest.approx(level)
        crossed = [np.interp(drop[0, 0], *line.get_xydata().T) for line in axes.lines if line.get_label() in ends]
        assert min(abs(value - level) for value in crossed) < 1e-6


def test_runs_in_which_nothing_changes_can_be_drawn(comparison):
    def still(run):
        first = {key: value for key, value in run.evaluations[0].items() if key.startswith("eval/")}
        return replace(run, evaluations=[{**record, **first} for record in run.evaluations])

    cells = {
        label: FinishedCell(label, {seed: still(run) for seed, run in cell.runs.items()})
        for label, cell in comparison.cells.items()
    }
    quiet = replace(comparison, cells=cells)
    for figure in FIGURES.values():
        if figure.applies(quiet):
            image(figure(quiet), "svg")


def test_numbers_are_joined_by_a_line_and_names_are_not(comparison):
    units = ("prompts", "completions")
    cells = {
        f"dump?count_unit={unit}": changed(comparison.cells["dump"], policy_options={"count_unit": unit})
        for unit in units
    }
    figure = FIGURES["ablation"](replace(comparison, cells={**comparison.cells, **cells}))
    joined = {}
    for axes in figure.axes:
        lines = [line for line in axes.lines if line.get_color() == COLOURS[0] and line.get_linestyle() == "-"]
        joined[axes.get_title()] = max(len(line.get_xdata()) for line in lines)
    assert joined == {"dump: count_unit": 0, "dump: window": 2}


def test_a_heat_map_needs_two_policies_with_two_settings(comparison):
    assert not FIGURES["heat_map"].applies(comparison)
    filtered = changed(comparison.cells["dump"], max_redraws=2)
    grid = replace(comparison, cells={**comparison.cells, filtered.label: filtered})
    assert FIGURES["heat_map"].applies(grid)
    matrix = FIGURES["heat_map"](grid).axes[0].images[0].get_array()
    assert matrix.shape == (2, 2)
    assert not np.isnan(matrix).any()


def test_the_arms_of_a_run_can_be_told_apart(runs):
    lines = training_figure(runs / "dump" / "seed0").axes[1].lines
    assert [line.get_label() for line in lines][-1] == "mean over arms"
    assert len({(str(line.get_color()), line.get_linestyle(), line.get_marker()) for line in lines}) == len(lines)
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == len(lines)


def test_the_figure_of_a_run_has_one_layer_for_all_nuisance_arms(tmp_path):
    config = make_config(tmp_path / "run", nuisance_arms=ARMS[1:])
    improver.run(config)
    shares, success = training_figure(config.output).axes
    assert len(shares.collections) == 2
    assert [line.get_label() for line in success.lines] == ["KnightsKnaves2", "mean over arms"]


def test_equal_runs_have_equal_files(comparison):
    first, second = (image(FIGURES["intervals"](comparison), kind) for kind in ("svg", "svg"))
    assert first == second


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=120
    )


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "TkAgg", "nonsense"])
def test_the_backend_of_a_notebook_does_not_matter(backend):
    code = "import dumpgym, os; print(len(dumpgym.figures.FIGURES), os.environ['MPLBACKEND'])"
    ended = python(code, MPLBACKEND=backend, DISPLAY="")
    assert ended.stdout == f"{len(FIGURES)} {backend}\n", ended.stderr


def test_a_figure_that_fails_is_one_line_and_no_failure_of_the_run(runs, tmp_path):
    run = runs / "dump" / "seed0"
    for name in ("config.json", "metrics.jsonl", "evaluations.jsonl"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert draw_run(tmp_path) == str(tmp_path / "figure.png")
    (tmp_path / "figure.png").unlink()
    (tmp_path / "figure.png").mkdir()
    reason = f"'{tmp_path / 'figure.png'}' cannot be written: Is a directory"
    assert draw_run(tmp_path) == f"none, {reason}; dumpgym show {tmp_path} --figure draws it again"


def test_a_machine_on_which_matplotlib_cannot_write_anything_trains(tmp_path):
    code = """
import sys, tempfile
from pathlib import Path
def mkdtemp(**options): raise OSError("no directory is writable")
tempfile.mkdtemp = mkdtemp
from dumpgym.commands.figures import draw_run
print(draw_run(Path(sys.prefix)))
"""
    ended = python(code, MPLCONFIGDIR="/proc/none")
    assert ended.stdout.startswith(
        "none, matplotlib cannot be imported: Matplotlib requires access to a writable cache directory"
    ), ended.stderr
    assert ended.stdout.count("\n") == 1
