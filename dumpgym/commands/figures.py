"""Figures of verbs whose results are on the disk before anything is drawn: one that fails is not their failure.

matplotlib is imported here and not where the work begins, because its import can fail too: it needs a directory that it
can write to.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dumpgym.contracts.errors import DumpgymError

if TYPE_CHECKING:
    from dumpgym.simulating.results import StudentResult


def draw_run(directory: Path) -> str:
    """Draws the figure of a finished run; returns its path, or why there is none."""

    def draw() -> Path:
        from dumpgym.reporting.figures.one_run import save_training_figure

        return save_training_figure(directory)

    return _path_or_reason(draw, f"; dumpgym show {directory} --figure draws it again")


def draw_simulation(output: Path, results: "Mapping[str, StudentResult]") -> str:
    """Draws the figure of every simulated student; returns the directory, or why a figure is missing."""

    def draw() -> Path:
        from dumpgym.reporting.figures.simulation import save_simulation_figures

        save_simulation_figures(output, results)
        return output

    return _path_or_reason(draw)


def _path_or_reason(draw: Callable[[], Path], hint: str = "") -> str:
    try:
        return str(draw())
    except DumpgymError as error:
        return f"none, {error}{hint}"
