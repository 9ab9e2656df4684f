"""Where a command says how far it is: a bar on a terminal, plain lines elsewhere."""

import io
import itertools

import pytest
from rich.console import Console

from dumpgym.commands.progress import CommandProgress, Pace, duration
from dumpgym.commands.tables import Column, FittingTable


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def console(width=80, **options):
    return Console(file=io.StringIO(), width=width, color_system=None, **options)


def printed(to):
    return to.file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (45.4, "45 s"), (90, "2 min"), (3000, "50 min"), (12_000, "3 h 20 min")]
)
def test_a_duration_is_in_words(seconds, text):
    assert duration(seconds) == text


def test_lines_become_rarer():
    clock = Clock()
    pace, due = Pace(clock), []
    for second in range(2 * 3600):
        clock.now = second
        due += [second] * pace.is_due()
    gaps = [later - sooner for sooner, later in itertools.pairwise(due)]
    assert due[0] == 10
    assert gaps == sorted(gaps)
    assert max(gaps) == 300
    assert len(due) < 60


def test_the_time_left_counts_only_what_was_done_since_the_start():
    clock = Clock()
    pace = Pace(clock)
    pace.start(0.5)
    assert pace.left(0.5) == ""
    clock.now = 60.0
    assert pace.left(0.6) == "about 4 min left"
    assert pace.left(1.0) == ""


def test_a_pipe_gets_a_line_at_the_second_call_and_then_now_and_then_without_cursor_codes():
    clock, to = Clock(), console()
    with CommandProgress(to, Pace(clock)) as progress:
        for second in range(41):
            clock.now = second
            progress("drawing [bold]figures", second / 200)
    assert printed(to) == [
        "drawing [bold]figures, 0%, about 3 min left",
        "drawing [bold]figures, 5%, about 3 min left",
        "drawing [bold]figures, 10%, about 3 min left",
        "drawing [bold]figures, 15%, about 3 min left",
        "drawing [bold]figures, 20%, about 3 min left",
    ]


def test_a_terminal_gets_a_bar_with_the_text():
    to = console(force_terminal=True)
    with CommandProgress(to) as progress:
        progress("drawing [bold]figures", 0.25)
    assert "drawing [bold]figures" in to.file.getvalue()
    assert "25%" in to.file.getvalue()


COLUMNS = (Column("requested", "req.", 1), Column("held-out success,\nstart -> now", "held-out"))
NAMES = ["KnightsKnaves3", "KnightsKnaves?num_people=5&lookahead=1&role_words=saint|sinner", "words[bold]"]


def drawn(width):
    to = console(width)
    to.print(FittingTable("arm", COLUMNS, [[name, "0.25", "0.00 -> 0.50"] for name in NAMES]))
    return to.file.getvalue()


@pytest.mark.parametrize("width", [10, 40, 60, 80, 120])
def test_no_name_and_no_value_of_a_kept_column_is_cut_at_any_width(width):
    shown = drawn(width)
    assert all(len(line) <= width for line in shown.splitlines())
    unfolded = "".join(shown.split())
    assert all(name in unfolded for name in NAMES)
    assert unfolded.count("0.00->0.50") == len(NAMES)
    assert "…" not in shown


def test_headings_become_shorter_then_columns_go_then_rows_are_stacked():
    layouts = [drawn(width) for width in (120, 96, 85, 60)]
    assert ["requested" in shown for shown in layouts] == [True, False, False, False]
    assert ["req." in shown for shown in layouts] == [False, True, False, True]
    assert ["┃" in shown for shown in layouts] == [True, True, True, False]
