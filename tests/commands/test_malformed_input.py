"""Every malformed input of ``tests/cases/command_line.jsonl``: one clear line, exit status 2, and nothing written."""

import pytest

from dumpgym.commands.main import main
from tests.fakes.cases import cases

CASES = cases("command_line")


class StartedError(Exception):
    """Work began although the input is malformed."""


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch):
    def start(*arguments, **options):
        raise StartedError

    for work in (
        "dumpgym.training.launch.Trainer",
        "dumpgym.pretraining.runner.Pretrainer",
        "dumpgym.simulating.runner._run_all",
        "dumpgym.comparing.runner.Pool",
    ):
        monkeypatch.setattr(work, start)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


def contents(folder):
    return {path.relative_to(folder): path.read_text() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_malformed_input_is_one_line_and_leaves_no_file(tmp_path, monkeypatch, capsys, case):
    monkeypatch.chdir(tmp_path)
    for name, text in case.get("files", {}).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = contents(tmp_path)
    assert main(case["input"]) == 2
    error = capsys.readouterr().err
    text = " ".join(error.replace("│", " ").split())
    assert case["expected"] in text
    assert case.get("absent", "Traceback") not in text
    is_box = any(mark in error for mark in ("─", "----"))  # tyro's own, of what the parser itself refuses
    assert is_box or (error.startswith("dumpgym: ") and error.count("\n") == 1)
    assert contents(tmp_path) == before


def test_there_are_cases_of_every_verb():
    assert len(CASES) >= 150
    assert len({case["id"] for case in CASES}) == len(CASES)
    assert {"train", "compare", "simulate", "pretrain", "play", "export", "report", "list"} <= {
        case["input"][0] for case in CASES
    }
