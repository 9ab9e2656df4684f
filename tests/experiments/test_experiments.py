"""The findings that are committed are those of the logs that are committed."""

import json
import runpy
from dataclasses import replace

import numpy as np
import pytest

from dumpgym.comparing.experiment import cells_of, load_experiment
from dumpgym.comparing.loading import load_comparison
from dumpgym.reporting.findings import AnalysisConfig, load_findings
from tests.fakes.packed_runs import EXPERIMENTS, unpack_runs

COMPARISONS = [
    path
    for path in sorted(EXPERIMENTS.glob("*/*.toml"))
    if any(key in path.read_text() for key in ("policies = ", "extends = "))
]
FIGURES = {
    "embedded_policies": {"finding.png", "arm_shares.png"},
    "ablations": {"constants.png", "sweeps.png"},
    "group_filtering": {"success.png", "ledger.png"},
    "per_token_signal": {"success.png", "differences.png", "arm_shares.png"},
    "cheapest_arm": {"success.png", "differences.png"},
    "uniform_damage": {"success.png"},
}


@pytest.fixture(scope="module")
def all_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiments")
    for name in FIGURES:
        unpack_runs(name, folder)
    return folder / "runs"


@pytest.fixture(scope="module", params=FIGURES)
def experiment(request, all_runs):
    """The name of an experiment, and the directory of its runs."""
    return request.param, all_runs / request.param


@pytest.fixture(scope="module")
def comparison(experiment):
    return load_comparison([experiment[1]])


def same_findings(folder, name):
    assert (folder / "tables.md").read_text() == (EXPERIMENTS / name / "tables.md").read_text()
    found, expected = (json.loads((path / "scores.json").read_text()) for path in (folder, EXPERIMENTS / name))
    assert found == pytest.approx(expected)


def test_tables_scores_and_figures_are_those_of_the_runs(experiment, tmp_path):
    name, runs = experiment
    analysis = runpy.run_path(str(EXPERIMENTS / name / "analysis.py"))
    analysis["main"](AnalysisConfig(runs=runs, output=tmp_path))
    same_findings(tmp_path, name)
    assert {path.name for path in tmp_path.glob("*.png")} == FIGURES[name]


def test_runs_were_compared_as_the_protocol_says(experiment, comparison):
    name, _ = experiment
    planned = load_experiment(EXPERIMENTS / name / "experiment.toml")
    assert comparison.notes == []
    assert len(comparison.cells) == len(cells_of(planned))
    assert comparison.budget == planned.train["budget_tokens"]
    first = {label: [run.evaluations[0]["eval/solved"] for run in cell.runs.values()] for label, cell in
             comparison.cells.items()}  # fmt: skip
    for label, cell in comparison.cells.items():
        assert sorted(cell.runs) == list(range(planned.first_seed, planned.first_seed + planned.seeds))
        assert first[label] == first["uniform"]  # the same weights on the same problems
        assert all(run.tokens[-1] >= comparison.budget for run in cell.runs.values())


def test_seeds_of_two_experiments_are_pooled_at_the_budget_of_both(all_runs, tmp_path):
    analysis = runpy.run_path(str(EXPERIMENTS / "pooled_seeds" / "analysis.py"))
    analysis["main"](AnalysisConfig(runs=all_runs, output=tmp_path))
    same_findings(tmp_path, "pooled_seeds")
    assert (tmp_path / "budgets.png").exists()
    parts = analysis["load"](all_runs)
    values = analysis["differences"](parts, 300_000)
    assert values.shape == (16,)
    assert values[8:] == pytest.approx(parts[1].differences("dump"))  # whose budget is this one
    assert analysis["score"](parts, 300_000) == values.mean()


def test_the_map_has_the_tables_of_its_runs(tmp_path):
    for packed in sorted((EXPERIMENTS / "when_curricula_pay").glob("*.tar.xz")):
        unpack_runs("when_curricula_pay", tmp_path, packed.name)
    analysis = runpy.run_path(str(EXPERIMENTS / "when_curricula_pay" / "analysis.py"))
    analysis["main"](AnalysisConfig(runs=tmp_path / "runs", output=tmp_path))
    same_findings(tmp_path, "when_curricula_pay")
    assert {path.stem for path in tmp_path.glob("*.png")} == {"room", "map", "axes", "finding", "careless"}


