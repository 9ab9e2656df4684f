"""The figures: of a comparison (one function each, registered with its caption), of one run, and of a simulation.

This is the only room that imports matplotlib. A figure of the report is one function in one of these files, decorated
with ``report_figure``; a new file needs no list to be edited. Numbers are computed in ``comparing`` and ``statistics``.
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
        draw: draws the figure.
        caption: the sentence below it, which is also its alternative text.
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
    """Decorates a function that draws a figure of a comparison, so that reports have it.

    Args:
        name: name of the figure and of its files.
        place: figures are shown in ascending order of this number.
        caption: the sentence below the figure.

    Raises:
        InvalidValueError: if the name is taken.
    """

    def register(draw: "Callable[[Comparison], Figure]") -> "Callable[[Comparison], Figure]":
        FIGURES.register(name, ReportFigure(draw, caption, place), module=draw.__module__)
        return draw

    return register
