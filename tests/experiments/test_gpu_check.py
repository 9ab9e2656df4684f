"""The GPU check's small form, on the CPU."""

import json
import runpy
from pathlib import Path

import pytest

CHECK = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "benchmarks" / "gpu_check.py"))


def options(*parts, output=Path("unused")):
    return CHECK["Options"](output=output, device="cpu", small=True, parts=parts)


def test_the_cpu_agrees_with_itself():
    result = CHECK["run_part"]("agreement", options())
    assert result == {"greedy_completions_equal": 1.0, "relative_difference_of_a_gradient_step": 0.0}


@pytest.mark.parametrize("model", ["embedded", "qwen2-0.5b"])
def test_speeds_are_beside_those_of_generate(model):
    result = CHECK["run_part"](model, options())
    assert result["rows"] == 16
    assert 16 <= result["tokens"] <= 16 * 16
    ratio = result["sampling_tokens_per_second"] / result["generate_tokens_per_second"]
    assert result["sampling_ratio"] == pytest.approx(ratio)
    assert 0 < result["share_of_bandwidth_floor"] < 1


def test_the_report_has_every_part_and_the_status_tells_of_one_that_failed(tmp_path):
    output = tmp_path / "report.json"
    assert CHECK["main"](options("training", "no-such-model", output=output)) == 1
    report = json.loads(output.read_text())
    assert report["training"]["steps"] == 1
    assert "no-such-model" in report["no-such-model"]["failed"]
    assert report["small"]
