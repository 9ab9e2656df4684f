"""``dumpgym compare --live``: the arms of a comparison while it runs, side by side."""

import io
import re

import pytest
from rich.console import Console

from dumpgym.commands.progress import FrontierProgress, what_differs
from dumpgym.comparing.planned_runs import PlannedRun
from tests.fakes.improver import run
from tests.training.test_training import ARMS, make_config


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run of each of two policies, and one that has not begun."""
    folder = tmp_path_factory.mktemp("runs")
    configs = [make_config(folder / policy, policy=policy) for policy in ("uniform", "dump", "ucb1")]
    for config in configs[:2]:
        run(config)
    return [PlannedRun(f"{config.policy}-seed0", config) for config in configs]


def shown(runs, *, calls=1, width=160, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    with FrontierProgress(console, runs) as progress:
        for _ in range(calls):
            progress("2 of 3 runs", 0.7)
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", console.file.getvalue())


def test_a_terminal_shows_success_and_share_of_every_arm_under_each_policy(runs):
    text = shown(runs, force_terminal=True, force_interactive=True)
    headings = next(line for line in text.splitlines() if "uniform" in line)
    assert [cell.strip() for cell in headings.split("┃")[2:-1:2]] == ["uniform", "dump", "ucb1"]
    last = [run.last_record() for run in runs[:2]]
    rows = {line.split("│")[1].strip(): line for line in text.splitlines() if line.count("│") == 8}
    for arm in ("KnightsKnaves2", "KnightsKnaves3", "KnightsKnaves4"):
        shares = [f"{record[f'arms/{arm}/share']:.2f}" for record in last]
        cells = [cell.strip() for cell in rows[arm].split("│")[2:-1]]
        assert [cells[1], cells[3]] == shares
        assert cells[4:] == ["-", "-"]
        assert re.fullmatch(r"[▁-█]+ [01]\.\d\d", cells[0])
    assert f"{last[0]['num_tokens']:,}" in rows["mean"]


def test_nuisance_arms_have_one_row_with_the_rest_of_the_batch(tmp_path):
    config = make_config(tmp_path / "run", policy="uniform", nuisance_arms=ARMS[:1])
    run(config)
    planned = PlannedRun("uniform-seed0", config)
    text = shown([planned], force_terminal=True, force_interactive=True)
    row = next(line for line in text.splitlines() if "nuisance arms" in line)
    share = planned.last_record()["arms/KnightsKnaves2/share"]
    assert [cell.strip() for cell in row.split("│")[2:-1]] == ["-", f"{share:.2f}"]


def test_a_narrow_terminal_still_says_which_policy_it_is(runs):
    text = shown(runs[:2], width=62, force_terminal=True, force_interactive=True)
    headings = next(line for line in text.splitlines() if "uniform" in line)
    assert [cell.strip() for cell in headings.split("┃")[2:-1]] == ["uniform", "share", "dump", "share"]


def test_before_the_first_evaluation_there_is_no_table(runs):
    assert "success" not in shown(runs[2:], force_terminal=True, force_interactive=True)


def test_a_pipe_has_one_line_for_every_evaluation(runs):
    lines = [line for line in shown(runs, calls=3).splitlines() if "tokens: success" in line]
    assert len(lines) == 2 * 4
    first = r"uniform-seed0, 0 tokens: success 0\.\d{3}  KnightsKnaves2 \d\.\d\d  KnightsKnaves3 .*"
    assert re.fullmatch(first, lines[0])
    assert lines[-1].startswith("dump-seed0, ")


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["Copy?length=2", "Copy?length=3"], ["length=2", "length=3"]),
        (["A?n=2&cap=1", "A?n=3&cap=1"], ["n=2", "n=3"]),
        (["Copy?length=2", "Sort?length=2"], ["Copy", "Sort"]),
        (["A2", "A3"], ["A2", "A3"]),
        (["A", "A?n=3"], ["A", "A?n=3"]),
        (["A?n=1"], ["A?n=1"]),
    ],
)
def test_names_are_shortened_to_what_differs(names, short):
    assert what_differs(names) == short
