"""What a person sees of a training run."""

import io

import pytest
from rich.console import Console

from dumpgym.commands.display import TrainDisplay
from dumpgym.commands.main import main
from dumpgym.runs.config import TrainConfig

LONG = tuple(f"dumpgym/KnightsKnaves-v0?num_people={n}&lookahead=1" for n in (3, 4))


def record(step, names, **values):
    arms = {f"arms/{name}/{key}": 0.25 for name in names for key in ("requested_share", "share", "learnability")}
    found = {"step": step, "alarms": [], "reward": 0.5, "num_tokens": 1000 * step}
    return found | {"time/seconds": 2.0 * step, "time/progress": step / 40} | arms | values


def evaluation(step, names):
    return {"step": step, "alarms": [], "eval/success": 0.5} | {f"eval/{name}/success": 0.5 for name in names}


def display_at(width, arms, *, terminal):
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    return TrainDisplay(TrainConfig(arms=arms), console=console)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("arms", [TrainConfig().arms, LONG])
def test_the_live_table_names_every_arm_in_full(width, arms):
    display = display_at(width, arms, terminal=True)
    with display:
        display.start(0.0)
        display.observe("evaluations.jsonl", evaluation(0, display.names))
        display.observe("metrics.jsonl", record(1, display.names))
    shown = display.console.file.getvalue()
    assert all(name in shown for name in display.names)
    assert "0.50 -> 0.50" in shown


def test_the_live_table_has_the_shares_of_all_nuisance_arms_in_one_row():
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    arms = tuple(f"dumpgym/KnightsKnaves-v0?num_people={n}" for n in (2, 3, 4))
    display = TrainDisplay(TrainConfig(arms=arms, nuisance_arms=arms[1:]), console=console)
    with display:
        display.start(0.0)
        display.observe("evaluations.jsonl", evaluation(0, display.names))
        display.observe("metrics.jsonl", record(1, [*display.names, *display.nuisance]))
    row = next(line for line in console.file.getvalue().splitlines() if "nuisance arms" in line)
    assert [cell.strip() for cell in row.split("│")[2:-1]] == ["0.50", "0.50", "-", "-", "-"]


def test_an_error_before_the_first_record_leaves_no_table():
    display = display_at(80, LONG, terminal=True)
    with pytest.raises(RuntimeError), display:
        raise RuntimeError
    assert display.console.file.getvalue() == ""
    with display:
        display.start(0.0)
    shown = display.console.file.getvalue()
    assert "arm" not in shown
    assert shown.endswith("\x1b[2K")  # the bar is erased


def test_a_model_that_cannot_be_loaded_is_one_line_on_a_terminal_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert main(["train", "--agent.model", "no/model here"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_a_pipe_reads_where_the_run_is_with_the_time_left():
    display = display_at(80, ("dumpgym/KnightsKnaves2-v0",), terminal=False)
    now = [0.0]
    display.pace.clock = lambda: now[0]
    with display:
        display.start(0.0)
        display.observe("evaluations.jsonl", evaluation(0, display.names))
        for step in range(1, 13):
            now[0] = 6.0 * step
            display.observe("metrics.jsonl", record(step, display.names))
    lines = display.console.file.getvalue().splitlines()
    assert lines[0] == "evaluating before training"
    assert lines[1] == "step 0  held-out success 0.500  KnightsKnaves2 0.50"
    assert [line.split(",")[0] for line in lines[2:]] == [f"step {step}" for step in (2, 4, 6, 8, 10, 12)]
    assert lines[6] == "step 10, 25%  reward 0.50  tokens 10,000  20 s  about 3 min left"


def test_a_resumed_run_says_where_it_resumes():
    display = display_at(80, LONG, terminal=False)
    display.start(0.5)
    assert display.console.file.getvalue() == "resuming at 50%\n"
