"""The findings that are committed are those of the logs that are committed."""

import runpy
import tarfile
from pathlib import Path

import numpy as np
import pytest

from dumpgym.comparison import load_comparison

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@pytest.fixture(scope="module")
def embedded_policies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded_policies")
    with tarfile.open(EXPERIMENTS / "embedded_policies" / "runs.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "runs" / "embedded_policies"


def test_the_tables_and_scores_of_the_policies_are_those_of_their_runs(embedded_policies, tmp_path):
    analysis = runpy.run_path(str(EXPERIMENTS / "embedded_policies" / "analysis.py"))
    analysis["main"](analysis["Options"](runs=embedded_policies, output=tmp_path))
    for name in ("tables.md", "scores.json"):
        assert (tmp_path / name).read_text() == (EXPERIMENTS / "embedded_policies" / name).read_text()
    assert {path.name for path in tmp_path.glob("*.png")} == {"finding.png", "arm_shares.png"}


def test_the_policies_were_compared_as_the_protocol_says(embedded_policies):
    comparison = load_comparison([embedded_policies])
    assert comparison.notes == []
    first = {label: [run.evaluations[0]["eval/solved"] for run in cell.runs.values()] for label, cell in
             comparison.cells.items()}  # fmt: skip
    for label, cell in comparison.cells.items():
        assert sorted(cell.runs) == list(range(8))
        assert first[label] == first["uniform"]  # the same weights on the same problems
        assert all(run.tokens[-1] >= comparison.budget for run in cell.runs.values())


@pytest.fixture(scope="module")
def prediction():
    return runpy.run_path(str(EXPERIMENTS / "simulator_prediction" / "run.py"))


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


def test_ablations_are_reported_by_what_was_changed(embedded_policies, tmp_path):
    analysis = runpy.run_path(str(EXPERIMENTS / "ablations" / "analysis.py"))
    comparison = load_comparison([embedded_policies])
    assert analysis["axes_of"](comparison) == {"count_unit": ["dump (count_unit prompts)"]}
    gain = comparison.values("dump (count_unit prompts)").mean() - comparison.values("dump").mean()
    assert analysis["differences"](comparison, "dump (count_unit prompts)").mean() == pytest.approx(gain)
    assert analysis["score"](comparison, "count_unit") == pytest.approx(abs(gain))
    analysis["main"](analysis["Options"](runs=embedded_policies, output=tmp_path))
    assert "| count_unit | dump (count_unit prompts) | dump | 8 |" in (tmp_path / "tables.md").read_text()
    assert {path.name for path in tmp_path.glob("*.png")} == {"constants.png", "sweeps.png"}