def test_the_settings_that_were_chosen_are_those_of_the_runs(tmp_path):
    unpack_runs("tuned_policies", tmp_path)
    analysis = runpy.run_path(str(EXPERIMENTS / "tuned_policies" / "analysis.py"))
    analysis["main"](AnalysisConfig(runs=tmp_path / "runs", output=tmp_path))
    same_findings(tmp_path, "tuned_policies")
    chosen = analysis["chosen"](analysis["gains"](analysis["load"](tmp_path / "runs")))
    of_map = runpy.run_path(str(EXPERIMENTS / "when_curricula_pay" / "analysis.py"))["TUNED"]
    assert of_map == {label.partition("?")[0]: label for label in chosen}


@pytest.mark.parametrize("path", COMPARISONS, ids=[f"{path.parent.name}-{path.stem}" for path in COMPARISONS])
def test_every_experiment_can_be_run(path):
    experiment = load_experiment(path)
    others = [load_experiment(other) for other in path.parent.glob("*.toml")]
    # Experiments of one name share a directory, so they may differ in their policies only.
    assert all(other.train == experiment.train for other in others if other.name == experiment.name)
    assert all(cell.config.budget_tokens for cell in cells_of(experiment))


def test_what_an_experiment_says_today_of_its_machine_holds_for_older_runs(all_runs):
    runs = all_runs / "group_filtering"
    assert load_comparison([runs]).machine_shared is None  # the runs are older than the key
    shared = load_findings(runs, str(EXPERIMENTS / "group_filtering" / "analysis.py"))
    assert (shared.machine_shared, shared.settings_tried) == (True, 0)


@pytest.fixture(scope="module")
def simulated_coverage():
    return runpy.run_path(str(EXPERIMENTS / "interval_coverage" / "run.py"))


def test_the_old_intervals_cover_too_little_and_bca_is_no_better(simulated_coverage):
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(600, 8))
    for method in ("percentile", "bca"):
        found = simulated_coverage["coverage"]((simulated_coverage[method](one, rng) for one in samples), 0.0)
        assert 0.85 < found["coverage"] < 0.92
    apart = [simulated_coverage["arms_apart"](*simulated_coverage["two_policies"](rng, 8), rng) for _ in range(100)]
    found = simulated_coverage["coverage"]((one["interquartile mean"] for one in apart), 0.0)
    assert found["coverage"] < 0.85


def test_an_axis_of_ablations_scores_the_range_of_its_settings(experiment, comparison):
    name, _ = experiment
    analysis = runpy.run_path(str(EXPERIMENTS / "ablations" / "analysis.py"))
    axes = analysis["axes_of"](comparison)
    assert {axis: len(labels) for axis, labels in axes.items()} == {
        "embedded_policies": {"count_unit": 1},
        "ablations": {"exploration": 3, "temperature": 5, "window": 3, "max_redraws": 1, "signal": 3},
        "group_filtering": {"max_redraws": 1},
        "per_token_signal": {"signal": 1},
        "cheapest_arm": {},
        "uniform_damage": {},
    }[name]
    for axis, labels in axes.items():
        areas = [comparison.values(label).mean() for label in ("dump", *labels)]
        assert analysis["score"](comparison, axis) == pytest.approx(max(areas) - min(areas))


@pytest.fixture(scope="module")
def prediction():
    return runpy.run_path(str(EXPERIMENTS / "simulator_prediction" / "run.py"))


def test_nuisance_arms_are_simulated_by_their_kinds(prediction):
    regime = load_experiment(EXPERIMENTS / "when_curricula_pay" / "coin_4.toml")
    config = cells_of(regime)[0].config
    assert prediction["nuisance_of"](config) == "too-hard*28,noisy*4"
    assert prediction["nuisance_of"](replace(config, nuisance_arms=())) == ""
    mastered = load_experiment(EXPERIMENTS / "when_curricula_pay" / "mastered_28.toml")
    assert prediction["nuisance_of"](cells_of(mastered)[0].config) == "mastered*28"


def test_a_correlation_is_that_of_the_orders(prediction):
    rng = np.random.default_rng(0)
    real = np.arange(6.0)[:, None] + 0.01 * rng.normal(size=(6, 8))
    same = prediction["correlation"](real, 3 * real - 1)
    assert same["spearman"] == same["interval_over_seeds"][0] == 1
    assert same["p"] == pytest.approx(2 / 720, rel=0.2)  # two of the orders of six
    assert prediction["correlation"](real, -real)["spearman"] == -1
    assert prediction["halves"](real) == 1
    noise = prediction["correlation"](rng.normal(size=(6, 8)), rng.normal(size=(6, 8)))
    low, high = noise["interval_over_seeds"]
    assert low < 0 < high
    assert noise["p"] > 0.01
