"""Figures of a comparison, of one run, and of a simulation. This is the only room that imports matplotlib.

A figure of the report is one function in one of these files, decorated with ``report_figure``, which gives it a name
and a caption. A new file is found without being listed anywhere. Numbers are computed in ``comparing`` and
``statistics``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dumpgym.contracts.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dumpgym.comparing.comparison import Comparison


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A figure of a comparison.

    Attributes:
        draw: function that draws the figure.
        caption: text below the figure, which is also its alternative text.
        place: figures are shown in ascending order of this number.
    """

    draw: "Callable[[Comparison], Figure]"
    caption: str
    place: int

    def __call__(self, comparison: "Comparison") -> "Figure":
        """Draws the figure of a comparison."""
        return self.draw(comparison)


FIGURES = Registry[ReportFigure]("figure", rooms=("dumpgym.reporting.figures",), key="name")
"""All figures of a report by name."""


def report_figure(
    name: str, *, place: int, caption: str
) -> "Callable[[Callable[[Comparison], Figure]], Callable[[Comparison], Figure]]":
    """Decorates a function that draws a figure of a comparison, which adds the figure to every report.

    Args:
        name: name of the figure and of its files.
        place: figures are shown in ascending order of this number.
        caption: text below the figure.

    Raises:
        InvalidValueError: if the name is taken.
    """

    def register(draw: "Callable[[Comparison], Figure]") -> "Callable[[Comparison], Figure]":
        FIGURES.register(name, ReportFigure(draw, caption, place), module=draw.__module__)
        return draw

    return register
